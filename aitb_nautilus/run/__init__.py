"""From one config file to a running node.

`config` holds the sections, `load` reads a file and resolves the components that it names by
``module:Class`` text, `backtest` runs a desk on recorded bars. Components are reached by that text
alone, never by import.
"""
