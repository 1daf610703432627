"""Removes the policies that ended sessions, once the longest session that they deny is over.

Nothing is remembered for it: a policy's own cut-off says when that is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from twokey.core.errors import ServiceError
from twokey.core.timestamps import utc
from twokey.revocation import token_policies
from twokey.revocation.reached import SessionsOfUsers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from twokey.core.model import MachineUser
    from twokey.permissions.account import Account, Principal
    from twokey.revocation.sessions import InlinePolicies
    from twokey.revocation.token_policies import Deny


@dataclass(frozen=True, slots=True)
class Lift:
    """The policies of ours on a user or role, and when the last session that one of them denies is over."""

    principal: Principal
    denies: tuple[Deny, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class LiftResult:
    """What became of the policies on a user or role, whose ARN is ``principal``.

    ``lifted``: they were removed. ``due``: they would be. ``refused``: sessions that they deny may still exist, until
    ``until``; nothing was changed. ``failed``: an error kept twokey from it.
    """

    account: str
    principal: str
    outcome: Literal["lifted", "due", "refused", "failed"]
    until: datetime
    policies: tuple[str, ...]
    message: str


def found(account: Account, users: Sequence[MachineUser] | None) -> tuple[Lift, ...]:
    """Return what has policies of ours: these users and the roles that they reach, or the whole account (None)."""
    return tuple(one for principal in _principals(account, users) if (one := _lift(principal)))


def _principals(account: Account, users: Sequence[MachineUser] | None) -> Iterable[Principal]:
    if users is None:
        return (*account.users, *account.roles)
    whose = SessionsOfUsers(account)
    reached = {one.principal.arn: one.principal for user in users for one in whose.of(user).reached}
    return reached.values()


def _lift(principal: Principal) -> Lift | None:
    denies = token_policies.of(principal)
    if not denies:
        return None
    return Lift(principal, denies, denies[-1].cutoff + token_policies.LONGEST[principal.kind])


def plan(one: Lift, now: datetime) -> LiftResult:
    """Say whether the policies may be removed: only if no session that they deny can exist any more."""
    principal, names = one.principal, tuple(deny.name for deny in one.denies)
    whose = f"the {principal.kind} {principal.name}"
    if now < one.until:
        message = (
            f"Sessions of {whose} from before {utc(one.denies[-1].cutoff)} may exist until {utc(one.until)}, and the "
            "policy denies only these: nothing was changed. Run the command again after that."
        )
        return LiftResult(principal.account, principal.arn, "refused", one.until, names, message)
    message = f"No session of {whose} that was denied can exist any more: the policy is removed."
    return LiftResult(principal.account, principal.arn, "due", one.until, names, message)


def lift(one: Lift, now: datetime, iam: InlinePolicies) -> LiftResult:
    """Remove the policies if that may be done; else refuse, and change nothing."""
    planned, principal = plan(one, now), one.principal
    if planned.outcome != "due":
        return planned
    for name in planned.policies:
        try:
            iam.delete_inline_policy(principal.kind, principal.name, name)
        except ServiceError as error:
            message = f"The policy {name} was not removed from {principal.name}. It denies nothing any more. {error}"
            return replace(planned, outcome="failed", message=message)
    return replace(planned, outcome="lifted", message=planned.message.replace("is removed", "was removed"))
