"""What a market is made of: instruments, bar intervals, and bars as exact numbers.

One canonical time for a bar, everywhere: its close, its open plus its interval (decision 4).
Nothing here knows where data come from or who trades them.
"""
