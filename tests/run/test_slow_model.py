"""A model of fifty milliseconds beside the loop of a node: quotes flow, and nothing late is traded.

How much it may delay a quote is held by ``benchmarks/bench_slow_model.py``, on a quiet machine.
Here the order of things says whether the loop computes the model, or waits for it: no quote is told
then between a bar and its prediction, however fast the machine.
"""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from tests.run.slow_model import SLOW_MS, SPOTS, slow_lab


@pytest.mark.slow
def test_quotes_are_told_while_a_slow_model_computes_and_late_answers_are_never_traded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AITB_HOME", str(tmp_path / "home"))
    gc.collect()  # the engine's objects of other tests may not be dropped by the exchange's thread
    with slow_lab(tmp_path, seconds=600) as lab:
        assert lab.took_ms > SLOW_MS / 2
        # The model gives way to all else: on a busy machine newer bars may overtake some.
        patient = {"valid_bars": 60, "deadline_ms": 60_000.0}
        few = lab.listen(2.0, 4, slow=True, trades=4, entries=2, **patient)
        assert few.predictions >= 2
        assert few.between > few.predictions / 5  # on the loop: none
        assert few.expired == 0
        # 24 questions a second are more than it can answer, and a busy machine answers fewer yet.
        many = lab.listen(6.0, len(SPOTS), slow=True, trades=len(SPOTS), deadline_ms=5_000.0)
    assert many.expired == 0
