"""One emulator and one set of clients per module; each test gets its own stores and fine weather."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("contract.weather")

import functools  # noqa: E402
import time  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

from twokey.aws.clients import Clients  # noqa: E402
from twokey.aws.clock import ServiceClock  # noqa: E402
from twokey.destinations.registry import Services  # noqa: E402
from twokey.emulator import Emulator  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Hurried:
    """A clock whose pauses pass at once."""

    def __init__(self) -> None:
        self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def monotonic(self) -> float:
        return time.monotonic() + self.slept


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture(scope="module")
def shared_clients() -> Clients:
    hurried = Hurried()
    return Clients("contract", clock=ServiceClock(sleep=hurried.sleep, monotonic=hurried.monotonic))


@pytest.fixture
def clients(emulator: Emulator, shared_clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Clients:
    """The module's clients, in an environment that leads to the emulator: some are made at first use."""
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    return shared_clients


@pytest.fixture(scope="module")
def administrator(emulator: Emulator) -> Callable[[str], Any]:
    """An ordinary client of a service, made once."""
    return functools.cache(emulator.client)


@pytest.fixture
def aws(emulator: Emulator) -> Iterator[Emulator]:
    emulator.clear_requests()
    yield emulator
    emulator.weather.clear()


@pytest.fixture
def services(clients: Clients) -> Services:
    return Services(clients)
