"""The policy that ends sessions: it denies everything to each session that was issued before a cut-off.

A request that is signed with an access key has no ``aws:TokenIssueTime``, so the policy never applies to keys. twokey
never changes such a policy: its cut-off is in its name. A later cut-off is another policy, and only when that is there,
the earlier one is removed; so no two runs can move a cut-off back, whatever the order of their requests.

Sources: "Disabling permissions for temporary security credentials", "Revoke IAM role temporary security credentials"
and "aws:TokenIssueTime" (IAM User Guide).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from twokey.core.timestamps import compact, next_second, of_compact, utc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.permissions.account import Principal

PREFIX = "twokey-revoke-"
"""How the names of these policies begin, and of no other policy."""
LONGEST = {"user": timedelta(hours=36), "role": timedelta(hours=12)}
"""How long a session lasts at most: of GetSessionToken and GetFederationToken for a user, else of AssumeRole.

For a role this is the maximum of IAM, not the role's own ``MaxSessionDuration``: that one may have been lowered since,
and it does not limit a console session that was made from the role's credentials ("Enable custom identity broker access
to the AWS console", IAM User Guide).
"""


@dataclass(frozen=True, slots=True)
class Deny:
    """A policy of ours on a user or role: sessions that were issued before the cut-off are denied everything."""

    name: str
    cutoff: datetime


def deny(cutoff: datetime) -> Deny:
    """Return the policy for a cut-off, rounded up to a whole second: the resolution of ``aws:TokenIssueTime``."""
    at = next_second(cutoff)
    return Deny(f"{PREFIX}{compact(at)}", at)


def named(name: str) -> tuple[Deny, ...]:
    """Return the policy of ours that has this name; none for any other name."""
    at = of_compact(name.removeprefix(PREFIX))
    return (deny(at),) if at else ()


def document(one: Deny) -> str:
    """Return the document as short as possible: the size of all inline policies together is limited."""
    return json.dumps(_document(utc(one.cutoff)), separators=(",", ":"))


def _document(cutoff: str) -> dict[str, Any]:
    condition = {"DateLessThan": {"aws:TokenIssueTime": cutoff}}
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    return {"Version": "2012-10-17", "Statement": [statement]}


def of(principal: Principal) -> tuple[Deny, ...]:
    """Return the policies of ours that a user or role has, the earliest cut-off first.

    One with such a name and another content was changed by another program: it is not ours any more.
    """
    found = []
    for policy in principal.policies:
        if policy.how == "inline policy" and policy.name.startswith(PREFIX):
            cutoff = _cutoff(policy.document)
            if cutoff is not None:
                found.append(Deny(policy.name, cutoff))
    return tuple(sorted(found, key=lambda one: (one.cutoff, one.name)))


def _cutoff(found: Mapping[str, Any]) -> datetime | None:
    try:
        text = str(found["Statement"][0]["Condition"]["DateLessThan"]["aws:TokenIssueTime"])
        moment = datetime.fromisoformat(text)
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    if moment.tzinfo is None or dict(found) != _document(text):
        return None
    return moment.astimezone(UTC)
