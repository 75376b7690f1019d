"""What a paper trader held is opened in a sandbox again, here in the simulated venue of a run."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from aitb_nautilus.risk.journal_carried import CarriedPosition
from aitb_nautilus.run.sandbox_recovery import Reopening
from tests.risk.rig import BTC, T0, Scripted
from tests.risk.test_engine_paths import desk


def test_position_is_opened_again_without_waiting_for_another() -> None:
    seen: list[Any] = []

    def reopen(strategy: Scripted) -> None:
        first, second = (
            CarriedPosition("S-001", BTC, Decimal("0.010"), 30_000.0, T0 + n) for n in (0, 1)
        )
        reopening = Reopening(
            strategy.context, {"S-001": strategy}, (first, second), on_quotes=False
        )
        seen.append(reopening)
        seen.append(reopening.go_on(strategy.cache, strategy.now()))

    def look(strategy: Scripted) -> None:
        seen.append(seen[0].go_on(strategy.cache, strategy.now()))

    rig, strategy = desk({2: reopen, 4: look})
    assert seen[1:] == [False, True]
    assert rig.quantity() == Decimal("0.020")
    assert strategy.fills == []
    assert rig.state.failures == []


def test_each_position_that_is_refused_is_an_obstacle_of_its_own() -> None:
    seen: list[Any] = []
    large, larger, small = (
        CarriedPosition("S-001", BTC, Decimal(quantity), 30_000.0, T0)
        for quantity in ("500", "600", "0.010")
    )

    def reopen(strategy: Scripted) -> None:
        held = large, larger, small
        reopening = Reopening(strategy.context, {"S-001": strategy}, held, on_quotes=False)
        seen.append(reopening)
        reopening.go_on(strategy.cache, strategy.now())
        seen.append(dict(reopening.obstacles))

    def look(strategy: Scripted) -> None:
        assert not seen[0].go_on(strategy.cache, strategy.now())
        seen.append(dict(seen[0].obstacles))

    rig, _ = desk({2: reopen, 4: look})
    assert seen[1] == {None: "the sandbox has no bars yet; what was held waits for them"}
    assert set(seen[2]) == {large, larger}
    assert "(buy 500 BTCUSDT-PERP.BINANCE)" in seen[2][large]
    assert "(buy 600 BTCUSDT-PERP.BINANCE)" in seen[2][larger]
    assert rig.quantity() == Decimal("0.010")
