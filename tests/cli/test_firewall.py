"""``aitb firewall``: the table of the last check, and answers to it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.risk.firewall import Explained, Unexplained, unexplained
from aitb_nautilus.risk.firewall_file import Answer, FirewallFile, Settled, Table
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.venue_facts import VenueFacts, VenueOrder
from tests.risk.rig import BTC

ORDER = VenueOrder(
    client_order_id="web_1",
    venue_order_id="V9",
    instrument_id=BTC,
    side="BUY",
    kind="MARKET",
    quantity=Decimal("0.020"),
)
ROWS: tuple[Unexplained, ...] = tuple(
    unexplained(
        VenueFacts(venues=("BINANCE",), orders=(ORDER,), positions={BTC: Decimal(1)}),
        Ledger(1.0),
        Explained(),
    )
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "desk.toml"
    path.write_text('[trader]\nid = "AITB-001"\nstate = "state"\n')
    return path


def put(config: Path, *settled: Settled) -> FirewallFile:
    file = FirewallFile(config.parent / "state", "AITB-001")
    file.put_table(Table(1_700_000_000_000_000_000, ROWS, settled))
    return file


def run(capsys: pytest.CaptureFixture[str], *words: Any) -> tuple[int, str]:
    code = main(["firewall", *map(str, words)])
    told = capsys.readouterr()
    return code, " ".join((told.out + told.err).split())


def test_before_any_check_it_says_so(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, config) == (
        0,
        "No node has checked yet: a paper or live node does when it starts.",
    )


def test_table_names_what_was_found_and_which_answers_fit(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(config)
    code, said = run(capsys, config)
    assert code == 0
    assert said.startswith("2 things that the journal does not explain, at 2023-11-14T22:13:20Z:")
    for word in ("order:web_1", "nobody here sent it", "adopt needs", "close at the venue what"):
        assert word in said
    code, said = run(capsys, config, "--json")
    told = json.loads(said)
    assert [row["key"] for row in told["rows"]] == ["order:web_1", f"position:{BTC}"]


def test_answer_is_kept_with_who_and_why_and_shown_as_waiting(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = put(config)
    code, said = run(capsys, config, "order:web_1", "cancel", "--reason", "by hand")
    assert code == 0
    assert said.startswith("noted cancel order:web_1: cancel the order at the venue.")
    assert f"aitb resume {config}" in said
    (answer,) = file.answers()
    assert (answer.choice, answer.at_venue, answer.reason) == (
        "cancel",
        ROWS[0].at_venue,
        "by hand",
    )
    assert "@" in answer.who
    assert "cancel waits" in run(capsys, config)[1]


def test_explained_venue_and_answers_that_failed_are_told(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = Answer(
        key="order:x", at_venue="", choice="adopt", strategy="s", who="a@b", reason="r", ts=1
    )
    file = put(config, Settled(answer, 2, "there is no strategy 's'"))
    assert "not done adopt order:x: there is no strategy 's'." in run(capsys, config)[1]
    file.put_table(Table(1_700_000_000_000_000_000, ()))
    assert "explained Everything at the venue" in run(capsys, config)[1]


@pytest.mark.parametrize(
    ("words", "paragraph"),
    [
        (("order:web_2", "cancel", "--reason", "r"), "did you mean order:web_1?"),
        (("order:web_1",), "got no answer, must be one of cancel, adopt, ignore"),
        (("order:web_1", "close", "--reason", "r"), "must be one of cancel, adopt, ignore"),
        (("order:web_1", "adopt", "--reason", "r"), "named no strategy"),
        (("order:web_1", "cancel"), "got no reason"),
        (("order:web_1", "burn"), "burn"),
    ],
)
def test_wrong_answer_is_refused_with_what_fits(
    config: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], paragraph: str
) -> None:
    file = put(config)
    code, said = run(capsys, config, *words)
    assert (code, file.answers()) == (2, [])
    assert paragraph in said
