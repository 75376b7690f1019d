"""Every limit acts as worked out by hand, and each is needed: without it the order would pass."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_blocks import BookSettings, CorrelationSettings
from aitb_nautilus.risk.limit_rule import PASS, Limit, Proposal, Verdict
from aitb_nautilus.risk.limit_settings import RiskSettings, RuleSettings
from aitb_nautilus.risk.limits import build_limits
from tests.risk.limit_lab import SCENARIOS, Desk, Scenario, X, Y, long_and_short, settings, start

_IDS = [f"{one.limit}-{i}" for i, one in enumerate(SCENARIOS)]
_EACH = pytest.mark.parametrize("scenario", SCENARIOS, ids=_IDS)


def _ask(scenario: Scenario, desk: Desk) -> Decimal:
    return desk.ask(*scenario.wish, **scenario.terms).quantity


@_EACH
def test_limit_acts_and_says_what_it_saw_what_it_allows_and_what_lifts_it(
    scenario: Scenario,
) -> None:
    decision = start(scenario).ask(*scenario.wish, **scenario.terms)
    assert (decision.quantity, decision.limit) == (Decimal(scenario.quantity), scenario.limit)
    for words in scenario.words:
        assert words in decision.line


@_EACH
def test_what_a_limit_leaves_of_an_order_passes_it(scenario: Scenario) -> None:
    if scenario.quantity == "0":
        assert start(scenario).ask("0.001", *scenario.wish[1:], **scenario.terms).line
        return
    desk, rest = start(scenario), scenario.wish[1:]
    if scenario.limit == "drawdown":
        return  # Each wish is shrunk, however small.
    assert desk.ask(scenario.quantity, *rest, **scenario.terms).line == ""
    more = str(Decimal(scenario.quantity) + Decimal("0.002"))
    assert desk.ask(more, *rest, **scenario.terms).limit == scenario.limit


@_EACH
def test_switched_off_limit_is_missed(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = start(scenario)
    (one,) = {type(limit) for limit in desk.guard.limits if limit.name == scenario.limit}
    monkeypatch.setattr(one, "check", _passing)
    assert _ask(scenario, start(scenario)) == Decimal(scenario.wish[0])


def _passing(limit: Limit, proposal: Proposal, ledger: Ledger) -> Verdict:
    return PASS


def test_every_limit_that_a_config_can_name_has_a_scenario() -> None:
    every = RuleSettings.__struct_fields__ + RiskSettings.__struct_fields__
    named = {name for name in every if name not in ("scope", "rules", "correlation", "book")}
    named |= {n for n in CorrelationSettings.__struct_fields__ if n.startswith("max_")}
    named |= set(BookSettings.__struct_fields__)
    assert {one.limit for one in SCENARIOS} == named


def test_every_limit_class_is_built_by_some_scenario() -> None:
    built = {type(limit) for one in SCENARIOS for limit in build_limits(settings(**one.risk))}
    assert built == _concrete(Limit)


def _concrete(kind: type[Limit]) -> set[type[Limit]]:
    """Return the limits of the house below a class."""
    below = {one for sub in kind.__subclasses__() for one in _concrete(sub)}
    own = hasattr(kind, "name") and kind.__module__.startswith("aitb_nautilus.")
    return below | ({kind} if own else set())


_SCOPED = [
    (one, scope)
    for one in SCENARIOS
    for scope in ({"strategy": "S"}, {"instrument": X}, {"venue": "V"})
    if one.limit in RuleSettings.__struct_fields__ + BookSettings.__struct_fields__
    and "rules" not in one.risk
    # What is held in the other instrument would not count.
    and ("instrument" not in scope or one.before is not long_and_short)
]


@pytest.mark.parametrize(
    ("scenario", "scope"), _SCOPED, ids=[f"{one.limit}-{next(iter(s))}" for one, s in _SCOPED]
)
def test_limit_of_a_rule_acts_within_its_scope_alone(
    scenario: Scenario, scope: dict[str, str]
) -> None:
    inside = _start_with_rule(scenario, scope)
    decision = inside.ask(*scenario.wish, **scenario.terms)
    assert decision.limit == scenario.limit
    book = "book." if scenario.limit in BookSettings.__struct_fields__ else ""
    assert f"risk.rules[0].{book}{scenario.limit}" in decision.line
    elsewhere = {"strategy": "T", "instrument": Y, "venue": "W"}
    outside = _start_with_rule(scenario, {k: elsewhere[k] for k in scope})
    assert _ask(scenario, outside) == Decimal(scenario.wish[0])


def test_gross_exposure_of_one_instrument_leaves_out_the_others() -> None:
    rule = {"scope": {"instrument": X}, "max_gross_notional": 1000.0}
    desk = start(Scenario("", {"rules": [rule]}, long_and_short, (), "", ()))
    assert desk.ask("8").quantity == Decimal("5.9")
    assert desk.ask("100", instrument=Y).line == ""


def _start_with_rule(scenario: Scenario, scope: dict[str, str]) -> Desk:
    ruled = {"scope": scope} | scenario.risk
    return start(scenario._replace(risk={"rules": [ruled]}))
