"""Findings about users that reach a closed tier: by roles, by new credentials, by changed policies. Pure.

A tier is closed to a user unless it is the user's own, or one that this tier reaches. To a user of no tier, those are
closed that no tier reaches, such as production.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.permissions.conditions import like
from twokey.permissions.findings import Finding
from twokey.permissions.lint_changes import Changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from twokey.config.settings import Tier
    from twokey.permissions.account import Account, Principal
    from twokey.permissions.reach import Reach

    Chains = Mapping[str, Sequence[Principal]]


class Tiers:
    """The tiers of a configuration over an account."""

    def __init__(self, tiers: Sequence[Tier], account: Account, reach: Reach) -> None:
        """Find the tier of each user and of each role."""
        self._tiers = tiers
        self._reach = reach
        self._reached = {name for tier in tiers for name in tier.reaches}
        self._users = {user.arn: self.of_user(user) for user in account.users}
        self._roles = {role.arn: self._of_role(role) for role in account.roles}
        of_tier: dict[str, list[Principal]] = {}
        for principal in (*account.users, *account.roles):
            tier = self._users.get(principal.arn) or self._roles.get(principal.arn)
            if tier:
                of_tier.setdefault(tier.name, []).append(principal)
        self._changes = Changes(account, reach, of_tier)
        self._assuming: dict[int, list[Sequence[Principal]]] = {}
        self._through: dict[tuple[int, str], list[tuple[Tier, Sequence[Principal]]]] = {}

    def of_user(self, user: Principal) -> Tier | None:
        """Return the first tier that names a user."""
        return next((tier for tier in self._tiers if tier.has(user.name, user.path, user.tags)), None)

    def _of_role(self, role: Principal) -> Tier | None:
        return next((tier for tier in self._tiers if any(like(role.arn, one) for one in tier.roles)), None)

    def _closed(self, own: Tier | None) -> list[Tier]:
        if own is None:
            return [tier for tier in self._tiers if tier.name not in self._reached]
        return [tier for tier in self._tiers if tier.name != own.name and tier.name not in own.reaches]

    def findings(self, user: Principal) -> Iterator[Finding]:
        """Find how a user reaches a tier that is closed to it."""
        own = self._users.get(user.arn) or self.of_user(user)
        closed = self._closed(own)
        if not closed:
            return
        whose = f"{user.name} of the tier {own.name}" if own else f"{user.name}, a user of no tier,"
        chains = self._reach.closure(user)
        reached = self._roles_of(chains, own, closed)
        for tier, chain in reached:
            yield _through(user, whose, tier, chain)
        if not reached:
            yield from self._elsewhere(user, whose, chains, closed)
        for rule, target, text in self._changes.of(user, chains, [tier.name for tier in closed]):
            yield _finding(user, rule, target, f"{whose} {text}")

    def _roles_of(
        self, chains: Chains, own: Tier | None, closed: Sequence[Tier]
    ) -> Sequence[tuple[Tier, Sequence[Principal]]]:
        """Return the roles of closed tiers that are reached. Users with the same policies reach the same."""
        key = (id(chains), own.name if own else "")
        if key not in self._through:
            ways = [(self._roles.get(arn), chain) for arn, chain in chains.items()]
            self._through[key] = [(tier, chain) for tier, chain in ways if tier and tier in closed]
        return self._through[key]

    def _elsewhere(self, user: Principal, whose: str, chains: Chains, closed: Sequence[Tier]) -> Iterator[Finding]:
        """Find the first way to roles of another account. Those of this one are known by their trust policies."""
        if id(chains) not in self._assuming:
            self._assuming[id(chains)] = [one for one in chains.values() if self._reach.assumes_any(one[-1])]
        for chain in ((), *self._assuming[id(chains)]):
            by = chain[-1] if chain else user
            for tier in closed:
                for pattern in self._reach.elsewhere(by, tier.roles):
                    way = "" if by is user else f" through {', then '.join(one.name for one in chain)},"
                    yield _finding(
                        user,
                        "TK202" if chain else "TK201",
                        pattern,
                        f"{whose} may assume {pattern}{way or ' by its own policy,'} and roles of the tier {tier.name} "
                        "are among them.",
                    )
                    return


def _through(user: Principal, whose: str, tier: Tier, chain: Sequence[Principal]) -> Finding:
    role = chain[-1]
    if len(chain) == 1:
        return _finding(user, "TK201", role.arn, f"{whose} can assume {role.name}, a role of the tier {tier.name}.")
    way = ", then ".join(one.name for one in chain)
    return _finding(user, "TK202", role.arn, f"{whose} reaches {role.name}, a role of the tier {tier.name}: {way}.")


def _finding(user: Principal, rule: str, resource: str, message: str) -> Finding:
    remedy = "Take the permission out of its policies, or the principal out of the role's trust policy."
    if rule not in ("TK201", "TK202"):
        remedy = "Take the permission out of its policies: nothing but assuming its roles is needed."
    return Finding(rule, user.account, user.name, resource, message, remedy)
