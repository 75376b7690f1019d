"""Models: signed ONNX bundles, the folder that holds them, and inference.

A bundle is a folder ``models/<id>/<version>/`` of exactly three files: ``model.onnx``,
``bundle.json`` (what the model is, was trained on and needs; it pins the hash of ``model.onnx``)
and ``bundle.sig`` (an Ed25519 signature over the bytes of ``bundle.json``). A published version
never changes. Loading checks everything, from bytes read once, and fails closed with `ModelError`.

========== ==================================================================================
manifest   what stands in ``bundle.json``
references ``btc_up@3``, ``btc_up@production``, ``btc_up``
folders    files that appear whole or not at all, and are read without following links
keys       the user's own signing key
trust      the public keys of other publishers
graphs     what an ONNX file may hold
bundle     from a folder to verified bytes
runtime    from verified bytes to answers: one ONNX Runtime session, one thread, fixed buffers
publish    from a model to a new version
history    who promoted, rolled back or withdrew what, when and why
resolving  which version a reference means now
fitness    whether a model fits the running code and the time
registry   all of the above for one folder of models
index      the same facts in SQLite, for lists; made anew whenever it is lost
export     from a converter's graph to the house form, and the gate that an export must pass
serving    a loaded model together with the features that it was trained on
predictor  from closed bars to answers, all beforehand or each at its bar, with the same bits
worker     answers in a thread of its own
deadlines  several workers whose answers must come in time
========== ==================================================================================

Nothing here imports the engine, and nothing ever loads a pickle.
"""

import os

# Unless told before it is imported, ONNX Runtime keeps an id of the machine and reports its use.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
