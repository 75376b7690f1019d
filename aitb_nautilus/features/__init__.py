"""Features of bars: one implementation for training, back-test and live.

`feature_set.parse_features` reads what a config names, `engine.FeatureEngine` computes it, in batch
or bar by bar with the same bits. A feature is a `kernel.Kernel` in one file of `kernels`, made of
the `windows`. Numbers in, numbers out: nothing here knows the engine, a model or a file format.

Only `engine` (with `compiled` and `driver`) needs Numba, which takes a second to load; reading,
checking and describing feature sets does not.
"""
