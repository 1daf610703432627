"""What the engine needs from outside: time, IAM, STS. ``twokey.aws`` provides them; tests provide others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from twokey.core.model import AccessKey, Deactivation, LastUse, MachineUser, RoleRequest
    from twokey.core.secret import Credential, Hidden, SessionCredential


class Clock(Protocol):
    """Time as the services report it; this machine's own clock decides nothing."""

    def now(self) -> datetime:
        """Return the services' time (UTC), never later than it really is."""
        ...

    def skew(self) -> timedelta:
        """Return how far this machine's clock is ahead of the services' (negative: behind)."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never jumps."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Iam(Protocol):
    """The calls to IAM for one account. Each raises the errors of ``twokey.core.errors``."""

    def keys(self, user: str) -> tuple[AccessKey, ...]:
        """List a user's access keys, every page."""
        ...

    def last_use(self, key_id: str) -> LastUse:
        """Say when a key was last used, as far as IAM knows."""
        ...

    def may_create(self, user: MachineUser) -> bool | None:
        """Say whether this principal may create a key for the user; None if that is unknown."""
        ...

    def create_key(self, user: str, just_before: Callable[[], None] = ...) -> tuple[AccessKey, Credential]:
        """Create a key with exactly one request. ``Throttled`` and ``ServiceRejected`` prove that none was made.

        ``just_before`` is called each time before the request is sent, after all waiting for its turn (it is sent
        again only after a throttling response). It may raise: then nothing is sent, and the error propagates.
        By default it does nothing.
        """
        ...

    def deactivate_key(self, user: str, key_id: str) -> Deactivation:
        """Make a key Inactive. Raises ``NotFound`` if IAM does not know it, but not after a lost response."""
        ...

    def delete_key(self, user: str, key_id: str) -> bool:
        """Delete a key. True: this call deleted it. False: IAM says that there is no such key, or no such user.

        False proves that the key is gone only if the key is older than about a minute: until then one of IAM's
        servers may not know it yet. False is also returned if the response to an attempt was lost and the next attempt
        found no key.
        """
        ...


class Sts(Protocol):
    """The calls to STS."""

    def identity_of(self, credential: Credential, region: str | None = None) -> tuple[str, str] | None:
        """Return account and ARN that the credential authenticates as, or None if it does not (yet)."""
        ...

    def credentials_left(self) -> float:
        """Return for how many seconds twokey's own credentials are valid, if possible renewed; infinite if unknown."""
        ...

    def reach(self, region: str) -> None:
        """Raise a ``ServiceError`` unless this region accepts twokey's own credentials."""
        ...


class Roles(Protocol):
    """The calls to STS that provide a job with credentials. Each raises the errors of ``twokey.core.errors``."""

    def own(self) -> Credential:
        """Return the credentials that the AWS SDKs find, renewed where they can be."""
        ...

    def account(self, credential: Credential) -> tuple[str, str]:
        """Return the account that the credentials belong to, and the partition of AWS, such as ``aws``."""
        ...

    def assume(self, request: RoleRequest, credential: Credential) -> SessionCredential:
        """Assume a role with these credentials. Raises ``ChainTooLong`` where only the duration is in the way."""
        ...

    def assume_with_token(self, request: RoleRequest, token: Hidden) -> SessionCredential:
        """Assume a role with the token of an OIDC provider, without any key."""
        ...
