"""``aitb paper`` against a rehearsal of the exchange: a whole run, as a person makes one."""

from __future__ import annotations

import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.risk.journal_proof import verify
from aitb_nautilus.risk.tape_file import INPUTS_NAME, read_entries
from aitb_nautilus.run.what_if import what_if
from tests.run.desk_lab import Outcome
from tests.run.node_lab import BTC, NodeLab, json_of, node_lab

FILES = {
    *(f"{name}.parquet" for name in ("bars", "equity", "fills", "funding", "orders")),
    *("positions.parquet", "predictions.parquet", "config.toml", "journal.sqlite", "log.jsonl"),
    *("report.html", "run.json"),
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeLab]:
    with node_lab(tmp_path_factory.mktemp("paper")) as lab:
        yield lab


@dataclass(frozen=True)
class Done:
    """A run that was started, traded a while, and was stopped by a signal."""

    code: int
    printed: dict[str, Any]
    seconds: float
    said: str
    outcome: Outcome


@pytest.fixture(scope="module")
def done(lab: NodeLab) -> Done:
    node = lab.start("paper", str(lab.write()), "--json")
    node.wait_for("warm after 40 bars")
    lab.play()
    node.wait_for("exit:signal")
    node.wait_for("(entry)")
    code, out, seconds = node.stop(signal.SIGTERM)
    lab.pause()
    return Done(code, json_of(out), seconds, node.said, lab.last())


def test_signal_ends_the_run_well_and_soon(done: Done) -> None:
    assert (done.code, done.outcome.record.status) == (0, "complete")
    assert done.seconds < 10


def test_run_folder_has_the_files_of_a_back_test(done: Done) -> None:
    assert {path.name for path in done.outcome.folder.iterdir()} >= FILES
    assert done.outcome.record.mode == "paper"
    assert done.printed["run_id"] == done.outcome.folder.name


def test_orders_filled_in_the_sandbox_at_its_fees(done: Done) -> None:
    fills = done.outcome.fills
    assert {"entry", "exit:signal"} <= {fill["purpose"] for fill in fills}
    for fill in fills:
        assert fill["fee"] == pytest.approx(fill["price"] * fill["quantity"] * 5e-4)
    assert done.outcome.record.fills == len(fills) == done.printed["fills"]
    assert done.outcome.record.starting_equity == 10_000.0


def test_sandbox_answers_after_the_config_s_latency(done: Done) -> None:
    stages = {one.stage: one for one in done.outcome.record.latency}
    assert stages["fill"].clock == "monotonic"
    assert 20_000_000 <= stages["fill"].p50_ns < 2 * 10**9
    counted = Counter[str]()
    for row in done.outcome.table("latency"):
        counted[row["stage"]] += row["count"]
    assert counted == {name: one.count for name, one in stages.items()}


def test_nothing_reached_the_exchange(done: Done, lab: NodeLab) -> None:
    assert done.outcome.fills
    assert lab.venue() == {"fills": 0, "position": 0, "open": 0}


def test_bars_came_once_on_their_canonical_closes_and_without_a_hole(done: Done) -> None:
    closes = [row["ts"] for row in done.outcome.table("bars")]
    minute = 60_000_000_000
    assert closes == list(range(closes[0], closes[-1] + 1, minute))
    assert closes[0] % minute == 0
    assert len(closes) == done.outcome.record.bars
    assert done.outcome.record.warm_up_bars == 40


def test_journal_is_whole_and_the_log_tells_the_story(done: Done) -> None:
    proof = verify(done.outcome.folder / "journal.sqlite")
    assert (proof.broken, proof.closed) == (None, True)
    journal = done.outcome.record.journal
    assert journal is not None
    assert (proof.records, proof.head) == (journal.records, journal.head)
    messages = [line["message"] for line in done.outcome.log]
    assert any(m.startswith("connected; equity 10,000.00") for m in messages)
    assert messages[-1] == "ended: SIGTERM"


def test_decisions_are_taken_again_from_the_folder(done: Done) -> None:
    record = what_if(done.outcome.folder, None, ["risk.max_order_notional=1"])
    assert record.differences == []
    assert record.decisions > 1
    assert {one.order.outcome for one in record.orders} == {"refused"}
    assert record.other.fills == 0
    assert record.other.net_pnl == 0


def test_no_secret_stands_in_the_folder(done: Done) -> None:
    config = (done.outcome.folder / "config.toml").read_text()
    assert 'api_key = "env:REHEARSAL_KEY"' in config


def test_honest_words_are_those_of_a_sandbox(done: Done) -> None:
    words = " ".join(done.outcome.record.honesty)
    assert "orders never left this machine" in words
    assert "next bar's open" not in words
    assert BTC not in words  # nothing is missing of the instrument


def test_instrument_that_the_venue_steps_otherwise_is_refused(lab: NodeLab) -> None:
    spec = lab.plain()["instruments"][0] | {"tick_size": "0.01"}
    node = lab.start("paper", str(lab.write("ticks", instruments=[spec])))
    code, _ = node.end()
    assert code == 3, node.said
    assert "Traceback" not in node.said
    assert "price_increment: is 0.01 in the config, and 0.1 at the venue" in node.said
    assert lab.last().record.status == "failed"


