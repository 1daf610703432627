"""Ends the sessions that a leaked key may have made: they outlive the key, by up to 36 hours.

Each user and role that the key's user reaches gets an inline policy that denies everything to sessions from before a
cut-off. Nothing is undone where one of them cannot be changed: what is left to do is reported, with the policy.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Literal, Protocol

from twokey.core.errors import NotFound, ServiceError
from twokey.core.timestamps import utc
from twokey.inventory.audit import concurrently
from twokey.revocation import token_policies
from twokey.revocation.results import SessionResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from twokey.permissions.account import Principal
    from twokey.revocation.reached import Elsewhere, Reached, Sessions
    from twokey.revocation.token_policies import Deny

AT_A_TIME = 8
"""Users or roles that are changed at a time; IAM's rate is the limit."""
_TOO_LARGE = "LimitExceeded"


class InlinePolicies(Protocol):
    """The calls to IAM for inline policies. Each raises a ``ServiceError``."""

    def put_inline_policy(self, kind: Literal["user", "role"], name: str, policy: str, document: str) -> None:
        """Put an inline policy on a user or role."""
        ...

    def delete_inline_policy(self, kind: Literal["user", "role"], name: str, policy: str) -> bool:
        """Delete an inline policy; return False if there is none."""
        ...


def end(
    all_sessions: Sequence[Sessions],
    cutoff: datetime,
    iam: InlinePolicies,
    *,
    own_arn: str = "",
    replacing: Mapping[str, SessionResult] | None = None,
) -> dict[str, SessionResult]:
    """End the sessions from before the cut-off, of each user and of every role that one of them reaches.

    Return the results by ARN, or by the pattern of ARNs. Users come first: their sessions then assume no more roles.
    Each role is changed once, whatever the number of its users. ``own_arn``: who runs twokey; its own session is not
    ended. ``replacing``: what an earlier call of this run did, whose policies have an earlier cut-off.
    """
    deny = token_policies.deny(cutoff)
    reached = {one.principal.arn: one for sessions in all_sessions for one in sessions.reached}
    earlier = {arn: one.policy for arn, one in (replacing or {}).items() if one.outcome == "ended"}
    found: dict[str, SessionResult] = {}
    for kind in ("user", "role"):
        arns = sorted(
            (arn for arn in reached if reached[arn].principal.kind == kind), key=lambda a: len(reached[a].via)
        )
        done = concurrently(lambda a: _end(reached[a], deny, iam, own_arn, earlier.get(a, "")), arns, AT_A_TIME)
        found.update(zip(arns, done, strict=True))
    for sessions in all_sessions:
        found.update({one.pattern: _elsewhere(one, deny) for one in sessions.elsewhere})
        if sessions.unknown:
            role = f"{sessions.user.arn.partition(':user/')[0]}:role/*"
            found[role] = SessionResult(role, "denied", token_policies.document(deny), _unknown(sessions))
    return found


def of(sessions: Sessions, found: Mapping[str, SessionResult]) -> tuple[SessionResult, ...]:
    """Return the results of one user out of those of all."""
    names = [one.principal.arn for one in sessions.reached] + [one.pattern for one in sessions.elsewhere]
    if sessions.unknown:
        names.append(f"{sessions.user.arn.partition(':user/')[0]}:role/*")
    return tuple(found[name] for name in names if name in found)


def kept(all_sessions: Sequence[Sessions]) -> dict[str, SessionResult]:
    """Return the results where the operator keeps the sessions."""
    message = "--keep-sessions: sessions that the key made still work."
    arns = [one.principal.arn for sessions in all_sessions for one in sessions.reached]
    return {arn: SessionResult(arn, "kept", message=message) for arn in arns}


def _unknown(sessions: Sessions) -> str:
    return (
        f"Which roles {sessions.user.name} can assume is unknown, so their sessions were not ended: {sessions.unknown} "
        "Then run again."
    )


def _end(reached: Reached, deny: Deny, iam: InlinePolicies, own_arn: str, earlier: str) -> SessionResult:
    principal, document = reached.principal, token_policies.document(deny)
    reason = _unchangeable(reached, deny, own_arn)
    if reason:
        return SessionResult(principal.arn, "denied", document, reason)
    present = [*token_policies.of(principal), *token_policies.named(earlier)]
    later = next((one for one in present if one.cutoff >= deny.cutoff), None)
    if later is not None:
        return SessionResult(principal.arn, "ended", later.name, _ended(later))
    try:
        iam.put_inline_policy(principal.kind, principal.name, deny.name, document)
    except NotFound:
        return SessionResult(principal.arn, "ended", message=f"{_name(principal)} does not exist any more.")
    except ServiceError as error:
        return SessionResult(principal.arn, "denied", document, _not_put(error, principal, deny))
    left = " ".join(filter(None, (_remove(iam, principal, name) for name in {one.name: None for one in present})))
    return SessionResult(principal.arn, "ended", deny.name, f"{_ended(deny)} {left}".strip())


