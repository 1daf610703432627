"""Ends the sessions that a leaked key may have made: they outlive the key, by up to 36 hours.

Each user and role that the key's user reaches gets an inline policy that denies everything to sessions from before a
cut-off. Nothing is undone where one of them cannot be changed: what is left to do is reported, with the policy.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from twokey.core.errors import NotFound, ServiceError
from twokey.core.timestamps import utc
from twokey.revocation import token_policies
from twokey.revocation.reached import Picture, Reached, Sessions, bare

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from twokey.core.model import MachineUser
    from twokey.permissions.account import Account, Principal
    from twokey.revocation.reached import Elsewhere
    from twokey.revocation.token_policies import Deny

_TOO_LARGE = "LimitExceeded"


class InlinePolicies(Protocol):
    """The calls to IAM for inline policies. Each raises a ``ServiceError``."""

    def put_inline_policy(self, kind: Literal["user", "role"], name: str, policy: str, document: str) -> None:
        """Put an inline policy on a user or role."""
        ...

    def delete_inline_policy(self, kind: Literal["user", "role"], name: str, policy: str) -> bool:
        """Delete an inline policy; return False if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class SessionResult:
    """What became of the sessions of a role, or of the user itself: ``role`` is the ARN, or a pattern of ARNs.

    ``ended``: sessions from before the cut-off are denied everything; ``policy`` is the name of the policy that does.
    ``denied``: they could not be ended; ``policy`` is the document to put there.
    ``kept``: they were left alone, because that was requested, or because it is unknown whether there are any.
    """

    role: str
    outcome: Literal["ended", "kept", "denied"]
    policy: str = ""
    message: str = ""


def sessions(account: Account | None, user: MachineUser) -> Sessions:
    """Return whose sessions a key of the user may have made; without the account, only the user itself is known."""
    return Picture(account).sessions(user) if account else Sessions(user, (Reached(bare(user)),))


def end_sessions(
    account: Account | None,
    user: MachineUser,
    cutoff: datetime,
    iam: InlinePolicies,
    *,
    own_arn: str = "",
    replacing: Sequence[SessionResult] = (),
) -> tuple[SessionResult, ...]:
    """End the sessions from before the cut-off: of the user, and of every role that it reaches.

    ``account``: None where it cannot be read; then the roles are unknown. ``own_arn``: who runs twokey; its own session
    is not ended. ``replacing``: what an earlier call of this run did, whose policies have an earlier cut-off.
    """
    results = end(sessions(account, user), cutoff, iam, own_arn=own_arn, replacing=replacing)
    if account is not None:
        return results
    start = user.arn.partition(":user/")[0]
    return (
        *results,
        SessionResult(
            f"{start}:role/*",
            "denied",
            token_policies.document(token_policies.deny(cutoff)),
            f"Which roles {user.name} can assume is unknown, so their sessions were not ended. Allow "
            "iam:GetAccountAuthorizationDetails for the principal that runs twokey, and run again.",
        ),
    )


def end(
    sessions: Sessions,
    cutoff: datetime,
    iam: InlinePolicies,
    *,
    own_arn: str = "",
    replacing: Sequence[SessionResult] = (),
) -> tuple[SessionResult, ...]:
    """Do the same for what is known already. The user is first: its sessions then assume no more roles."""
    deny = token_policies.deny(cutoff)
    earlier = {one.role: one.policy for one in replacing if one.outcome == "ended"}
    found = [_end(one, deny, iam, own_arn, earlier.get(one.principal.arn, "")) for one in sessions.reached]
    return (*found, *(_elsewhere(one, deny) for one in sessions.elsewhere))


def kept(sessions: Sessions) -> tuple[SessionResult, ...]:
    """Return the results where the operator keeps the sessions."""
    return tuple(
        SessionResult(one.principal.arn, "kept", message="--keep-sessions: sessions that the key made still work.")
        for one in sessions.reached
    )


