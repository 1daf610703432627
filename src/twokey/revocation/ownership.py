"""Whose an access key is: its account, its user, its role, and what holds it. Reads only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from twokey.core.errors import AccessDenied, BadCredentials, NotFound, ServiceError, UsageError
from twokey.core.model import AccessKey, LastUse, account_of
from twokey.inventory.decision import FoundKey, with_roles
from twokey.inventory.report import holders
from twokey.reports.status import role as role_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from twokey.aws.iam import Iam
    from twokey.aws.sts import Sts
    from twokey.inventory.audit import Members
    from twokey.inventory.decision import Managed
    from twokey.reports.trace import Role

TEMPORARY = "ASIA"
"""How the ids of the keys of sessions begin ("IAM identifiers", IAM User Guide)."""


NO_USE = LastUse(None)


@dataclass(frozen=True, slots=True)
class Owner:
    """What is known of a key in the account of the credentials in use. ``user`` is None where IAM names none."""

    user: str | None = None
    key: AccessKey | None = None
    last_use: LastUse = NO_USE
    role: Role = "unknown"
    held_by: tuple[str, ...] = ()
    revoked: bool = False
    notes: tuple[str, ...] = ()


def account(sts: Sts, key_id: str) -> tuple[str | None, str]:
    """Return the account of a key, and, if STS does not say it, why.

    Then it is the number that the id carries, which is no proof: the ids of old keys carry none.
    """
    try:
        return sts.account_of(key_id), ""
    except BadCredentials:
        raise
    except ServiceError as error:
        carried = account_of(key_id)
        if carried is None:
            return None, f"Which account the key belongs to is unknown: {error}"
        return carried, f"The account {carried} is what the key's ID carries, unless the key is an old one: {error}"


def owner(iam: Iam, key_id: str, members: Members, now: Callable[[], datetime]) -> Owner:
    """Return what IAM and the stores say of a key of this account."""
    if key_id.startswith(TEMPORARY):
        return Owner(notes=("The key is that of a session: IAM does not list it. Its events say who used it.",))
    try:
        name = iam.owner(key_id)
        use = iam.last_use(key_id) if name else NO_USE
    except BadCredentials:
        raise
    except ServiceError as error:
        missing = " IAM denies this also for a key that no longer exists." if isinstance(error, AccessDenied) else ""
        return Owner(notes=(f"The user of the key is unknown: {error}{missing}",))
    if name is None:
        return Owner(notes=("IAM knows no user of this key: it was deleted, or is one of the root user.",))
    return _of(iam, name, key_id, use, members, now)


def _of(iam: Iam, name: str, key_id: str, use: LastUse, members: Members, now: Callable[[], datetime]) -> Owner:
    try:
        keys = iam.keys(name)
    except NotFound:
        return Owner(name, last_use=use, notes=(f"IAM no longer has the user {name}.",))
    except ServiceError as error:
        return Owner(name, last_use=use, notes=(f"The keys of {name} cannot be listed: {error}",))
    key = next((one for one in keys if one.id == key_id), None)
    if key is None:
        return Owner(name, last_use=use, notes=(f"{name} has no such key any more.",))
    return _with_managed(Owner(name, key, use), iam, keys, members, now)


def _with_managed(
    owner: Owner, iam: Iam, keys: Sequence[AccessKey], members: Members, now: Callable[[], datetime]
) -> Owner:
    """Return the owner with the role of the key, if the configuration covers the user and its store can be read."""
    try:
        managed = next(iter(members([iam.user(str(owner.user))])), None)
    except (ServiceError, UsageError) as error:
        return replace(owner, notes=(f"The role of the key is unknown: {error}",))
    if managed is None:
        return replace(owner, role="unmanaged")
    if managed.why:
        return replace(owner, notes=(f"The role of the key is unknown: {managed.why}",))
    return _with_role(owner, managed, keys, now())


def _with_role(owner: Owner, managed: Managed, keys: Sequence[AccessKey], now: datetime) -> Owner:
    key, use = owner.key, owner.last_use
    found = [FoundKey(one.id, one.active, one.created, use if one == key else NO_USE) for one in keys]
    assessment = with_roles(managed, found, now)
    if assessment is None or key is None:
        return owner
    role = role_of(assessment, key)
    if role == "removed":  # decided earlier, and Inactive until its soak is over
        role = "last" if assessment.journal.last == key.id else "unmanaged"
    held_by = tuple(holders(assessment, key.id))
    return replace(owner, role=role, held_by=held_by, revoked=key.id in assessment.revoked)
