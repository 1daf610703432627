"""What a rehearsal needs of the emulator that it plays on. The command provides it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from twokey.core.model import MachineUser
    from twokey.planning.policy import RotationPolicy
    from twokey.rehearsal.weather import Fault
    from twokey.rotation.world import World


class Killed(BaseException):
    """The process of a run ends here. No request of that run leaves after it."""


class Job(Protocol):
    """One user, its rules, and the URLs of its store and destinations."""

    @property
    def user(self) -> MachineUser:
        """The user."""
        ...

    @property
    def policy(self) -> RotationPolicy:
        """The rules."""
        ...

    @property
    def store(self) -> str:
        """The URL of the store."""
        ...

    @property
    def deliver(self) -> tuple[str, ...]:
        """The URLs of the other destinations."""
        ...


class Stage(Protocol):
    """An AWS whose time passes only when it is told to. Times are seconds since the beginning."""

    requests: int
    """How many requests it has handled."""

    def now(self) -> float:
        """Return the time."""
        ...

    def advance_to(self, moment: float) -> None:
        """Let time pass until a moment, if it is not later already."""
        ...

    def moment(self, seconds: float) -> datetime:
        """Return a time as the engine sees it."""
        ...

    def world(self, job: Job, run: str) -> World:
        """Return all that the rotation of a user touches, as a process of its own would have it."""
        ...

    def weather(self, fault: Fault | None, services: Sequence[str]) -> AbstractContextManager[None]:
        """Have the requests meet a fault while the block runs; ``services`` are those that the user's stores are in.

        They raise ``Killed`` if that is the fault.
        """
        ...

    def keys(self, user: str) -> list[tuple[str, bool, float]]:
        """Return the user's keys as they truly are: id, whether it is Active, when it was created."""
        ...

    def last_removal(self, user: str) -> float:
        """Return when a key of the user was last deleted or made Inactive."""
        ...

    def use(self, key_id: str, at: float) -> None:
        """Have IAM say that a key was last used then."""
        ...
