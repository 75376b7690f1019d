"""The catalog: recorded and simulated bars on disk, filled, checked and read.

What is stored is exact, in order, on the instrument's grid and on the interval's grid, or it is not
stored at all. The files are those of the engine's own `ParquetDataCatalog` and are read by it, by
DuckDB and by pyarrow alike; where the data came from, whether they are simulated, and what was
repaired by which rule stand in each file's own metadata, so that they cannot be torn apart.
"""
