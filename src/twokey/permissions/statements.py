"""Statements of policy documents, read once for the principal whose they are.

What is known of a principal decides conditions and fills in policy variables: its ARN, account, name and tags. What a
request brings with it, such as an address, is unknown: such a condition may hold and may fail. Sources: "Condition
operators", "Variables and tags" and "AWS global condition context keys" (IAM User Guide).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from twokey.permissions.conditions import UnsupportedOperatorError, as_list, holds, like, like_any_case

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from twokey.permissions.account import Document, Principal

Statement = dict[str, Any]
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_TAG_OF_TARGET = re.compile(r"(?:aws|iam):resourcetag/", re.IGNORECASE)


def statements(document: Document) -> list[Statement]:
    """Return the statements of a document; none for an invalid one."""
    return [one for one in as_list(document.get("Statement", [])) if isinstance(one, dict)]


def conditions(statement: Statement) -> Iterator[tuple[str, str, list[Any]]]:
    """Yield operator, key and values of each condition of a statement, names in lowercase."""
    for operator, keys in (statement.get("Condition") or {}).items():
        for key, values in keys.items():
            yield str(operator).lower(), str(key).lower(), as_list(values)


class Known:
    """What is known of a request: the values of some keys, and that others are absent. Keys are lowercase."""

    def __init__(self, values: Mapping[str, Sequence[str]], absent: Sequence[str] = ()) -> None:
        """Know these values, and that no key begins with one of ``absent`` unless it has a value."""
        self.values = values
        self._absent = tuple(absent)

    def knows(self, key: str) -> bool:
        """Whether the key's value is known, or known to be absent."""
        return key in self.values or (bool(self._absent) and key.startswith(self._absent))

    def with_values(self, values: Mapping[str, Sequence[str]], absent: Sequence[str] = ()) -> Known:
        """Know more."""
        return Known({**self.values, **values}, (*self._absent, *absent))

    def decide(self, condition: Mapping[str, Mapping[str, Any]]) -> bool | None:
        """Say whether a condition holds; None where that is unknown."""
        unknown = False
        for operator, keys in condition.items():
            for key, wanted in keys.items():
                name = str(key).lower()
                if not self.knows(name) or not all(map(self._filled, as_list(wanted))):
                    unknown = True
                    continue
                try:
                    if not holds({operator: {key: wanted}}, self.values):
                        return False
                except UnsupportedOperatorError:
                    unknown = True
        return None if unknown else True

    def _filled(self, text: object) -> bool:
        return all(self.knows(_name(found)) for found in _VARIABLE.findall(str(text)))

    def fill(self, text: object, other: str) -> str:
        """Fill the known variables in; ``other`` stands for those that are unknown."""

        def value(match: re.Match[str]) -> str:
            if match[1] in {"*", "?", "$"}:
                return match[1]
            return next(iter(self.values.get(_name(match[1]), ())), other)

        return _VARIABLE.sub(value, str(text)) if "${" in str(text) else str(text)


def _name(variable: str) -> str:
    return variable.partition(",")[0].strip().lower()


NOTHING = Known({})


def known_of(principal: Principal) -> Known:
    """Return what is known of each request of a principal."""
    user = principal.kind == "user"
    values = {
        "aws:principalarn": [principal.arn],
        "aws:principalaccount": [principal.account],
        "aws:principaltype": ["User" if user else "AssumedRole"],
        "aws:principalisawsservice": ["false"],
        **({"aws:username": [principal.name]} if user else {}),
        **{f"aws:principaltag/{key}".lower(): [value] for key, value in principal.tags.items()},
    }
    # The session of a role may have tags of its own.
    return Known(values, ["aws:principaltag/", "aws:federatedprovider"] if user else ["aws:username"])


def tags_of(target: Principal) -> dict[str, list[str]]:
    """Return the values that a condition on a target's tags compares with."""
    return {
        f"{prefix}:resourcetag/{key}".lower(): [value]
        for prefix in ("aws", "iam")
        for key, value in target.tags.items()
    }


TAGS = ("aws:resourcetag/", "iam:resourcetag/")


@dataclass(frozen=True, slots=True)
class Rule:
    """A statement for a principal. ``condition``: what is left of it, where that is not known.

    ``but_actions`` and ``but_resources``: the elements are NotAction and NotResource. ``by_tags``: the condition is
    about the target's tags.
    """

    statement: Statement
    deny: bool
    actions: tuple[str, ...]
    but_actions: bool
    resources: tuple[str, ...]
    but_resources: bool
    condition: Mapping[str, Mapping[str, Any]]
    by_tags: bool

    def names(self, action: str) -> bool:
        """Whether the rule is about this action."""
        return any(like_any_case(action, one) for one in self.actions) != self.but_actions

    def on(self, resource: str) -> bool:
        """Whether the rule is about this resource."""
        return any(like(resource, one) for one in self.resources) != self.but_resources

    @property
    def patterns(self) -> tuple[str, ...]:
        """Patterns of its resources. One that NotResource excepts may match them."""
        return ("*",) if self.but_resources else self.resources


def rules(document: Document, known: Known) -> Iterator[Rule]:
    """Yield the statements that may apply to a principal."""
    for one in statements(document):
        deny = one.get("Effect") == "Deny"
        condition = one.get("Condition") or {}
        holding = known.decide(condition) if condition else True
        if holding is False:
            continue
        # What an unknown variable stands for is unknown: a resource with one is allowed, and is not denied.
        but_resources = "NotResource" in one
        other = "\0" if deny != but_resources else "*"
        yield Rule(
            one,
            deny,
            tuple(str(name).lower() for name in as_list(one.get("NotAction", one.get("Action", [])))),
            "NotAction" in one,
            tuple(known.fill(name, other) for name in as_list(one.get("NotResource", one.get("Resource", [])))),
            but_resources,
            {} if holding else condition,
            not holding and any(_TAG_OF_TARGET.match(key) for keys in condition.values() for key in keys),
        )


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
