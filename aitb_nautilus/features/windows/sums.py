"""The last n values: their sum, their extremes, and the value n bars ago."""

from __future__ import annotations

from aitb_nautilus.features.kernel import Cells

__all__ = [
    "block_place",
    "delay",
    "delay_cells",
    "extreme_cells",
    "latest_max",
    "latest_max_cells",
    "sum_cells",
    "window_max",
    "window_min",
    "window_sum",
]


def block_place(s: Cells, o: int, n: int, k: int) -> int:
    """Return k % n, where the bar stands in its block. One cell.

    It counts from one bar to the next: a division costs more than the rest of a window.
    """
    i = int(s[o])
    if i == 0:
        i = k % n + 1
    s[o] = float(i + 1 if i < n else 1)
    return i - 1


def sum_cells(n: int) -> int:
    """Return the cells of `window_sum`."""
    return n + 2


def window_sum(s: Cells, o: int, n: int, x: float, k: int) -> float:
    """Return the sum of the last n values, the newest x included."""
    i = block_place(s, o, n, k)
    b = o + 2
    head = x if i == 0 else s[o + 1] + x
    s[o + 1] = head
    if i == n - 1:
        total = 0.0
        s[b + i] = x
        for j in range(i, -1, -1):
            total += s[b + j]
            s[b + j] = total
        return head
    s[b + i] = x
    return head + s[b + i + 1]


def extreme_cells(n: int) -> int:
    """Return the cells of `window_max` and of `window_min`."""
    return n + 2


def window_max(s: Cells, o: int, n: int, x: float, k: int) -> float:
    """Return the greatest of the last n values, the newest x included."""
    i = block_place(s, o, n, k)
    b = o + 2
    head = x if i == 0 else max(s[o + 1], x)
    s[o + 1] = head
    s[b + i] = x
    if i == n - 1:
        best = x
        for j in range(i, -1, -1):
            best = max(best, s[b + j])
            s[b + j] = best
        return head
    return max(head, s[b + i + 1])


def window_min(s: Cells, o: int, n: int, x: float, k: int) -> float:
    """Return the least of the last n values, the newest x included."""
    return -window_max(s, o, n, -x, k)


def latest_max_cells(n: int) -> int:
    """Return the cells of `latest_max`."""
    return 2 * n + 3


def latest_max(s: Cells, o: int, n: int, x: float, k: int) -> int:
    """Return how many bars ago the greatest of the last n values was; the latest of equals.

    Returns
    -------
    int
        From 0, the newest, to n - 1.
    """
    i = block_place(s, o, n, k)
    best_now = o + 1
    value = o + 3
    place = o + 3 + n
    if i == 0 or x >= s[best_now]:
        s[best_now] = x
        s[best_now + 1] = float(k)
    s[value + i] = x
    s[place + i] = float(k)
    if i == n - 1:
        best = x
        at = float(k)
        for j in range(i - 1, -1, -1):
            if s[value + j] > best:
                best = s[value + j]
                at = s[place + j]
            s[value + j] = best
            s[place + j] = at
    elif s[value + i + 1] > s[best_now]:
        return int(k - s[place + i + 1])
    return int(k - s[best_now + 1])


def delay_cells(n: int) -> int:
    """Return the cells of `delay`."""
    return n + 1


def delay(s: Cells, o: int, n: int, x: float, k: int) -> float:
    """Return the value of n bars ago and keep x for n bars from now."""
    i = o + 1 + block_place(s, o, n, k)
    old = s[i]
    s[i] = x
    return old
