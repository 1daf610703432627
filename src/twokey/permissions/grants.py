"""What a principal's policies allow, as patterns: of actions, and of the resources of one action.

Conditions whose result is unknown are taken as if they could hold where they allow, and as if they could fail where
they deny: what is reported as allowed may be impossible in a special case, but nothing that is possible is left out.
Sources: "Policy evaluation logic" and "Permissions boundaries for IAM entities" (IAM User Guide).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from twokey.permissions.statements import NOTHING, TAGS, covers, overlap, rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from twokey.permissions.account import Document
    from twokey.permissions.statements import Known, Rule

Tags = dict[str, list[str]]


class Actions(NamedTuple):
    """Actions that are allowed: those that match a pattern, except some. In lowercase."""

    pattern: str
    exceptions: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Name them for people."""
        name = "everything" if self.all else self.pattern
        return f"{name} except {', '.join(self.exceptions)}" if self.exceptions else name

    @property
    def all(self) -> bool:
        """Whether the pattern matches every action."""
        return not self.pattern.strip("*:")

    def without(self, patterns: Sequence[str]) -> Iterator[Actions]:
        """Yield what is left without actions that match one of the patterns."""
        if not any(covers(one, self.pattern) for one in patterns):
            more = [one for one in patterns if overlap(one, self.pattern)]
            yield Actions(self.pattern, tuple(dict.fromkeys((*self.exceptions, *more))))

    def within(self, patterns: Sequence[str]) -> Iterator[Actions]:
        """Yield what is left of them if only actions that match one of the patterns count."""
        for one in patterns:
            if covers(one, self.pattern):
                yield self
                return
        for one in patterns:
            if overlap(one, self.pattern) and not any(covers(other, one) for other in self.exceptions):
                kept = tuple(other for other in self.exceptions if overlap(other, one))
                yield Actions(one if covers(self.pattern, one) else self.pattern, kept)


@dataclass(frozen=True, slots=True)
class Grants:
    """The allowing and denying rules of a principal, and the allowing ones of its boundary."""

    allows: tuple[Rule, ...]
    denies: tuple[Rule, ...]
    boundary: tuple[Rule, ...] | None
    known: Known

    @classmethod
    def of(cls, documents: Iterable[Document], boundary: Document | None, known: Known = NOTHING) -> Grants:
        """Read the statements of a principal's documents."""
        own = [one for document in documents for one in rules(document, known)]
        limits = None if boundary is None else list(rules(boundary, known))
        return cls(
            tuple(one for one in own if not one.deny),
            tuple(one for one in (*own, *(limits or ())) if one.deny),
            None if limits is None else tuple(one for one in limits if not one.deny),
            known,
        )

    def actions(self, rule: Rule) -> Iterator[Actions]:
        """Yield the actions that an allowing rule really allows."""
        found: Iterable[Actions] = map(Actions, rule.actions)
        if rule.but_actions:
            found = Actions("*").without(rule.actions)
        certain = [deny for deny in self.denies if not deny.condition]
        for one in found:
            for rest in left_by(certain, rule, one):
                yield from self._within_boundary(rest, rule)

    def _within_boundary(self, actions: Actions, rule: Rule) -> Iterator[Actions]:
        if self.boundary is None:
            yield actions
            return
        for limit in self.boundary:
            if any(overlap(one, other) for one in limit.patterns for other in rule.patterns):
                yield from (actions.without if limit.but_actions else actions.within)(limit.actions)

    def resources(self, action: str) -> Iterator[str]:
        """Yield patterns of the resources on which the action is allowed; a resource that is denied may match them."""
        if self.boundary is not None and not any(one.names(action) for one in self.boundary):
            return
        for rule in self.allows:
            if rule.names(action):
                yield from rule.patterns

    def may(self, action: str, resource: str, tags: Tags | None = None) -> bool:
        """Whether the action may be allowed on a resource. ``tags``: those of the resource, as ``tags_of`` has them."""
        return (
            self._allowed(self.allows, action, resource, tags)
            and self.bounded(action, resource, tags)
            and not self.denied(action, resource, tags)
        )

    def may_on_any(self, action: str) -> bool:
        """Whether the action may be allowed on some resource."""
        return any(self.may_on(action, pattern) for pattern in self.resources(action))

    def may_on(self, action: str, pattern: str) -> bool:
        """Whether the boundary and the denies leave the action on a resource that matches a pattern."""
        limits = [one for rule in self.boundary or () if rule.names(action) for one in rule.patterns]
        within = self.boundary is None or any(overlap(one, pattern) for one in limits)
        return within and not any(
            one.names(action) and not one.condition and covers_all(one, pattern) for one in self.denies
        )

    def bounded(self, action: str, resource: str, tags: Tags | None = None) -> bool:
        """Whether the boundary, if there is one, may allow the action on a resource."""
        return self.boundary is None or self._allowed(self.boundary, action, resource, tags)

    def denied(self, action: str, resource: str, tags: Tags | None = None) -> bool:
        """Whether the action is certainly denied on a resource."""
        return any(
            one.names(action)
            and (not one.condition or (one.by_tags and self._decide(one.condition, tags) is True))
            and one.on(resource)
            for one in self.denies
        )

    def _allowed(self, allowing: Iterable[Rule], action: str, resource: str, tags: Tags | None) -> bool:
        return any(
            one.names(action) and one.on(resource) and not (one.by_tags and self._decide(one.condition, tags) is False)
            for one in allowing
        )

    def _decide(self, condition: Mapping[str, Mapping[str, object]], tags: Tags | None) -> bool | None:
        return None if tags is None else self.known.with_values(tags, TAGS).decide(condition)


def covers_all(rule: Rule, pattern: str) -> bool:
    """Whether a rule is about every resource that matches a pattern."""
    if rule.but_resources:
        return not any(overlap(one, pattern) for one in rule.resources)
    return any(covers(one, pattern) for one in rule.resources)


def left_by(denies: Iterable[Rule], rule: Rule, actions: Actions) -> Iterator[Actions]:
    """Yield what is left of an allowing rule's actions if these denying rules apply."""
    left = [actions]
    for deny in denies:
        if all(covers_all(deny, one) for one in rule.patterns):
            change = Actions.within if deny.but_actions else Actions.without
            left = [rest for one in left for rest in change(one, deny.actions)]
    yield from left
