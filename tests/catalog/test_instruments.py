import numpy as np
import pytest

from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.instruments import InstrumentSettings, config_instruments
from catalog.instruments import catalog_instruments, remember_instrument, widened

FOO = InstrumentSettings(
    id="FOO.VENUE", kind="spot", base="FOO", quote="USDT", tick_size="0.1", lot_size="1"
)


def bars_of(price, volume):
    column = np.array([price])
    return BarFrame(np.array([60]), column, column, column, column, np.array([volume]))


def test_remembered_instruments_come_back_the_newer_in_place_of_the_older(tmp_path):
    bar = InstrumentSettings(
        id="BAR.VENUE",
        kind="perpetual",
        base='B"R',
        quote="USDT",
        symbol="BAR\\1",
        tick_size="0.01",
        lot_size="0.5",
        margin_init="0.1",
    )
    assert catalog_instruments(tmp_path) == []
    remember_instrument(tmp_path, FOO)
    remember_instrument(tmp_path, bar)
    newer = widened(FOO, bars_of(1.25, 3.0))
    remember_instrument(tmp_path, newer)
    assert catalog_instruments(tmp_path) == [bar, newer]
    # The same blocks are good for a config.
    assert list(config_instruments(tmp_path / "instruments.toml")) == [bar, newer]


def test_remembering_the_same_again_does_not_write(tmp_path):
    remember_instrument(tmp_path, FOO)
    before = (tmp_path / "instruments.toml").stat()
    remember_instrument(tmp_path, FOO)
    after = (tmp_path / "instruments.toml").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize(
    ("price", "volume", "tick", "lot"),
    [
        (100.1, 5.0, "0.1", "1"),
        (100.125, 5.0, "0.100", "1"),
        (100.1, 0.25, "0.1", "1.00"),
        (1 / 3, 1 / 3, "0.1", "1"),  # no decimals hold it: the store will say so
    ],
)
def test_steps_get_the_decimals_of_the_bars_and_keep_their_value(price, volume, tick, lot):
    spec = widened(FOO, bars_of(price, volume))
    assert (spec.tick_size, spec.lot_size) == (tick, lot)


def test_damaged_file_and_wrong_block_are_refused(tmp_path):
    path = tmp_path / "instruments.toml"
    path.write_text("[[instruments]\n")
    with pytest.raises(DataError, match="is no TOML"):
        catalog_instruments(tmp_path)
    path.write_text('[[instruments]]\nid = "FOO.VENUE"\ntick = "1"\n')
    with pytest.raises(ConfigError, match=r"instruments\.toml"):
        catalog_instruments(tmp_path)
