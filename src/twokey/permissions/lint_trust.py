"""Findings about trust policies that any account or any user of an OIDC provider could use. Pure.

Sources: "Create a role for OIDC federation", "Identity provider controls for shared OIDC providers", "Principal",
"NotPrincipal", "Condition operators" and "Set operators for multivalued context keys" (IAM User Guide); "The meaning of
public" (Amazon S3 User Guide), for the conditions that limit who calls.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from twokey.permissions.conditions import as_list
from twokey.permissions.findings import Finding
from twokey.permissions.statements import conditions, statements
from twokey.permissions.trusts import ASSUME, assumes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twokey.permissions.account import Principal
    from twokey.permissions.findings import Severity
    from twokey.permissions.statements import Statement

WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"
_SERVICE_ROLES = "/aws-service-role/"
_POSITIVE = frozenset({"stringequals", "stringlike", "stringequalsignorecase", "arnequals", "arnlike", "ipaddress"})
_NEGATIVE = frozenset(
    {"stringnotequals", "stringnotlike", "stringnotequalsignorecase", "arnnotequals", "arnnotlike", "notipaddress"}
)
_ALWAYS = frozenset({"aws:principalarn", "aws:principalaccount", "aws:userid", "aws:principaltype"})
"""Keys that every request has: with them, IfExists changes nothing."""
_AGREED = frozenset({"aws:tagkeys", "sts:transitivetagkeys"})
"""Keys that a request may have several values of, or none, and that do not say who calls: ForAllValues limits them."""


def _fixed(text: str) -> bool:
    return not re.search(r"[*?]", text)


_WHO: dict[str, Callable[[str], bool]] = {
    "aws:principalarn": lambda value: bool(re.match(r"arn:[\w*-]+:\w+::\d{12}:", value)),
    "aws:principalorgpaths": lambda value: _fixed(value.partition("/")[0]),
    "aws:userid": lambda value: _fixed(value.partition(":")[0]),
    "aws:sourcearn": lambda value: bool(re.match(r"arn:[^:]*:[^:]*:[^:]*:\d{12}:", value)),
    "aws:sourceip": lambda value: not value.endswith("/0"),
    **dict.fromkeys(
        (
            *("aws:principalaccount", "aws:principalorgid", "aws:principalserviceorgid"),
            *("aws:sourceaccount", "aws:sourceorgid", "aws:sourceowner", "aws:sourcevpc", "aws:sourcevpce"),
        ),
        _fixed,
    ),
}
"""Keys that say who calls or from where, and which of their values limit that."""


class _Issuer(NamedTuple):
    """An OIDC provider in a trust policy. ``shared``: all of its customers get tokens from the same issuer."""

    name: str
    shared: bool

    @property
    def subject(self) -> str:
        """The key of what limits whose token it is. Cognito's subjects are users; its audience is the pool."""
        return f"{self.name}:{'aud' if self.name == _COGNITO else 'sub'}".lower()


_COGNITO = "cognito-identity.amazonaws.com"
_WEB_IDENTITIES = frozenset({"accounts.google.com", "www.amazon.com", "graph.facebook.com", _COGNITO})
_SHARED = (
    *("token.actions.githubusercontent.com", "gitlab.com", "agent.buildkite.com", "app.terraform.io", "oidc.fly.io"),
    *("oidc.vercel.com", "oidc.circleci.com", "api.bitbucket.org", "vstoken.dev.azure.com", "oidc.codefresh.io"),
)
_OWN_PATH = frozenset({"oidc.circleci.com", "api.bitbucket.org", "vstoken.dev.azure.com", "oidc.vercel.com"})
"""Shared hosts whose issuers have the customer in their path."""
_VARYING = {
    "agent.buildkite.com": r"organization:[^:*?]+:pipeline:[^:*?]+:ref:[^:*?]+:",
    "oidc.circleci.com": r"org/[^/*?]+/project/[^/*?]+/user/\*(/vcs-origin/[^/]+/vcs-ref/[^*?]+)?$",
    "api.bitbucket.org": r"\{?[^:*?]+\}?:",
    "app.terraform.io": r"organization:[^:*?]+:project:[^:*?]+:workspace:[^:*?]+:run_phase:\*$",
}
"""Subjects with a part that differs in each run: a wildcard there is right."""


def trust(role: Principal) -> Iterator[Finding]:
    """Find what is wrong with a role's trust policy."""
    if role.trust is None or role.path.startswith(_SERVICE_ROLES):
        return
    everything = statements(role.trust)
    denies = [one for one in everything if one.get("Effect") == "Deny" and _names_all(one)]
    for one in everything:
        if one.get("Effect") != "Allow":
            continue
        if assumes(one, ASSUME) or assumes(one, WEB_IDENTITY):
            yield from _for_all_values(role, one)
        if assumes(one, ASSUME) and _trusts_all(one) and not (_limited(one) or any(map(_refuses_others, denies))):
            yield _finding(
                role,
                "TK501",
                f"Any AWS account can assume {role.name}: its trust policy names the principal "
                + ("*." if "Principal" in one else "by NotPrincipal, which is every principal but those."),
                "Name the users and roles that may assume it: twokey policy role-trust --principal ARN.",
            )
        if assumes(one, WEB_IDENTITY):
            for issuer in _issuers(one):
                yield from _subjects(role, one, issuer)


