"""The conditions of policy statements ("IAM JSON policy elements: Condition operators", IAM User Guide)."""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class NotImitatedError(Exception):
    """A condition that this emulator cannot evaluate."""


def holds(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, Sequence[str]]) -> bool:
    """Whether every operator and every key of a Condition block holds; NotImitatedError for unknown operators."""
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
    """Policies write one element bare and several as a list."""
    return list(value) if isinstance(value, list) else [value]


_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def substitute(text: str, context: Mapping[str, Sequence[str]]) -> str:
    """Fill in policy variables; one without a value never matches anything, as in AWS."""

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
    """Match with `*` and `?`, and nothing else special."""
    return pattern == "*" or _glob(pattern, 0).fullmatch(value) is not None


def like_any_case(value: str, pattern: str) -> bool:
    """The same without regard to case: actions are compared so."""
    return pattern == "*" or _glob(pattern, re.IGNORECASE).fullmatch(value) is not None


def _arn_like(value: str, pattern: str) -> bool:
    """Each of an ARN's six parts is matched by itself."""
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
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


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
        raise NotImitatedError(base)
    return test, negated
