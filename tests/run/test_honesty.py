from __future__ import annotations

from tests.run.desk_lab import HOUR, SPOT, T0, A, B, Lab, buy, flat


def notes(lab: Lab, *strategies, **sections) -> str:
    return "\n".join(lab.run(*strategies, **sections).record.honesty)


def test_every_run_says_what_is_modelled(lab: Lab) -> None:
    lab.bars(flat(100, 5), SPOT)
    text = notes(lab, lab.strategy({}, instruments=(SPOT,)))
    assert "fees of 2 bps (maker) and 5 bps (taker), slippage of 10 bps" in text
    assert "latency of 50 ms" in text
    assert "Market orders fill at the next bar's open plus slippage" in text
    assert "any latency below one bar gives the same fills" in text
    assert "What fills inside a bar is known at its close" in text
    assert "Volume does not bound" in text
    for word in ("simulated", "unding", "missing", "open at the end", "zero"):
        assert word not in text


def test_zero_costs_are_said(lab: Lab) -> None:
    lab.bars(flat(100, 5))
    text = notes(lab, lab.strategy({}), venue={"taker_fee_bps": 0.0, "slippage_bps": 0.0})
    assert "SIM: taker fees are zero in the config." in text
    assert "SIM: slippage is zero in the config." in text


def test_simulated_market_is_said_first(lab: Lab) -> None:
    lab.bars(flat(100, 5), simulated=True)
    record = lab.run(lab.strategy({})).record
    assert record.honesty[0].startswith("The market of this run is simulated")
    assert record.simulated


def test_gaps_are_counted(lab: Lab) -> None:
    lab.bars([*flat(100, 3), None, None, *flat(100, 2)])
    assert "The data have 1 gap with 2 bars missing" in notes(lab, lab.strategy({}))


def test_open_positions_are_said(lab: Lab) -> None:
    lab.bars(flat(100, 5))
    assert "1 position still open at the end" in notes(lab, lab.strategy({2: [buy()]}))


def test_missing_funding_is_said(lab: Lab) -> None:
    lab.bars(flat(100, 5), A)
    lab.bars(flat(100, 5), B)
    text = notes(lab, lab.strategy({}, instruments=(A, B)))
    assert f"Funding is missing for {A}, {B}" in text


def test_funding_of_one_instrument_and_not_of_the_other_is_said(lab: Lab) -> None:
    for i in (A, B):
        lab.bars(flat(100, 100), i)
    lab.funding([T0 + HOUR], [1e-4], A)
    text = notes(lab, lab.strategy({}, instruments=(A, B)))
    assert f"Funding is missing for {B}" in text
    assert f"Funding is missing for {A}" not in text
    assert "paid from the catalog's rates" in text


def test_funding_that_covers_only_a_part_of_the_run_is_said(lab: Lab) -> None:
    # 48 hours; rates every eight hours, but none after the first day.
    lab.bars(flat(100, 48), interval="1h")
    lab.funding([T0 + 8 * HOUR, T0 + 16 * HOUR, T0 + 24 * HOUR], [1e-4] * 3)
    text = notes(lab, lab.strategy({}, interval="1h"))
    assert f"Funding of {A} is not complete" in text
    assert "lacks about 3 settlements" in text  # at 32, 40 and 48 hours


def test_funding_with_a_hole_is_said(lab: Lab) -> None:
    lab.bars(flat(100, 96), interval="1h")
    times = [h for h in range(8, 97, 8) if not 30 < h < 60]
    lab.funding([T0 + h * HOUR for h in times], [1e-4] * len(times))
    text = notes(lab, lab.strategy({}, interval="1h"))
    assert "lacks about 4 settlements" in text  # at 32, 40, 48 and 56 hours


def test_funding_that_covers_the_whole_run_is_said_plainly(lab: Lab) -> None:
    lab.bars(flat(100, 48), interval="1h")
    lab.funding([T0 + h * HOUR for h in range(0, 49, 8)], [1e-4] * 7)
    text = notes(lab, lab.strategy({}, interval="1h"))
    assert "Funding is paid from the catalog's rates" in text
    assert "not complete" not in text
    assert "missing" not in text


def test_funding_that_begins_late_is_said(lab: Lab) -> None:
    lab.bars(flat(100, 48), interval="1h")
    lab.funding([T0 + h * HOUR for h in range(24, 49, 8)], [1e-4] * 4)
    text = notes(lab, lab.strategy({}, interval="1h"))
    assert "lacks about 2 settlements" in text  # at 8 and 16 hours


def test_bars_that_move_without_volume_are_counted(lab: Lab) -> None:
    lab.bars([*flat(100, 3), (100, 101, 99, 100, 0), (100, 100, 100, 100, 0)])
    assert "1 bar without volume in which the price moves" in notes(lab, lab.strategy({}))


def test_back_test_says_that_it_leaves_redis_alone(lab: Lab) -> None:
    lab.bars(flat(100, 5))
    text = notes(lab, lab.strategy({}), redis={"url": "redis://127.0.0.1:1"})
    assert "A back-test leaves Redis alone: nothing of this run was published." in text