def _unchangeable(reached: Reached, deny: Deny, own_arn: str) -> str:
    """Return why the user or role is not changed; empty if it is."""
    principal = reached.principal
    if _runs_as(own_arn, principal):
        leaked = "whose key has leaked" if principal.kind == "user" else "which the leaked key could assume"
        return (
            f"twokey itself runs with a session of the {principal.kind} {principal.name}, {leaked}: ending it would "
            f"end this run. End its sessions with other credentials: {_command(principal, deny)}"
        )
    return reached.protected


def _remove(iam: InlinePolicies, principal: Principal, name: str) -> str:
    """Remove a policy whose cut-off is earlier than that of another; return what went wrong."""
    try:
        iam.delete_inline_policy(principal.kind, principal.name, name)
    except ServiceError as error:
        return f"The earlier policy {name} is still there, and changes nothing: {error}"
    return ""


def _runs_as(own_arn: str, principal: Principal) -> bool:
    """Whether an ARN is that of a session of the user or role; one of GetSessionToken has the ARN of its user."""
    if principal.kind == "user":
        return own_arn == principal.arn
    service, _, name = own_arn.partition(":assumed-role/")
    return bool(name) and (service.split(":")[4], name.partition("/")[0]) == (principal.account, principal.name)


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
    return f"{error} To end the sessions of {_lower(whose)}: {_command(principal, deny)}"


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
    if len(roles) > EACH:
        yield from summary([sessions])
        return
    names = [one.principal.name for one in roles if not one.protected]
    whose = f"the user {sessions.user.name}"
    if names:
        whose += f" and of {_count(len(names), 'role')} ({', '.join(names)})"
    yield f"Sessions of {whose} from before now are denied everything; new ones work."
    for one in roles:
        users = [f"the user {name}" for name in one.users if name != sessions.user.name]
        also = _listed([*users, *one.others])
        if also and not one.protected:
            yield f"Sessions of the role {one.principal.name} end for {also}, too: they need new ones."
        if one.protected:
            yield f"Sessions of the role {one.principal.name} stay valid. {one.protected}"
    if sessions.unknown:
        yield f"Sessions of roles stay valid: which {sessions.user.name} can assume is unknown. {sessions.unknown}"
    for other in sessions.elsewhere:
        yield (
            f"Sessions of {_roles(other.pattern)} stay valid: {other.by} may assume them, "
            "and twokey cannot change them."
        )


def summary(all_sessions: Sequence[Sessions]) -> Iterator[str]:
    """Yield the same for many users, in numbers."""
    reached = {one.principal.arn: one for sessions in all_sessions for one in sessions.reached}
    roles = [one for one in reached.values() if one.principal.kind == "role"]
    leaked = {sessions.user.name for sessions in all_sessions}
    protected = [one.principal.name for one in roles if one.protected]
    yield (
        f"Sessions of {_count(len(leaked), 'user')} and of {_count(len(roles) - len(protected), 'role')} from before "
        "now are denied everything; new ones work."
    )
    users = {name for one in roles for name in one.users} - leaked
    others = {name for one in roles for name in one.others}
    if users or others:
        yield f"That also ends sessions of these roles for {_listed(sorted(users) + sorted(others))}."
    if protected:
        yield f"Sessions of {_listed(protected)} stay valid: only AWS can change these roles."
    elsewhere = {one.pattern for sessions in all_sessions for one in sessions.elsewhere}
    if elsewhere:
        yield f"Sessions of roles of other accounts stay valid: {_listed(sorted(elsewhere))}."
    unknown = next((sessions.unknown for sessions in all_sessions if sessions.unknown), "")
    if unknown:
        yield f"Sessions of roles stay valid: which the users can assume is unknown. {unknown}"


def _roles(pattern: str) -> str:
    """Name the roles of other accounts that match a pattern."""
    return f"roles of other accounts that match {pattern}" if pattern.strip("*:") else "roles of other accounts"


EACH = 10
"""Up to how many roles each is named with its other users."""
SHOWN = 5
"""How many of a role's other users are named."""


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _name(principal: Principal) -> str:
    return f"The {principal.kind} {principal.name}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
