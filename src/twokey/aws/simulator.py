"""What IAM's policy simulator says, and how far it can be believed ("SimulatePrincipalPolicy", IAM API Reference).

The simulator knows the policies, not the request: where it asks from, with which MFA, by which endpoint. A condition on
what it was not told makes it deny what IAM allows, an explicit deny by a negated operator included. It names what it
lacked, beside the single resource where resources were asked about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_DENIED = ("implicitDeny", "explicitDeny")


def verdict(results: Sequence[Any]) -> bool | None:
    """Say whether all that was asked about is allowed; None where nobody can tell.

    A deny of a permissions boundary is believed like one of the principal's own policies: what such a policy lacks is
    named. A deny of a service control policy is not: nothing says that what it lacks is named as well, and a deny
    that is believed wrongly stops all rotations, while one that is not believed costs no more than LAST, whose time
    was over.
    """
    decisions = {decision for result in results for decision in _decisions(result)}
    if any(_lacking(result) or not _organization_allows(result) for result in results):
        return None
    if decisions == {"allowed"}:
        return True
    return False if decisions & set(_DENIED) else None


def _decisions(result: Any) -> list[str]:
    """Return the decision on each resource, or the one on all where there are no single ones."""
    single = [one["EvalResourceDecision"] for one in result.get("ResourceSpecificResults", ())]
    return single or [result["EvalDecision"]]


def _lacking(result: Any) -> bool:
    parts = (result, *result.get("ResourceSpecificResults", ()))
    return any(part.get("MissingContextValues") for part in parts)


def _organization_allows(result: Any) -> bool:
    return bool(result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True))
