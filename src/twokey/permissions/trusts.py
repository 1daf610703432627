"""Whom a role's trust policy lets assume the role: by name, or as any principal of an account. Pure.

Sources: "AWS JSON policy elements: Principal", "NotPrincipal" and "Cross-account policy evaluation logic" (IAM User
Guide).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from twokey.permissions.conditions import as_list, like_any_case
from twokey.permissions.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twokey.permissions.account import Principal
    from twokey.permissions.statements import Known, Statement

ASSUME = "sts:AssumeRole"
By = Literal["name", "account"]
ANY = "*"


@dataclass(frozen=True, slots=True)
class Trusted:
    """A statement about who may assume a role. ``but``: every principal except the names."""

    deny: bool
    names: frozenset[str]
    but: bool
    condition: Mapping[str, Mapping[str, object]]

    @property
    def plain(self) -> bool:
        """Whether it says the same of each principal that it names."""
        text = json.dumps(self.condition).lower()
        return not (self.deny or self.but or "${" in text or '"aws:principal' in text or '"aws:username' in text)

    def matches(self, names: frozenset[str]) -> bool:
        """Whether one of a principal's names is meant."""
        return self.names.isdisjoint(names) if self.but else not self.names.isdisjoint(names)


def trusted(role: Principal) -> tuple[Trusted, ...]:
    """Return what a role's trust policy says about the principals of AWS."""
    return tuple(
        Trusted(
            one.get("Effect") == "Deny",
            frozenset(map(_without_session, _principals(one))),
            "NotPrincipal" in one,
            one.get("Condition") or {},
        )
        for one in statements(role.trust or {})
        if assumes(one, ASSUME)
    )


def assumes(statement: Statement, action: str) -> bool:
    """Whether a statement of a trust policy is about this action."""
    if "NotAction" in statement:
        return not any(like_any_case(action, str(one)) for one in as_list(statement["NotAction"]))
    return any(like_any_case(action, str(one)) for one in as_list(statement.get("Action", [])))


def _principals(statement: Statement) -> Iterator[str]:
    principal = statement.get("NotPrincipal", statement.get("Principal"))
    if isinstance(principal, dict):
        yield from map(str, as_list(principal.get("AWS", [])))
    elif principal is not None:
        yield from map(str, as_list(principal))


def _without_session(name: str) -> str:
    return name.rpartition("/")[0] if ":assumed-role/" in name else name


def own_names(principal: Principal) -> frozenset[str]:
    """Return the names by which a trust policy names this principal alone, or every principal."""
    partition = principal.arn.split(":")[1]
    session = f"arn:{partition}:sts::{principal.account}:assumed-role/{principal.name}"
    return frozenset({ANY, principal.arn, *([session] if principal.kind == "role" else [])})


def account_names(principal: Principal) -> frozenset[str]:
    """Return the names by which a trust policy names every principal of this one's account."""
    partition = principal.arn.split(":")[1]
    return frozenset({principal.account, f"arn:{partition}:iam::{principal.account}:root"})


def how_trusted(trust: tuple[Trusted, ...], principal: Principal, known: Known) -> By | None:
    """Say how a trust policy may trust a principal; None if it does not."""
    own, account = own_names(principal), account_names(principal)
    found: By | None = None
    for one in trust:
        holds = known.decide(one.condition)
        if one.deny and holds is True and one.matches(own | account):
            return None
        if not one.deny and holds is not False:
            # What is excepted is not trusted, whether it is excepted by its name or with its account.
            if one.but and one.matches(own | account):
                return "name"
            if not one.but and one.matches(own):
                return "name"
            if not one.but and one.matches(account):
                found = "account"
    return found
