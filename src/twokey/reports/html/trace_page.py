"""Rendering: a trace of one key as one HTML page, which loads nothing and has no script.

Programs, users and roles in it have names that an intruder may have chosen: the template escapes all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey import __version__
from twokey.reports.html.page import policy, template_of, text_of
from twokey.reports.html.trace_lanes import drawings
from twokey.reports.trace import grouped

if TYPE_CHECKING:
    from twokey.reports.trace import Trace

TEMPLATE = "trace.html"
MOST = 500
"""How many kinds of use, and how many marked events, the page lists."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the page says first."""

    look: str
    headline: str


def render(trace: Trace) -> str:
    """Return the page of a trace."""
    style = f"{text_of('page.css')}\n{text_of('trace.css')}"
    groups = grouped(trace)
    marked = [use for use in trace.uses if use.mark]
    return template_of(TEMPLATE).render(
        version=__version__,
        policy=policy(style),
        style=style,
        trace=trace,
        verdict=_verdict(trace, len(marked)),
        addresses=len({use.source_ip for use in trace.uses}),
        failed=sum(use.error is not None for use in trace.uses),
        marked=marked[:MOST],
        more_marked=len(marked[MOST:]),
        sessions=trace.sessions[:MOST],
        more_sessions=len(trace.sessions[MOST:]),
        groups=groups[:MOST],
        more_groups=len(groups[MOST:]),
        drawings=drawings(trace),
    )


def _verdict(trace: Trace, marked: int) -> Verdict:
    if marked:
        what = "1 event" if marked == 1 else f"{marked:,} events"
        return Verdict("broken", f"{what} may have left something behind.")
    if not trace.complete:
        return Verdict("unknown", "Nothing left behind was found, but not everything could be read.")
    if trace.uses:
        return Verdict("kept", "Nothing left behind was found.")
    return Verdict("kept", "No use of this key was found.")
