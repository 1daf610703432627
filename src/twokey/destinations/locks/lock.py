"""What a lock is: a small value without a secret, which is written only if it is still what was read.

A run that takes a lock writes its lease there with a fence, a random name that no other write has. From then on, a
run that took the lock earlier finds another fence, and writes nothing any more.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import msgspec

from twokey.core.decoding import decoder
from twokey.core.errors import Ambiguous, Conflict, ServiceError, ServiceRejected
from twokey.core.journal import Lease

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.destinations.address import Address
    from twokey.destinations.kind import AwsScope, DestinationContext, Permission, Resources


@dataclass(frozen=True, slots=True)
class Content:
    """What a lock holds: the fence, and the epoch and the lease of the run that wrote it. It never holds a secret.

    ``tag`` is what the service calls this content, if a condition refers to it by that.
    """

    epoch: int
    lease: Lease | None = None
    fence: str = field(default_factory=lambda: uuid.uuid4().hex)
    tag: str = field(default="", compare=False)


class Lock(Protocol):
    """One user's lock. Raises the errors of ``twokey.core.errors``."""

    name: str
    """The URL, its fields filled in."""

    def read(self) -> Content | None:
        """Return what the lock holds now, never an earlier value; None if it was never taken."""
        ...

    def replace(self, seen: Content | None, content: Content) -> Content:
        """Write ``content`` if the lock still holds what was seen, and return it as it is held.

        Raises ``Conflict`` if another run was first, or if the lock was deleted meanwhile.

        If no response shows whether it was written, the lock is read: ``Ambiguous`` is raised only if that does not
        show it either.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LockKind:
    """One kind of lock; the fields mean what they mean in ``twokey.destinations.kind.Kind``."""

    scheme: str
    check: Callable[[Address], None]
    open: Callable[[Address, DestinationContext], Lock]
    permissions: tuple[Permission, ...]
    resources: Callable[[Address, AwsScope], Resources]


def settled(lock: Lock, seen: Content | None, content: Content, error: ServiceError) -> Content:
    """Return what was written where the lock shows it after a write that failed; raise what the failure means if not.

    Call it for an error that says that the condition failed, and for one that says nothing.
    """
    try:
        now = lock.read()
    except ServiceError as later:
        raise (error if isinstance(error, Ambiguous) else later) from None
    fence = now.fence if now else ""
    if now is not None and fence == content.fence:
        return now
    if isinstance(error, Ambiguous) and fence == (seen.fence if seen else ""):
        raise error
    raise taken(lock, now)


def taken(lock: Lock, now: Content | None) -> Conflict:
    """Return the error for a lock that another run has written since."""
    by = f" (process {now.lease.process} on {now.lease.host.split(maxsplit=1)[0]})" if now and now.lease else ""
    return Conflict(
        f"Another run{by} has taken the lock {lock.name}.",
        state="This run wrote nothing since.",
        remedy="Wait for that run, then run again.",
    )


def encoded(lease: Lease | None) -> str:
    """Return a lease as text."""
    return msgspec.json.encode(lease).decode()


def decoded(text: str, name: str) -> Lease | None:
    """Read a lease; raises ``ServiceRejected`` for a text that twokey did not write."""
    try:
        return decoder(Lease).decode(text) if text != "null" else None
    except (msgspec.DecodeError, UnicodeError):
        raise not_a_lock(name) from None


def not_a_lock(name: str) -> ServiceRejected:
    """Return the error for a value that twokey did not write."""
    return ServiceRejected(
        f"The lock {name} holds a value that twokey did not write.",
        state="Nothing was changed.",
        remedy="Name another lock, or delete that value if no other program uses it.",
    )
