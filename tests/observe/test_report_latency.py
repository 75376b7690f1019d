from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from aitb_nautilus.latency import Latencies
from aitb_nautilus.observe.latency_record import (
    StageLatency,
    histogram_of,
    latency_records,
    latency_table,
)
from aitb_nautilus.observe.latency_words import print_latency
from aitb_nautilus.observe.report_latency import latency_card
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.run_tables import TABLES


def measured(**values: list[int]) -> Latencies:
    one = Latencies()
    for stage, times in values.items():
        for ns in times:
            one.spent(stage.replace("_", " "), ns)
    return one


def card(latencies: Latencies) -> str:
    record = SimpleNamespace(latency=latency_records(latencies))
    return str(latency_card(record))  # type: ignore[arg-type]


def printed(latencies: Latencies) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    print_latency(SimpleNamespace(latency=latency_records(latencies)), console)  # type: ignore[arg-type]
    return console.export_text()


def test_figures_are_those_of_the_values() -> None:
    (one,) = latency_records(measured(guard=[*range(1, 101)]))
    assert one == StageLatency(
        stage="guard",
        clock="monotonic",
        count=100,
        below_zero=0,
        p50_ns=50,
        p90_ns=90,
        p99_ns=99,
        max_ns=100,
    )


def test_stages_that_were_not_measured_are_left_out() -> None:
    assert [one.stage for one in latency_records(measured(fill=[1], guard=[2]))] == [
        "guard",
        "fill",
    ]
    assert latency_card(SimpleNamespace(latency=[])) is None  # type: ignore[arg-type]
    assert printed(Latencies()) == ""


def test_table_has_its_schema_and_gives_the_histograms_back() -> None:
    latencies = measured(bar_age=[-4, 10**7, 10**7, 3 * 10**9], guard=[900])
    table = latency_table(latencies)
    assert table.schema.equals(TABLES["latency"])
    for figures in latency_records(latencies):
        again, own = histogram_of(table, figures), latencies.of[figures.stage]
        assert list(again.buckets()) == list(own.buckets())
        assert (again.longest, again.below_zero) == (own.longest, own.below_zero)
    assert latency_table(Latencies()).schema.equals(TABLES["latency"])


def test_table_that_lacks_values_is_no_histogram() -> None:
    latencies = measured(guard=[900, 5_000])
    table = latency_table(latencies).slice(0, 1)
    with pytest.raises(ValueError, match=r"guard has 1 values, run\.json counts 2"):
        histogram_of(table, latency_records(latencies)[0])


def test_range_runs_from_median_to_99th_percentile_on_a_logarithmic_scale() -> None:
    # From 1 us to 1 s are six powers of ten: 1 ms stands in the middle, 100 ms at five sixths.
    text = card(measured(guard=[10**6] * 98 + [10**8, 10**9]))
    found = re.search(r"--from:([\d.]+)%;--wide:([\d.]+)%;--zero:([\d.]+)%", text)
    assert found is not None
    start, wide, longest = map(float, found.groups())
    assert start == pytest.approx(50, abs=0.1)
    assert start + wide == pytest.approx(100 * 5 / 6, abs=0.1)
    assert longest == 100
    assert [m for m in ("1 µs", "1 ms", "100 ms", "1 s") if f">{m}<" not in text] == []


def test_card_shows_every_figure() -> None:
    text = card(measured(guard=[8_000], acknowledgement=[12_345_678]))
    for word in ("guard", "8.00 µs", "acknowledgement", "12.3 ms", "monotonic"):
        assert word in text
    assert "below zero" not in text


def test_clock_that_is_ahead_and_a_simulated_venue_are_said() -> None:
    latencies = measured(bar_age=[-5, -6, 10])
    latencies.venue_answers_by(lambda: 0)
    latencies.spent("fill", 50_000_000)
    for text in (card(latencies), printed(latencies)):
        assert "2 ages were below zero" in text.replace("\n", " ").replace("  ", " ")
        assert "What the venue took is simulated" in text
    assert "fill (simulated)" in printed(latencies)


def test_run_folder_hands_out_the_table(runs: dict[str, Path]) -> None:
    run = Run(runs["plain"])
    (age, *_) = run.record.latency
    assert (age.stage, age.count) == ("bar age", 200)
    assert histogram_of(run.latency, age).count == 200
