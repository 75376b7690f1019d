"""``aitb live`` against a rehearsal of the exchange, by the engine's own Binance adapter."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from aitb_nautilus.market.bars import Interval
from aitb_nautilus.rehearsal.faults import Fault
from aitb_nautilus.risk.journal_proof import verify
from catalog.store import BarStore
from tests.rehearsal_lab import SPEC
from tests.run.desk_lab import Outcome
from tests.run.node_lab import NodeLab, json_of, minute_bars, node_lab
from tests.run.standing import stand_with_exits
from tests.run.test_paper import FILES

SECRET = "fNw1vVbG7secret"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NodeLab]:
    with node_lab(tmp_path, api_secret=SECRET) as lab:
        yield lab


def exits(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lab's strategy with a stop and a target that are far away."""
    (block,) = config["strategies"]
    block["params"]["exits"] = {"stop_frac": 0.05, "target_frac": 0.1}
    return [block]


# Without connecting


def test_alone_it_builds_and_says_what_it_would_do(lab: NodeLab) -> None:
    node = lab.start("live", str(lab.write()), "--json", secret=SECRET)
    code, out = node.end()
    assert code == 0, node.said
    told = json_of(out)
    assert told["execution"]["BINANCE"]["client"] == "binance adapter"
    assert told["execution"]["BINANCE"]["base_url_http"] == lab.running.url_http
    assert told["execution"]["BINANCE"]["api_secret"] == "env:REHEARSAL_SECRET"
    assert (told["strategies"], told["warm_up_bars"], told["on_stop"]) == (
        ["ema-001"],
        40,
        "cancel",
    )
    assert SECRET not in out + node.said
    assert not (lab.folder / "runs").exists()
    assert lab.running.call(lambda r: r.exchange.hub.published) == 0


@pytest.mark.parametrize("words", [[], ["--run", "--live-orders"]])
def test_missing_key_is_an_error_of_the_config_before_anything_else(
    lab: NodeLab, words: list[str]
) -> None:
    node = lab.start("live", str(lab.write(venue={"api_secret": None})), *words)
    code, _ = node.end()
    assert code == 3
    assert "venues BINANCE.api_secret: is missing" in node.said
    assert not (lab.folder / "runs").exists()


def test_orders_without_a_run_are_no_use(lab: NodeLab) -> None:
    node = lab.start("live", str(lab.write()), "--live-orders")
    assert node.end()[0] == 2
    assert "must be given together" in node.said


# Connected


def test_without_live_orders_everything_is_decided_and_nothing_sent(lab: NodeLab) -> None:
    node = lab.start("live", str(lab.write()), "--run", secret=SECRET)
    node.wait_for("warm after")
    lab.play()
    node.wait_for("order refused by live-orders: nothing is sent to the venue")
    assert node.stop()[0] == 0, node.said
    outcome = lab.last()
    assert (outcome.record.status, outcome.record.orders, outcome.record.fills) == (
        "complete",
        0,
        0,
    )
    assert outcome.record.refused > 0
    assert lab.venue() == {"fills": 0, "position": 0, "open": 0}


@dataclass(frozen=True)
class Traded:
    lab: NodeLab
    code: int
    seconds: float
    outcome: Outcome
    venue: dict[str, Any]


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traded]:
    """Trade for a while with exits that rest, and stop with SIGTERM; the config is the default."""
    with node_lab(tmp_path_factory.mktemp("live"), api_secret=SECRET) as lab:
        config = lab.write(strategies=exits(lab.plain()))
        node = lab.start("live", str(config), "--run", "--live-orders", secret=SECRET)
        node.wait_for("warm after")
        lab.play()
        node.wait_for("(exit:signal)")
        stand_with_exits(lab, config)  # turned around
        code, _, seconds = node.stop(signal.SIGTERM)
        yield Traded(lab, code, seconds, lab.last(), lab.venue())


