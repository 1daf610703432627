"""Text is laid out for a width: no word, no key id and no part of a URL is broken where that can be avoided."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokey.cli import layout
from twokey.cli.layout import Column, cell, wrap

KEY = "AKIAIOSFODNN7EXAMPLE"
URL = "secretsmanager:machine-users/{account}/build-and-deploy?format=env&id={USER}_ID"


def text_of(lines: list[layout.Line] | None) -> list[str]:
    assert lines is not None
    return ["".join(text for text, _ in line) for line in lines]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("a word", ["a word"]),
        ("CURRENT has reached the end of its period.", ["CURRENT has reached", "the end of its", "period."]),
        (f"held by {KEY}", ["held by", KEY]),
        (
            URL,
            ["secretsmanager:", "machine-users/", "{account}/", "build-and-deploy?", "format=env&id=", "{USER}_ID"],
        ),
        ("allow ssm:PutParameter on ssm:/a/b", ["allow", "ssm:PutParameter on", "ssm:/a/b"]),
        ("build-and-deploy-the-public-website", ["build-and-deploy-", "the-public-website"]),
        ("since 2026-12-05T01:00:00Z or so", ["since", "2026-12-05T01:00:00Z", "or so"]),
        ("x" * 45, ["x" * 20, "x" * 20, "x" * 5]),
    ],
)
def test_lines_end_between_words_and_between_parts_of_urls(text: str, lines: list[str]) -> None:
    assert wrap(text, 20) == lines


@given(st.text(st.sampled_from("ab /:?&=,{}1-")), st.integers(1, 30))
def test_no_line_is_too_long_and_nothing_but_white_space_is_lost(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert max(map(len, lines)) <= width
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)


def test_a_table_gives_wide_columns_the_room_that_the_others_leave() -> None:
    columns = (Column("user"), Column("key"), Column("held by", 20))
    row = [cell("ci"), cell(KEY), cell([URL, "ssm:/a"])]
    assert text_of(layout.table(columns, [row], 60)) == [
        "user  key                   held by",
        f"ci    {KEY}  secretsmanager:machine-users/",
        "                            {account}/build-and-deploy?",
        "                            format=env&id={USER}_ID",
        "                            ssm:/a",
    ]


def test_a_table_that_would_leave_a_column_too_little_is_not_drawn() -> None:
    columns = (Column("key"), Column("held by", 20))
    row = [cell(KEY), cell(URL)]
    assert layout.table(columns, [row], 42) is not None
    assert layout.table(columns, [row], 41) is None
    assert layout.table(columns, [[cell(KEY), cell("ssm:/a")]], 30) is not None


def test_what_stands_below_a_row_has_the_whole_width_and_an_indent() -> None:
    columns = (Column("user"), Column("outcome", 1, words=True))
    rows = [[cell("ci"), cell("will be refused (in_use)")], [cell("b"), cell("not due")]]
    assert text_of(layout.table(columns, rows, 22, [[cell("one two three four five six")], []])) == [
        "user  outcome",
        "ci    will be refused",
        "      (in_use)",
        "  one two three four",
        "    five six",
        "b     not due",
    ]
    assert layout.table(columns, rows, 13) is None, "a word would be broken"


def test_a_name_may_have_two_lines_in_a_table() -> None:
    assert layout.narrowest_of(["ci", "build-and-deploy-the-public-website"]) == len("the-public-website")
    assert layout.narrowest_of(["a", ""]) == 1


def test_a_block_sets_further_lines_below_the_first() -> None:
    title = [("ci: ", "bold"), ("due now", "")]
    assert text_of(layout.block(title, [("CURRENT", cell(KEY)), ("problem", cell("one two three four"))], 33)) == [
        "ci: due now",
        f"  CURRENT  {KEY}",
        "  problem  one two three four",
    ]
    assert text_of(layout.block(title, [("problem", cell("one two three four"))], 20)) == [
        "ci: due now",
        "  problem  one two",
        "           three",
        "           four",
    ]


def test_a_title_that_is_longer_than_a_line_is_broken_after_the_name() -> None:
    title = [("build-and-deploy: ", "bold"), ("will be refused (in_use)", "yellow")]
    assert text_of(layout.block(title, [], 80)) == ["build-and-deploy: will be refused (in_use)"]
    assert text_of(layout.block(title, [], 20)) == ["build-and-deploy:", "  will be refused", "  (in_use)"]


@pytest.mark.parametrize(
    ("name", "width"),
    [("administrator", 13), ("build-and-deploy-the-public-website", 18), ("ci", 2), ("", 1), ("terraform-", 10)],
)
def test_a_column_of_names_is_as_wide_as_their_longest_part(name: str, width: int) -> None:
    assert layout.narrowest_of([name]) == width
