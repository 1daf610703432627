"""Everything that can go wrong, and the exit code that it means.

TwokeyError                 1   anything below; also what nobody foresaw
├── UsageError              2   the command line or twokey.yaml; nothing was called
├── Refused                 3   a rule says no; nothing was changed (carries its Reason)
├── AuditLogFailed          1   the audit log cannot be written: nothing is begun any more
└── Failed                  1   an error kept twokey from what was asked
    ├── Stopped             1   the whole run was told to stop while this user's part waited
    ├── LeaseHeld           3   another run holds the lease, and ``--no-wait`` was given
    ├── Conflict            1   a conditional write lost: somebody else wrote first
    ├── DeliveryFailed      1   a destination could not be given CURRENT; the next run goes on
    ├── NotVerified         1   the created key did not work in time; it was removed again
    ├── EmulatorError       1   the emulator cannot do what was asked (defined there)
    └── ServiceError        1   an answer, or none, of a service
        ├── AccessDenied        which permission on what
        ├── BadCredentials      twokey's own credentials: none, expired, unknown
        ├── NotFound            the user, secret or parameter is not there
        ├── Throttled           proves that nothing happened
        ├── ServiceRejected            another answer that proves that nothing happened
        ├── Unreachable         no connection: nothing was sent
        └── Ambiguous           no clear answer: nobody can tell whether an effect took place, or what a read would say

An error speaks to a person at 3 a.m.: ``message`` says what happened, ``state`` what is true now,
``remedy`` what to do. Edges translate what libraries raise into these; the core sees nothing else.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twokey.core.reasons import Reason


class ExitCode(IntEnum):
    """What a command's exit status means."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    PLANNED = 4  # only ``plan --detailed-exitcode``


class TwokeyError(Exception):
    """Base of all: one sentence, and where they help the state of things and what to do."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, *, state: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.state = state
        self.remedy = remedy

    def __str__(self) -> str:
        return " ".join(part for part in (self.message, self.state, self.remedy) if part)


class UsageError(TwokeyError):
    """The command line or the configuration is wrong; no service was called."""

    exit_code = ExitCode.USAGE


class Refused(TwokeyError):
    """A rule keeps twokey from acting; nothing was changed."""

    exit_code = ExitCode.REFUSED

    def __init__(self, reason: Reason, message: str, *, state: str = "", remedy: str = "") -> None:
        super().__init__(message, state=state, remedy=remedy)
        self.reason = reason


class AuditLogFailed(TwokeyError):
    """The audit log cannot be written. No kind of ``Failed``: nobody may catch it and go on with the next effect."""


class Failed(TwokeyError):
    """An error kept twokey from what was asked."""


class Stopped(Failed):
    """The run was told to stop before this user's turn, or while it waited."""

    def __init__(
        self,
        message: str = "The run was stopped.",
        *,
        state: str = "Nothing was changed for this user.",
        remedy: str = "Run again.",
    ) -> None:
        super().__init__(message, state=state, remedy=remedy)


class LeaseHeld(Failed):
    """Another run is rotating this user right now."""

    exit_code = ExitCode.REFUSED


class Conflict(Failed):
    """A conditional write found that somebody else wrote first. This run's lease is lost."""


class DeliveryFailed(Failed):
    """At least one destination could not be given CURRENT."""


class NotVerified(Failed):
    """The created key did not authenticate in time."""


class ServiceError(Failed):
    """A service answered with an error, or not at all."""


class AccessDenied(ServiceError):
    """The credentials are good, the permission is missing."""

    def __init__(self, action: str, resource: str, *, remedy: str = "") -> None:
        super().__init__(
            f"Access denied: {action} on {resource}.",
            remedy=remedy or f"Allow {action} on it for the principal that runs twokey.",
        )
        self.action = action
        self.resource = resource


class BadCredentials(ServiceError):
    """The credentials that twokey runs with are missing, expired or unknown."""


class NotFound(ServiceError):
    """What was asked for is not there."""


class Throttled(ServiceError):
    """The service asked to slow down; the request had no effect."""


class ServiceRejected(ServiceError):
    """The service refused the request; it had no effect."""


class Unreachable(ServiceError):
    """No connection could be made; nothing was sent."""


class Ambiguous(ServiceError):
    """The answer is missing or unclear: an effect may have taken place. ``state`` says where there can be none."""


def unforeseen(place: str, error: Exception) -> Ambiguous:
    """Return what an exception means that no destination may raise. Its text may hold anything, even a secret."""
    return Ambiguous(
        f"{place}: its service answered what nobody foresaw, or it has a defect ({type(error).__name__}).",
        state="What was done there is not known.",
        remedy="Run again; if it stays so, tell whoever maintains this destination.",
    )
