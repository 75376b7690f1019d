"""Orders that a venue is asked for, and which end by themselves meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from aitb_nautilus.messages import OrderStatus, OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.journal_recovery import Unresolved
from aitb_nautilus.risk.recovery import resting
from aitb_nautilus.run.binance_rest import AskError
from aitb_nautilus.run.venue_questions import VenueQuestions
from tests.risk.rig import BTC, T0, make_context

SECOND = 10**9
TIMEOUT = 5 * SECOND
NAME = "o1"


class Asker:
    """A venue that knows no order, or does not answer."""

    def __init__(self, *, answers: bool = True) -> None:
        self.answers = answers
        self.names = {NAME}
        self.asked = 0

    def find(self, client_order_id: str, instrument_id: str) -> None:
        assert client_order_id in self.names
        assert instrument_id == BTC
        self.asked += 1
        if not self.answers:
            raise AskError("HTTP 503")


class Asking:
    """A node whose one order was sent, and which asks for it."""

    def __init__(self, context: Context, asker: Asker) -> None:
        self.context, self.asker = context, asker
        self._pool = ThreadPoolExecutor(1)
        self._now = T0
        context.ledger.apply_order(
            Order(
                client_order_id=NAME,
                strategy_id="S-001",
                instrument_id=BTC,
                side="BUY",
                kind="MARKET",
                quantity=Decimal(1),
                price=None,
                trigger_price=None,
                reduce_only=False,
                purpose="entry",
                ts_sent=T0,
            )
        )
        askers = {"BINANCE": asker}
        self._questions = VenueQuestions(context, askers, self._pool, lambda *_: None)  # type: ignore[arg-type]
        self.begin(resting(context.ledger, ()))

    def begin(self, commands: list[Unresolved]) -> None:
        self._questions.begin(commands, T0, TIMEOUT)

    def go_on(self, seconds: float) -> bool:
        """Let time pass; return whether all is known."""
        until, done = self._now + round(seconds * SECOND), False
        while self._now < until and not done:
            self._now += SECOND // 10
            done = self._questions.go_on(None, {}, self._now)
            self._pool.submit(int).result()  # What was asked by now is answered.
        return done

    def hear(self, status: OrderStatus) -> None:
        self.context.ledger.apply_update(OrderUpdate(NAME, BTC, T0 + 1, status))

    def close(self) -> None:
        self._pool.shutdown()


@pytest.fixture
def asking(request: pytest.FixtureRequest) -> Iterator[Asking]:
    one = Asking(make_context(), Asker(answers=request.param))
    yield one
    one.close()


@pytest.mark.parametrize(
    ("asking", "status"),
    [(True, "REJECTED"), (True, "CANCELED"), (False, "REJECTED")],
    indirect=["asking"],
)
def test_order_that_has_ended_by_itself_is_asked_for_no_more_and_halts_nothing(
    asking: Asking, status: OrderStatus
) -> None:
    assert not asking.go_on(1)
    assert asking.asker.asked > 1
    asking.hear(status)
    assert asking.go_on(0.3)
    assert asking.context.guard.halts == []


@pytest.mark.parametrize("asking", [False], indirect=True)
def test_order_that_was_cancelled_is_asked_for_until_the_venue_has_answered(
    asking: Asking,
) -> None:
    """Part of it may have been filled, of which nobody has heard."""
    assert not asking.go_on(1)
    asking.hear("CANCELED")
    assert not asking.go_on(1)
    asking.asker.answers = True
    assert asking.go_on(1)
    assert asking.context.guard.halts == []


@pytest.mark.parametrize("asking", [True, False], indirect=True)
def test_order_that_stays_open_and_unknown_halts_at_the_timeout(asking: Asking) -> None:
    assert asking.go_on(6)
    (halt,) = asking.context.guard.halts
    said = "does not know it" if asking.asker.answers else "has not said in time what became of it"
    assert f"was sent, and the venue {said}" in halt.reason


@pytest.mark.parametrize("asking", [False], indirect=True)
def test_order_that_rests_is_left_as_it_is_where_the_venue_says_nothing_in_time(
    asking: Asking,
) -> None:
    """It rests at the venue all the while: one that ended for us would be cancelled there."""
    asking.hear("ACCEPTED")
    assert asking.go_on(6)
    assert asking.context.guard.halts == []
    assert asking.context.ledger.orders[NAME].is_open


@pytest.mark.parametrize("asking", [True], indirect=True)
def test_order_that_rests_and_that_the_venue_does_not_know_ends_at_the_timeout(
    asking: Asking,
) -> None:
    asking.hear("ACCEPTED")
    assert asking.go_on(6)
    assert len(asking.context.guard.halts) == 1
    assert not asking.context.ledger.orders[NAME].is_open


@pytest.mark.parametrize("asking", [True, False], indirect=True)
def test_order_that_had_not_left_is_asked_for_twice_and_no_more(asking: Asking) -> None:
    """The journal of a killed node says that it was decided, and not that it was sent."""
    decided = Unresolved("o2", "S-001", BTC, "submit", "decided", 1, T0)
    asking.context.ledger.withdraw_order(NAME)
    asking.asker.names.add("o2")
    asking.begin([decided])
    assert asking.go_on(2) == asking.asker.answers
    assert asking.asker.asked == (2 if asking.asker.answers else 4)
    assert asking.context.guard.halts == []
