"""Condition operators, one by one."""

from __future__ import annotations

from typing import Any

import pytest

from twokey.permissions.conditions import UnsupportedOperatorError, holds

CONTEXT = {
    "aws:username": ("ci",),
    "aws:sourceip": ("203.0.113.7",),
    "aws:securetransport": ("true",),
    "aws:currenttime": ("2026-11-21T00:00:00Z",),
    "aws:principalarn": ("arn:aws:iam::123456789012:role/rotator",),
    "n": ("5",),
    "many": ("a", "b"),
}


@pytest.mark.parametrize(
    ("operator", "key", "value", "expected"),
    [
        ("StringEquals", "aws:username", ["x", "ci"], True),
        ("StringEquals", "AWS:UserName", "ci", True),
        ("StringEquals", "aws:username", "CI", False),
        ("StringEqualsIgnoreCase", "aws:username", "CI", True),
        ("StringNotEquals", "aws:username", "ci", False),
        ("StringNotEquals", "absent", "ci", True),
        ("StringLike", "aws:username", "c?", True),
        ("StringLike", "aws:username", "c*x", False),
        ("StringNotLike", "aws:username", "c*", False),
        ("StringEquals", "aws:username", "${aws:username}", True),
        ("StringEquals", "absent", "x", False),
        ("StringEqualsIfExists", "absent", "x", True),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/rot*", True),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:*:role/rotator", False),
        ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/*", False),
        ("Bool", "aws:SecureTransport", True, True),
        ("Bool", "aws:SecureTransport", "false", False),
        ("IpAddress", "aws:SourceIp", "203.0.113.0/24", True),
        ("IpAddress", "aws:SourceIp", ["2001:db8::/32", "10.0.0.0/8"], False),
        ("NotIpAddress", "aws:SourceIp", "203.0.113.0/24", False),
        ("NotIpAddress", "aws:VpcSourceIp", "10.0.0.0/8", True),
        ("Null", "absent", "true", True),
        ("Null", "aws:username", True, False),
        ("NumericLessThan", "n", "6", True),
        ("NumericLessThan", "n", 5, False),
        ("NumericLessThanEquals", "n", 5, True),
        ("DateLessThan", "aws:CurrentTime", "2026-11-21T00:00:01Z", True),
        ("DateGreaterThan", "aws:CurrentTime", "2026-11-21T00:00:01Z", False),
        ("ForAnyValue:StringEquals", "many", "b", True),
        ("ForAllValues:StringEquals", "many", "b", False),
        ("ForAllValues:StringEquals", "many", ["a", "b"], True),
        ("ForAllValues:StringEquals", "absent", "b", True),
        ("ForAnyValue:StringEquals", "absent", "b", False),
    ],
)
def test_an_operator_decides_as_in_aws(operator: str, key: str, value: Any, *, expected: bool) -> None:
    assert holds({operator: {key: value}}, CONTEXT) is expected


def test_all_conditions_of_a_statement_must_hold() -> None:
    both = {"StringEquals": {"aws:username": "ci"}, "NumericLessThan": {"n": "6"}}
    assert holds(both, CONTEXT)
    assert not holds({**both, "NumericLessThan": {"n": "1"}}, CONTEXT)


def test_an_unknown_operator_is_said_to_be_unknown() -> None:
    with pytest.raises(UnsupportedOperatorError, match="BinaryEquals"):
        holds({"BinaryEquals": {"x": "y"}}, {"x": ("y",)})
