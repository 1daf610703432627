"""The order in which the keys of many users are made Inactive: first those with which the most can be done. Pure.

IAM limits the rate of requests, so the last of hundreds of keys is made Inactive after the first. What a key can do is
what its user may do, and every role that the user reaches. Conditions whose result is unknown count as fulfilled, as in
``twokey lint``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twokey.permissions.lint_changes import (
    CHANGES_BOUNDARY,
    CHANGES_GROUP,
    CHANGES_POLICY,
    CHANGES_ROLE,
    CHANGES_USER,
    JOINS,
    MINTS,
)
from twokey.permissions.lint_users import harmless, on_everything
from twokey.permissions.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twokey.permissions.account import Account, Principal
    from twokey.permissions.grants import Grants

_CHANGES = (
    *MINTS,
    *CHANGES_USER,
    *CHANGES_ROLE,
    *CHANGES_GROUP,
    *CHANGES_POLICY,
    *CHANGES_BOUNDARY,
    *JOINS,
    "iam:CreateUser",
    "iam:PassRole",
)
"""What lets a principal give itself, or another, more than it has."""


@dataclass(frozen=True, slots=True)
class Power:
    """What can be done with a user's key: by the user itself and by the roles that it reaches.

    ``everything``: some statement allows all actions on all resources. ``changes``: permissions can be changed, or
    credentials made. ``actions`` are patterns of actions, in lowercase.
    """

    everything: bool = False
    changes: bool = False
    roles: int = 0
    actions: frozenset[str] = field(default_factory=frozenset)

    @property
    def rank(self) -> tuple[bool, bool, int, int, int]:
        """Sort by this: the most powerful first."""
        wide = sum("*" in one for one in self.actions)
        return not self.everything, not self.changes, -self.roles, -wide, -len(self.actions)

    def __str__(self) -> str:
        """Say it in a few words."""
        if self.everything:
            return "an administrator"
        reached = f"reaches {self.roles} role{'' if self.roles == 1 else 's'}"
        return f"can change permissions, {reached}" if self.changes else reached


def powers(account: Account) -> Mapping[str, Power]:
    """Return what can be done with the key of each user of an account, by the user's ARN."""
    reach = Reach(account)
    own: dict[int, Power] = {}
    whole: dict[tuple[int, int], Power] = {}

    def of(principal: Principal) -> Power:
        # Principals with the same policies have the same grants, and often there are hundreds of them.
        grants = reach.of(principal)
        if id(grants) not in own:
            own[id(grants)] = _power(grants)
        return own[id(grants)]

    found: dict[str, Power] = {}
    for user in account.users:
        chains = reach.closure(user)
        key = (id(reach.of(user)), id(chains))
        if key not in whole:
            whole[key] = _together([of(user), *(of(chain[-1]) for chain in chains.values())], len(chains))
        found[user.arn] = whole[key]
    return found


def in_order(arns: Iterable[str], found: Mapping[str, Power]) -> list[str]:
    """Return the users in the order of their power; those of which nothing is known come first, in their own order.

    They were created after the account was read, perhaps with a leaked key.
    """
    return sorted(arns, key=lambda arn: (arn in found, found.get(arn, Power()).rank))


def _power(grants: Grants) -> Power:
    allowed = [(rule, actions) for rule in grants.allows for actions in grants.actions(rule)]
    return Power(
        everything=any(actions.all and not actions.exceptions and on_everything(rule) for rule, actions in allowed),
        changes=any(grants.may_on_any(action) for action in _CHANGES),
        actions=frozenset(actions.pattern for _, actions in allowed if not harmless(actions)),
    )


def _together(parts: Iterable[Power], roles: int) -> Power:
    every = list(parts)
    return Power(
        any(one.everything for one in every),
        any(one.changes for one in every),
        roles,
        frozenset[str]().union(*(one.actions for one in every)),
    )