def _end(reached: Reached, deny: Deny, iam: InlinePolicies, own_arn: str, earlier: str) -> SessionResult:
    principal, document = reached.principal, token_policies.document(deny)
    if reached.protected:
        return SessionResult(principal.arn, "denied", document, reached.protected)
    if _runs_as(own_arn, principal):
        message = (
            f"twokey itself runs with a session of the role {principal.name}, which {_by(reached)} can assume: ending "
            f"it would end this run. End its sessions with other credentials: {_command(principal, deny)}"
        )
        return SessionResult(principal.arn, "denied", document, message)
    present = token_policies.of(principal)
    later = next((one for one in present if one.cutoff >= deny.cutoff), None)
    if later is not None:
        return SessionResult(principal.arn, "ended", later.name, _ended(later))
    try:
        iam.put_inline_policy(principal.kind, principal.name, deny.name, document)
    except NotFound:
        return SessionResult(principal.arn, "ended", message=f"{_name(principal)} does not exist any more.")
    except ServiceError as error:
        return SessionResult(principal.arn, "denied", document, _not_put(error, principal, deny))
    over = dict.fromkeys((*(one.name for one in present), *([earlier] if earlier else [])))
    left = " ".join(_remove(iam, principal, name) for name in over if name != deny.name)
    return SessionResult(principal.arn, "ended", deny.name, f"{_ended(deny)} {left}".strip())


def _remove(iam: InlinePolicies, principal: Principal, name: str) -> str:
    """Remove a policy whose cut-off is earlier than that of another; return what went wrong."""
    try:
        iam.delete_inline_policy(principal.kind, principal.name, name)
    except ServiceError as error:
        return f"The earlier policy {name} is still there, and changes nothing: {error}"
    return ""


def _runs_as(own_arn: str, principal: Principal) -> bool:
    """Whether an ARN is that of a session of the role."""
    service, _, name = own_arn.partition(":assumed-role/")
    return (
        bool(name)
        and principal.kind == "role"
        and ((service.split(":")[4], name.partition("/")[0]) == (principal.account, principal.name))
    )


def _ended(deny: Deny) -> str:
    return f"Every session from before {utc(deny.cutoff)} is denied everything."


def _not_put(error: ServiceError, principal: Principal, deny: Deny) -> str:
    whose = _name(principal)
    if _TOO_LARGE in error.message:
        return (
            f"{whose} has no room for another inline policy: {error.message} Its sessions still work. Put the policy "
            f"into a managed policy and attach that to it, or shorten its inline policies, and then: "
            f"{_command(principal, deny)}"
        )
    return f"The sessions of {_lower(whose)} were not ended: {error} To end them: {_command(principal, deny)}"


def _command(principal: Principal, deny: Deny) -> str:
    """Return the command that puts the policy."""
    document = shlex.quote(token_policies.document(deny))
    name = shlex.quote(principal.name)
    return (
        f"aws iam put-{principal.kind}-policy --{principal.kind}-name {name} --policy-name {deny.name} "
        f"--policy-document {document}"
    )


def _elsewhere(one: Elsewhere, deny: Deny) -> SessionResult:
    document = token_policies.document(deny)
    if not one.certain:
        message = (
            f"{one.by} may assume {_roles(one.pattern)}, if they trust it. Which do is known in those accounts only: "
            "twokey trace shows which were assumed. Put the policy on each."
        )
        return SessionResult(one.pattern, "kept", document, message)
    account = one.pattern.split(":")[4]
    message = (
        f"{one.by} may assume {one.pattern}, which is in another account: its sessions were not ended. Put the policy "
        f"on it with credentials of account {account}."
    )
    return SessionResult(one.pattern, "denied", document, message)


def preview(sessions: Sessions) -> Iterator[str]:
    """Yield what ending the sessions does, for the operator to see before it is done."""
    roles = [one for one in sessions.reached if one.principal.kind == "role"]
    names = ", ".join(one.principal.name for one in roles if not one.protected)
    whose = f"the user {sessions.user.name}" + (f" and of {_count(len(roles), 'role')} ({names})" if names else "")
    yield f"Sessions of {whose} from before now are denied everything; new ones work."
    for one in roles:
        also = _listed([*(f"the user {name}" for name in one.users), *one.others])
        if also and not one.protected:
            yield f"Sessions of the role {one.principal.name} end for {also}, too: they need new ones."
        if one.protected:
            yield f"Sessions of the role {one.principal.name} go on. {one.protected}"
    for other in sessions.elsewhere:
        yield f"Sessions of {_roles(other.pattern)} go on: {other.by} may assume them, and twokey cannot change them."


def _roles(pattern: str) -> str:
    """Name the roles of other accounts that match a pattern."""
    return f"roles of other accounts that match {pattern}" if pattern.strip("*:") else "roles of other accounts"


SHOWN = 5
"""How many of a role's other users are named."""


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _by(reached: Reached) -> str:
    return reached.via[-1] if reached.via else "the user of the key"


def _name(principal: Principal) -> str:
    return f"The {principal.kind} {principal.name}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
