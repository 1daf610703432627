"""What the tests see of the service behind a destination, and what they need to say what they expect."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from twokey.aws.clients import Clients
from twokey.aws.clock import ServiceClock
from twokey.core.errors import TwokeyError
from twokey.core.secret import Credential
from twokey.destinations import registry
from twokey.destinations.connections import Configured, Connections
from twokey.destinations.registry import Services
from twokey.testing.server import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.destination import Destination
    from twokey.testing.server import FakeService

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # noqa: S105  AWS's own example
ACCOUNT = "123456789012"
TESTING = Path(__file__).parents[1]
_numbers = count(1)


class Hurried:
    """A clock whose pauses pass at once; ``slept`` counts their seconds.

    Between its pauses no time passes, so that no test depends on the speed of the machine.
    """

    def __init__(self) -> None:
        self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.slept += seconds

    def monotonic(self) -> float:
        """Return the seconds on a clock that only its pauses move."""
        return self.slept


class BackendView(Protocol):
    """What the tests see of a destination without twokey."""

    url: str

    def read(self) -> dict[str, str] | None:
        """Return the pair that a job reads here, as ``AccessKeyId`` and ``SecretAccessKey``; None without one."""

    def plant(self, credential: Credential) -> None:
        """Write a pair as an operator would, with the service's own tools."""

    def written(self) -> object:
        """Return something that differs after every write, and only then."""


class Backend(ABC):
    """The service behind a destination, as its readers and its administrators see it.

    ``url`` names it, ``fake`` is its service. ``writes`` matches the requests of a delivery that write: the method, and
    a part of their path. ``settings`` are the settings of the connection in twokey.yaml, as plain values.
    """

    url: str
    fake: FakeService
    writes: tuple[str, str] = ("P*", "")
    sealed = False
    """Whether a value is encrypted for the service before it is sent, so that no response can repeat it."""
    bad_names: tuple[str, ...] = ()
    """URLs whose names the service does not allow."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the connection's settings."""

    @abstractmethod
    def read(self) -> dict[str, str] | None:
        """Return the pair that a job reads here, as ``AccessKeyId`` and ``SecretAccessKey``; None without one."""

    @abstractmethod
    def plant(self, credential: Credential) -> None:
        """Write a pair as an operator would, with the service's own tools."""

    @abstractmethod
    def remove(self) -> None:
        """Delete the project, repository or vault around it."""

    @abstractmethod
    def spoil_token(self) -> None:
        """Make the token that the connection has one that the service does not accept."""

    def written(self) -> object:
        """Return how many writes the service received."""
        return self.fake.count(*self.writes)

    def take_permission_away(self) -> None:
        """Take the permission to write from the token. By default all writes are refused with 403."""
        method, path = self.writes
        self.fake.add(Fault(method, path, "refuse", times=None, status=403, body={"message": "Forbidden"}))


def fresh_credential() -> Credential:
    """Return a pair that no other test has."""
    return Credential(f"AKIACONTRACT{next(_numbers):08d}", f"{next(_numbers):06d}{SECRET[6:]}")


def fresh_name() -> str:
    """Return a name that no other test has."""
    return f"ci-{next(_numbers)}"


def pair(credential: Credential) -> dict[str, str]:
    """Return a credential as ``Backend.read`` does."""
    return {"AccessKeyId": credential.access_key_id, "SecretAccessKey": str(credential.reveal())}


def outcome(act: Callable[[], object]) -> TwokeyError | None:
    """Call it and return the ``TwokeyError`` that it raises, if any; other exceptions pass through."""
    try:
        act()
    except TwokeyError as error:
        return error
    return None


def assert_silent(error: BaseException, *credentials: Credential) -> None:
    """No secret in the error, in those behind it, or in what a traceback prints."""
    shown = "".join(traceback.format_exception(error))
    seen: BaseException | None = error
    while seen is not None:
        shown += repr(seen) + str(seen) + repr(vars(seen)) + repr(seen.args)
        seen = seen.__cause__ or seen.__context__
    for credential in credentials:
        assert credential.reveal() not in shown


def in_variables(error: BaseException) -> str:
    """Return what some crash reporters add to a traceback: the local variables of all frames but the test's own."""
    shown = ""
    seen: BaseException | None = error
    while seen is not None:
        shown += "".join(
            repr(value)
            for frame, _ in traceback.walk_tb(seen.__traceback__)
            if not _is_test(frame.f_code.co_filename)
            for value in frame.f_locals.values()
        )
        seen = seen.__cause__ or seen.__context__
    return shown


@cache
def _is_test(file: str) -> bool:
    return TESTING in Path(file).parents or Path(file).name.startswith("test_")


def services_of(backend: Backend, hurried: Hurried, settings: dict[str, Any] | None = None) -> Services:
    """Return services with the connection of a backend."""
    import msgspec

    kind = registry.kind_of(backend.url.partition(":")[0]).connection
    assert kind is not None
    configured = Configured(kind.name, msgspec.convert(settings or backend.settings(), kind.settings), "here")
    clock = ServiceClock(sleep=hurried.sleep, monotonic=hurried.monotonic)
    return Services(Clients("contract", clock=clock), Connections({kind.name: configured}))


def opened(backend: Backend, hurried: Hurried | None = None) -> Destination:
    """Return the destination of a backend, as one run opens it."""
    return registry.open_destination(backend.url, services_of(backend, hurried or Hurried()))
