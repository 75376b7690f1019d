"""The command socket of a node: a Unix socket in the state folder, for its own user alone.

Its threads know the `CommandQueue` and nothing of the engine.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from aitb_nautilus.risk.trading_states import StateError
from aitb_nautilus.run.command_messages import LONGEST_REQUEST, Answer, Command
from aitb_nautilus.run.command_queue import CommandQueue

__all__ = ["listening", "socket_address", "user_at_host"]

_LONGEST_ADDRESS = 103
"""Bytes of a socket's path on macOS; Linux takes four more."""
_READ_S = 5.0
"""How long a client may take to say what it wants, and to hear the answer."""
_MOST_UNREAD = 16
"""Parts that are read and thrown away after the answer."""
_LOOK_S = 0.1
"""How often the server sees whether it is to end."""
_TOGETHER = 16
"""Clients that are served at a time; one more is sent away."""
_PEER = struct.Struct("3i")
_LOCAL_PEERCRED = 1
_XUCRED = struct.Struct("=II")


@contextmanager
def listening(path: Path, commands: CommandQueue) -> Iterator[None]:
    """Serve a node's command socket while the block runs. The caller holds the `StateLock`.

    Raises
    ------
    StateError
        If the socket cannot be made.
    """
    address = socket_address(path)
    try:
        # Of a node that was killed: whoever serves one holds the lock, and that is us.
        path.unlink(missing_ok=True)
        server = _Server(address, commands)
    except OSError as e:
        raise StateError(
            str(path),
            f"the command socket cannot be made ({(e.strerror or str(e)).lower()})",
            "must be made, or nobody could halt the node",
            "Name a folder in trader.state where you may write, on a local disk",
        ) from e
    thread = threading.Thread(
        target=server.serve_forever, args=(_LOOK_S,), name="aitb-commands", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        path.unlink(missing_ok=True)


def socket_address(path: Path) -> str:
    """Return a path as a socket takes it: absolute or relative, whichever is shorter.

    Raises
    ------
    StateError
        If both are too long.
    """
    absolute = path.absolute()
    address = min(str(absolute), os.path.relpath(absolute), key=lambda a: len(os.fsencode(a)))
    length = len(os.fsencode(address))
    if length > _LONGEST_ADDRESS:
        raise StateError(
            str(absolute),
            f"is a path of {length} bytes",
            f"must have at most {_LONGEST_ADDRESS}, which is what the system takes for a socket",
            "Name a folder with a shorter path in trader.state",
        )
    return address


def user_at_host(uid: int) -> str:
    """Return a user and this machine, such as ``ann@box``."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid {uid}"
    return f"{name}@{socket.gethostname()}"


class _Handler(socketserver.BaseRequestHandler):
    """Serve one client: one request, one answer."""

    server: _Server

    def handle(self) -> None:
        with self.server.turn() as is_ours:
            answer = self._answer() if is_ours else _refused("serves too many clients already", 1)
        self.request.settimeout(_READ_S)
        self.request.sendall(msgspec.json.encode(answer) + b"\n")
        self.request.shutdown(socket.SHUT_WR)
        # A client whose words were not read to their end would be told of an error, not the answer.
        for _ in range(_MOST_UNREAD):
            if not self.request.recv(LONGEST_REQUEST):
                break

    def _answer(self) -> Answer:
        uid = _peer_uid(self.request)
        if uid not in (os.getuid(), 0):
            return _refused(f"belongs to another user than {user_at_host(uid)}", 1)
        self.request.settimeout(_READ_S)
        line = b""
        while not line.endswith(b"\n"):
            part = self.request.recv(LONGEST_REQUEST + 1 - len(line))
            line += part
            if not part or len(line) > LONGEST_REQUEST:
                return _refused(f"got no whole line of at most {LONGEST_REQUEST} bytes", 2)
        try:
            command = msgspec.json.decode(line, type=Command)
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            return _refused(f"cannot read the request: {e}", 2)
        return self.server.commands.ask(command, user_at_host(uid))


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: str, commands: CommandQueue) -> None:
        super().__init__(address, _Handler, bind_and_activate=False)
        self.commands = commands
        self._turns = threading.BoundedSemaphore(_TOGETHER)
        try:
            self.server_bind()
            # Before anybody can connect, which needs `server_activate`.
            Path(address).chmod(0o600)
            self.server_activate()
        except BaseException:
            self.server_close()
            raise

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Say whether one more client can be served."""
        is_ours = self._turns.acquire(blocking=False)
        try:
            yield is_ours
        finally:
            if is_ours:
                self._turns.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Say nothing of a client that went away; anything else is our defect."""
        with contextlib.suppress(OSError):
            raise  # noqa: PLE0704 - called while the error is handled


def _peer_uid(connection: socket.socket) -> int:
    """Return whose process is at the other end, as the kernel knows it."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is not None:
        raw = connection.getsockopt(socket.SOL_SOCKET, option, _PEER.size)
        return int(_PEER.unpack(raw)[1])
    raw = connection.getsockopt(0, _LOCAL_PEERCRED, _XUCRED.size)
    return int(_XUCRED.unpack(raw)[1])


def _refused(found: str, exit_code: int) -> Answer:
    return Answer(done=False, said=f"the node {found}", exit_code=exit_code)