def test_stopped_run_is_complete_and_has_all_files(traded: Traded) -> None:
    assert (traded.code, traded.outcome.record.status, traded.outcome.record.mode) == (
        0,
        "complete",
        "live",
    )
    assert traded.seconds < 10
    assert {path.name for path in traded.outcome.folder.iterdir()} >= FILES
    proof = verify(traded.outcome.folder / "journal.sqlite")
    assert (proof.broken, proof.closed) == (None, True)


def test_venue_has_the_fills_and_the_position_of_the_run(traded: Traded) -> None:
    fills = traded.outcome.fills
    assert traded.venue["fills"] == len(fills) > 2
    held = sum(f["quantity"] * (1 if f["side"] == "BUY" else -1) for f in fills)
    assert traded.venue["position"] == pytest.approx(held * 1_000)  # in lots of 0.001


def test_decisions_of_the_run_come_out_again_as_they_were(traded: Traded) -> None:
    node = traded.lab.start("replay", str(traded.outcome.folder), "--json")
    code, out = node.end()
    assert code == 0, node.said + out
    told, record = json_of(out), traded.outcome.record
    assert (told["divergence"], told["is_whole"], told["unchecked"]) == (None, True, 0)
    assert told["equal"]["data"] == record.bars + record.warm_up_bars
    assert told["equal"]["orders"] >= record.orders > 2
    assert told["equal"]["events"] >= record.fills > 2


def test_every_stage_of_the_orders_was_measured_once(traded: Traded) -> None:
    stages = {one.stage: one for one in traded.outcome.record.latency}
    sent = traded.outcome.record.orders
    assert list(stages) == [
        *("bar age", "decision", "guard", "submit", "acknowledgement", "fill", "order")
    ]
    assert stages["bar age"].count <= traded.outcome.record.bars
    assert stages["submit"].count == stages["acknowledgement"].count == sent
    market = [o for o in traded.outcome.table("orders") if o["type"] == "MARKET"]
    assert stages["fill"].count == len(market) > 2
    # Stops and targets answer a fill, and so no bar.
    assert stages["order"].count == stages["fill"].count
    clocks = {"bar age": "wall", "order": "wall"}
    assert {s: o.clock for s, o in stages.items()} == {
        s: clocks.get(s, "monotonic") for s in stages
    }
    assert 0 < stages["acknowledgement"].p50_ns <= stages["acknowledgement"].max_ns < 10**10
    # The rehearsal steps its clock ahead of this machine's: its bars come before their time.
    assert stages["bar age"].below_zero > 0


