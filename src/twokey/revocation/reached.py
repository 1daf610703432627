"""Whose sessions a leaked key may have made: those of its user, and of every role that the user reaches. Pure.

Sources: "Using service-linked roles" (IAM User Guide) and "Revoke active IAM role sessions created by permission sets"
(IAM Identity Center User Guide), for the roles that only AWS can change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from twokey.permissions.account import Principal
from twokey.permissions.conditions import as_list
from twokey.permissions.reach import Reach
from twokey.permissions.statements import statements
from twokey.permissions.trusts import ASSUME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twokey.core.model import MachineUser
    from twokey.permissions.account import Account

_PROTECTED = {
    "/aws-service-role/": "It is a service-linked role, which only AWS can change: its sessions cannot be ended.",
    "/aws-reserved/": "It is a role of IAM Identity Center, which only AWS can change: put the policy into the inline "
    "policy of its permission set.",
}


@dataclass(frozen=True, slots=True)
class Reached:
    """A user or role whose sessions the leaked key may have made.

    ``via``: the roles on the way to it. ``users``: all users that reach it, whose sessions end, too. ``others``: what
    else its trust policy lets assume it, such as a service. ``protected``: why it cannot be changed; empty if it can.
    """

    principal: Principal
    via: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    protected: str = ""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Roles of other accounts that a policy lets ``by`` assume. ``certain``: the pattern names the account."""

    pattern: str
    by: str
    certain: bool


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions that a leaked key of a user may have made: the user first, then roles, the nearest first.

    ``unknown``: why the roles are unknown, and what to do; empty if they are known.
    """

    user: MachineUser
    reached: tuple[Reached, ...]
    elsewhere: tuple[Elsewhere, ...] = ()
    unknown: str = ""


class SessionsOfUsers:
    """An account, for any number of users: what is common to them is found out once."""

    def __init__(self, account: Account) -> None:
        """Index the account."""
        self.account = account
        self._reach = Reach(account)
        self._users = {user.arn: user for user in account.users}
        self._nearest: dict[tuple[str, ...], Reached] = {}
        self._apart: dict[str, tuple[Elsewhere, ...]] = {}

    def of(self, user: MachineUser) -> Sessions:
        """Return whose sessions a key of the user may have made."""
        principal = self._users.get(user.arn) or bare(user)
        chains = self._reach.closure(principal)
        nearest = sorted(chains.values(), key=lambda chain: (len(chain), chain[-1].arn))
        reached = [Reached(principal), *map(self._reached, nearest)]
        found = dict.fromkeys(
            one for by in (principal, *(chain[-1] for chain in nearest)) for one in self._elsewhere(by)
        )
        apart = {one.pattern: one for one in reversed(list(found))}
        return Sessions(user, tuple(reached), tuple(reversed(list(apart.values()))))

    def _reached(self, chain: Sequence[Principal]) -> Reached:
        key = tuple(one.arn for one in chain)
        if key not in self._nearest:
            role, via = chain[-1], tuple(one.name for one in chain[:-1])
            users = tuple(self._users_of.get(role.arn, ()))
            protected = next((why for path, why in _PROTECTED.items() if role.path.startswith(path)), "")
            self._nearest[key] = Reached(role, via, users, tuple(dict.fromkeys(_others(role))), protected)
        return self._nearest[key]

    @cached_property
    def _users_of(self) -> dict[str, list[str]]:
        """The names of the users that reach each role."""
        found: dict[str, list[str]] = {}
        for user in self.account.users:
            for arn in self._reach.closure(user):
                found.setdefault(arn, []).append(user.name)
        return found

    def _elsewhere(self, by: Principal) -> tuple[Elsewhere, ...]:
        if by.arn not in self._apart:
            self._apart[by.arn] = tuple(self._in_other_accounts(by))
        return self._apart[by.arn]

    def _in_other_accounts(self, by: Principal) -> Iterator[Elsewhere]:
        wanted = list(self._reach.of(by).resources(ASSUME))
        for pattern in self._reach.elsewhere(by, wanted):
            where = pattern.split(":")[4:5]
            if where != [by.account]:
                yield Elsewhere(pattern, by.name, bool(where) and where[0].isdigit())


def bare(user: MachineUser) -> Principal:
    """Return a user of which nothing but its name is known."""
    return Principal(kind="user", name=user.name, path=user.path, arn=user.arn, policies=())


def of_the_user_alone(user: MachineUser, unknown: str) -> Sessions:
    """Return what is known where the account cannot be read."""
    return Sessions(user, (Reached(bare(user)),), unknown=unknown)


def _others(role: Principal) -> Iterator[str]:
    """Yield the services, identity providers and other accounts that a role trusts."""
    for one in statements(role.trust or {}):
        principal = one.get("Principal")
        if one.get("Effect") != "Allow" or principal is None:
            continue
        named = principal if isinstance(principal, dict) else {"AWS": principal}
        for kind, names in named.items():
            for name in map(str, as_list(names)):
                if kind != "AWS":
                    yield name.rpartition(":oidc-provider/")[2] or name
                elif name == "*":
                    yield "any AWS account"
                else:
                    account = name if name.isdigit() else "".join(name.split(":")[4:5])
                    if account and account != role.account:
                        yield f"the account {account}"
