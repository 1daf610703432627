"""Waiting: for another run's lease, and for IAM's list to settle. Ends as soon as the whole run is to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core import timestamps
from twokey.core.errors import ServiceError, Stopped
from twokey.core.events import Reporter
from twokey.core.waiting import aside
from twokey.rotation.leased_journal import blocked, held_by

if TYPE_CHECKING:
    from datetime import datetime

    from twokey.core.model import Observation
    from twokey.rotation.world import World

SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two looks at another run's lease."""
LONGEST_NAP = 0.5
"""Seconds after which a waiting run checks whether it is to stop."""
WORTH_REPORTING = 1.0
"""Seconds of waiting from which the wait is reported."""


def is_busy(observation: Observation, world: World) -> bool:
    """Say whether another run holds the lease."""
    return blocked(world.store, observation.record.journal, world.run, world.clock.now())


def await_lease(observation: Observation, world: World, deadline: float) -> None:
    """Return when the user may be free; raises ``LeaseHeld`` with ``--no-wait``, or after the deadline.

    Only the journal is read meanwhile: a waiting run must not cost the other one its share of IAM's request rate.
    """
    reporter = Reporter(observation.user.name, world.clock, world.listener)
    record, seconds = observation.record, SHORTEST_PAUSE
    while (lease := record.journal.lease) and blocked(world.store, record.journal, world.run, world.clock.now()):
        if not world.wait or world.clock.monotonic() > deadline:
            raise held_by(lease)
        reporter.note("wait", detail=timestamps.utc(lease.until))
        left = (lease.until - world.clock.now()).total_seconds()
        pause(world, min(seconds, max(left, SHORTEST_PAUSE)))
        seconds = min(1.5 * seconds, LONGEST_PAUSE)
        try:
            record = world.store.load()
        except ServiceError:
            return  # a whole look says more clearly what is wrong


def settle(observation: Observation, until: datetime, world: World) -> None:
    """Wait until IAM's list surely shows what was created a moment ago."""
    left = (until - world.clock.now()).total_seconds()
    if left > WORTH_REPORTING:
        Reporter(observation.user.name, world.clock, world.listener).note("settle", detail=timestamps.utc(until))
    pause(world, left)


def pause(world: World, seconds: float) -> None:
    """Wait; raises ``Stopped`` as soon as the whole run is to stop. No request is in flight while we wait here."""
    with aside():
        while seconds > 0:
            raise_if_stopped(world)
            world.clock.sleep(min(seconds, LONGEST_NAP))
            seconds -= LONGEST_NAP


def raise_if_stopped(world: World) -> None:
    """Raise ``Stopped`` if the whole run is to stop."""
    if world.stop.is_set():
        raise Stopped