def test_turning_around_closes_first_and_opens_then(traded: Traded) -> None:
    purposes = [fill["purpose"] for fill in traded.outcome.fills]
    assert purposes == ["entry", *["exit:signal", "entry"] * (len(purposes) // 2)]
    assert all(o["status"] != "REJECTED" for o in traded.outcome.table("orders"))


def test_stop_and_target_stay_at_the_venue_when_the_run_is_cancelled(traded: Traded) -> None:
    resting = [o for o in traded.outcome.table("orders") if o["status"] == "ACCEPTED"]
    assert sorted(o["purpose"] for o in resting) == ["exit:stop", "exit:target"]
    assert traded.venue["position"] != 0


def test_equity_is_that_of_the_account_and_not_of_the_config(traded: Traded) -> None:
    assert traded.outcome.record.starting_equity == 100_000.0
    assert "fills and fees are the venue's" in " ".join(traded.outcome.record.honesty)


def test_engine_writes_no_line_while_an_order_leaves(traded: Traded) -> None:
    log = (traded.outcome.folder / "engine.jsonl").read_text().splitlines()
    usual = [line for line in log if '"level":"INFO"' in line]
    assert any("Subscribed" in line for line in usual)
    # Each of these would stand in the order's way, and the journal says all of it.
    for words in ("OrderInitialized", "SubmitOrder", "Submit MarketOrder", "OrderSubmitted"):
        assert not any(words in line for line in usual)
    assert traded.outcome.fills


def test_secret_stands_in_no_file_of_the_run(traded: Traded) -> None:
    for path in traded.outcome.folder.iterdir():
        assert SECRET.encode() not in path.read_bytes(), path.name


def test_flatten_on_stop_leaves_nothing_at_the_venue(lab: NodeLab) -> None:
    config = lab.write(strategies=exits(lab.plain()), live={"on_stop": "flatten"})
    node = lab.start("live", str(config), "--run", "--live-orders", secret=SECRET)
    node.wait_for("warm after")
    stand_with_exits(lab, config)
    code, _, seconds = node.stop()
    assert (code, seconds < 10) == (0, True)
    assert lab.venue()["position"] == 0
    assert lab.last().fills[-1]["purpose"] == "exit:flatten"
    assert {o["status"] for o in lab.last().table("orders")} <= {"FILLED", "CANCELED", "EXPIRED"}


def test_killed_node_leaves_a_journal_and_readable_tables(lab: NodeLab) -> None:
    node = lab.start("live", str(lab.write()), "--run", "--live-orders", secret=SECRET)
    node.wait_for("warm after")
    lab.play()
    node.wait_for("(exit:signal)")
    folder = max((lab.folder / "runs").iterdir())
    for _ in range(1_200):  # a snapshot comes when the last one is half a percent of the time
        if (folder / "fills.parquet").exists() and pq.read_table(folder / "fills.parquet").num_rows:
            break
        node.process.poll()
        time.sleep(0.05)
    node.kill()
    outcome = lab.last()
    assert outcome.record.status == "running"
    assert outcome.fills
    assert outcome.table("equity")
    proof = verify(folder / "journal.sqlite")
    assert (proof.broken, proof.closed) == (None, False)
    assert outcome.log


def test_one_config_is_back_tested_on_paper_and_live_unchanged(tmp_path: Path) -> None:
    one_minute = Interval.parse("1m")
    BarStore(tmp_path / "data").write(
        SPEC, one_minute, minute_bars(400), source="hand", simulated=True
    )
    with node_lab(tmp_path, api_secret=SECRET) as lab:
        config = str(lab.write())
        port = int(lab.running.url_http.rpartition(":")[2])
        node = lab.start("backtest", config, "--json")
        assert node.end()[0] == 0, node.said
        runs = [lab.last()]
    for words in (["paper", config], ["live", config, "--run", "--live-orders"]):
        with node_lab(tmp_path, api_secret=SECRET, port=port) as lab:  # its clock stands at now
            node = lab.start(*words, secret=SECRET)
            node.wait_for("warm after")
            lab.play()
            node.wait_for("(exit:signal)")
            assert node.stop()[0] == 0, node.said
            runs.append(lab.last())
    assert [run.record.mode for run in runs] == ["backtest", "paper", "live"]
    assert len({run.record.config_sha256 for run in runs}) == 1
    assert all(run.record.fills for run in runs)
    names = [{path.suffix for path in run.folder.iterdir()} for run in runs]
    assert names[0] <= names[1] == names[2]


def test_answer_that_is_late_at_the_end_spoils_no_run(lab: NodeLab) -> None:
    """The engine waits two seconds for it, and then raises."""
    config = lab.write(strategies=exits(lab.plain()), live={"on_stop": "flatten"})
    node = lab.start("live", str(config), "--run", "--live-orders", secret=SECRET)
    node.wait_for("warm after")
    stand_with_exits(lab, config)
    late = Fault(kind="late_answer", match="DELETE /fapi/v1/algoOrder", delay_ms=8_000)
    lab.running.call(lambda r: r.inject(late))
    code, _, seconds = node.stop()
    assert code == 0, node.said
    assert seconds < 10
    assert "the engine has stopped, and not in good order" in node.said
    assert lab.last().record.status == "complete"
    assert lab.venue()["position"] == 0
