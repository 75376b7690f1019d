"""The risk section of a real run in a real browser: it fits, tells, and complains of nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.messages import CloseIntent
from tests.observe.browser import chromium, find_chromium
from tests.run.desk_lab import A, B, Lab, buy, sell
from tests.run.test_what_if import walk

BINARY = find_chromium()
pytestmark = pytest.mark.skipif(
    BINARY is None, reason="no Chromium: install Debian's package chromium to test the pages"
)


def test_risk_section_fits_every_width_and_tells_beside_the_pointer(
    lab: Lab, tmp_path: Path
) -> None:
    lab.bars(walk(1, 300), A, "1h")
    lab.bars(walk(2, 300), B, "1h")
    script: dict[Any, Any] = {}
    for number in range(2, 290, 6):
        script[A, number], script[B, number] = [buy(8)], [sell(4, B)]
        close = [CloseIntent(instrument_id=A), CloseIntent(instrument_id=B)]
        script[A, number + 4] = close
    limits = {"max_order_notional": 600.0, "drawdown": {"shrink_frac": 0.002}}
    outcome = lab.run(lab.strategy(script, instruments=(A, B), interval="1h"), risk={**limits})
    report = outcome.folder / "report.html"

    async def session() -> None:
        assert BINARY is not None
        async with chromium(BINARY, tmp_path) as page:
            for width in (1280, 390):
                await page.size(width, 900, mobile=width < 500)
                await page.open(report)
                assert await page.run("document.documentElement.scrollWidth") == width
                for section in ("risk", "tails", "limits", "refusals", "hours"):
                    assert await page.run(f"!!document.getElementById('{section}')"), section
                drawn: Any = await page.run(
                    "[...document.querySelectorAll('.over-time .area')].map(e => "
                    "e.getBoundingClientRect().height * e.getBoundingClientRect().width)"
                )
                assert len(drawn) == 7
                assert min(drawn) > 30_000
            link: Any = await page.run("[...document.querySelectorAll('nav a')].map(a => a.hash)")
            assert {"#risk", "#limits"} <= set(link)
            await page.run("document.getElementById('risk').scrollIntoView({block: 'start'})")
            box: Any = await page.run(
                "(r => [r.left + r.width / 2, r.top + r.height / 2])"
                "(document.querySelectorAll('#risk .strips b')[20].getBoundingClientRect())"
            )
            await page.mouse("mouseMoved", *box)
            tip = str(await page.run("document.querySelector('.tip.floating').textContent"))
            assert "largest gross" in tip
            assert page.problems == []
            assert [url for url in page.requests if not url.startswith("file:")] == []

    asyncio.run(session())
