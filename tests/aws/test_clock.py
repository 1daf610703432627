"""The services' clock: the highest of the lower bounds that their responses give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from twokey.aws.clock import ServiceClock

START = datetime(2026, 6, 1, tzinfo=UTC)


class Machine:
    """This machine's clocks."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.clock = ServiceClock(lambda: START.timestamp() + self.seconds, lambda: self.seconds, lambda _: None)

    def receives(self, at: datetime) -> None:
        self.clock.record_date(format_datetime(at, usegmt=True))


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_a_response_that_took_longer_does_not_set_it_back(machine: Machine) -> None:
    machine.receives(START)
    machine.seconds += 10
    machine.receives(START + timedelta(seconds=6))
    assert machine.clock.now() == START + timedelta(seconds=10)


def test_a_response_that_came_faster_sets_it_forward(machine: Machine) -> None:
    machine.receives(START)
    machine.seconds += 10
    machine.receives(START + timedelta(seconds=12))
    assert machine.clock.now() == START + timedelta(seconds=12)


def test_a_response_of_more_than_a_minute_earlier_shows_that_the_services_time_was_moved(machine: Machine) -> None:
    machine.receives(START)
    machine.receives(START - timedelta(seconds=59))
    assert machine.clock.now() == START
    machine.receives(START - timedelta(seconds=61))
    assert machine.clock.now() == START - timedelta(seconds=61)
