"""An event-driven machine-learning trading engine built on NautilusTrader."""

__version__ = "0.1.0"
