"""Binance's public archive: zips, each with its sha256 in a file beside it.

A zip that is here and agrees with its checksum is not asked for again.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

import aiohttp

from aitb_nautilus.errors import DataError
from aitb_nautilus.files import whole_file
from catalog.downloads import (
    Patience,
    TransientError,
    Watcher,
    parse_retry_after,
)

__all__ = ["BinanceArchive"]

_AT_ONCE = 4
_BLOCK_BYTES = 1 << 18
_CHECKSUM = re.compile(r"([0-9a-f]{64})\s+\*?(\S+)\s*")


class _AbsentError(Exception):
    """The archive does not have this file."""


class BinanceArchive:
    """The archive's files, there and here.

    Parameters
    ----------
    url
        Where they are published.
    folder
        Where they are kept.
    patience
        Asks, and asks again.
    """

    def __init__(self, url: str, folder: Path, patience: Patience) -> None:
        self.folder = folder
        self._url = url.rstrip("/")
        self._patience = patience
        timeout = patience.settings.timeout_s
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)

    async def fetch_all(self, wanted: Mapping[str, Sequence[str]], watcher: Watcher) -> None:
        """Have all files here, right; or raise, with those that are right kept.

        Parameters
        ----------
        wanted
            Symbol to the paths of its zips in the archive.
        watcher
            Is told how far each symbol is.

        Raises
        ------
        DataError
            If a file is not in the archive, its checksum is wrong, or the server does not answer.
        """
        for folder in {(self.folder / path).parent for paths in wanted.values() for path in paths}:
            _remove_leftovers(folder)
        gate = asyncio.Semaphore(_AT_ONCE)
        done = dict.fromkeys(wanted, 0)

        async def fetch(symbol: str, path: str) -> str | None:
            async with gate:
                found = await self._fetch(session, path)
            done[symbol] += 1
            watcher.progress(symbol, done[symbol] / len(wanted[symbol]), 0)
            return None if found else path

        async with aiohttp.ClientSession(timeout=self._timeout, trust_env=True) as session:
            jobs = [fetch(symbol, path) for symbol, paths in wanted.items() for path in paths]
            results = await asyncio.gather(*jobs, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        if absent := [result for result in results if isinstance(result, str)]:
            raise self._absent(absent, len(results))

    async def _fetch(self, session: aiohttp.ClientSession, path: str) -> bool:
        """Have one zip here, right; return False if the archive does not have it."""
        target = self.folder / path
        note = target.with_name(f"{target.name}.CHECKSUM")
        if note.exists() and target.exists():
            known = _parse_checksum(note.read_bytes(), str(note), target.name)
            if _sha256(target) == known:
                return True
        try:
            text = await self._patience.ask(
                note.name, lambda: self._read(session, f"{path}.CHECKSUM")
            )
            wanted = _parse_checksum(text, f"{self._url}/{path}.CHECKSUM", target.name)
            await self._patience.ask(target.name, lambda: self._save(session, path, wanted))
        except _AbsentError:
            return False
        # Last, so that a zip with a note beside it was right once.
        with whole_file(note) as file:
            file.write_bytes(text)
        return True

    async def _read(self, session: aiohttp.ClientSession, path: str) -> bytes:
        """Return a small file."""
        async with contextlib.aclosing(self._blocks(session, path)) as blocks:
            return b"".join([block async for block in blocks])

    async def _save(self, session: aiohttp.ClientSession, path: str, wanted: str) -> None:
        """Save a zip under a temporary name and put it into place if its checksum is right."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        handle, name = tempfile.mkstemp(".part", f".{target.name}.", target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                async with contextlib.aclosing(self._blocks(session, path)) as blocks:
                    async for block in blocks:
                        digest.update(block)
                        file.write(block)
                if digest.hexdigest() != wanted:
                    raise DataError(
                        f"{self._url}/{path}",
                        f"has the sha256 {digest.hexdigest()}",
                        f"its CHECKSUM file says {wanted}",
                        "Nothing was imported. Run the same command again; if it stays so, the "
                        "archive itself is damaged",
                    )
                file.flush()
                os.fsync(file.fileno())
                os.replace(name, target)
        finally:
            Path(name).unlink(missing_ok=True)

    async def _blocks(self, session: aiohttp.ClientSession, path: str) -> AsyncGenerator[bytes]:
        """Give the content of a file in blocks."""
        try:
            async with session.get(f"{self._url}/{path}") as response:
                if response.status == 404:
                    raise _AbsentError
                if response.status in {418, 429} or response.status >= 500:
                    wait = parse_retry_after(
                        response.headers.get("Retry-After"), dt.datetime.now(dt.UTC)
                    )
                    raise TransientError(f"HTTP {response.status}", wait)
                if response.status != 200:
                    raise DataError(
                        f"{self._url}/{path}",
                        f"the server refused: HTTP {response.status} {response.reason}",
                        todo="Open the address in a browser; Binance does not serve every country",
                    )
                async for block in response.content.iter_chunked(_BLOCK_BYTES):
                    yield block
        except TimeoutError as e:
            raise TransientError(f"no answer in {self._timeout.sock_read:g} s") from e
        except aiohttp.ClientError as e:
            raise TransientError(f"the connection broke ({type(e).__name__})") from e

    def _absent(self, paths: Sequence[str], asked: int) -> DataError:
        first, more = paths[0], len(paths) - 1
        others = f", nor are {more} more of the {asked} files" if more else ""
        return DataError(
            f"{self._url}/{first}",
            f"is not in the archive{others}",
            "must be a symbol, a bar size and months that Binance has published",
            "Nothing was imported. Check the symbol's spelling and when it was listed; a month "
            "appears some days after its end, newer bars come with: --source ccxt",
        )


def _parse_checksum(text: bytes, where: str, name: str) -> str:
    """Return the sha256 in a line such as ``<sha256>  BTCUSDT-1m-2023-01.zip``."""
    match = _CHECKSUM.fullmatch(text.decode("utf-8", errors="replace"))
    if match is None or match[2] != name:
        raise DataError(
            where,
            f"is no checksum of {name}",
            "must be a sha256 and the name of the zip",
            "If it is a file of yours, remove it; run the same command again",
        )
    return match[1]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed downloads left: temporary files that nobody holds."""
    for path in folder.glob(".*.part"):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            path.unlink(missing_ok=True)
