"""Build markup that cannot be injected into, and the one file that a page is.

Text becomes markup only through `el`, which escapes whatever is not already `Html`. The page loads
nothing: style, script and data stand in it, and its content security policy forbids all else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import msgspec

from aitb_nautilus.errors import AitbError
from aitb_nautilus.files import whole_file

__all__ = ["Html", "el", "join", "page", "table", "write_page"]

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = (
    "columns.js",
    "axes.js",
    "layers.js",
    "timechart.js",
    "gestures.js",
    "charts.js",
    "page.js",
)

_MINUS = re.compile(r"(?<![^\s(])-(?=\d)")
_VOID = {"br", "img", "input", "meta"}


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


type Child = str | Sequence[Child] | None


def el(tag: str, *children: Child, **attributes: str | int | bool | None) -> Html:
    """Return an element; children that are not `Html` are escaped, None is left out.

    An attribute's underscores become hyphens and a last one is dropped (``class_``). True gives an
    attribute without value; False and None leave it out.
    """
    parts = [f"<{tag}"]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        key = name.removesuffix("_").replace("_", "-")
        parts.append(f" {key}" if value is True else f' {key}="{html.escape(str(value))}"')
    parts.append(">")
    if tag not in _VOID:
        parts.append(join(*children))
        parts.append(f"</{tag}>")
    return Html("".join(parts))


def join(*children: Child) -> Html:
    """Return children side by side, escaped where they are not `Html`."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(html.escape(_with_minus(child)))
        else:
            parts.append(join(*child))
    return Html("".join(parts))


def table(
    head: Sequence[str | Html],
    rows: Sequence[Sequence[Child]],
    *,
    numeric: Sequence[int] = (),
    caption: str | None = None,
    label: str | None = None,
) -> Html:
    """Return a table that scrolls sideways where it is too wide.

    Parameters
    ----------
    head
        Column names; the first column names its row.
    rows
        Cells.
    numeric
        Columns that are aligned to the right.
    caption, label
        What the table shows: visible, or for screen readers only.
    """
    kinds = ["num" if i in numeric else None for i in range(len(head))]
    top = el(
        "tr",
        [el("th", name, class_=kind, scope="col") for name, kind in zip(head, kinds, strict=True)],
    )
    body = [
        el(
            "tr",
            [
                el("td" if i else "th", cell, class_=kinds[i], scope=None if i else "row")
                for i, cell in enumerate(row)
            ],
        )
        for row in rows
    ]
    whole = el(
        "table",
        el("caption", caption) if caption else None,
        el("thead", top),
        el("tbody", body),
        aria_label=label,
    )
    return el("div", whole, class_="scroll", tabindex=0, role="region", aria_label=label or caption)


def page(title: str, body: Html, data: Mapping[str, Any]) -> str:
    """Return the whole file.

    Parameters
    ----------
    title
        For the window and for bookmarks.
    body
        What stands in the page.
    data
        What the charts draw; JSON in which no text can end the script element that holds it.
    """
    script = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS)
    script = f'"use strict";\n{script}'
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    style = Template((ASSETS / "page.css").read_text(encoding="utf-8")).substitute(
        dark=(ASSETS / "dark.css").read_text(encoding="utf-8")
    )
    return Template((ASSETS / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        style=style,
        script=script,
        script_hash=digest,
        body=body,
        data=msgspec.json.encode(data).decode().replace("<", "\\u003c"),
    )


def write_page(path: Path, text: str) -> None:
    """Write a page all at once: a reader sees the old file or the new one, never a part.

    Raises
    ------
    AitbError
        If the file cannot be written.
    """
    try:
        with whole_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
            temporary.chmod(0o644)
    except OSError as e:
        raise AitbError(
            str(path),
            f"the report cannot be written ({e.strerror or e})",
            todo="Check the folder, its rights and the space left",
        ) from e


def _with_minus(text: str) -> str:
    """Give negative numbers a real minus sign; hyphens in dates and names stay."""
    return _MINUS.sub("\N{MINUS SIGN}", text)
