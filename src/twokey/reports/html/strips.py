"""The small timeline of a user in the table of all users: two lanes, one scale for every row. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from twokey.reports.audit import Key
    from twokey.reports.html.users import Row

NOW = 80
"""Pixels from the left; the style sheet draws the line of the audit's time there, through every row."""
UNIT = 64
"""Pixels of a window."""
WIDTH = 128
LANES = (4, 11)


def strip(row: Row) -> tuple[tuple[str, str], ...]:
    """Return the paths of a user's drawing, each with its look: none is CURRENT, ``l`` LAST, ``o`` another key.

    ``f`` is what is left of a key's window, ``x`` how long it has been over. Every user of an account is drawn, so each
    drawing is as short as it can be written.
    """
    paths: defaultdict[str, list[str]] = defaultdict(list)

    def draw(look: str, lane: int, start: datetime, end: datetime) -> None:
        x, to = _x(row, start), _x(row, end)
        if to > x:
            paths[look].append(f"M{x},{LANES[lane]}h{to - x}")

    def draw_key(look: str, lane: int, key: Key, start: datetime) -> None:
        over = key.breaks_at is not None and key.breaks_at < row.now and key.status == "Active"
        draw(look, lane, start, max(start, key.breaks_at) if over and key.breaks_at else row.now)
        if key.breaks_at is not None and key.status == "Active":
            draw("x", lane, max(key.breaks_at, start), row.now)
            draw("f", lane, row.now, key.breaks_at)

    current, last = row.current, row.last
    if current is not None and current.created is not None:
        draw_key("", 0, current, current.created)
    if last is not None and last.created is not None:
        rotated = row.user.rotated_at or (current.created if current else None) or last.created
        draw("l", 0, last.created, rotated)
        draw_key("l", 1, last, rotated)
    lane = 0 if current is None else 1
    for key in row.others[: len(LANES) - lane]:
        if key.created is not None:
            draw_key("o", lane, key, key.created)
        lane += 1
    return tuple((look, "".join(data)) for look, data in paths.items())


def _x(row: Row, moment: datetime) -> int:
    return min(max(round(NOW + UNIT * ((moment - row.now) / row.window)), 0), WIDTH)
