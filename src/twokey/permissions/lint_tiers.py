"""Findings about users that reach a closed tier: by roles, by new credentials, by changed policies. Pure.

A tier is closed to a user unless it is the user's own, or one that this tier reaches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.permissions.conditions import like
from twokey.permissions.findings import Finding
from twokey.permissions.reach import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twokey.config.settings import Tier
    from twokey.permissions.account import Account, Principal
    from twokey.permissions.reach import Reach

MINTS = ("iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile")
"""Actions on a user that make a credential for it."""
CHANGES_USER = ("iam:PutUserPolicy", "iam:AttachUserPolicy", "iam:DeleteUserPermissionsBoundary")
CHANGES_ROLE = ("iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:AttachRolePolicy")


class Tiers:
    """The tiers of a configuration over an account."""

    def __init__(self, tiers: Sequence[Tier], account: Account, reach: Reach) -> None:
        """Find the tier of each user and of each role."""
        self._tiers = tiers
        self._reach = reach
        self._users = {user.arn: self.of_user(user) for user in account.users}
        self._roles = {role.arn: self._of_role(role) for role in account.roles}
        self._of_tier: dict[str, list[Principal]] = {}
        for principal in (*account.users, *account.roles):
            tier = self._users.get(principal.arn) or self._roles.get(principal.arn)
            if tier:
                self._of_tier.setdefault(tier.name, []).append(principal)

    def of_user(self, user: Principal) -> Tier | None:
        """Return the first tier that names a user."""
        return next((tier for tier in self._tiers if tier.has(user.name, user.path, user.tags)), None)

    def _of_role(self, role: Principal) -> Tier | None:
        return next((tier for tier in self._tiers if any(like(role.arn, one) for one in tier.roles)), None)

    def findings(self, user: Principal) -> Iterator[Finding]:
        """Find how a user reaches a tier that is closed to it."""
        own = self._users.get(user.arn) or self.of_user(user)
        if own is None:
            return
        closed = {tier.name: tier for tier in self._tiers if tier.name != own.name and tier.name not in own.reaches}
        if not closed:
            return
        chains = self._reach.closure(user)
        for arn, chain in chains.items():
            tier = self._roles.get(arn)
            if tier and tier.name in closed:
                yield _through(user, own, tier, chain)
        if not any(tier and tier.name in closed for tier in map(self._roles.get, chains)):
            yield from self._elsewhere(user, own, list(closed.values()))
        yield from self._by_changes(user, own, list(closed.values()), [user, *(chain[-1] for chain in chains.values())])

    def _elsewhere(self, user: Principal, own: Tier, closed: Sequence[Tier]) -> Iterator[Finding]:
        for tier in closed:
            for pattern in self._reach.elsewhere(user):
                if names(pattern, tier.roles):
                    yield _about(
                        user,
                        "TK201",
                        pattern,
                        f"{user.name} of the tier {own.name} may assume {pattern} by its own policy, and roles of the "
                        f"tier {tier.name} are among them.",
                    )
                    return

    def _by_changes(
        self, user: Principal, own: Tier, closed: Sequence[Tier], principals: Sequence[Principal]
    ) -> Iterator[Finding]:
        """Find the first credential and the first change that the user, or a role that it reaches, can make."""
        targets = [one for tier in closed for one in self._of_tier.get(tier.name, ())]
        users = [one for one in targets if one.kind == "user"]
        roles = [one for one in targets if one.kind == "role"]
        for rule, what, kinds in (
            ("TK203", "can make a credential for", ((MINTS, users),)),
            (
                "TK204",
                "can change the permissions of",
                ((CHANGES_USER, [*users, user]), (CHANGES_ROLE, roles)),
            ),
        ):
            found = self._first(principals, kinds)
            if found:
                by, action, target = found
                through = f" through the role {by.name}" if by.arn != user.arn else ""
                whom = "itself" if target.arn == user.arn else f"{target.name}, a {target.kind} of a closed tier"
                yield _about(
                    user,
                    rule,
                    target.arn,
                    f"{user.name} of the tier {own.name} {what} {whom}{through}: {action} is allowed.",
                )

    def _first(
        self, principals: Sequence[Principal], kinds: Sequence[tuple[Sequence[str], Sequence[Principal]]]
    ) -> tuple[Principal, str, Principal] | None:
        for by in principals:
            grants = self._reach.of(by)
            for actions, targets in kinds:
                for action in actions:
                    if not any(True for _ in grants.resources(action)):
                        continue
                    for target in targets:
                        if grants.may(action, target.arn):
                            return by, action, target
        return None


def _through(user: Principal, own: Tier, tier: Tier, chain: Sequence[Principal]) -> Finding:
    role = chain[-1]
    if len(chain) == 1:
        message = f"{user.name} of the tier {own.name} can assume {role.name}, a role of the tier {tier.name}."
        return _about(user, "TK201", role.arn, message)
    way = ", then ".join(one.name for one in chain)
    message = f"{user.name} of the tier {own.name} reaches {role.name}, a role of the tier {tier.name}: {way}."
    return _about(user, "TK202", role.arn, message)


def _about(user: Principal, rule: str, resource: str, message: str) -> Finding:
    remedy = "Take the permission out of its policies, or the principal out of the role's trust policy."
    if rule in ("TK203", "TK204"):
        remedy = "Take the permission out of its policies: nothing but assuming its roles is needed."
    return Finding(rule, user.account, user.name, resource, message, remedy)
