"""The pages in a real browser without network: they draw, they answer, they complain of nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from aitb_nautilus.observe.compare import write_comparison
from aitb_nautilus.observe.report import write_report
from aitb_nautilus.observe.run_folder import Run, floats, texts, times
from tests.observe.browser import Page, chromium, find_chromium
from tests.observe.run_builder import Recipe, build_run, write_record

BINARY = find_chromium()
pytestmark = pytest.mark.skipif(
    BINARY is None, reason="no Chromium: install Debian's package chromium to test the pages"
)

# How many colours and painted pixels the canvases of a chart have.
PAINTED = """(id => [...document.querySelectorAll(`#${id} canvas`)].slice(0, 1).map(canvas => {
  const { width, height } = canvas;
  const copy = Object.assign(document.createElement("canvas"), { width, height });
  const ctx = copy.getContext("2d", { willReadFrequently: true });
  ctx.drawImage(canvas, 0, 0);
  const pixels = new Uint32Array(ctx.getImageData(0, 0, width, height).data.buffer);
  return [new Set(pixels).size, pixels.filter(p => p).length / pixels.length];
})[0])"""
BOX = """(selector => { const box = document.querySelector(selector).getBoundingClientRect();
  return [box.left, box.top, box.width, box.height]; })"""


def browse(tmp_path: Path, work: Callable[[Page], Awaitable[None]]) -> None:
    """Do some work on a page; afterwards nothing may have gone wrong or been fetched."""

    async def session() -> None:
        assert BINARY is not None
        async with chromium(BINARY, tmp_path) as page:
            await page.size(1440, 1000)
            await work(page)
            assert page.problems == []
            assert [url for url in page.requests if not url.startswith("file:")] == []

    asyncio.run(session())


async def is_painted(page: Page, chart: str) -> None:
    colours, share = await page.run(f"{PAINTED}('{chart}')")  # type: ignore[misc]
    assert colours > 20
    assert share > 0.01


async def range_of(page: Page, chart: int) -> list[float]:
    found: Any = await page.run(f"TimeChart.all[{chart}].range")
    return [float(t) for t in found]


async def box_of(page: Page, selector: str) -> list[float]:
    await page.run(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
    await asyncio.sleep(0.1)
    found: Any = await page.run(f"{BOX}({selector!r})")
    return [float(n) for n in found]


def test_report_of_a_year_of_minutes_draws_exact_values(year: Path, tmp_path: Path) -> None:
    run = Run(year)
    ts, equity = times(run.equity, "ts"), floats(run.equity, "equity")
    path = write_report(year, tmp_path / "report.html")

    async def work(page: Page) -> None:
        await page.open(path)
        await is_painted(page, "equity-chart")
        await is_painted(page, "price-chart")
        drawn: Any = await page.run(
            "unpackColumns(JSON.parse(document.getElementById('payload').textContent))"
            ".then(({curve}) => [Array.from(curve.ts), Array.from(curve.equity)])"
        )
        shown_ts = np.array(drawn[0], dtype=np.int64) * 1_000_000
        rows = np.searchsorted(ts, shown_ts)
        assert (ts[rows] == shown_ts).all()
        assert np.abs(equity[rows] - np.array(drawn[1])).max() < 0.001
        assert max(drawn[1]) == pytest.approx(equity.max(), abs=0.001)
        assert min(drawn[1]) == pytest.approx(equity.min(), abs=0.001)
        assert drawn[1][-1] == pytest.approx(run.record.final_equity, abs=0.001)
        assert await page.run("TimeChart.all[1].panels[0].low") < floats(run.bars, "low").min()

    browse(tmp_path, work)


def test_charts_answer_to_mouse_keys_and_buttons(runs: dict[str, Path], tmp_path: Path) -> None:
    path = write_report(runs["several"], tmp_path / "report.html")

    async def work(page: Page) -> None:
        await page.open(path)
        left, top, width, _ = await box_of(page, "#equity-chart .stage")
        whole = await range_of(page, 0)
        await page.mouse("mouseMoved", left + width / 2, top + 90)
        tip = await page.run("document.querySelector('#equity-chart .tip').textContent")
        assert "Equity" in str(tip)
        assert "Drawdown" in str(tip)

        x, y = left + width * 0.4, top + 90
        await page.mouse("mousePressed", x, y, button="left", clickCount=1)
        await page.mouse("mouseMoved", x + 150, y, button="left", buttons=1)
        await page.mouse("mouseReleased", x + 150, y, button="left", clickCount=1)
        part = await range_of(page, 0)
        assert whole[0] < part[0] < part[1] < whole[1]

        async def key(name: str) -> None:
            await page.run(
                "document.querySelector('#equity-chart .stage').dispatchEvent("
                f"new KeyboardEvent('keydown', {{key: '{name}', bubbles: true}}))"
            )

        await key("ArrowRight")
        spoken = await page.run("document.querySelector('#equity-chart .unseen').textContent")
        assert "Equity" in str(spoken)
        await key("+")
        closer = await range_of(page, 0)
        assert closer[1] - closer[0] < part[1] - part[0]
        await key("Home")
        assert await range_of(page, 0) == whole

        assert await page.run("TimeChart.all[0].panels[0].isLog") is False
        await page.run("document.querySelector('[data-switch=log]').click()")
        assert await page.run("TimeChart.all[0].panels[0].isLog") is True

        before = await page.run("document.querySelector('.card').innerText && colour('--card')")
        await page.run("document.getElementById('theme').click()")
        assert await page.run("colour('--card')") != before
        await is_painted(page, "equity-chart")

    browse(tmp_path, work)


def test_trades_can_be_found_sorted_and_shown(runs: dict[str, Path], tmp_path: Path) -> None:
    run = Run(runs["several"])
    path = write_report(run.path, tmp_path / "report.html")

    async def rows_of(page: Page) -> list[list[str]]:
        found: Any = await page.run(
            "[...document.querySelectorAll('#trade-rows tr')].map("
            "row => [...row.children].map(cell => cell.textContent))"
        )
        return [[str(cell) for cell in row] for row in found]

    async def work(page: Page) -> None:
        await page.open(path)
        first = await rows_of(page)
        assert len(first) == 15
        await page.run("document.getElementById('trade-next').click()")
        assert await rows_of(page) != first
        sort = "document.querySelector('[data-key=pnl] button').click()"
        await page.run(sort)
        best = (await rows_of(page))[0]
        assert best[8] == f"{floats(run.positions, 'pnl').max():+,.2f}"
        assert best[1] in texts(run.positions, "instrument_id")
        await page.run("document.querySelector('#trade-rows .quiet').click()")
        select = "document.getElementById('instrument')"
        shown = await page.run(f"{select}.options[{select}.value].text")
        assert shown == best[1]
        t0, t1 = await range_of(page, 1)
        opened: Any = await page.run(f"Date.parse({best[0].replace(' ', 'T') + 'Z'!r})")
        assert t0 < opened < t1

        await page.run(f"{select}.value = '2'; {select}.dispatchEvent(new Event('change'))")
        label = await page.run(
            "document.querySelector('#price-chart .stage').getAttribute('aria-label')"
        )
        assert run.record.instruments[2] in str(label)
        # The pointer finds the trade that lies under it.
        await page.run("TimeChart.all[1].reset()")
        left, top, *_ = await box_of(page, "#price-chart .stage")
        place: Any = await page.run(
            "(() => { const { panels: [panel], view } = TimeChart.all[1], [, marks] = panel.layers;"
            " const [, [t, price]] = marks.ends(marks.inView(view)[3]);"
            " return [view.x(t), panel.y(price)]; })()"
        )
        await page.mouse("mouseMoved", left + place[0] + 2, top + place[1] - 2)
        tip = await page.run("document.querySelector('#price-chart .tip').textContent")
        assert f" {run.record.instruments[2]}" in str(tip)
        assert "Net result" in str(tip)

    browse(tmp_path, work)


def test_pages_fit_a_phone_and_a_wide_screen(runs: dict[str, Path], tmp_path: Path) -> None:
    pages = [
        write_report(runs[name], tmp_path / f"{name}.html")
        for name in ("several", "failed", "modelled")
    ]
    pages.append(write_comparison([runs["plain"], runs["other"]], tmp_path / "c.html"))

    async def work(page: Page) -> None:
        for path in pages:
            await page.open(path)
            for width in (360, 768, 1920):
                await page.size(width, 900, mobile=width < 500)
                assert await page.run("document.documentElement.scrollWidth") == width
            await is_painted(page, "equity-chart")

    browse(tmp_path, work)


def test_charts_of_a_model_lie_in_their_place_in_both_themes_and_on_paper(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    figures = Run(runs["seen"]).record.models[0].figures
    assert figures is not None
    assert figures.histogram is not None
    path = write_report(runs["seen"], tmp_path / "report.html")
    inside = """[...document.querySelectorAll('.plot .area')].every(area => {
      const b = area.getBoundingClientRect();
      return b.height > 100 && [...area.querySelectorAll('i, .dot, .reach, .line, .mean')].every(
        e => { const a = e.getBoundingClientRect(); return a.top > b.top - 7 && a.left > b.left - 7
          && a.bottom < b.bottom + 7 && a.right < b.right + 7; }); })"""
    paint = "getComputedStyle(document.querySelector('.plot .dot')).backgroundColor"

    async def work(page: Page) -> None:
        await page.open(path)
        assert await page.run("document.querySelectorAll('.plot').length") == 3
        drawn = await page.run("document.querySelectorAll('.plot.even i').length")
        assert drawn == len(figures.histogram.counts)
        dots = await page.run("document.querySelectorAll('.plot .dot').length")
        assert dots == len(figures.calibration)
        for width in (360, 1440):
            await page.size(width, 900, mobile=width < 500)
            assert await page.run("document.documentElement.scrollWidth") == width
            assert await page.run(inside) is True
        light = await page.run(paint)
        await page.run("document.getElementById('theme').click()")
        assert await page.run(paint) != light
        await page.run("document.querySelector('.plot .dot').scrollIntoView({block: 'center'})")
        left, top, *_ = await box_of(page, ".plot .dot")
        await page.mouse("mouseMoved", left + 5, top + 5)
        tip = str(await page.run("document.querySelector('.tip.floating').textContent"))
        assert tip.startswith("Foretold ")
        await page.call("Emulation.setEmulatedMedia", media="print")
        assert await page.run(inside) is True
        exact = "getComputedStyle(document.querySelector('.plot .dot')).printColorAdjust"
        assert await page.run(exact) == "exact"

    browse(tmp_path, work)


def test_comparison_draws_every_run(runs: dict[str, Path], tmp_path: Path) -> None:
    chosen = ["plain", "other", "short"]
    path = write_comparison([runs[name] for name in chosen], tmp_path / "c.html")

    async def work(page: Page) -> None:
        await page.open(path)
        await is_painted(page, "equity-chart")
        last: Any = await page.run("TimeChart.all[0].options.describe(0).rows.map(row => row[0])")
        assert last == ["EMA cross", "Other", "Short", "Market"]
        await page.run("document.querySelector('[data-switch=log]').click()")
        assert await page.run("TimeChart.all[0].panels[0].isLog") is True

    browse(tmp_path, work)


def test_hostile_texts_do_not_run(tmp_path: Path) -> None:
    hostile = '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">'
    folder = build_run(tmp_path / "run", Recipe(name=hostile, days=40, honesty=(hostile,)))
    record = Run(folder).record
    write_record(folder, msgspec.structs.replace(record, versions={hostile: hostile}))
    path = write_report(folder)

    async def work(page: Page) -> None:
        await page.open(path)
        assert await page.run("window.hacked") is None
        assert await page.run("document.querySelectorAll('img').length") == 0
        assert hostile in str(await page.run("document.querySelector('h1').textContent"))

    browse(tmp_path, work)


@pytest.mark.parametrize("name", ["several", "modelled"])
def test_every_element_that_answers_has_a_name(
    runs: dict[str, Path], tmp_path: Path, name: str
) -> None:
    path = write_report(runs[name], tmp_path / "report.html")

    async def work(page: Page) -> None:
        await page.open(path)
        await page.call("Accessibility.enable")
        tree = await page.call("Accessibility.getFullAXTree")
        unnamed = [
            node["role"]["value"]
            for node in tree["nodes"]
            if not node["ignored"]
            and node["role"]["value"] in {"button", "link", "combobox", "application", "img"}
            and not node.get("name", {}).get("value")
        ]
        assert unnamed == []
        ids: Any = await page.run("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))

    browse(tmp_path, work)
