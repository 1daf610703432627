"""Everything that can go wrong, and the exit code that it means.

TwokeyError                 1   anything below, and any error that is not foreseen
├── UsageError              2   the command line or twokey.yaml is wrong; nothing was called
├── Refused                 3   a rule says no; no key was changed, and nothing that jobs read (carries its Reason)
├── AuditLogFailed          1   the audit log cannot be written: no further effect is begun
└── Failed                  1   an error kept twokey from what was requested
    ├── Stopped             1   the whole run was stopped while this user's part waited
    ├── LeaseHeld           3   another run holds the lease, and ``--no-wait`` is set
    ├── Conflict            1   a conditional write failed: another run wrote first
    ├── DeliveryFailed      1   CURRENT could not be delivered to a destination; the next run continues
    ├── NotVerified         1   the created key did not work in time; it was deleted again
    ├── HookFailed          1   a program of the operator around a rotation failed
    ├── EmulatorError       1   the emulator cannot do what was requested (defined there)
    └── ServiceError        1   a service responded with an error, or not at all
        ├── AccessDenied        which permission on what
        ├── BadCredentials      twokey's own credentials: none, expired, unknown
        │   └── CredentialsUnavailable  they could not be had: nothing was sent
        ├── NotFound            the user, secret or parameter does not exist
        ├── Throttled           proves that nothing happened
        ├── ServiceRejected     another response that proves that nothing happened
        ├── Unreachable         no connection: nothing was sent
        ├── ChainTooLong        a role that is assumed by a role: its session would be longer than an hour
        └── Ambiguous           no clear response: whether an effect took place, or what a read would show, is unknown

An error speaks to the operator at 3 a.m.: ``message`` says what happened, ``state`` what is true now,
``remedy`` what to do. Edges translate what libraries raise into these; the core sees nothing else.
"""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from enum import IntEnum
from pathlib import PurePath
from typing import TYPE_CHECKING

from twokey.core.fields import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.reasons import Reason


class ExitCode(IntEnum):
    """What a command's exit status means."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    PLANNED = 4  # ``plan --detailed-exitcode``
    FOUND = 4  # ``lint --fail-on``: a finding is at least that severe


class TwokeyError(Exception):
    """Base of all: one sentence and, where they help, the state of things and what to do."""

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


def unreadable(file: object, error: OSError) -> UsageError:
    """Return the error for a file that the operator names and that cannot be read."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        remedy = "Check the path."
    elif isinstance(error, PermissionError):
        remedy = "Allow the user that runs twokey to read it."
    else:
        remedy = "Name a file that can be read."
    return UsageError(f"{file} cannot be read: {error.strerror}.", remedy=remedy)


class Refused(TwokeyError):
    """A rule keeps twokey from acting; no key was changed, and nothing that jobs read."""

    exit_code = ExitCode.REFUSED

    def __init__(self, reason: Reason, message: str, *, state: str = "", remedy: str = "") -> None:
        super().__init__(message, state=state, remedy=remedy)
        self.reason = reason


class AuditLogFailed(TwokeyError):
    """The audit log cannot be written. Not a ``Failed``: no code may catch it and go on with the next effect."""


class Failed(TwokeyError):
    """An error kept twokey from what was requested."""


class Stopped(Failed):
    """The run was stopped before this user's turn, or while it waited."""

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
    """A conditional write found that another run wrote first. This run's lease is lost."""


class DeliveryFailed(Failed):
    """CURRENT could not be delivered to at least one destination."""


class NotVerified(Failed):
    """The created key did not authenticate in time."""


class HookFailed(Failed):
    """A program that the operator has configured around a rotation failed, and the rotation depends on it."""


class ServiceError(Failed):
    """A service responded with an error, or not at all."""


class AccessDenied(ServiceError):
    """The credentials are valid, but a permission is missing."""

    def __init__(self, action: str, resource: str, *, remedy: str = "") -> None:
        super().__init__(
            f"Access denied: {action} on {resource}.",
            remedy=remedy or f"Allow {action} on it for the principal that runs twokey.",
        )
        self.action = action
        self.resource = resource


class BadCredentials(ServiceError):
    """The credentials that twokey runs with are missing, expired or unknown."""


class CredentialsUnavailable(BadCredentials):
    """twokey's own credentials could not be had where they are configured: nothing was sent with them."""


class NotFound(ServiceError):
    """The requested thing does not exist."""


class Throttled(ServiceError):
    """The service asked to slow down; the request had no effect."""


class ServiceRejected(ServiceError):
    """The service refused the request; it had no effect."""


class ChainTooLong(ServiceRejected):
    """A session of a role that is assumed with the credentials of another role lasts an hour at most."""


class Unreachable(ServiceError):
    """No connection could be made; nothing was sent."""


class Ambiguous(ServiceError):
    """The response is missing or unclear: an effect may have taken place. ``state`` says so where none can have."""


def unforeseen(name: str, error: Exception, *, reading: bool = False) -> Ambiguous:
    """Return what an exception means that no destination may raise. ``reading``: nothing can have been written.

    Its text may hold anything, even a secret, and is shown only where twokey has made it.
    """
    state = "" if reading else "Whether anything was written there is unknown."
    if isinstance(error, InvalidValue):
        return Ambiguous(
            f"{name}: the code that reads or writes it has a bug ({error}).",
            state=state,
            remedy=f"Report this message, which holds no secret, to {_MAINTAINERS}.",
        )
    return Ambiguous(
        f"{name}: the code that reads or writes it has a bug, or received what it does not expect ({origin(error)}).",
        state=state,
        remedy="If it has a connection, check that the connection's url is that of the service, in a version that "
        "twokey supports. Then run again. If the error persists, report this message, which holds no secret, to "
        f"{_MAINTAINERS}.",
    )


@contextmanager
def foreseen(name: str, *, reading: bool = False) -> Iterator[None]:
    """Turn an exception that no destination may raise into what ``unforeseen`` returns. ``TwokeyError`` passes."""
    try:
        yield
    except TwokeyError:
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, the code of the destination has a bug
        raise unforeseen(name, error, reading=reading) from None


_MAINTAINERS = "the maintainers of twokey, or of the package that adds this kind of destination"


def origin(error: BaseException) -> str:
    """Return an exception's type and the line of code that raised it, which tell a maintainer what is wrong."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" at {frames[-1].name}, line {frames[-1].lineno} of {PurePath(frames[-1].filename).name}" if frames else ""
    return f"{type(error).__name__}{at}"
