"""What stands between a strategy's wish and the venue.

A strategy answers facts with intents. An intent becomes an order only through sizing, the limits
and the latched halts of one guard; each order that the engine then creates must match a permit of
that guard. `ledger`, `limits`, `guard`, `sizing` and `exits` know no engine; `strategy` and `actor`
are the base classes that join them to it.
"""
