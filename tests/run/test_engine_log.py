"""Following the engine's own log, as it writes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from aitb_nautilus.run.engine_log import LOG_STEM, EngineLog

WRITES_MORE_THAN_A_FILE_USED_TO_HOLD = """
import sys
from nautilus_trader.common import LogColor, LogLevel, init_logging, logger_flush, logger_log
from nautilus_trader.core import UUID4
from nautilus_trader.model import TraderId

guard = init_logging(
    TraderId("A-1"), UUID4(), LogLevel.OFF, LogLevel.INFO,
    directory=sys.argv[1], file_name=sys.argv[2], file_format="json",
)
for _ in range(1_100):
    logger_log(LogLevel.INFO, LogColor.NORMAL, "X", "x" * 100_000)
logger_log(LogLevel.INFO, LogColor.NORMAL, "X", "the last line")
logger_flush()
"""


def test_every_listener_hears_each_line_once_and_whole(tmp_path: Path) -> None:
    path, log = tmp_path / "engine.jsonl", EngineLog(tmp_path)
    one, other = list[bytes](), list[bytes]()
    log.tell(one.extend)
    log.tell(other.extend)
    log.read()  # there is no log yet
    path.write_text("Connected\n")
    log.read()
    assert one == [b"Connected"]
    with path.open("a") as file:
        file.write("Reconnect succ")
    log.read()
    with path.open("a") as file:
        file.write("eeded\nanother\nhalf")
    log.read()
    log.read()
    assert one == other == [b"Connected", b"Reconnect succeeded", b"another"]


def test_engine_goes_on_in_one_file_however_large_it_grows(tmp_path: Path) -> None:
    """Its first versions turned to another at 100 MB: nobody would have followed it there."""
    words = [sys.executable, "-c", WRITES_MORE_THAN_A_FILE_USED_TO_HOLD, str(tmp_path), LOG_STEM]
    subprocess.run(words, check=True, timeout=120)
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size > 105 * 1024**2
    log, lines = EngineLog(tmp_path), list[bytes]()
    log.tell(lines.extend)
    log.read()
    path.unlink()
    assert len(lines) == 1_101
    assert b"the last line" in lines[-1]
