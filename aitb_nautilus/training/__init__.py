"""Training: from bars to a judged, calibrated and exported model.

========== ==================================================================================
settings   the ``[model]`` section of a config
labels     what a model is taught to foresee, and which bars each answer looks at
samples    rows of features beside their labels, of one or more instruments
splits     chronological folds and windows, purged and embargoed
tables     what a fit is given
trees      LightGBM; `standardised`: logistic regression and an MLP, behind a scaler
calibration from a score to a probability
graphs     the same arithmetic as ONNX
fitting    one fit: all of it happens inside the rows that it was given
metrics    how good probabilities are; `baselines` what no model would answer
importance what a model loses when a feature is shuffled
judging    the above for each fold, as mean and spread
leaks      checks that find a look into the future, and are tested on planted ones
record     what the bundle says of a training
train      all of it, up to the signed bundle
walk_forward a model for each stretch of time, and one out-of-sample stream
========== ==================================================================================

Nothing here imports the engine or the catalog: bars come in as `BarFrame`. Same bars, settings and
seed give the same bytes of ONNX in any process on one kind of machine.
"""
