"""Binance's spot protocol: what differs from perpetuals, in JSON and in SBE."""
