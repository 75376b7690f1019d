"""Binance's spot messages in binary (SBE): the same message as in JSON, packed by a layout.

Numbers with a decimal point travel as a mantissa and an exponent; here the exponent is always -8,
Binance's precision for every asset. Times in JSON are milliseconds, in SBE microseconds.

References
----------
FIX Trading Community, Simple Binary Encoding 1.0. Binance, Spot, SBE FAQ.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aitb_nautilus.rehearsal.spot.sbe_layouts import ENUMS, LAYOUTS, SCHEMA, SETS

__all__ = ["encode"]

_EXPONENT = -8
_INTEGERS = {
    # kind: how it is packed, and null
    "i16": ("<h", -(2**15)),
    "i32": ("<i", -(2**31)),
    "i64": ("<q", -(2**63)),
    "u8": ("<B", 255),
    "u16": ("<H", 2**16 - 1),
    "u64": ("<Q", 2**64 - 1),
}
_LENGTHS = {
    "s8": "<B",
    "s16": "<H",
    "d16": "<H",
    "d32": "<I",
    "filter": "<B",
    "cancelOrder": "<H",
    "newOrder": "<I",
}


@dataclass
class _Part:
    """A message, or one row of a group: fields of fixed length, groups, texts."""

    template: int = 0
    fields: list[tuple[str, str]] = field(default_factory=list)
    groups: list[tuple[str, _Part]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)

    def length(self) -> int:
        return sum(len(_value(kind, None)) for _, kind in self.fields)


def encode(name: str, message: Any) -> bytes:
    """Return a message as bytes, its head included.

    Parameters
    ----------
    name
        Of the layout.
    message
        The same message as JSON has it.
    """
    part = _PARTS[name]
    head = struct.pack("<HHHH", part.length(), part.template, *SCHEMA)
    return head + _row(part, message)


def _row(part: _Part, row: Any) -> bytes:
    packed = [_value(kind, _get(row, key)) for key, kind in part.fields]
    for name, group in part.groups:
        short = name.startswith("*")
        rows = _get(row, name.removeprefix("*")) or []
        packed.append(struct.pack("<HH" if short else "<HI", group.length(), len(rows)))
        packed += [_row(group, one) for one in rows]
    packed += [_text(kind, _get(row, key)) for key, kind in part.texts]
    return b"".join(packed)


def _get(row: Any, key: str) -> Any:
    if key == ".":
        return row
    if isinstance(row, Mapping):
        return row.get(key)
    return row[int(key)] if key.isdecimal() and isinstance(row, list | tuple) else None


def _value(kind: str, value: Any) -> bytes:  # noqa: PLR0911 - one answer a kind
    if kind.endswith("?"):
        kind = kind.removesuffix("?")
        if value == -1:  # how JSON says that there is none
            value = None
    elif value is None:
        value = 0
    match kind:
        case "exp":
            return struct.pack("<b", _EXPONENT)
        case "zero" | "one":  # the only value that a rehearsal has
            return b"\x00" if kind == "zero" else b"\x01"
        case "bool":
            return struct.pack("<B", 255 if value is None else bool(value))
        case "time":
            return struct.pack("<q", -(2**63) if value is None else int(value) * 1_000)
        case "m":
            return struct.pack("<q", -(2**63) if value is None else _mantissa(value))
        case "m128":
            number = -(2**127) if value is None else _mantissa(value)
            return number.to_bytes(16, "little", signed=True)
    if kind in ENUMS:
        return struct.pack("<B", ENUMS[kind][value] if value else 255)
    if kind in SETS:
        code, places = SETS[kind]
        return struct.pack(code, sum(1 << places[word] for word in value or ()))
    code, null = _INTEGERS[kind]
    return struct.pack(code, null if value is None else int(value))


def _mantissa(text: str | int) -> int:
    return int(Decimal(text).scaleb(-_EXPONENT).to_integral_value())


def _text(kind: str, value: Any) -> bytes:
    if kind == "filter":
        data = encode(value["filterType"], value)
    elif kind in LAYOUTS and value is not None:
        data = encode(kind, value)
    elif isinstance(value, bytes):
        data = value
    else:
        data = str(value or "").encode()
    return struct.pack(_LENGTHS[kind], len(data)) + data


def _parse(words: Iterator[str]) -> _Part:
    part = _Part()
    into = part.fields
    for word in words:
        if word == "]":
            break
        if word == ">":
            into = part.texts
        elif word.startswith("["):
            part.groups.append((word[1:], _parse(words)))
        else:
            key, _, kind = word.partition(":")
            into.append((key, kind))
    return part


def _read(layout: str) -> _Part:
    template, *words = layout.split()
    part = _parse(iter(words))
    part.template = int(template)
    return part


_PARTS = {name: _read(layout) for name, layout in LAYOUTS.items()}
