"""Evaluates IAM policies ("Policy evaluation logic", IAM User Guide).

Pure: documents, action, resources and context decide. A statement with an unsupported condition operator never allows
and always denies, so the result is never more permissive than IAM's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from twokey.permissions.conditions import UnsupportedOperatorError, as_list, holds, like, like_any_case, substitute

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Decision(Enum):
    """The three outcomes, with their names in SimulatePrincipalPolicy (IAM API Reference)."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


@dataclass(frozen=True)
class Layers:
    """The policies that apply to a caller: every layer that is not None must allow, and none may deny."""

    identity: tuple[str, ...]
    session: tuple[str, ...] | None = None
    boundary: tuple[str, ...] | None = None

    def named(self) -> list[tuple[str, tuple[str, ...]]]:
        """The layers that apply, with AWS's names for them ("Policy types", IAM User Guide)."""
        layers = [
            ("identity-based policy", self.identity),
            ("session policy", self.session),
            ("permissions boundary", self.boundary),
        ]
        return [(name, documents) for name, documents in layers if documents is not None]


@dataclass(frozen=True)
class Verdict:
    """The decision, and the layer that made it."""

    decision: Decision
    layer: str = ""

    def because(self, action: str) -> str:
        """The end of AWS's message ("Troubleshoot access denied error messages", IAM User Guide)."""
        if self.decision is Decision.EXPLICIT_DENY:
            article = "an" if self.layer.startswith("i") else "a"
            return f"with an explicit deny in {article} {self.layer}"
        return f"because no {self.layer} allows the {action} action"


def evaluate(layers: Layers, action: str, resources: Sequence[str], context: Mapping[str, Sequence[str]]) -> Verdict:
    """Decide on an action on all of these resources, by all layers."""
    missing: str | None = None
    for layer, documents in layers.named():
        for resource in resources:
            decision = decide(documents, action, resource, context)
            if decision is Decision.EXPLICIT_DENY:
                return Verdict(decision, layer)
            if decision is Decision.IMPLICIT_DENY:
                missing = missing or layer
    return Verdict(Decision.IMPLICIT_DENY, missing) if missing else Verdict(Decision.ALLOWED)


def decide(documents: Sequence[str], action: str, resource: str, context: Mapping[str, Sequence[str]]) -> Decision:
    """Decide on one resource, by the documents of one layer: an explicit deny overrides every allow."""
    allowed = False
    for document in documents:
        for statement in statements(document):
            if not _covers(statement, action, resource, context):
                continue
            deny = statement.get("Effect") == "Deny"
            if not condition_met(statement, context, unsupported=deny):
                continue
            if deny:
                return Decision.EXPLICIT_DENY
            allowed = True
    return Decision.ALLOWED if allowed else Decision.IMPLICIT_DENY


@lru_cache(maxsize=1024)
def statements(document: str) -> tuple[Mapping[str, Any], ...]:
    """The statements of a policy document; none for an invalid document."""
    try:
        elements = json.loads(document).get("Statement", [])
    except (ValueError, AttributeError):
        return ()
    return tuple(statement for statement in as_list(elements) if isinstance(statement, dict))


def covers_action(statement: Mapping[str, Any], action: str) -> bool:
    """Whether a statement applies to the action, by its Action or NotAction element."""
    if "NotAction" in statement:
        return not any(like_any_case(action, pattern) for pattern in as_list(statement["NotAction"]))
    return any(like_any_case(action, pattern) for pattern in as_list(statement.get("Action", [])))


def condition_met(statement: Mapping[str, Any], context: Mapping[str, Sequence[str]], *, unsupported: bool) -> bool:
    """Whether the conditions of the statement hold; `unsupported` is the result for an unsupported operator."""
    try:
        return holds(statement.get("Condition", {}), context)
    except UnsupportedOperatorError:
        return unsupported


def _covers(statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, Sequence[str]]) -> bool:
    if not covers_action(statement, action):
        return False
    if "NotResource" in statement:
        return not _any_resource(statement["NotResource"], resource, context)
    return _any_resource(statement.get("Resource", []), resource, context)


def _any_resource(patterns: object, resource: str, context: Mapping[str, Sequence[str]]) -> bool:
    return any(like(resource, substitute(str(pattern), context)) for pattern in as_list(patterns))
