"""The timeline of a key's uses: one lane for each address that they came from, the sessions below. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from twokey.reports.trace import MadeSession, Trace, Use

MOST = 12
"""How many addresses have a lane of their own."""
MOST_SESSIONS = 24
CLOSER = 6
"""How many times longer the whole is, where the time around the marked events has a drawing of its own."""
APART = 0.8
"""In percent: uses of one look that are nearer to each other are drawn once."""
NARROWEST = 0.4
"""In percent: the width at which a short session can still be seen."""
MOST_TICKS = 6
LAST_TICK = 95
"""In percent: the text of a later one would not fit."""
_STEPS = (
    *(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 7, 14, 28)),
)
Look = Literal["use", "failed", "marked"]


@dataclass(frozen=True, slots=True)
class Mark:
    """One use, or several that are too near to be told apart."""

    x: float
    look: Look


@dataclass(frozen=True, slots=True)
class Lane:
    """The uses from one address; ``others`` is how many addresses share the last lane."""

    address: str
    count: int
    marks: tuple[Mark, ...]
    others: int = 0


@dataclass(frozen=True, slots=True)
class Bar:
    """A session, from when it was made until its end. ``lasting``: it may still work."""

    session: MadeSession
    x: float
    width: float
    lasting: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """A moment on the axis."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """The lanes and what is above and below them; ``further``: sessions that are not drawn."""

    lanes: tuple[Lane, ...]
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    further: int


@dataclass(frozen=True, slots=True)
class _Axis:
    start: datetime
    end: datetime

    def at(self, moment: datetime) -> float:
        share = 100 * ((moment - self.start) / (self.end - self.start))
        return round(min(max(share, 0), 100), 2)


def drawings(trace: Trace) -> list[Drawing]:
    """Return the drawing of all uses, and one of the time around those that matter most, where that is much shorter."""
    if not trace.uses:
        return []
    whole = _axis(trace.uses)
    marked = [use for use in trace.uses if use.mark]
    near = _axis(marked) if marked else whole
    close = (near.end - near.start) * CLOSER < whole.end - whole.start
    return [_drawing(trace, axis) for axis in ([whole, near] if close else [whole])]


def _drawing(trace: Trace, axis: _Axis) -> Drawing:
    uses = [use for use in trace.uses if axis.start <= use.time <= axis.end]
    sessions = [one for one in trace.sessions if axis.start <= (one.expires or one.issued) and one.issued <= axis.end]
    bars = tuple(_bars(sessions[:MOST_SESSIONS], axis, trace.known_until))
    return Drawing(tuple(_lanes(uses, axis)), bars, tuple(_ticks(axis)), further=len(sessions) - len(bars))


def _axis(uses: Sequence[Use]) -> _Axis:
    """Return the time of uses, with a margin: an hour of 90 days would not be seen otherwise."""
    first, last = uses[-1].time, uses[0].time
    margin = max((last - first) / 20, timedelta(minutes=5))
    return _Axis(first - margin, last + margin)


def _lanes(uses: Sequence[Use], axis: _Axis) -> Iterator[Lane]:
    counts = Counter(use.source_ip for use in uses)
    # Marked uses first: their address must not disappear among the others.
    marked = {use.source_ip for use in uses if use.mark}
    ordered = sorted(counts, key=lambda one: (one not in marked, -counts[one], one))
    own = ordered if len(ordered) <= MOST else ordered[: MOST - 1]
    for address in own:
        yield Lane(address, counts[address], tuple(_marks([use for use in uses if use.source_ip == address], axis)))
    rest = set(ordered) - set(own)
    if rest:
        others = [use for use in uses if use.source_ip in rest]
        yield Lane("", len(others), tuple(_marks(others, axis)), others=len(rest))


def _marks(uses: Sequence[Use], axis: _Axis) -> Iterator[Mark]:
    """Return the marks of a lane, those that matter most above the others, and so last."""
    for look in ("use", "failed", "marked"):
        drawn = -100.0
        for use in reversed(uses):
            x = axis.at(use.time)
            if _look(use) == look and x - drawn >= APART:
                drawn = x
                yield Mark(x, _look(use))


def _look(use: Use) -> Look:
    return "marked" if use.mark else "failed" if use.error else "use"


def _bars(sessions: Sequence[MadeSession], axis: _Axis, until: datetime) -> Iterator[Bar]:
    for session in sessions:
        end = session.expires or session.issued
        x = min(axis.at(session.issued), 100 - NARROWEST)
        width = round(max(axis.at(end) - x, NARROWEST), 2)
        yield Bar(session, x, width, lasting=session.expires is None or session.expires > until)


def _ticks(axis: _Axis) -> Iterator[Tick]:
    length = axis.end - axis.start
    step = next((one for one in _STEPS if length / one <= MOST_TICKS), _STEPS[-1])
    midnight = axis.start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    moment = midnight + step * -(-(axis.start - midnight) // step)
    while axis.at(moment) <= LAST_TICK and moment < axis.end:
        days = step >= timedelta(days=1) or moment.hour == moment.minute == 0
        yield Tick(axis.at(moment), f"{moment:%d %b}" if days else f"{moment:%H:%M}")
        moment += step
