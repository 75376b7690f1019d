"""What a node says of its refusals in the log of its run."""

from __future__ import annotations

import pytest

from aitb_nautilus.run.node_news import NodeNews
from aitb_nautilus.run.run_log import RunLog
from tests.risk.rig import BTC, ETH, close_of, make_context

HOUR = 60


class Node:
    """A guard that refuses at bars, and the lines that come of it."""

    def __init__(self) -> None:
        self.context = make_context()
        self.lines: list[str] = []
        self._news = NodeNews(self.context, RunLog(lambda _, line: self.lines.append(line)))

    def refuse(self, number: int, line: str, limit: str = "band", name: str = BTC) -> None:
        self.context.guard.refuse(name, "ema-001", close_of(number), limit, line)
        self._news.say()


@pytest.fixture
def node() -> Node:
    return Node()


def test_refusal_whose_numbers_change_is_said_once(node: Node) -> None:
    for number in range(1, 10):
        node.refuse(number, f"30,0{number}0.5 is {number / 10} % from the last price")
    (line,) = node.lines
    assert "order refused by band: 30,010.5 is 0.1 % from the last price" in line


def test_refusals_of_other_kinds_are_said_each_and_not_again_when_they_alternate(
    node: Node,
) -> None:
    for number in range(1, 7, 2):
        node.refuse(number, f"{number} % from the last price")
        node.refuse(number, "the trader is halted", limit="state")
        node.refuse(number, f"{number} % from the last price", name=ETH)
    assert len(node.lines) == 3


def test_refusal_that_lasts_is_said_again_after_an_hour_with_how_many_there_were(
    node: Node,
) -> None:
    for number in range(1, HOUR + 2):
        node.refuse(number, f"{number} % from the last price")
    first, again = node.lines
    assert "1 % from the last price" in first
    assert "61 % from the last price (59 more like this were, since it was said last)" in again
