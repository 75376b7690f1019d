"""Noticing in the engine's log that a connection came back."""

from __future__ import annotations

from pathlib import Path

from aitb_nautilus.run.reconnects import Reconnects

SECOND = 10**9


def test_each_reconnect_is_seen_once_and_where_a_line_was_half_written(tmp_path: Path) -> None:
    log, reconnects = tmp_path / "engine.jsonl", Reconnects(tmp_path)
    assert not reconnects.seen(1 * SECOND)  # there is no log yet
    log.write_text('{"message":"Connected"}\n')
    assert not reconnects.seen(2 * SECOND)
    with log.open("a") as file:
        file.write('{"message":"Reconnect succ')
    assert not reconnects.seen(3 * SECOND)
    with log.open("a") as file:
        file.write('eeded"}\n')
    assert not reconnects.seen(3 * SECOND + 1)  # too soon to look again
    assert reconnects.seen(4 * SECOND)
    assert not reconnects.seen(5 * SECOND)
    with log.open("a") as file:
        file.write('{"message":"other"}\n')
    assert not reconnects.seen(6 * SECOND)
