"""Strategies that a config names as ``strategies.<file>:<Class>``; one file, one strategy.

A strategy is a settings struct and a `GuardedStrategy` that answers facts with intents. To add one,
copy the nearest file, name it in a config, and run ``aitb backtest``; nothing is registered.
"""
