"""Drive a real headless Chromium through its DevTools protocol, with no network."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


class Page:
    """A page and what went wrong on it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._next = 0
        self.problems: list[str] = []
        self.requests: list[str] = []

    async def call(self, method: str, **params: object) -> dict:
        self._next += 1
        number = self._next
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            answer = await self._socket.receive_json(timeout=30)
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self._note(answer)

    def _note(self, event: dict) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.problems.append(details.get("exception", {}).get("description", str(details)))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.problems.append(str(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.problems.append(params["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])

    async def run(self, expression: str) -> object:
        """Return the value of an expression in the page."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def wait_for(self, expression: str, seconds: float = 15.0) -> None:
        end = time.monotonic() + seconds
        while not await self.run(expression):
            assert time.monotonic() < end, f"never true: {expression}; {self.problems}"
            await asyncio.sleep(0.03)

    async def size(self, width: int, height: int, *, mobile: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )

    async def open(self, file: Path) -> None:
        await self.call("Page.navigate", url=file.as_uri())
        await self.wait_for("document.documentElement?.dataset.ready === 'yes'")

    async def mouse(self, kind: str, x: float, y: float, **more: object) -> None:
        await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)


@asynccontextmanager
async def chromium(binary: str, profile: Path) -> AsyncIterator[Page]:
    """Start Chromium with a new profile in `profile`; ends it afterwards."""
    with (profile / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [binary, *FLAGS, f"--user-data-dir={profile / 'profile'}", "about:blank"],
            stdout=output,
            stderr=output,
        )
        try:
            port = await _port(profile / "profile" / "DevToolsActivePort", process)
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    tabs = await answer.json()
                address = next(tab for tab in tabs if tab["type"] == "page")["webSocketDebuggerUrl"]
                async with session.ws_connect(address, max_msg_size=0) as socket:
                    page = Page(socket)
                    for domain in ("Page", "Runtime", "Log", "Network"):
                        await page.call(f"{domain}.enable")
                    await page.call(
                        "Network.emulateNetworkConditions",
                        offline=True,
                        latency=0,
                        downloadThroughput=0,
                        uploadThroughput=0,
                    )
                    # No smooth scrolling: a place that is asked for holds when it is used.
                    still = {"name": "prefers-reduced-motion", "value": "reduce"}
                    await page.call("Emulation.setEmulatedMedia", features=[still])
                    yield page
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def _port(file: Path, process: subprocess.Popen) -> int:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        assert process.poll() is None, "chromium ended at once"
        if file.exists() and (lines := file.read_text().splitlines()):
            return int(lines[0])
        await asyncio.sleep(0.05)
    raise AssertionError("chromium did not open its debugging port")