def _names_all(statement: Statement) -> bool:
    principal = statement.get("Principal")
    return principal == "*" or (isinstance(principal, dict) and "*" in as_list(principal.get("AWS", [])))


def _trusts_all(statement: Statement) -> bool:
    return "NotPrincipal" in statement or _names_all(statement)


def _issuers(statement: Statement) -> Iterator[_Issuer]:
    principal = statement.get("Principal")
    federated = as_list(principal.get("Federated", [])) if isinstance(principal, dict) else []
    for one in map(str, federated):
        if ":oidc-provider/" in one:
            name = one.partition(":oidc-provider/")[2]
            host, _, path = name.partition("/")
            # An issuer with the customer in its path gives tokens to that customer alone.
            yield _Issuer(name, host in _SHARED and not (path and host in _OWN_PATH))
        elif one in _WEB_IDENTITIES:
            yield _Issuer(one, shared=True)


def _limited(statement: Statement) -> bool:
    """Whether a condition limits who may call, whatever else the request has."""
    return any(
        name in _POSITIVE and key in _WHO and values and all(map(_WHO[key], values))
        for name, key, values in _certain(statement)
    )


def _refuses_others(statement: Statement) -> bool:
    """Whether a denying statement denies every principal but those that its condition names."""
    found = list(conditions(statement))
    if not assumes(statement, ASSUME) or len(found) != 1:
        return False
    [(operator, key, values)] = found
    name = operator.rpartition(":")[2].removesuffix("ifexists")
    return name in _NEGATIVE and key in _WHO and all(_WHO[key](str(value)) for value in values)


def _certain(statement: Statement) -> Iterator[tuple[str, str, list[str]]]:
    """Yield operator, key and values of the conditions that a request without the key does not meet."""
    for operator, key, values in conditions(statement):
        quantifier, _, name = operator.rpartition(":")
        always = key in _ALWAYS or key.endswith(":sub")
        if quantifier != "forallvalues" and (always or not name.endswith("ifexists")):
            yield name.removesuffix("ifexists"), key, [str(value) for value in values]


def _subjects(role: Principal, statement: Statement, issuer: _Issuer) -> Iterator[Finding]:
    """Find an OIDC provider that is trusted without a subject, with a wildcard in it, or for any audience."""
    limits = [
        (name, values)
        for name, key, values in _certain(statement)
        if key == issuer.subject and name in _POSITIVE and not any(not value.strip("*?") for value in values)
    ]
    if not limits:
        whose = "the audience" if issuer.name == _COGNITO else "the subject"
        yield _finding(
            role,
            "TK502",
            f"Every user of {issuer.name} can assume {role.name}: no condition limits {whose} of the token.",
            f"Print a trust policy with the exact subject: twokey policy role-trust --oidc {issuer.name} --sub TEXT.",
        )
        return
    audience = f"{issuer.name}:aud".lower()
    if issuer.shared and not any(key == audience and name in _POSITIVE for name, key, _ in _certain(statement)):
        yield _finding(
            role,
            "TK505",
            f"{role.name} takes tokens of {issuer.name} that were made for another service: no condition limits their "
            "audience.",
            f"Add the audience: twokey policy role-trust --oidc {issuer.name} --sub TEXT --aud TEXT.",
        )
    for name, values in limits:
        for value in values if name.endswith("like") else ():
            if not _fixed(value) and not _varies(issuer, value):
                yield _finding(
                    role,
                    "TK503",
                    f"{role.name} trusts every subject of {issuer.name} that matches {value}.",
                    f"Name each subject: twokey policy role-trust --oidc {issuer.name} --sub TEXT.",
                    _severity(issuer, value),
                )


def _varies(issuer: _Issuer, value: str) -> bool:
    pattern = _VARYING.get(issuer.name.partition("/")[0])
    return pattern is not None and bool(re.match(pattern, value))


def _severity(issuer: _Issuer, value: str) -> Severity:
    """Say how much is fixed before the wildcard: with no owner, the jobs of strangers match."""
    fixed = re.split(r"[*?]", value)[0]
    if not issuer.shared:
        return "medium"
    owner = "/" in fixed or fixed.count(":") >= 2
    return "critical" if not owner else "high" if fixed.count(":") < 2 else "medium"


def _for_all_values(role: Principal, statement: Statement) -> Iterator[Finding]:
    present = {
        key
        for operator, key, values in conditions(statement)
        if operator == "null" and str(values[0]).lower() == "false"
    }
    for operator, key, _ in conditions(statement):
        if operator.startswith("forallvalues:") and key not in _AGREED | present:
            yield _finding(
                role,
                "TK504",
                f"The trust policy of {role.name} allows by ForAllValues on {key}, which also holds for a request "
                "without that key.",
                "Use the operator without ForAllValues.",
            )


def _finding(role: Principal, rule: str, message: str, remedy: str, severity: Severity | None = None) -> Finding:
    return Finding(rule, role.account, "", role.arn, message, remedy, severity)
