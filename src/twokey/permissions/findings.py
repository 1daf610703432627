"""The findings of ``twokey lint``: their ids, which never change, with severity and meaning. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""From the least to the most severe."""


class Meaning(NamedTuple):
    """What a finding with an id is about."""

    severity: Severity
    title: str


RULES = {
    "TK101": Meaning("high", "An inline policy allows more than to assume roles"),
    "TK102": Meaning("high", "An attached policy allows more than to assume roles"),
    "TK103": Meaning("high", "A policy of a group allows more than to assume roles"),
    "TK104": Meaning("critical", "A policy allows everything"),
    "TK201": Meaning("critical", "A user reaches a role of a tier that is closed to it"),
    "TK202": Meaning("critical", "A user reaches such a role through other roles"),
    "TK203": Meaning("critical", "A user can make credentials for a user of such a tier"),
    "TK204": Meaning("critical", "A user can change the permissions of a user or role of such a tier, or its own"),
    "TK205": Meaning("critical", "A user can let a service work with a role of such a tier"),
    "TK301": Meaning("high", "A machine user has a console password"),
    "TK401": Meaning("medium", "No guard limits from where the keys of a user work"),
    "TK402": Meaning("medium", "A guard by source address denies what AWS services do for the user"),
    "TK403": Meaning(
        "medium", "A guard by source address denies requests through VPC endpoints that it means to allow"
    ),
    "TK501": Meaning("critical", "Any AWS account can assume a role"),
    "TK502": Meaning("critical", "Every user of an OIDC provider can assume a role"),
    "TK503": Meaning("high", "A role trusts OIDC subjects by a wildcard"),
    "TK504": Meaning("high", "A condition with ForAllValues also holds without a value"),
    "TK505": Meaning("medium", "A role takes OIDC tokens that were made for another service"),
    "TK601": Meaning("medium", "A key is in CI variables, where the token of the store is enough"),
    "TK602": Meaning("low", "The jobs of a user can work without a key"),
}
"""Every rule by its id."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. ``user`` is empty where it is about a role; ``resource`` is an ARN, or a destination's URL."""

    id: str
    account: str
    user: str
    resource: str
    message: str
    remedy: str
    severity: Severity | None = None

    @property
    def level(self) -> Severity:
        """The severity of this finding: that of its rule, if it has no other."""
        return self.severity or RULES[self.id].severity


def order(finding: Finding) -> tuple[int, str, str, str]:
    """Sort findings by severity, the worst first, then by user and id."""
    return -SEVERITIES.index(finding.level), finding.user, finding.id, finding.resource
