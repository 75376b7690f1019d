"""The command socket and its queue: who may ask, what is read, what becomes of late commands."""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from aitb_nautilus.risk.trading_states import StateError
from aitb_nautilus.run import command_socket
from aitb_nautilus.run.command_messages import LONGEST_REQUEST, Answer, Command
from aitb_nautilus.run.command_queue import CommandQueue
from aitb_nautilus.run.command_socket import listening, socket_address, user_at_host

STATUS = Command(verb="status", timeout_s=0.1)
HALT = Command(verb="halt", timeout_s=0.1)
RESUME = Command(verb="resume", reason="fine", timeout_s=0.1)
DONE = Answer(done=True, said="done")


@contextmanager
def engine(commands: CommandQueue) -> Iterator[list[tuple[Command, str]]]:
    """Obey every command from another thread, as the engine's timer does."""
    obeyed: list[tuple[Command, str]] = []
    ends = threading.Event()

    def work() -> None:
        while not ends.wait(0.01):
            while (waiting := commands.take()) is not None:
                obeyed.append((waiting.command, waiting.who))
                waiting.answer(DONE)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield obeyed
    finally:
        ends.set()
        thread.join()


def ask(path: Path, request: bytes, *, ends: bool = False) -> Answer:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(socket_address(path))
        client.sendall(request)
        if ends:
            client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as answer:
            return msgspec.json.decode(answer.read(), type=Answer)


def line(command: Command) -> bytes:
    return msgspec.json.encode(command) + b"\n"


def test_command_arrives_with_its_user_as_the_kernel_knows_it(tmp_path: Path) -> None:
    commands, path = CommandQueue(), tmp_path / "desk.sock"
    with listening(path, commands), engine(commands) as obeyed:
        assert ask(path, line(HALT)) == DONE
    assert obeyed == [(HALT, user_at_host(os.getuid()))]


def test_socket_belongs_to_its_user_alone_and_goes_with_the_node(tmp_path: Path) -> None:
    path = tmp_path / "desk.sock"
    with listening(path, CommandQueue()):
        mode = path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
    assert not path.exists()


def test_socket_of_a_node_that_was_killed_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "desk.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    commands = CommandQueue()
    with listening(path, commands), engine(commands):
        assert ask(path, line(STATUS)) == DONE


def test_other_user_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands, path = CommandQueue(), tmp_path / "desk.sock"
    monkeypatch.setattr(command_socket, "_peer_uid", lambda _: 4_242)
    with listening(path, commands), engine(commands) as obeyed:
        answer = ask(path, line(HALT))
    assert (answer.done, answer.exit_code) == (False, 1)
    assert answer.said.startswith("the node belongs to another user than uid 4242@")
    assert obeyed == []


@pytest.mark.parametrize(
    "request_",
    [
        b"halt\n",
        b'{"verb":"halt","level":"asleep"}\n',
        b'{"verb":"halt","nonsense":1}\n',
        b'{"verb":"halt","reason":"' + b"x" * 1_001 + b'"}\n',
        b'{"verb":"halt","timeout_s":1e9}\n',
        b"\xff\xfe\n",
        b"[" * 10_000 + b"\n",
    ],
)
def test_request_that_is_none_is_refused_and_nothing_is_obeyed(
    tmp_path: Path, request_: bytes
) -> None:
    commands, path = CommandQueue(), tmp_path / "desk.sock"
    with listening(path, commands), engine(commands) as obeyed:
        answer = ask(path, request_)
        assert (answer.done, answer.exit_code) == (False, 2)
        assert "cannot read the request" in answer.said
        assert ask(path, line(STATUS)) == DONE  # it serves on
    assert obeyed[0][0] == STATUS


@pytest.mark.parametrize("request_", [b"x" * (LONGEST_REQUEST + 1), b'{"verb":"halt"}', b""])
def test_request_that_is_too_long_or_not_whole_is_refused(tmp_path: Path, request_: bytes) -> None:
    path = tmp_path / "desk.sock"
    with listening(path, CommandQueue()):
        answer = ask(path, request_, ends=True)
    assert answer.said == f"the node got no whole line of at most {LONGEST_REQUEST} bytes"


def test_client_that_says_nothing_holds_nobody_up(tmp_path: Path) -> None:
    commands, path = CommandQueue(), tmp_path / "desk.sock"
    with listening(path, commands), engine(commands):
        silent = [socket.socket(socket.AF_UNIX) for _ in range(5)]
        for client in silent:
            client.connect(socket_address(path))
        began = time.monotonic()
        assert ask(path, line(HALT)) == DONE
        assert time.monotonic() - began < 2
        for client in silent:
            client.close()


def test_command_that_nobody_obeys_is_answered_after_its_time(tmp_path: Path) -> None:
    commands = CommandQueue()
    answer = commands.ask(HALT, "ann@box")
    assert (answer.done, answer.obeyed, answer.exit_code) == (False, False, 1)
    assert answer.said == "the node has not obeyed within 0.1 s; it will, should it come to itself"
    answer = commands.ask(RESUME, "ann@box")
    assert answer.said == "the node has not obeyed within 0.1 s"
    # Later the engine comes to itself: the halt still counts, the resume does not.
    waiting = commands.take()
    assert waiting is not None
    assert waiting.command == HALT
    assert commands.take() is None


def test_node_that_obeys_nothing_does_not_collect_commands() -> None:
    commands = CommandQueue()
    threads = [threading.Thread(target=commands.ask, args=(STATUS, "ann@box")) for _ in range(64)]
    for thread in threads:
        thread.start()
    while commands._queue.qsize() < 64:
        time.sleep(0.01)
    assert "obeys none of the 64 commands that wait" in commands.ask(HALT, "ann@box").said
    for thread in threads:
        thread.join()


def test_path_that_is_too_long_for_a_socket_is_refused_with_its_length(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 60) / ("b" * 60)
    folder.mkdir(parents=True)
    with (
        pytest.raises(StateError, match=r"is a path of \d+ bytes, must have at most 103"),
        listening(folder / "desk.sock", CommandQueue()),
    ):
        pass


def test_long_path_serves_from_near_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("a" * 60) / ("b" * 60)
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    commands = CommandQueue()
    with listening(folder / "desk.sock", commands), engine(commands):
        assert ask(folder / "desk.sock", line(STATUS)) == DONE
