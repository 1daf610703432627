"""Members of a JSON object: only the value changes, whatever else is there and however it is written."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from twokey.core.errors import ServiceRejected
from twokey.core.secret import Hidden
from twokey.destinations.formats import json_members
from twokey.testing.stores import outcome


def edited(text: str, name: str, value: str = "new") -> str:
    return str(json_members.with_value(Hidden(text), name, Hidden(value)))


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        ("", "key", '{"key": "new"}\n'),
        ("{}", "key", '{"key": "new"}'),
        ("{\n}\n", "key", '{"key": "new"}\n'),
        ('{"key":"old"}', "key", '{"key":"new"}'),
        ('{"key": null, "n": 1}', "key", '{"key": "new", "n": 1}'),
        ('{"n": 1}', "key", '{"n": 1, "key": "new"}'),
        ('{"n":1,"m":2}', "key", '{"n":1,"m":2,"key":"new"}'),
        ('{\n  "n": 1\n}\n', "key", '{\n  "n": 1,\n  "key": "new"\n}\n'),
        ('{\r\n\t"n" : 1,\r\n\t"m" : [\r\n]\r\n}', "key", '{\r\n\t"n" : 1,\r\n\t"m" : [\r\n],\r\n\t"key" : "new"\r\n}'),
        ('{"aws": {"key": "old"}, "key": "other"}', "aws.key", '{"aws": {"key": "new"}, "key": "other"}'),
        ('{"n": 1}', "aws.ci.key", '{"n": 1, "aws": {"ci": {"key": "new"}}}'),
        ('{"aws": {}}', "aws.key", '{"aws": {"key": "new"}}'),
        ('{"n": 1.50, "s": "\\u00e9\\/", "key": "old"}', "key", '{"n": 1.50, "s": "\\u00e9\\/", "key": "new"}'),
        ('{"key": "n\\u0065w"}', "key", '{"key": "n\\u0065w"}'),
    ],
)
def test_the_value_changes_or_the_member_is_added(before: str, name: str, after: str) -> None:
    assert edited(before, name) == after
    assert json_members.value(Hidden(after), name) == "new"
    assert edited(after, name) == after


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("[]", "key", "not a JSON object"),
        ('{"key": "a"', "key", "not a JSON object"),
        ('{"key": "a"} // c', "key", "not a JSON object"),
        ("[" * 100_000, "key", "not a JSON object"),
        ('{"a": ' + "[" * 100_000, "key", "not a JSON object"),
        ('{"key": "a", "key": "b"}', "key", "'key' occurs more than once"),
        ('{"aws": {"key": "a"}, "aws": {}}', "aws.key", "'aws' occurs more than once"),
        ('{"key": 5}', "key", "'key' is not a text"),
        ('{"key": {"a": "b"}}', "key", "'key' is not a text"),
        ('{"aws": "a"}', "aws.key", "'aws' is not an object, so it cannot contain 'aws.key'"),
        ('{"aws": null}', "aws.key", "'aws' is not an object"),
    ],
)
def test_what_readers_could_take_differently_is_refused(text: str, name: str, message: str) -> None:
    for act in (lambda: edited(text, name), lambda: json_members.value(Hidden(text), name)):
        with pytest.raises(ServiceRejected, match=message):
            act()


def test_a_name_that_is_there_twice_elsewhere_is_not_twokeys_concern() -> None:
    assert edited('{"a": 1, "a": 2, "key": "old"}', "key") == '{"a": 1, "a": 2, "key": "new"}'


@pytest.mark.parametrize("depth", range(900, 1100, 10))
def test_what_is_nested_deeper_than_python_reads_is_refused(depth: int) -> None:
    deep = '{"a": {"b": ' + "[" * depth + "]" * depth + "}}"
    error = outcome(lambda: edited(deep, "a.c"))
    assert error is None or isinstance(error, ServiceRejected)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcde") | st.text(max_size=3), inner),
    max_leaves=8,
)
NAMES = st.lists(st.sampled_from("abcde"), min_size=1, max_size=3).map(".".join)


@given(
    document=st.dictionaries(st.sampled_from("abcde") | st.text(max_size=3), VALUES),
    indent=st.sampled_from([None, 0, 2, "\t"]),
    ascii_only=st.booleans(),
    name=NAMES,
    value=st.text(max_size=8),
)
def test_a_parser_reads_the_new_value_and_all_else_as_before(
    document: dict[str, Any], indent: Any, ascii_only: bool, name: str, value: str
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    assume(outcome(lambda: edited(text, name, value)) is None)
    after = edited(text, name, value)
    expected = copy.deepcopy(document)
    inner = expected
    *way, last = name.split(".")
    for part in way:
        inner = inner.setdefault(part, {})
    inner[last] = value
    assert json.loads(after) == expected
    assert json_members.value(Hidden(after), name) == value
    assert list(json.loads(after))[: len(document)] == list(document)
