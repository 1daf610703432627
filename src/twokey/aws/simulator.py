"""Evaluates results of IAM's policy simulator, which are a hint only ("SimulatePrincipalPolicy", IAM API Reference).

The simulator knows the policies, but not the request: its source address, MFA or endpoint. A condition on a missing
context value makes it deny what IAM allows, even explicitly, with a negated operator. It names the missing values; if
the request names resources, for each resource.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_DENIED = ("implicitDeny", "explicitDeny")


def verdict(results: Sequence[Any]) -> bool | None:
    """Return whether everything in the request is allowed; None if the results do not determine that.

    A deny by a permissions boundary counts like one by the principal's own policies: the simulator names the context
    values that they lack. A deny by a service control policy does not count: AWS does not document that its missing
    values are named as well. A deny that counts wrongly stops all rotations; one that is ignored wrongly costs only
    LAST, whose grace is over.
    """
    decisions = {decision for result in results for decision in _decisions(result)}
    if any(_lacks_context(result) or not _organization_allows(result) for result in results):
        return None
    if decisions == {"allowed"}:
        return True
    return False if decisions & set(_DENIED) else None


def _decisions(result: Any) -> list[str]:
    """Return the decision on each resource, or the overall decision if there are none."""
    by_resource = [one["EvalResourceDecision"] for one in result.get("ResourceSpecificResults", ())]
    return by_resource or [result["EvalDecision"]]


def _lacks_context(result: Any) -> bool:
    parts = (result, *result.get("ResourceSpecificResults", ()))
    return any(part.get("MissingContextValues") for part in parts)


def _organization_allows(result: Any) -> bool:
    return bool(result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True))
