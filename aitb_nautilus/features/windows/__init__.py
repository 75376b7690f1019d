"""Windows over the last n values, of which kernels are made.

Nothing here ever subtracts what left the window, so nothing drifts and no outlier is remembered.
Time is cut into blocks of n bars at ``k % n == 0``, where k is the ordinal of the bar since 1970. A
window ending inside a block is the end of the block before (kept as one total for each starting
place, worked out when that block closed) joined with the beginning of this one. Both are totals of
adjacent values, and totals of adjacent values can be joined without error growing: sums, extremes,
means and moments (Chan's formula), covariances, exponential averages.

Because the blocks hang on the clock and not on the first bar seen, a calculation that begins later
gives the same bits once it has seen n bars.

Every function is plain Python for Numba to compile into the kernels that call it. The first
arguments are the cells ``s`` and the offset ``o`` of its own first cell in them; ``..._cells(n)``
says how many it needs. It is called once for every bar, without a gap.
"""
