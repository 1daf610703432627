"""What a run over many accounts needs besides: to list the accounts, and to assume the role in each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from twokey.aws.organizations import PERMISSIONS, TAGS
from twokey.permissions.documents import Statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.config.account_settings import AccountSettings
    from twokey.config.settings import AccountOfDestination

Part = Literal["whole", "member", "home"]
"""Whose policy it is: that of the only account; of the role in each account; of the principal that assumes these."""
ANY = "*"


def part_of_home(accounts: AccountSettings | None) -> Part:
    """Return what the principal that runs twokey does itself: all, where users of its own account are rotated too."""
    if accounts is None or accounts.organization or any(not one.roles for one in accounts.listed):
        return "whole"
    return "home"


def covers(part: Part, which: AccountOfDestination) -> bool:
    """Return whether a policy is about destinations of this account."""
    return part == "whole" or (part == "member") == (which == "member")


def statements(accounts: AccountSettings | None, part: Part, partition: str) -> Iterator[Statement]:
    """Yield what the principal that runs twokey needs to reach the accounts."""
    if accounts is None or part == "member":
        return
    roles = [one.roles[0].arn(one.id, partition) for one in accounts.listed if one.roles]
    tagged = any(role.tags for one in accounts.listed for role in one.roles)
    if organization := accounts.organization:
        roles.append(organization.role.arn(ANY, partition))
        tagged = bool(organization.role.tags)
        tags = bool(organization.tags) or accounts.needs_tags
        yield Statement(
            sid="ListAccounts",
            why="List the accounts of the organization, and the units that contain them; AWS is asked for * here, as "
            "the IDs are not known before.",
            actions=tuple(one for one in PERMISSIONS if tags or one != TAGS),
            resources=("*",),
        )
    if roles:
        yield Statement(
            sid="AssumeRoles",
            why="Assume the role in each account.",
            actions=("sts:AssumeRole", *(("sts:TagSession",) if tagged else ())),
            resources=tuple(dict.fromkeys(roles)),
        )
