"""A model of fifty milliseconds beside the loop of a node: quotes flow, and nothing late is traded.

How much it may delay a quote is held by ``benchmarks/bench_slow_model.py``, on a quiet machine.
"""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from tests.run.slow_model import SLOW_MS, SPOTS, slow_lab


@pytest.mark.slow
def test_slow_model_answers_in_time_while_quotes_flow_and_late_answers_are_never_traded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AITB_HOME", str(tmp_path / "home"))
    gc.collect()  # the engine's objects of other tests may not be dropped by the exchange's thread
    with slow_lab(tmp_path, seconds=120) as lab:
        assert lab.took_ms == pytest.approx(SLOW_MS, rel=0.5)
        few = lab.listen(6.0, 4, slow=True, trades=4, deadline_ms=900.0)
        # 24 questions a second are more than it can answer: what waits expires.
        many = lab.listen(6.0, len(SPOTS), slow=True, trades=len(SPOTS), deadline_ms=5_000.0)
    assert few.predictions > 4
    assert few.orders > 0
    # The loop never waits for the model: no quote in twenty is told as late as an answer.
    delays = sorted(few.delays_ms)
    assert delays[len(delays) * 9 // 10] < SLOW_MS
    assert len(delays) > 300
    # What has expired is not computed any more, so that some are always in time.
    assert 12 < many.predictions < 24 * 6
    assert (few.expired, many.expired) == (0, 0)
