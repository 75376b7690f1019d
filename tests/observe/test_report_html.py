from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

from aitb_nautilus.errors import AitbError
from aitb_nautilus.observe.report_html import ASSETS, Html, el, join, page, table, write_page


def test_text_is_escaped_and_markup_is_not() -> None:
    assert (
        el("p", "<b> & 'x'", Html("<i>ok</i>")) == "<p>&lt;b&gt; &amp; &#x27;x&#x27;<i>ok</i></p>"
    )


def test_attributes_are_escaped_and_absent_ones_left_out() -> None:
    shown = el("a", "x", href='"><script>', class_=None, hidden=True, disabled=False, data_tip="a")
    assert shown == '<a href="&quot;&gt;&lt;script&gt;" hidden data-tip="a">x</a>'


def test_elements_without_content_have_no_end() -> None:
    assert el("br") == "<br>"


def test_lists_of_children_are_flattened_and_none_is_left_out() -> None:
    assert join("a", None, ["b", ["c", None]], Html("<br>")) == "abc<br>"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("-1.5%", "\N{MINUS SIGN}1.5%"),
        ("was -3, not (-4)", "was \N{MINUS SIGN}3, not (\N{MINUS SIGN}4)"),
        ("2023-01-01", "2023-01-01"),
        ("BTCUSDT-1-MINUTE", "BTCUSDT-1-MINUTE"),
        ("a - b", "a - b"),
    ],
)
def test_negative_numbers_get_a_real_minus_sign_and_names_keep_theirs(
    text: str, wanted: str
) -> None:
    assert join(text) == wanted


def test_table_names_its_rows_and_columns() -> None:
    shown = table(["A", "B"], [["x", "1"]], numeric=[1], label="Things")
    assert '<th scope="row">x</th><td class="num">1</td>' in shown
    assert '<th class="num" scope="col">B</th>' in shown
    assert 'aria-label="Things"' in shown


def test_data_cannot_end_the_script_that_holds_them() -> None:
    text = page("t", Html("<main></main>"), {"name": "</script><script>alert(1)//<!--"})
    assert "alert(1)" in text
    assert "</script><script>alert(1)" not in text
    assert text.count("</script>") == 2


def test_page_forbids_every_load_and_runs_only_its_own_script() -> None:
    text = page("<t>", Html(""), {})
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}';" in text
    assert "<title>&lt;t&gt;</title>" in text
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:|//)|@import|url\(""", text)


def test_no_asset_speaks_of_an_advantage() -> None:
    words = [re.findall(r"(?i)\bedge\b", file.read_text()) for file in ASSETS.iterdir()]
    assert words == [[]] * len(words)


def colours(css: str) -> dict[str, tuple[float, ...]]:
    found = re.findall(r"--([a-z0-9-]+):\s*#([0-9a-f]{6})", css)
    return {name: tuple(int(h[i : i + 2], 16) / 255 for i in (0, 2, 4)) for name, h in found}


def luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("sheet", ["page.css", "dark.css"])
def test_colours_can_be_told_from_their_background(sheet: str) -> None:
    known = colours((ASSETS / sheet).read_text())

    def contrast(front: str, back: str) -> float:
        high, low = sorted((luminance(known[front]), luminance(known[back])), reverse=True)
        return (high + 0.05) / (low + 0.05)

    text = ["ink", "muted", "gain", "loss", "strategy", "warn"]
    assert [n for n in text if min(contrast(n, "card"), contrast(n, "page")) < 4.5] == []
    lines = ["market", "handle", *(f"run-{i}" for i in range(1, 9))]
    assert [n for n in lines if contrast(n, "card") < 2.9] == []


def test_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    write_page(target, "new")
    assert target.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_page_that_cannot_be_written_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AitbError, match="cannot be written"):
        write_page(tmp_path / "absent" / "report.html", "x")
    (tmp_path / "taken").mkdir()
    with pytest.raises(AitbError, match="cannot be written"):
        write_page(tmp_path / "taken", "x")
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]
