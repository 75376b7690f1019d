"""Noticing in the engine's log that a connection came back."""

from __future__ import annotations

from pathlib import Path

from aitb_nautilus.run.engine_log import EngineLog
from aitb_nautilus.run.reconnects import Reconnects


def test_each_reconnect_is_seen_once(tmp_path: Path) -> None:
    path, log = tmp_path / "engine.jsonl", EngineLog(tmp_path)
    reconnects = Reconnects(log)

    def seen(*lines: str) -> bool:
        with path.open("a") as file:
            file.writelines(f'{{"message":"{line}"}}\n' for line in lines)
        log.read()
        return reconnects.seen()

    assert not seen("Connected")
    assert seen("Reconnect succeeded", "other")
    assert not seen()
    assert not seen("other")


def test_reconnect_is_seen_however_late_one_asks(tmp_path: Path) -> None:
    path, log = tmp_path / "engine.jsonl", EngineLog(tmp_path)
    reconnects = Reconnects(log)
    path.write_text('{"message":"Reconnect succeeded"}\n')
    log.read()
    with path.open("a") as file:
        file.write('{"message":"other"}\n')
    log.read()
    assert reconnects.seen()
    assert not reconnects.seen()
