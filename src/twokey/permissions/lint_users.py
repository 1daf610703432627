"""Findings about a machine user itself: what it may do, its password, and from where its keys work. Pure."""

from __future__ import annotations

import contextlib
import ipaddress
from typing import TYPE_CHECKING

from twokey.permissions.conditions import as_list
from twokey.permissions.findings import Finding
from twokey.permissions.grants import Grants, conditions, statements
from twokey.permissions.networks import is_private

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.permissions.account import Attached, Principal
from twokey.permissions.grants import Statement

HARMLESS = frozenset(
    f"sts:{name}" for name in ("assumerole", "tagsession", "setsourceidentity", "getcalleridentity", "getsessiontoken")
)
"""What an assume-only user may do, in lowercase; AWS allows the last two whatever a policy says."""
_IDS = {"inline policy": "TK101", "attached policy": "TK102", "policy of the group": "TK103"}
_SOURCE = "aws:sourceip"
_VPC = frozenset({"aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip"})
_SHOWN = 3


def rights(user: Principal, grants: Grants) -> Iterator[Finding]:
    """Find policies that allow more than to assume roles; what a deny or the boundary takes away does not count."""
    for policy in user.policies:
        allowed = [one for one in statements(policy.document) if one.get("Effect") == "Allow"]
        found = {action for one in allowed for action in grants.actions(one)} - HARMLESS
        if not found:
            continue
        everything = "*" in found and any("*" in as_list(one.get("Resource", [])) for one in allowed)
        yield _right(user, policy, found, everything=everything)


def _right(user: Principal, policy: Attached, found: set[str], *, everything: bool) -> Finding:
    shown = sorted(found)[:_SHOWN]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    what = "everything" if everything else f"{', '.join(shown)}{more}"
    return Finding(
        "TK104" if everything else _IDS[policy.how],
        user.account,
        user.name,
        user.arn,
        f"{str(policy)[0].upper()}{str(policy)[1:]} allows {what}.",
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


def guard(user: Principal, grants: Grants) -> Iterator[Finding]:
    """Find a user whose keys work from everywhere, and guards that deny too much."""
    guards = [one for one in grants.denies if _networks(one, "notipaddress")]
    usable = [one for one in guards if not _open(_networks(one, "notipaddress"))]
    if not usable and not _allows_only_from_somewhere(grants):
        yield _about(
            user,
            "TK401",
            f"No policy limits from where the keys of {user.name} work: a leaked key works everywhere.",
            "Attach what twokey policy source-ip --allow CIDR prints.",
        )
    for one in usable:
        keys = set(_keys(one))
        if "aws:viaawsservice" not in keys:
            yield _about(
                user,
                "TK402",
                f"The guard by source address of {user.name} also denies what AWS services do for the user: their "
                "requests come from AWS's addresses.",
                'Add "Bool": {"aws:ViaAWSService": "false"} to its conditions, as twokey policy source-ip does.',
            )
        if not keys & _VPC and (_private(_networks(one, "notipaddress")) or _means_vpcs(grants)):
            yield _about(
                user,
                "TK403",
                f"The guard by source address of {user.name} also denies requests through VPC endpoints: they have no "
                "aws:SourceIp.",
                "Print one that knows the VPC: twokey policy source-ip --allow CIDR --vpc ID.",
            )


def _about(user: Principal, rule: str, message: str, remedy: str) -> Finding:
    return Finding(rule, user.account, user.name, user.arn, message, remedy)


def _keys(statement: Statement) -> Iterator[str]:
    return (key for _, key, _ in conditions(statement))


def _networks(statement: Statement, operator: str) -> list[str]:
    return [
        str(value)
        for name, key, values in conditions(statement)
        if key == _SOURCE and name.rpartition(":")[2].removesuffix("ifexists") == operator
        for value in values
    ]


def _open(networks: list[str]) -> bool:
    """Whether the networks are the whole internet."""
    return any(text.endswith("/0") for text in networks)


def _private(networks: list[str]) -> bool:
    """Whether one of them is of a VPC."""
    for text in networks:
        with contextlib.suppress(ValueError):
            if is_private(ipaddress.ip_network(text, strict=False)):
                return True
    return False


def _means_vpcs(grants: Grants) -> bool:
    return any(_VPC.intersection(_keys(one)) for one in grants.denies)


def _allows_only_from_somewhere(grants: Grants) -> bool:
    """Whether each allowing statement requires an address or a VPC itself."""
    return bool(grants.allows) and all(
        ((found := _networks(one, "ipaddress")) and not _open(found)) or _VPC.intersection(_keys(one))
        for one in grants.allows
    )
