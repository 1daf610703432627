"""Callers: users, sessions of roles and sessions of users, with the policies that apply to each."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twokey.emulator import partition
from twokey.permissions.evaluate import Layers

if TYPE_CHECKING:
    from datetime import datetime

    from twokey.emulator.keyring import Key


@dataclass(frozen=True)
class Session:
    """Temporary credentials. `kind` is `role`, `user` (GetSessionToken) or `federated` (GetFederationToken)."""

    kind: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    token: str = field(repr=False)
    account: str
    principal: Any  # moto's role, or the user that requested the session
    name: str
    issued: datetime
    expires: datetime
    policies: tuple[str, ...] | None = None  # session policies


@dataclass(frozen=True)
class Caller:
    """The authenticated sender of a request. `user` is moto's user, or None for roles and federated users."""

    account: str
    access_key_id: str
    arn: str
    user_id: str
    user: Any = None
    session: Session | None = None

    @property
    def principal_arn(self) -> str:
        """The `aws:PrincipalArn`: for a session of a role, the ARN of the role."""
        if self.session is not None and self.session.kind == "role":
            return str(self.session.principal.arn)
        return self.arn


def user_caller(entry: Key) -> Caller:
    """The user whose long-term key signed the request."""
    return Caller(entry.account, entry.id, str(entry.user.arn), str(entry.user.id), entry.user)


def session_caller(session: Session) -> Caller:
    """The session whose temporary key signed the request."""
    principal, account, key_id = session.principal, session.account, session.access_key_id
    if session.kind == "user":
        return Caller(account, key_id, str(principal.arn), str(principal.id), principal, session)
    if session.kind == "federated":
        arn = partition.arn("sts", "", account, f"federated-user/{session.name}")
        return Caller(account, key_id, arn, f"{account}:{session.name}", None, session)
    arn = partition.arn("sts", "", account, f"assumed-role/{principal.name}/{session.name}")
    return Caller(account, key_id, arn, f"{principal.id}:{session.name}", None, session)


class Sessions:
    """The temporary credentials that STS issued. They outlive the key that requested them."""

    def __init__(self) -> None:
        """Start empty."""
        self._sessions: dict[str, Session] = {}

    def find(self, access_key_id: str) -> Session | None:
        """The session of a temporary key, expired or not."""
        return self._sessions.get(access_key_id)

    def issue(
        self,
        *,
        kind: str,
        account: str,
        principal: Any,
        name: str,
        issued: datetime,
        expires: datetime,
        policies: tuple[str, ...] | None,
    ) -> Session:
        """Create temporary credentials. Their id encodes the number of the account, as AWS's ids do."""
        from moto.iam.utils import generate_access_key_id_from_account_id

        key_id = generate_access_key_id_from_account_id(account, prefix="ASIA", total_length=20)
        session = Session(
            kind=kind,
            access_key_id=key_id,
            secret_access_key=secrets.token_urlsafe(30),
            token="IQoJb3JpZ2lu" + secrets.token_urlsafe(150),
            account=account,
            principal=principal,
            name=name,
            issued=issued,
            expires=expires,
            policies=policies,
        )
        self._sessions[key_id] = session
        return session


def layers_of(caller: Caller) -> Layers:
    """The policies that decide what the caller may do."""
    session = caller.session
    if session is None or session.kind == "user":
        return Layers(user_policies(caller.user), boundary=boundary_of(caller.account, caller.user))
    if session.kind == "federated":
        boundary = boundary_of(caller.account, session.principal)
        return Layers(user_policies(session.principal), session.policies or (), boundary)
    role = session.principal
    return Layers(entity_policies(role), session.policies, boundary_of(caller.account, role))


def user_policies(user: Any) -> tuple[str, ...]:
    """A user's inline, attached and group policies."""
    groups = [g for g in partition.iam_of(user.account_id).groups.values() if user in g.users]
    return entity_policies(user) + tuple(text for group in groups for text in entity_policies(group))


def entity_policies(entity: Any) -> tuple[str, ...]:
    """The inline and attached policies of a user, role or group of moto."""
    attached = (default_document(policy) for policy in entity.managed_policies.values())
    return (*(str(text) for text in entity.policies.values()), *attached)


def default_document(policy: Any) -> str:
    """The text of a managed policy's default version."""
    versions = (v for v in policy.versions if v.version_id == policy.default_version_id)
    return next((str(version.document) for version in versions), "")


def managed_document(account: str, arn: str) -> str:
    """The text of a managed policy of an account; empty, which allows nothing, if the policy does not exist."""
    policy = partition.iam_of(account).managed_policies.get(arn)
    return default_document(policy) if policy is not None else ""


def boundary_of(account: str, entity: Any) -> tuple[str, ...] | None:
    """The permissions boundary of a user or role."""
    arn = getattr(entity, "permissions_boundary_arn", None)
    return (managed_document(account, arn),) if arn else None
