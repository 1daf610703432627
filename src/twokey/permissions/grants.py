"""What a principal's policies allow, as patterns: of actions, and of the resources of one action.

Conditions are taken as if they could hold where they allow, and as if they could fail where they deny: what is reported
as allowed may be impossible in a special case, but nothing that is possible is left out. Sources: "Policy evaluation
logic" and "Permissions boundaries for IAM entities" (IAM User Guide).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from twokey.permissions.conditions import as_list, like, like_any_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from twokey.permissions.account import Document

Statement = dict[str, Any]
_VARIABLE = re.compile(r"\$\{[^}]*\}")


def statements(document: Document) -> list[Statement]:
    """Return the statements of a document; none for an invalid one."""
    return [one for one in as_list(document.get("Statement", [])) if isinstance(one, dict)]


def conditions(statement: Statement) -> Iterator[tuple[str, str, list[Any]]]:
    """Yield operator, key and values of each condition of a statement, names in lowercase."""
    for operator, keys in (statement.get("Condition") or {}).items():
        for key, values in keys.items():
            yield str(operator).lower(), str(key).lower(), as_list(values)


@lru_cache(maxsize=65_536)
def covers(pattern: str, other: str) -> bool:
    """Whether a pattern matches everything that another pattern matches. It may return False where that is true."""
    return like(other, pattern) if "?" not in other else pattern == other or like(other.replace("?", "*"), pattern)


@lru_cache(maxsize=65_536)
def overlap(one: str, other: str) -> bool:
    """Whether some text matches both patterns."""
    if not one or not other:
        return not one.strip("*") and not other.strip("*")
    if one[0] == "*":
        return overlap(one[1:], other) or overlap(one, other[1:])
    if other[0] == "*":
        return overlap(other, one)
    return (one[0] == other[0] or "?" in (one[0], other[0])) and overlap(one[1:], other[1:])


@dataclass(frozen=True, slots=True)
class Grants:
    """The allowing and denying statements of a principal, and the allowing ones of its boundary."""

    allows: tuple[Statement, ...]
    denies: tuple[Statement, ...]
    boundary: tuple[Statement, ...] | None

    @classmethod
    def of(cls, documents: Iterable[Document], boundary: Document | None) -> Grants:
        """Read the statements of a principal's documents."""
        own = [one for document in documents for one in statements(document)]
        limits = None if boundary is None else statements(boundary)
        return cls(
            tuple(one for one in own if one.get("Effect") == "Allow"),
            tuple(one for one in (*own, *(limits or ())) if one.get("Effect") == "Deny"),
            None if limits is None else tuple(one for one in limits if one.get("Effect") == "Allow"),
        )

    def actions(self, statement: Statement) -> Iterator[str]:
        """Yield patterns of the actions that an allowing statement really allows, in lowercase."""
        for pattern in _actions(statement):
            yield from self._not_denied(pattern)

    def _not_denied(self, pattern: str) -> Iterator[str]:
        left = [pattern]
        for deny in self.denies:
            if deny.get("Condition") or not _everywhere(deny):
                continue
            left = [rest for one in left for rest in _without(one, deny)]
        for one in left:
            yield from self._within_boundary(one)

    def _within_boundary(self, pattern: str) -> Iterator[str]:
        if self.boundary is None:
            yield pattern
            return
        for statement in self.boundary:
            for limit in _actions(statement):
                if covers(limit, pattern):
                    yield pattern
                elif covers(pattern, limit) or overlap(pattern, limit):
                    yield limit

    def resources(self, action: str) -> Iterator[str]:
        """Yield patterns of the resources on which the action is allowed; a resource that is denied may match them."""
        if self.boundary is not None and not any(_names(one, action) for one in self.boundary):
            return
        for statement in self.allows:
            if _names(statement, action):
                named = ["*"] if "NotResource" in statement else as_list(statement.get("Resource", []))
                yield from (_known(one, "*") for one in named)

    def may(self, action: str, resource: str) -> bool:
        """Whether the action may be allowed on a resource."""
        return (
            any(_names(one, action) and _on(one, resource) for one in self.allows)
            and (self.boundary is None or any(_names(one, action) and _on(one, resource) for one in self.boundary))
            and not self.denied(action, resource)
        )

    def denied(self, action: str, resource: str) -> bool:
        """Whether the action is denied on a resource, whatever the conditions."""
        return any(
            _names(one, action) and _on(one, resource, denies=True) and not one.get("Condition") for one in self.denies
        )


def _actions(statement: Mapping[str, Any]) -> list[str]:
    if "NotAction" in statement:
        return ["*"]
    return [str(one).lower() for one in as_list(statement.get("Action", []))]


def _everywhere(statement: Mapping[str, Any]) -> bool:
    return "*" in as_list(statement.get("Resource", []))


def _without(pattern: str, deny: Statement) -> list[str]:
    """Return what is left of a pattern of actions: nothing, the pattern, or the exceptions of the deny."""
    if "NotAction" in deny:
        exceptions: Sequence[str] = [str(one).lower() for one in as_list(deny["NotAction"])]
        if any(covers(one, pattern) for one in exceptions):
            return [pattern]
        return [one for one in exceptions if overlap(one, pattern)]
    return [] if any(covers(str(one).lower(), pattern) for one in as_list(deny.get("Action", []))) else [pattern]


def _names(statement: Mapping[str, Any], action: str) -> bool:
    if "NotAction" in statement:
        return not any(like_any_case(action, str(one)) for one in as_list(statement["NotAction"]))
    return any(like_any_case(action, str(one)) for one in as_list(statement.get("Action", [])))


def _on(statement: Mapping[str, Any], resource: str, *, denies: bool = False) -> bool:
    if "NotResource" in statement:
        return not any(like(resource, _known(one, "*")) for one in as_list(statement["NotResource"]))
    # What a variable stands for is not known here: a resource with one is allowed, and is not denied.
    return any(like(resource, _known(one, "\0" if denies else "*")) for one in as_list(statement.get("Resource", [])))


def _known(pattern: object, variable: str) -> str:
    return _VARIABLE.sub(variable, str(pattern))
