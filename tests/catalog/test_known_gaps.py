import numpy as np
import pytest

from aitb_nautilus.errors import DataError
from catalog.known_gaps import KnownGaps
from catalog.places import Gap, runs

BAR_TYPE = "BTC/USDT.KRAKEN-1-MINUTE-LAST-EXTERNAL"


def test_runs_are_the_stretches_of_true():
    mask = np.array([1, 0, 1, 1, 0, 1], bool)
    assert runs(mask, 100, 10) == [Gap(100, 100, 1), Gap(120, 130, 2), Gap(150, 150, 1)]
    assert runs(np.zeros(5, bool), 100, 10) == []
    assert runs(np.ones(3, bool), 0, 5) == [Gap(0, 10, 3)]


def test_gaps_outside_of_the_asked_period_stay(tmp_path):
    gaps = KnownGaps(tmp_path, BAR_TYPE, "kraken")
    assert gaps.read() == []
    gaps.replace(0, 1000, [Gap(0, 90, 10), Gap(500, 500, 1)], 10)
    # Another period cuts the first gap in two and knows a new one.
    gaps.replace(30, 60, [Gap(40, 40, 1)], 10)
    assert gaps.read() == [Gap(0, 20, 3), Gap(40, 40, 1), Gap(70, 90, 3), Gap(500, 500, 1)]
    gaps.replace(0, 1000, [], 10)
    assert gaps.read() == []


def test_exchanges_and_series_do_not_mix(tmp_path):
    KnownGaps(tmp_path, BAR_TYPE, "kraken").replace(0, 10, [Gap(0, 10, 2)], 10)
    assert KnownGaps(tmp_path, BAR_TYPE, "other").read() == []


def test_damaged_file_says_what_to_do(tmp_path):
    gaps = KnownGaps(tmp_path, BAR_TYPE, "kraken")
    gaps.replace(0, 10, [Gap(0, 10, 2)], 10)
    gaps.path.write_text("{")
    with pytest.raises(DataError, match="Remove it"):
        gaps.read()
