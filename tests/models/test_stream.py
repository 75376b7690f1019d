from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.stream import read_stream
from tests.stream_files import BTC, MINUTE_NS, T0, about, row, write_stream_file

ETH = "ETHUSDT-PERP.BINANCE"
ROWS = [row(n, 0.5 + n / 100, 1 if n < 5 else 2) for n in range(1, 9)]


def refused(path: Path) -> str:
    """Return what is said of a file that is not taken."""
    with pytest.raises(ModelError) as caught:
        read_stream(path)
    assert caught.value.exit_code == 5
    assert str(path) in str(caught.value)
    return str(caught.value).replace(str(path), "FILE")


def test_stream_is_read_by_instrument_in_order_of_time(tmp_path: Path) -> None:
    rows = [
        row(n, n / 10, 1, instrument=instrument, expected=n / 1000)
        for n in (1, 2, 4)
        for instrument in (ETH, BTC)
    ]
    path = write_stream_file(tmp_path / "btc.parquet", rows, instruments=(BTC, ETH))
    stream = read_stream(path)
    assert stream.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert list(stream.rows) == [BTC, ETH]
    for one in stream.rows.values():
        assert one.ts.tolist() == [T0, T0 + MINUTE_NS, T0 + 3 * MINUTE_NS]
        assert one.probability.tolist() == np.array([0.1, 0.2, 0.4], np.float32).tolist()
        assert one.expected_return is not None
        assert one.expected_return.tolist() == np.array([1e-3, 2e-3, 4e-3], np.float32).tolist()
        assert one.window.tolist() == [0, 0, 0]
    assert (stream.about.id, stream.about.label.parameters) == ("btc", {"cost_bps": 5.0})


def test_stream_without_expected_returns_has_none(tmp_path: Path) -> None:
    stream = read_stream(write_stream_file(tmp_path / "s.parquet", ROWS))
    assert stream.rows[BTC].expected_return is None
    assert stream.rows[BTC].window.tolist() == [0] * 4 + [1] * 4


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "FILE: is not there, must be the stream of a walk-forward. Write one: aitb train" in (
        refused(tmp_path / "absent.parquet")
    )
    assert "FILE: is no file" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "FILE: is no file" in refused(tmp_path / "pipe")


@pytest.mark.parametrize("data", [b"", b"PAR1", b"ts,probability\n1,0.5\n", b"PAR1" + b"x" * 400])
def test_what_is_no_parquet_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "s.parquet"
    path.write_bytes(data)
    assert "FILE: is no Parquet file, or a damaged one (" in refused(path)


def test_file_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    path = write_stream_file(tmp_path / "s.parquet", ROWS)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        assert "is no Parquet file" in refused(path)


def test_changed_byte_gives_a_stream_within_bounds_or_a_model_error(tmp_path: Path) -> None:
    path = write_stream_file(tmp_path / "s.parquet", ROWS)
    whole = path.read_bytes()
    random = np.random.default_rng(1)
    taken = 0
    for place in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[place] ^= int(random.integers(1, 256))
        path.write_bytes(changed)
        try:
            rows = read_stream(path).rows
        except ModelError:
            continue
        taken += 1
        for one in rows.values():
            assert (np.diff(one.ts) > 0).all()
            assert ((one.probability >= 0) & (one.probability <= 1)).all()
    assert taken < len(whole) / 14


def test_parquet_file_that_does_not_say_what_it_is_is_refused(tmp_path: Path) -> None:
    path = write_stream_file(tmp_path / "s.parquet", ROWS, metadata={b"other": b"{}"})
    assert "FILE: does not say what it is, must hold the report of a walk-forward" in refused(path)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b"\xff", b'{"id": "btc"}'])
def test_metadata_that_are_no_report_are_refused(tmp_path: Path, text: bytes) -> None:
    path = write_stream_file(tmp_path / "s.parquet", ROWS, metadata={b"aitb": text})
    assert "FILE: says what it is in words not understood (" in refused(path)


@pytest.mark.parametrize(("changes", "said"), [
    ({"id": "Not An Id"}, "the model id 'Not An Id' must be"),
    ({"interval": "60m"}, "not in its shortest spelling"),
    ({"interval": "7m"}, "does not divide"),
    ({"longest_gap_bars": -1}, "longest_gap_bars must not be negative"),
    ({"trials": 0}, "trials must be at least 1"),
    ({"windows": []}, "windows must be one or more"),
    ({"windows": about(ROWS)["windows"] * 2}, "windows must be one or more"),
    ({"label": {"kind": "sign", "horizon_bars": 0, "horizon_ns": 1}}, "horizon must be at least"),
    ({"label": {"kind": "sign", "horizon_bars": 1, "horizon_ns": 2**63}}, "longer than anybody"),
    ({"windows": [about(ROWS)["windows"][0] | {"train_last_ns": 2**63}]}, "Expected `int` <="),
    ({"simulated": "yes"}, "Expected `bool`"),
])  # fmt: skip
def test_metadata_that_cannot_be_are_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    text = refused(write_stream_file(tmp_path / "s.parquet", ROWS, **changes))
    assert text.startswith("FILE: says what it is in words not understood (")
    assert said in text


@pytest.mark.parametrize("missing", sorted(set(about(ROWS)) - {"horizon_ns", "verdict"}))
def test_metadata_that_lack_a_word_are_refused(tmp_path: Path, missing: str) -> None:
    told = about(ROWS)
    del told[missing]
    path = write_stream_file(
        tmp_path / "s.parquet", ROWS, metadata={b"aitb": msgspec.json.encode(told)}
    )
    assert f"`{missing}`" in refused(path)


