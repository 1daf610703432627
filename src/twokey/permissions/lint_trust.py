"""Findings about trust policies that anyone could use. Pure.

Sources: "Create a role for OIDC federation", "Principal" and "Condition context keys with multiple values" (IAM User
Guide).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twokey.permissions.conditions import as_list
from twokey.permissions.findings import Finding
from twokey.permissions.statements import conditions, statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.permissions.account import Principal
    from twokey.permissions.findings import Severity
    from twokey.permissions.statements import Statement

_ASSUMES = frozenset({"sts:assumerole", "sts:assumerolewithwebidentity", "sts:assumerolewithsaml", "sts:*", "*"})
_LIMITS = frozenset(
    {
        *("aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths"),
        *("aws:sourceaccount", "aws:sourcearn", "aws:userid", "aws:principalserviceorgid"),
    }
)
"""Keys whose value says who calls."""
_SERVICE_ROLES = "/aws-service-role/"
_WEB_IDENTITIES = frozenset({"accounts.google.com", "www.amazon.com", "graph.facebook.com"})


def trust(role: Principal) -> Iterator[Finding]:
    """Find what is wrong with a role's trust policy."""
    if role.trust is None or role.path.startswith(_SERVICE_ROLES):
        return
    for one in statements(role.trust):
        if one.get("Effect") != "Allow" or not _assumes(one):
            continue
        yield from _for_all_values(role, one)
        if _trusts_everyone(one) and not _limited(one, _LIMITS):
            yield _about(
                role,
                "TK501",
                f"Anyone with an AWS account can assume {role.name}: its trust policy names the principal *.",
                "Name the users and roles that may assume it: twokey policy role-trust --principal ARN.",
            )
        for issuer in _issuers(one):
            yield from _subjects(role, one, issuer)


def _assumes(statement: Statement) -> bool:
    return any(str(one).lower() in _ASSUMES for one in as_list(statement.get("Action", [])))


def _trusts_everyone(statement: Statement) -> bool:
    principal = statement.get("Principal")
    return principal == "*" or (isinstance(principal, dict) and "*" in as_list(principal.get("AWS", [])))


def _issuers(statement: Statement) -> Iterator[str]:
    principal = statement.get("Principal")
    federated = as_list(principal.get("Federated", [])) if isinstance(principal, dict) else []
    for one in map(str, federated):
        if ":oidc-provider/" in one:
            yield one.partition(":oidc-provider/")[2]
        elif one in _WEB_IDENTITIES:
            yield one


def _limited(statement: Statement, keys: frozenset[str]) -> bool:
    """Whether a condition on one of these keys limits who may call."""
    return any(True for _ in _limits(statement, keys))


def _limits(statement: Statement, keys: frozenset[str]) -> Iterator[list[str]]:
    """Yield the values of conditions on one of these keys that a request without the key does not meet."""
    for operator, key, values in conditions(statement):
        quantifier, _, name = operator.rpartition(":")
        positive = name in {"stringequals", "stringlike", "stringequalsignorecase", "arnequals", "arnlike"}
        if key in keys and positive and quantifier != "forallvalues" and "*" not in values:
            yield [str(value) for value in values]


def _subjects(role: Principal, statement: Statement, issuer: str) -> Iterator[Finding]:
    """Find an OIDC provider that is trusted without a subject, or with a wildcard in it."""
    limits = list(_limits(statement, frozenset({f"{issuer.lower()}:sub"})))
    if not limits:
        yield _about(
            role,
            "TK502",
            f"Everyone who uses {issuer} can assume {role.name}: no condition limits the subject of the token.",
            f"Print a trust policy with the exact subject: twokey policy role-trust --oidc {issuer} --sub TEXT.",
        )
        return
    exact = {"stringequals", "stringequalsignorecase", "foranyvalue:stringequals"}
    for operator, key, values in conditions(statement):
        if key != f"{issuer.lower()}:sub" or operator in exact:
            continue
        for value in map(str, values):
            if re.search(r"[*?]", value):
                fixed = re.split(r"[*?]", value)[0]
                yield _about(
                    role,
                    "TK503",
                    f"{role.name} trusts every subject of {issuer} that matches {value}.",
                    f"Name each subject: twokey policy role-trust --oidc {issuer} --sub TEXT.",
                    # Without a fixed owner, the jobs of strangers match.
                    "critical" if "/" not in fixed else "high" if fixed.count(":") < 2 else "medium",
                )


def _for_all_values(role: Principal, statement: Statement) -> Iterator[Finding]:
    for operator, key, _ in conditions(statement):
        if operator.startswith("forallvalues:"):
            yield _about(
                role,
                "TK504",
                f"The trust policy of {role.name} allows by ForAllValues on {key}, which also holds for a request "
                "without that key.",
                "Use the operator without ForAllValues.",
            )


def _about(role: Principal, rule: str, message: str, remedy: str, severity: Severity | None = None) -> Finding:
    return Finding(rule, role.account, "", role.arn, message, remedy, severity)
