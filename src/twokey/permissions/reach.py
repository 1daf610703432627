"""Which roles a principal can assume, directly and through other roles. Pure.

Who may assume a role follows from both sides: the role's trust policy and, where that names an account and not the
principal itself, the principal's own policies ("Cross-account policy evaluation logic", IAM User Guide). A trust policy
that names a user is enough, whatever the user's boundary allows ("Permissions boundaries for IAM entities").

Many users have the same policies: what follows from these alone is found out once.
"""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING

from twokey.permissions.conditions import like
from twokey.permissions.grants import Grants
from twokey.permissions.statements import known_of, overlap, tags_of
from twokey.permissions.trusts import ASSUME, account_names, how_trusted, own_names, trusted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from twokey.permissions.account import Account, Document, Principal

Key = tuple[str, ...]
Chains = dict[str, tuple["Principal", ...]]


class Reach:
    """The roles of an account, and which principal reaches which."""

    def __init__(self, account: Account) -> None:
        """Index the roles by ARN, and by the principals that their trust policies name."""
        self._roles = {role.arn: role for role in account.roles}
        self._trust = {role.arn: trusted(role) for role in account.roles}
        self._tags = {one.arn: tags_of(one) for one in (*account.users, *account.roles)}
        self._trusting: dict[str, list[Principal]] = {}
        self._particular: list[Principal] = []
        for role in account.roles:
            if all(one.plain for one in self._trust[role.arn]):
                for name in dict.fromkeys(name for one in self._trust[role.arn] for name in sorted(one.names)):
                    self._trusting.setdefault(name, []).append(role)
            else:
                self._particular.append(role)
        self._matching: dict[str, tuple[Principal, ...]] = {}
        self._texts: dict[int, str] = {}
        self._keys: dict[str, Key] = {}
        self._grants: dict[Key, Grants] = {}
        self._by_account: dict[Key, tuple[Principal, ...]] = {}
        self._assumable: dict[str, tuple[Principal, ...]] = {}
        self._closures: dict[Key, Chains] = {}

    def of(self, principal: Principal) -> Grants:
        """Return what a principal's policies allow."""
        key = self._key(principal)
        if key not in self._grants:
            self._grants[key] = Grants.of(principal.documents, principal.boundary, known_of(principal))
        return self._grants[key]

    def may(self, principal: Principal, action: str, target: str) -> bool:
        """Whether a principal may do something to a user or role of the account."""
        return self.of(principal).may(action, target, self._tags.get(target))

    def assumable(self, principal: Principal) -> Sequence[Principal]:
        """Return the roles of the account that a principal can assume itself."""
        if principal.arn not in self._assumable:
            self._assumable[principal.arn] = tuple(self._assume(principal))
        return self._assumable[principal.arn]

    def _assume(self, principal: Principal) -> Iterator[Principal]:
        key = self._key(principal)
        if key not in self._by_account:
            self._by_account[key] = tuple(self._of_account(principal))
        found = {role.arn: role for role in self._by_account[key]}
        found |= {role.arn: role for role in self._named(principal) if self._by_name(principal, role)}
        known = known_of(principal)
        for role in self._particular:
            how = how_trusted(self._trust[role.arn], principal, known)
            if (how == "name" and self._by_name(principal, role)) or (how and self.may(principal, ASSUME, role.arn)):
                found[role.arn] = role
        found.pop(principal.arn, None)
        yield from found.values()

    def elsewhere(self, principal: Principal, wanted: Sequence[str]) -> Iterator[str]:
        """Yield the patterns of roles of other accounts that a principal's own policies let it assume.

        They may name a role that one of the wanted patterns names. Whether such a role trusts the principal is known in
        the role's account only.
        """
        grants = self.of(principal)
        others = [one for one in wanted if one.split(":")[4:5] != [principal.account]]
        possible = [one for one in others if grants.may_on(ASSUME, one)]
        for pattern in dict.fromkeys(grants.resources(ASSUME)) if possible else ():
            if any(overlap(pattern, one) for one in possible):
                yield pattern

    def assumes_any(self, principal: Principal) -> bool:
        """Whether a principal's own policies let it assume any role."""
        return any(True for _ in self.of(principal).resources(ASSUME))

    def closure(self, principal: Principal) -> Mapping[str, Sequence[Principal]]:
        """Return every role that a principal reaches, with the shortest chain to it: the roles, in their order."""
        named = sorted({role.arn for role in self._named(principal)})
        key = (principal.arn,) if self._particular else (*self._key(principal), "", *named)
        if key not in self._closures:
            self._closures[key] = self._chains(principal)
        return self._closures[key]

    def _chains(self, principal: Principal) -> Chains:
        chains: Chains = {}
        waiting: deque[tuple[Principal, tuple[Principal, ...]]] = deque([(principal, ())])
        while waiting:
            at, chain = waiting.popleft()
            for role in self.assumable(at):
                if role.arn not in chains:
                    chains[role.arn] = (*chain, role)
                    waiting.append((role, chains[role.arn]))
        return chains

    def _named(self, principal: Principal) -> Iterator[Principal]:
        return (role for name in own_names(principal) for role in self._trusting.get(name, ()))

    def _by_name(self, principal: Principal, role: Principal) -> bool:
        """Whether a principal whom the role trusts by name can assume it, whatever its own policies allow."""
        grants, tags = self.of(principal), self._tags[role.arn]
        within = principal.kind == "user" or grants.bounded(ASSUME, role.arn, tags)
        return within and not grants.denied(ASSUME, role.arn, tags)

    def _of_account(self, principal: Principal) -> Iterator[Principal]:
        """Yield the roles that trust the account, and that the principal's policies let it assume."""
        trusting = {role.arn for name in account_names(principal) for role in self._trusting.get(name, ())}
        patterns = dict.fromkeys(self.of(principal).resources(ASSUME))
        for arn, role in {role.arn: role for pattern in patterns for role in self._matched(pattern)}.items():
            if arn in trusting and self.may(principal, ASSUME, arn):
                yield role

    def _matched(self, pattern: str) -> tuple[Principal, ...]:
        if pattern not in self._matching:
            if "*" in pattern or "?" in pattern:
                found = tuple(role for arn, role in self._roles.items() if like(arn, pattern))
            else:
                found = tuple(role for role in (self._roles.get(pattern),) if role)
            self._matching[pattern] = found
        return self._matching[pattern]

    def _key(self, principal: Principal) -> Key:
        """Return what principals have in common whose policies allow the same."""
        if principal.arn not in self._keys:
            boundary = () if principal.boundary is None else ("boundary", self._text(principal.boundary))
            key = (principal.kind, *map(self._text, principal.documents), *boundary)
            text = "".join(key).lower()
            personal = "${" in text or '"aws:principal' in text or '"aws:username' in text
            self._keys[principal.arn] = (principal.arn,) if personal else key
        return self._keys[principal.arn]

    def _text(self, document: Document) -> str:
        if id(document) not in self._texts:
            self._texts[id(document)] = json.dumps(document)
        return self._texts[id(document)]
