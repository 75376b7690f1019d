"""The parameters of a request: texts, as Binance's clients send them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from aitb_nautilus.rehearsal.answers import VenueError

__all__ = ["Params", "as_text", "flag", "page", "text_list", "whole", "within"]

type Params = Mapping[str, str]


def flag(params: Params, name: str) -> bool:
    """Return a parameter that is ``true`` or ``false``."""
    text = params.get(name, "false").lower()
    if text not in ("true", "false"):
        raise VenueError.of(-1130, name)
    return text == "true"


def whole(params: Params, name: str) -> int | None:
    """Return a parameter that is a whole number, or None if it was not sent."""
    text = params.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"-?\d+", text):
        raise VenueError.malformed(name)
    return int(text)


def within(ts_ms: int, params: Params) -> bool:
    """Return whether a time lies between ``startTime`` and ``endTime``, both included."""
    start, end = whole(params, "startTime"), whole(params, "endTime")
    return (start is None or ts_ms >= start) and (end is None or ts_ms <= end)


def page[T](found: list[T], params: Params, usual: int) -> list[T]:
    """Return the first `limit` if the request says where to begin, otherwise the last."""
    limit = whole(params, "limit") or usual
    begins = any(name in params for name in ("startTime", "fromId", "orderId"))
    return found[:limit] if begins else found[-limit:]


def text_list(params: Params, name: str, most: int) -> list[Any]:
    """Return a parameter that is a JSON list, its numbers and flags as texts."""
    try:
        items = msgspec.json.decode(params.get(name, ""), type=list[Any])
    except msgspec.DecodeError as e:
        raise VenueError.malformed(name) from e
    if not 1 <= len(items) <= most:
        raise VenueError.of(-1130, name)
    return [
        {key: as_text(value) for key, value in item.items()} if isinstance(item, dict) else item
        for item in items
    ]


def as_text(value: object) -> str:
    """Return a value of a JSON request as it would stand in a query string."""
    return str(value).lower() if isinstance(value, bool) else str(value)
