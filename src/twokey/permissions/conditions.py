"""The conditions of policy statements.

Sources: "IAM JSON policy elements: Condition operators", "Multivalued context keys" and "IAM policy elements: Variables
and tags" in the IAM User Guide. Pure: a condition is evaluated against the context that the caller provides.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from twokey.core.timestamps import zoned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class UnsupportedOperatorError(Exception):
    """A condition operator that this evaluator does not support; the message names it."""


def holds(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, Sequence[str]]) -> bool:
    """Whether every operator and every key of a Condition block holds. The keys of the context are lowercase.

    Raises UnsupportedOperatorError.
    """
    results = [
        _key_holds(operator, key, values, context)
        for operator, keys in condition.items()
        for key, values in keys.items()
    ]
    return all(results)


def _key_holds(operator: str, key: str, wanted: object, context: Mapping[str, Sequence[str]]) -> bool:
    quantifier, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    base = name.removesuffix("IfExists")
    patterns = [substitute(str(_plain(value)), context) for value in as_list(wanted)]
    present = context.get(key.lower())
    if base == "Null":
        return (present is None) == (patterns[:1] == ["true"])
    test, negated = _operator(base)
    if present is None:
        return if_exists or negated or quantifier == "ForAllValues"
    matched = [any(test(value, pattern) for pattern in patterns) != negated for value in present]
    return any(matched) if quantifier == "ForAnyValue" else all(matched)


def _plain(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def as_list(value: object) -> list[Any]:
    """The value as a list: policies state a single element without one."""
    return list(value) if isinstance(value, list) else [value]


_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def substitute(text: str, context: Mapping[str, Sequence[str]]) -> str:
    """Replace policy variables by their values. A variable without a value matches nothing, as in AWS."""

    def fill(match: re.Match[str]) -> str:
        name, _, default = match[1].partition(",")
        if name in {"*", "?", "$"}:
            return name
        values = context.get(name.strip().lower())
        return values[0] if values else default.strip().strip("'") or "\0absent"

    return _VARIABLE.sub(fill, text) if "${" in text else text


@lru_cache(maxsize=4096)
def _glob(pattern: str, flags: int) -> re.Pattern[str]:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.compile("".join(parts), re.DOTALL | flags)


def like(value: str, pattern: str) -> bool:
    """Match a pattern with the wildcards `*` and `?`."""
    return pattern == "*" or _glob(pattern, 0).fullmatch(value) is not None


def like_any_case(value: str, pattern: str) -> bool:
    """The same, case-insensitive, as for actions."""
    return pattern == "*" or _glob(pattern, re.IGNORECASE).fullmatch(value) is not None


def _arn_like(value: str, pattern: str) -> bool:
    """Match each of the six parts of an ARN separately."""
    values, patterns = value.split(":", 5), pattern.split(":", 5)
    return len(values) == len(patterns) and all(map(like, values, patterns))


def _address(value: str, pattern: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return False


def _moment(text: str) -> float:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    return zoned(datetime.fromisoformat(text)).timestamp()


def _ordered(read: Callable[[str], float], accept: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def test(value: str, pattern: str) -> bool:
        try:
            return accept(read(value), read(pattern))
        except ValueError:
            return False

    return test


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "Equals": lambda a, b: a == b,
    "LessThan": lambda a, b: a < b,
    "LessThanEquals": lambda a, b: a <= b,
    "GreaterThan": lambda a, b: a > b,
    "GreaterThanEquals": lambda a, b: a >= b,
}
_TESTS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": str.__eq__,
    "StringEqualsIgnoreCase": lambda a, b: a.lower() == b.lower(),
    "StringLike": like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda a, b: a.lower() == b.lower(),
    "IpAddress": _address,
    **{f"Numeric{name}": _ordered(float, accept) for name, accept in _COMPARISONS.items()},
    **{f"Date{name}": _ordered(_moment, accept) for name, accept in _COMPARISONS.items()},
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}


def _operator(base: str) -> tuple[Callable[[str, str], bool], bool]:
    negated = base in _NEGATED
    test = _TESTS.get(_NEGATED.get(base, base))
    if test is None:
        raise UnsupportedOperatorError(base)
    return test, negated
