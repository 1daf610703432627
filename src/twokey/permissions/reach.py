"""Which roles a principal can assume, directly and through other roles. Pure.

Who may assume a role follows from both sides: the role's trust policy and, where that names an account and not the
principal itself, the principal's own policies ("Cross-account policy evaluation logic", IAM User Guide).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from twokey.permissions.conditions import as_list, like
from twokey.permissions.grants import Grants, overlap, statements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from twokey.permissions.account import Account, Principal

ASSUME = "sts:AssumeRole"


class Reach:
    """The roles of an account, and which principal reaches which."""

    def __init__(self, account: Account) -> None:
        """Index the roles by ARN, and by the principals that their trust policies name."""
        self.grants: dict[str, Grants] = {}
        self._roles = {role.arn: role for role in account.roles}
        self._trusting: dict[str, list[Principal]] = {}
        self._matching: dict[str, tuple[Principal, ...]] = {}
        self._trusted = {role.arn: frozenset(_trusted(role)) for role in account.roles}
        for role in account.roles:
            for named in self._trusted[role.arn]:
                self._trusting.setdefault(named, []).append(role)

    def of(self, principal: Principal) -> Grants:
        """Return what a principal's policies allow."""
        if principal.arn not in self.grants:
            self.grants[principal.arn] = Grants.of(principal.documents, principal.boundary)
        return self.grants[principal.arn]

    def assumable(self, principal: Principal) -> Iterator[Principal]:
        """Yield the roles of the account that a principal can assume itself."""
        grants = self.of(principal)
        candidates = {role.arn: role for role in self._trusting.get(principal.arn, ())}
        for pattern in dict.fromkeys(grants.resources(ASSUME)):
            candidates |= {role.arn: role for role in self._matched(pattern)}
        for arn, role in candidates.items():
            if role.arn == principal.arn or grants.denied(ASSUME, arn):
                continue
            named = principal.arn in self._trusted[arn]
            account = not self._trusted[arn].isdisjoint(_account_names(principal))
            within = grants.boundary is None or grants.may(ASSUME, arn)
            if (named and within) or (account and grants.may(ASSUME, arn)):
                yield role

    def elsewhere(self, principal: Principal) -> Iterator[str]:
        """Yield the patterns of roles that a principal may assume by its own policies and that are not of the account.

        Whether such a role trusts it is known in the role's account only.
        """
        for pattern in dict.fromkeys(self.of(principal).resources(ASSUME)):
            account = pattern.split(":")[4] if pattern.count(":") >= 5 else "*"
            if account != principal.account:
                yield pattern

    def closure(self, principal: Principal) -> Mapping[str, Sequence[Principal]]:
        """Return every role that a principal reaches, with the shortest chain to it: the roles, in their order."""
        chains: dict[str, tuple[Principal, ...]] = {}
        waiting: deque[tuple[Principal, tuple[Principal, ...]]] = deque([(principal, ())])
        while waiting:
            at, chain = waiting.popleft()
            for role in self.assumable(at):
                if role.arn not in chains:
                    chains[role.arn] = (*chain, role)
                    waiting.append((role, chains[role.arn]))
        return chains

    def _matched(self, pattern: str) -> tuple[Principal, ...]:
        if pattern not in self._matching:
            if "*" in pattern or "?" in pattern:
                found = tuple(role for arn, role in self._roles.items() if like(arn, pattern))
            else:
                found = tuple(role for role in (self._roles.get(pattern),) if role)
            self._matching[pattern] = found
        return self._matching[pattern]


def _trusted(role: Principal) -> Iterator[str]:
    """Yield the principals of AWS that a trust policy lets assume the role."""
    for one in statements(role.trust or {}):
        actions = {str(action).lower() for action in as_list(one.get("Action", []))}
        if one.get("Effect") != "Allow" or not actions & {"sts:assumerole", "sts:*", "*"}:
            continue
        principal = one.get("Principal")
        if principal == "*":
            yield "*"
        elif isinstance(principal, dict):
            yield from map(str, as_list(principal.get("AWS", [])))


def _account_names(principal: Principal) -> set[str]:
    partition = principal.arn.split(":")[1]
    return {"*", principal.account, f"arn:{partition}:iam::{principal.account}:root"}


def names(pattern: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern of roles may name one that one of the other patterns names."""
    return any(overlap(pattern, other) for other in patterns)
