"""A rehearsal in a process of its own, which outlives a node that is killed."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec

from aitb_nautilus.errors import RunError
from aitb_nautilus.rehearsal.rehearsal import Rehearsal
from aitb_nautilus.rehearsal.sources import RehearsalSettings, Source

__all__ = ["RehearsalProcess", "serve_in_process"]

_START_S = 60.0
_STOP_S = 10.0
_ANSWER_S = 30.0


class RehearsalProcess:
    """A rehearsal in a child process, told what to do over HTTP.

    Parameters
    ----------
    host, port
        Where it listens.
    """

    def __init__(self, host: str, port: int) -> None:
        self.url_http = f"http://{host}:{port}"
        self.url_ws = f"ws://{host}:{port}/ws"
        self.url_ws_api = f"ws://{host}:{port}/ws-fapi/v1"

    def tell(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request below ``/rehearsal/``; return the answer.

        Raises
        ------
        RunError
            If it is refused.
        """
        data = None if body is None else msgspec.json.encode(body)
        url = f"{self.url_http}/rehearsal/{path}"
        request = Request(url, data=data, method=method)  # noqa: S310
        try:
            with urlopen(request, timeout=_ANSWER_S) as answer:  # noqa: S310
                return msgspec.json.decode(answer.read())
        except HTTPError as e:
            raise RunError(f"rehearsal: {method} {path}", e.read().decode()) from e


@contextmanager
def serve_in_process(
    settings: RehearsalSettings, sources: Sequence[Source]
) -> Iterator[RehearsalProcess]:
    """Run a rehearsal in a child process while the block runs, by the wall clock.

    Raises
    ------
    RunError
        If it does not come up.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(
        target=_run, args=(settings, list(sources), theirs), name="rehearsal", daemon=True
    )
    child.start()
    theirs.close()
    try:
        if not ours.poll(_START_S):
            raise RunError("rehearsal", "did not start in time", "must be able to listen")
        try:
            port = int(ours.recv())
        except EOFError as e:
            raise RunError("rehearsal", "ended while it started", "see its messages") from e
        yield RehearsalProcess(settings.host, port)
    finally:
        ours.close()
        child.join(_STOP_S)
        if child.is_alive():
            child.kill()
            child.join()


def _run(settings: RehearsalSettings, sources: list[Source], pipe: Connection) -> None:
    asyncio.run(_serve(settings, sources, pipe))


async def _serve(settings: RehearsalSettings, sources: list[Source], pipe: Connection) -> None:
    """Serve until the parent closes its end of the pipe, or is gone."""
    rehearsal = Rehearsal(settings, sources)
    await rehearsal.start()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe.fileno(), ended.set)
    pipe.send(rehearsal.server.port)
    await ended.wait()
    await rehearsal.stop()