def test_venue_that_cannot_be_reached_is_said(lab: NodeLab, tmp_path: Path) -> None:
    away = {"base_url_http": "http://127.0.0.1:9", "base_url_ws": "ws://127.0.0.1:9/ws"}
    where = {"runs": str(tmp_path)}
    config = lab.write("away", venue=away, backtest=where, live={"connect_secs": 2.0})
    node = lab.start("paper", str(config))
    code, _ = node.end()
    assert code == 1, node.said
    assert "the engine did not run" in node.said
    assert "must connect and start" in node.said


def test_funding_that_the_venue_settles_is_paid_in_the_accounts(tmp_path: Path) -> None:
    with node_lab(tmp_path, funding={12: "0.001"}) as lab:
        # The settlement lies minutes ahead of the node's clock, by which its fills are stamped: the
        # accounts pay it on what is held at the end. So what was bought is never sold.
        config = lab.plain()
        (block,) = config["strategies"]
        block["params"]["exits"] = {"stop_frac": 0.9, "signal": False}
        node = lab.start("paper", str(lab.write(strategies=[block])))
        node.wait_for("warm after")
        lab.play()
        node.wait_for("(entry)")
        lab.wait_until(20)
        assert node.stop()[0] == 0, node.said
        (payment,) = lab.last().table("funding")
        assert payment["ts"] > lab.last().fills[-1]["ts"]
        assert payment["rate"] == pytest.approx(0.001)
        assert payment["amount"] == pytest.approx(payment["quantity"] * payment["price"] * 0.001)
        costs = lab.last().record.costs
        assert costs is not None
        assert costs.funding == pytest.approx(payment["amount"])


def test_decisions_of_the_run_come_out_again_as_they_were(done: Done, lab: NodeLab) -> None:
    code, out = lab.start("replay", str(done.outcome.folder), "--json").end()
    told = json_of(out)
    assert (code, told["differences"], told["divergence"]) == (0, 0, None)
    assert (told["is_whole"], told["unchecked"], told["remarks"]) == (True, 0, [])
    record, equal = done.outcome.record, told["equal"]
    assert equal["data"] == record.bars + record.warm_up_bars
    assert equal["orders"] >= record.orders >= 2
    assert equal["events"] >= record.fills


def test_other_limit_is_named_as_the_first_difference(
    done: Done, lab: NodeLab, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(done.outcome.folder, tmp_path / "other"))
    text = (folder / "config.toml").read_text()
    assert text.count("max_order_notional = 20000.0") == 1
    changed = text.replace("max_order_notional = 20000.0", "max_order_notional = 1000.0")
    (folder / "config.toml").write_text(changed)
    code, out = lab.start("replay", str(folder), "--json").end()
    divergence = json_of(out)["divergence"]
    assert (code, divergence["layer"], divergence["what"]) == (1, "decisions", "outcome")
    assert (divergence["recorded"], divergence["replayed"]) == ("allowed", "shrunk")


def test_difference_from_the_back_test_of_its_bars_is_priced_whole(
    done: Done, lab: NodeLab
) -> None:
    node = lab.start("replay", str(done.outcome.folder), "--economic", "--json")
    code, out = node.end()
    assert code == 0, node.said
    told = json_of(out)
    assert told["matched"] >= 2
    parts = {one["layer"]: one["amount"] for one in told["layers"]}
    assert sum(parts.values()) == pytest.approx(told["difference"], abs=1e-9)
    assert abs(parts["rest"]) < 1e-6
    assert (parts["data"], parts["predictions"]) == (0.0, 0.0)
    assert parts["time"] + parts["slippage"] != 0.0


def test_run_that_was_killed_is_replayed_as_far_as_it_was_recorded(tmp_path: Path) -> None:
    with node_lab(tmp_path) as lab:
        node = lab.start("paper", str(lab.write()))
        node.wait_for("warm after")
        lab.play()
        node.wait_for("(entry)")
        time.sleep(1.0)  # longer than recording.flush_secs
        node.kill()
        folder = lab.last().folder
        code, out = lab.start("replay", str(folder), "--json").end()
        told = json_of(out)
        assert (code, told["differences"], told["is_whole"]) == (0, 0, False)
        assert told["equal"]["orders"] > 0
        assert told["equal"]["events"] > 0
        assert "before the run did" in told["remarks"][0]


def test_commands_of_a_person_are_replayed_where_they_came(tmp_path: Path) -> None:
    with node_lab(tmp_path) as lab:
        config = str(lab.write())
        node = lab.start("paper", config)
        node.wait_for("warm after")
        lab.play()
        node.wait_for("(entry)")
        assert lab.start("flatten", config, "--reason", "lunch").end()[0] == 0
        assert lab.start("resume", config, "--reason", "back").end()[0] == 0
        node.wait_for("(exit:flatten)")
        assert node.stop()[0] == 0, node.said
        done = lab.last()
        kinds = {entry.kind for entry in read_entries(done.folder / INPUTS_NAME)}
        assert kinds >= {"states", "restrict", "resume"}
        code, out = lab.start("replay", str(done.folder), "--json").end()
        told = json_of(out)
        assert (code, told["divergence"], told["is_whole"]) == (0, None, True)
