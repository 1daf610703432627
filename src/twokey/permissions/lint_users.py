"""Findings about a machine user itself: what it may do, and its password. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.permissions.findings import Finding
from twokey.permissions.statements import covers, rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twokey.permissions.account import Attached, Principal
    from twokey.permissions.grants import Actions, Grants
    from twokey.permissions.statements import Rule

HARMLESS = tuple(
    f"sts:{name}" for name in ("assumerole*", "tagsession", "setsourceidentity", "getcalleridentity", "getsessiontoken")
)
"""What an assume-only user may do, in lowercase; AWS allows the last two whatever a policy says."""
_IDS = {"inline policy": "TK101", "attached policy": "TK102", "policy of the group": "TK103"}
_SHOWN = 3


def permissions(user: Principal, grants: Grants) -> Iterator[Finding]:
    """Find policies that allow more than to assume roles; what a deny or the boundary takes away does not count."""
    for policy in user.policies:
        allowing = [one for one in rules(policy.document, grants.known) if not one.deny]
        found = [(one, actions) for one in allowing for actions in grants.actions(one) if not harmless(actions)]
        if found:
            everything = [actions for one, actions in found if actions.all and on_everything(one)]
            yield _permission(
                user, policy, everything or [actions for _, actions in found], everything=bool(everything)
            )


def harmless(actions: Actions) -> bool:
    """Whether an assume-only user may have these actions."""
    return any(covers(one, actions.pattern) for one in HARMLESS)


def on_everything(rule: Rule) -> bool:
    """Whether a rule is about all resources."""
    return rule.but_resources or any(one.strip("*:") in ("", "arn", "arn:aws") for one in rule.resources)


def _permission(user: Principal, policy: Attached, found: Sequence[Actions], *, everything: bool) -> Finding:
    texts = sorted(set(map(str, found)))
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return Finding(
        "TK104" if everything else _IDS[policy.how],
        user.account,
        user.name,
        user.arn,
        f"{str(policy)[0].upper()}{str(policy)[1:]} allows {', '.join(texts[:_SHOWN])}{more}.",
        "Put these permissions on a role, let the user assume it, and attach what twokey policy machine-user prints.",
    )


def password(user: Principal, passwords: frozenset[str] | None) -> Iterator[Finding]:
    """Find a console password."""
    if passwords and user.name in passwords:
        yield Finding(
            "TK301",
            user.account,
            user.name,
            user.arn,
            f"{user.name} has a console password: the console lets a human log in as this machine user.",
            f"Remove it: aws iam delete-login-profile --user-name {user.name}",
        )
