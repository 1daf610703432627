"""A chain of roles: the first is assumed with the source's credentials or an OIDC token, each other with those before.

Only the last session is for the job. Those before it live for 15 minutes, the shortest time that STS offers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from twokey.core import durations
from twokey.core.errors import ChainTooLong, UsageError
from twokey.core.model import RoleRequest
from twokey.jobs.credentials import Provided
from twokey.jobs.session_options import DEFAULT, SHORTEST, Role, SessionOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.core.ports import Roles
    from twokey.core.secret import Credential, Hidden, SessionCredential
    from twokey.jobs.credentials import CredentialSource

CHAINED = timedelta(hours=1)
"""The longest session of a role that is assumed with another role's credentials ("AssumeRole", STS API Reference)."""


class TokenSource(Protocol):
    """Provides OIDC tokens, a fresh one at each call. Raises the errors of ``twokey.core.errors``."""

    def token(self) -> Hidden:
        """Return a token of the CI system for this job."""
        ...

    def claims(self, token: Hidden) -> str:
        """Return what a trust policy may ask of a token, for a message."""
        ...


@dataclass(slots=True)
class RoleChain:
    """Assumes the roles again at each ``read``, with what the source provides then."""

    source: CredentialSource | None
    roles: Sequence[Role]
    options: SessionOptions
    sts: Roles
    notify: Callable[[str], None]
    tokens: TokenSource | None = None
    _account: tuple[str, str] | None = None
    _notified: set[str] = field(default_factory=set)

    def read(self) -> Provided:
        """Return a session of the last role."""
        held: Credential | None = self.source.credential() if self.source else None
        session = None
        for index, role in enumerate(self.roles):
            request = self._request(index, role, held)
            session = held = self._assume(request, held)
        if session is None or session.expires is None:
            raise UsageError("expected at least one role.", remedy="Add --role.")
        return Provided(session, session.expires, session.expires)

    def _assume(self, request: RoleRequest, held: Credential | None) -> SessionCredential:
        if held is None:
            if self.tokens is None:
                raise UsageError("expected a source of credentials.")
            token = self.tokens.token()
            return self.sts.assume_with_token(replace(request, claims=self.tokens.claims(token)), token)
        try:
            return self.sts.assume(request, held)
        except ChainTooLong:
            # The source's credentials are those of a role, which only AWS knows for sure.
            self._say_cut(request.seconds)
            return self.sts.assume(replace(request, seconds=int(CHAINED.total_seconds())), held)

    def _request(self, index: int, role: Role, held: Credential | None) -> RoleRequest:
        last = index == len(self.roles) - 1
        duration = (self.options.duration or role.duration or DEFAULT) if last else SHORTEST
        if index and duration > CHAINED:
            self._say_cut(int(duration.total_seconds()))
            duration = CHAINED
        return RoleRequest(
            arn=role.name if role.is_arn else self._arn(role, held),
            session_name=self.options.session_name,
            seconds=int(duration.total_seconds()),
            external_id=role.external_id or self.options.external_id,
            # It stays with all further sessions, and none of them may change it.
            source_identity="" if index else self.options.source_identity,
            tags=self.options.tags if last else (),
            policy=self.options.policy if last else "",
        )

    def _arn(self, role: Role, held: Credential | None) -> str:
        if self._account is None:
            if held is None:  # the first role, with an OIDC token
                raise UsageError(
                    f"--role: {role.name} is a name, and without a key its account is not known.",
                    remedy="Write the ARN of the role, or an entry of roles: in twokey.yaml.",
                )
            self._account = self.sts.account(held)
        account, partition = self._account
        return f"arn:{partition}:iam::{account}:role/{role.name}"

    def _say_cut(self, seconds: int) -> None:
        message = (
            f"The session lasts 1h, not {durations.exact(timedelta(seconds=seconds))}: AWS limits a role that is "
            "assumed with the credentials of another role."
        )
        if message not in self._notified:
            self._notified.add(message)
            self.notify(message)
