"""One word for each thing: what the glossary's table forbids stands in no page, message or docstring."""

from __future__ import annotations

import re
import tokenize
from functools import cache
from io import StringIO
from pathlib import Path
from tokenize import generate_tokens

import pytest

from support.imports import MODULES, source

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
PAGES = sorted(
    [
        *(ROOT / ".ci" / "run", ROOT / "Makefile", ROOT / "pyproject.toml"),
        *(*ROOT.glob("*.md"), *ROOT.glob("scripts/*.py"), *ROOT.glob(".github/**/*.*"), *ROOT.glob(".gitlab/**/*.*")),
        *(page for kind in ("md", "svg", "json") for page in (ROOT / "docs").rglob(f"*.{kind}")),
        *(
            file
            for name in ("*.md", "*.tf", "*.yaml", "*.yml", "*.service", "*.timer", "Containerfile*")
            for file in (ROOT / "deploy").rglob(name)
        ),
    ]
)
TEXTS = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
"""What a script is read for: its names and keywords are Python's words."""
END = "\0"
"""Stands after each message, so that no word is found across two of them."""

_IN_PLACE = [
    rf"(?<!\b{verb}\s{whose})"
    for verb in ("in", "take", "takes", "took", "taking", "taken")
    for whose in ("", r"its\s", r"their\s")
]
"""What may stand before "place": "in place", "takes place", and each of them with "its" or "their"."""
IN_ONE_MEANING = {
    "place": rf"{''.join(_IN_PLACE)}\bplaces?\b(?! of record)",
    "behind": r"\b(?:is|are|was|were|be|been|stays?|fell|falls?) behind(?=\n?\0| *[.,;:)]|$)",
    "late": r"\blate uses?\b",
    "lead to": r"\blead(?:s|ing)? (?:your|the|its|their|them|jobs?)\b",
    "rest": r"\b(?:must|has to|may|can) rest\b|\brest(?:s|ed)? for\b",
    "goes": r"\b(?:key|LAST|stray|orphan|one|it|that) goes(?=\n?\0| *[.,;:)]|$)|\bmay go\b(?! on)",
    "rights": r"\b(?:access )?rights\b|\bthe right to (?:read|write|see|create|change|list)\b",
    "answer": r"\b(?:an|the|no|its|any|each|clear|first|second|every) answers?\b",
}
"""What a word that has other, harmless meanings looks like in the meaning that the table excludes."""


def _rows() -> dict[str, tuple[str, str]]:
    """Return each word of the table with its note and what to use."""
    table = GLOSSARY.read_text(encoding="utf-8").partition("## Words not used")[2]
    rows = re.findall(r"^\| `([^`]+)`(?: \(([^)]*)\))? \| (.+) \|$", table, re.MULTILINE)
    return {word: (note, use) for word, note, use in rows}


ROWS = _rows()
NO_NAMES = {"ask", "asked", "behind", "foreign", "given", "said", "told", "wrong"}
"""Words that are fine in a sentence, and name nothing: a name is a noun, or a verb with its object."""
IN_NO_NAME = {"behind", "foreign"}
"""Those of them that are also part of no name."""


def _pattern(word: str) -> re.Pattern[str]:
    """Return what finds a word: as it is written and in its other forms, across line ends."""
    if word in IN_ONE_MEANING:
        return re.compile(IN_ONE_MEANING[word], re.IGNORECASE)
    words = word.split()
    last = rf"{words[-1]}(?:s|ed|ing)?"
    return re.compile(r"\b" + r"\s+".join([*words[:-1], last]) + r"\b", re.IGNORECASE)


@cache
def _prose(page: Path) -> str:
    """Return a page without what may name a word that is not used: inline code, links' addresses, codes of ruff."""
    text = page.read_text(encoding="utf-8")
    if page == GLOSSARY:
        text = text.partition("## Words not used")[0]
    elif page.suffix == ".py":
        text = "\n".join(one.string for one in generate_tokens(StringIO(text).readline) if one.type in TEXTS)
    return re.sub(r'(?<!`)`[^`\n]+`(?!`)|\]\([^)\n]+\)|"[A-Z]+"', "``", text)


@cache
def _sentences() -> tuple[str, list[str]]:
    """Return every docstring and every message, those of more than one word, as one text; and where each stands."""
    found = [(f"{module}:{line}", text) for module in MODULES for line, text in source(module).texts]
    sentences = [(at, text) for at, text in found if " " in text.strip()]
    return "".join(f"{text}{END}" for _, text in sentences), [at for at, _ in sentences]


def _found(word: str, text: str) -> dict[int, str]:
    """Return where a word is found, and what is around it there."""
    if word not in IN_ONE_MEANING and word.split(maxsplit=1)[0].lower() not in text.lower():
        return {}
    return {one.start(): text[max(0, one.start() - 30) : one.end() + 30] for one in _pattern(word).finditer(text)}


def test_the_table_is_read() -> None:
    assert {"foreign key", "stray", "mend", "anew", "whoever", "place"} <= set(ROWS)
    assert all(use for _, use in ROWS.values())


def test_a_word_with_other_meanings_has_its_pattern() -> None:
    assert {word for word, (note, _) in ROWS.items() if note} == set(IN_ONE_MEANING)


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("mend", "Mend it and run again.", True),
        ("by hand", "made by\nhand", True),
        ("mend", "We recommend it.", False),
        ("place", "two places of one name", True),
        ("place", "the credential and its place", True),
        ("place", "written in place; the store is the place of record; where it takes place", False),
        ("place", "one is created in\nits place; the lock takes its place", False),
        ("goes", "the older key goes.", True),
        ("goes", "the value goes into the store", False),
    ],
)
def test_a_forbidden_word_is_found_in_its_forms_and_not_in_others(word: str, text: str, found: bool) -> None:
    assert bool(_found(word, text)) is found


@pytest.mark.parametrize("word", ROWS)
def test_no_page_uses(word: str) -> None:
    found = {str(page.relative_to(ROOT)): _found(word, _prose(page)).values() for page in PAGES}
    assert {page: list(hits) for page, hits in found.items() if hits} == {}


@pytest.mark.parametrize("word", ROWS)
def test_no_message_and_no_docstring_uses(word: str) -> None:
    text, places = _sentences()
    found = {places[text.count(END, 0, at)]: hit for at, hit in _found(word, text).items()}
    assert found == {}


def test_no_name_in_the_code_uses_a_word_that_has_no_other_meaning() -> None:
    words = "|".join([word for word, (note, _) in ROWS.items() if not note and " " not in word] + ["rights"])
    named = re.compile(rf"\b(?:def|class) \w*?(?:\b|_)(?:{words})(?:\b|_)|\b(?:{words})_|_(?:{words})\b")
    found = {module: named.findall(path.read_text(encoding="utf-8")) for module, path in MODULES.items()}
    assert {module: names for module, names in found.items() if names} == {}


@pytest.mark.parametrize("word", sorted(NO_NAMES))
def test_no_name_in_the_code_is(word: str) -> None:
    named = {module: {name for name in source(module).names if name.strip("_").lower() == word} for module in MODULES}
    assert {module: names for module, names in named.items() if names} == {}


@pytest.mark.parametrize("word", sorted(IN_NO_NAME))
def test_no_name_in_the_code_contains(word: str) -> None:
    named = {module: {name for name in source(module).names if word in name.lower()} for module in MODULES}
    assert {module: names for module, names in named.items() if names} == {}
