"""Where the credentials of a job come from: a store, or what the AWS SDKs find.

A source is read again at each refresh. That is why a job of any length survives any number of rotations: a job that
reads a store at time t holds a key that works until t + grace, and before that it has read again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from twokey.core.commands import rotate_command
from twokey.core.errors import Failed, ServiceError
from twokey.core.secret import SessionCredential

if TYPE_CHECKING:
    from datetime import datetime

    from twokey.core.destination import Store
    from twokey.core.ports import Clock, Roles
    from twokey.core.secret import Credential

HOUR = timedelta(hours=1)
"""For how long a job may keep an access key before it asks again, if grace allows it."""
UNKNOWN_GRACE = timedelta(minutes=1)
"""For how long it may keep one whose grace cannot be read: an SDK asks again at every use."""


@dataclass(frozen=True, slots=True)
class Provided:
    """The credentials for a job, and until when it may use them without asking again.

    ``guaranteed`` is until when they are sure to work: the end of a session, or of the grace of an access key. None: it
    is not known.
    """

    credential: Credential
    expires: datetime
    guaranteed: datetime | None = None


class Source(Protocol):
    """Provides credentials, fresh ones at each call. Raises the errors of ``twokey.core.errors``."""

    def read(self) -> Provided:
        """Return credentials that work now and until they expire."""
        ...


class CredentialSource(Protocol):
    """Provides credentials that are used at once, to assume a role. Raises the errors of ``twokey.core.errors``."""

    def credential(self) -> Credential:
        """Return credentials that work now."""
        ...


@dataclass(frozen=True, slots=True)
class StoreSource:
    """CURRENT of a machine user. ``grace`` is the configured one; None if only the store's journal knows it."""

    store: Store
    clock: Clock
    user: str = ""
    grace: timedelta | None = None

    def read(self) -> Provided:
        """Return CURRENT; raises ``Failed`` if the store holds no key."""
        start = _earlier(self.clock)
        credential = self.credential()
        grace, known = self._grace_of(credential.access_key_id)
        return Provided(credential, start + min(HOUR, grace), start + grace if known else None)

    def credential(self) -> Credential:
        """Return CURRENT without its grace, which the journal may have to be read for; raises ``Failed`` as above."""
        credential = self.store.credential()
        if credential is None:
            whom = f" of {self.user}" if self.user else ""
            raise Failed(
                f"The store {self.store.name} holds no key{whom}.",
                remedy=f"Check the URL. For a user without a key: {rotate_command(self.user or 'USER')}.",
            )
        return credential

    def _grace_of(self, key_id: str) -> tuple[timedelta, bool]:
        """Return for how long the key works at least, and whether that is promised."""
        if self.grace is not None:
            return self.grace, True
        try:
            graces = self.store.load().journal.graces
        except ServiceError:
            return UNKNOWN_GRACE, False
        return graces.get(key_id, HOUR), key_id in graces


@dataclass(frozen=True, slots=True)
class OwnSource:
    """What the AWS SDKs find: variables, a profile, the role of the instance."""

    roles: Roles
    clock: Clock

    def read(self) -> Provided:
        """Return the credentials, renewed if they can be."""
        start = _earlier(self.clock)
        credential = self.credential()
        ends = credential.expires if isinstance(credential, SessionCredential) else None
        return Provided(credential, ends or start + HOUR, ends)

    def credential(self) -> Credential:
        """Return the credentials, renewed if they can be."""
        return self.roles.own()


def _earlier(clock: Clock) -> datetime:
    """Return the time by the services' clock or this machine's, whichever is earlier: SDKs compare with the latter."""
    return clock.now() + min(clock.skew(), timedelta(0))