@pytest.mark.parametrize("change", [
    lambda table: table.drop_columns("model_version"),
    lambda table: table.append_column("score", table["probability"]),
    lambda table: table.select([1, 0, 2, 3, 4]),
    lambda table: table.set_column(2, "probability", table["probability"].cast(pa.float64())),
    lambda table: table.set_column(0, "ts", table["ts"].cast(pa.timestamp("us", tz="UTC"))),
    lambda table: table.set_column(0, "ts", table["ts"].cast(pa.timestamp("ns"))),
])  # fmt: skip
def test_other_columns_are_refused(tmp_path: Path, change: Any) -> None:
    text = refused(write_stream_file(tmp_path / "s.parquet", ROWS, change=change))
    assert text.startswith("FILE: has the columns ")
    assert "must have ts timestamp[ns, tz=UTC], instrument_id string, probability float," in text


@pytest.mark.parametrize("broken", ["ts", "instrument_id", "probability", "model_version"])
def test_absent_value_is_refused(tmp_path: Path, broken: str) -> None:
    def without_third(table: pa.Table) -> pa.Table:
        place = table.column_names.index(broken)
        third = pa.array([n == 2 for n in range(len(table))])
        gone = pc.if_else(third, pa.nulls(len(table), table[broken].type), table[broken])
        return table.set_column(place, broken, gone)

    path = write_stream_file(tmp_path / "s.parquet", ROWS, change=without_third)
    assert f"FILE: 1 rows lack the {broken}" in refused(path)


def test_expected_return_of_some_rows_only_is_refused(tmp_path: Path) -> None:
    rows = [*ROWS[:4], *(one | {"expected_return": 0.01} for one in ROWS[4:])]
    text = refused(write_stream_file(tmp_path / "s.parquet", rows))
    assert "FILE: 4 rows lack the expected_return" in text


@pytest.mark.parametrize(("column", "value", "said"), [
    ("probability", 1.25, "holds a probability that is not in [0, 1]"),
    ("probability", -0.01, "holds a probability that is not in [0, 1]"),
    ("probability", float("nan"), "holds a probability that is not in [0, 1]"),
    ("expected_return", float("inf"), "holds an expected return that is not finite"),
    ("expected_return", float("nan"), "holds an expected return that is not finite"),
    ("ts", T0 + MINUTE_NS + 1, "is not the time of the close of a bar of 1m"),
    ("ts", T0, "does not come after the row of BTCUSDT-PERP.BINANCE before it"),
])  # fmt: skip
def test_broken_value_is_refused_and_its_row_named(
    tmp_path: Path, column: str, value: float, said: str
) -> None:
    rows = [one | {"expected_return": 0.0} for one in ROWS]
    rows[2] = rows[2] | {column: value}
    text = refused(write_stream_file(tmp_path / "s.parquet", rows))
    assert text.startswith("FILE: row 3 of 2023-11-14T")
    assert said in text


@pytest.mark.parametrize(("column", "word"), [
    ("instrument_id", "ETHUSDT-PERP.BINANCE"), ("model_version", "btc/window-9"),
])  # fmt: skip
def test_row_of_what_the_report_does_not_know_is_refused(
    tmp_path: Path, column: str, word: str
) -> None:
    rows = [*ROWS[:-1], ROWS[-1] | {column: word}]
    told = msgspec.json.encode(about(ROWS))
    path = write_stream_file(tmp_path / "s.parquet", rows, metadata={b"aitb": told})
    assert f"FILE: holds rows of {word!r}, its report knows none" in refused(path)


def test_rows_that_are_more_or_fewer_than_reported_are_refused(tmp_path: Path) -> None:
    assert "has 8 rows, must have the 9 of its report" in refused(
        write_stream_file(tmp_path / "s.parquet", ROWS, rows=9)
    )
    windows = about(ROWS)["windows"]
    assert "has 0 rows" in refused(write_stream_file(tmp_path / "s.parquet", [], windows=windows))


def test_planted_leak_of_one_bar_is_refused(tmp_path: Path) -> None:
    windows = about(ROWS)["windows"]
    assert windows[1]["test_first_ns"] == T0 + 4 * MINUTE_NS
    # The last trained row closes two bars before: its label still looks at the first row's bar.
    windows[1]["train_last_ns"] += MINUTE_NS
    text = refused(write_stream_file(tmp_path / "s.parquet", ROWS, windows=windows))
    assert text.startswith("FILE: row 5 of 2023-11-14T22:18:00Z: is answered by a model that was ")
    assert "trained on bars of that time" in text


def test_rows_of_a_later_model_put_into_an_earlier_time_are_refused(tmp_path: Path) -> None:
    told = msgspec.json.encode(about(ROWS))
    swapped = [*ROWS[:3], ROWS[3] | {"model_version": "btc/window-2"}, *ROWS[4:]]
    path = write_stream_file(tmp_path / "s.parquet", swapped, metadata={b"aitb": told})
    assert "row 4" in refused(path)
    windows = about(ROWS)["windows"]
    windows[0]["test_last_ns"] -= MINUTE_NS
    text = refused(write_stream_file(tmp_path / "s.parquet", ROWS, windows=windows))
    assert "row 4 of" in text
    assert "does not lie in the stretch that its model answered" in text
