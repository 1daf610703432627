"""The model of the protocol: it holds, no rule of it can be left out, and the page shows what Spin finds."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from docs import pages
from promela import spin
from promela.rules import INVARIANTS, NAIVE, PROTOCOL, RULES

if TYPE_CHECKING:
    from promela.spin import Verdict

PAGE = pages.DOCS / "explanation" / "model.md"
MODELS = {name: (spin.FOLDER / f"{name}.pml").read_text(encoding="utf-8") for name in ("rotation", *spin.COLUMNS)}
_BLOCK = re.compile(r"(?<=<!-- spin: )(\w+)( -->\n\n)(.*?)(?=\n\n<!-- end -->)", re.DOTALL)

needs_spin = pytest.mark.skipif(
    bool(spin.missing()), reason=f"not installed: {spin.missing()} (Debian: apt-get install spin gcc)"
)


@cache
def searched(model: str, options: tuple[str, ...], *, shortest: bool) -> Verdict:
    """Search a model; each search is done once."""
    with TemporaryDirectory(prefix="twokey-model-") as folder:
        return spin.search(Path(folder), model, options, shortest=shortest)


def holding(name: str) -> Verdict:
    """Search the protocol as it is."""
    return searched(PROTOCOL[name].model, PROTOCOL[name].options, shortest=False)


def without(name: str) -> Verdict:
    """Search the protocol without a rule, shortest way first."""
    return searched(RULES[name].model, (f"WITHOUT_{name}", *RULES[name].options), shortest=True)


def on_page_is_this_spin() -> bool:
    """Say whether the page tells of this version; another may count otherwise, and find another shortest way."""
    return f"Spin {spin.version()} " in PAGE.read_text(encoding="utf-8")


def shown(verdict: Verdict, model: str) -> str:
    """Return what the page says about a counterexample."""
    return f"{spin.table(verdict.steps, model)}\n\n{verdict.broken} is broken. {INVARIANTS[verdict.broken]}"


@needs_spin
@pytest.mark.first
@pytest.mark.parametrize("name", PROTOCOL, scope="module")
def test_no_order_of_events_breaks_an_invariant(name: str) -> None:
    verdict = holding(name)
    assert verdict.complete, verdict.printed
    (said,) = [row[2] for row in pages.tables(PAGE)["How far it looks"] if row[0] == name]
    assert verdict.states == int(said.replace(",", "")) or not on_page_is_this_spin(), "the page says another number"


@needs_spin
@pytest.mark.first
def test_every_step_of_the_model_is_taken() -> None:
    """Nothing holds for want of events: what is never reached is a broken rule, or what only one leads to."""
    verdict = holding("two runs at once, and an operator")
    lines = MODELS["rotation"].splitlines()
    assert verdict.unreached
    surprising = [
        (line, text)
        for line, text in verdict.unreached
        if text != "-end-"
        and not re.search(r"broken \| %e|:: else -> printf|refuses: the journal|requests a third key", lines[line - 1])
        and not re.search(r":: OUT_OF_DATE|MAY_PAUSE", lines[line - 1])
    ]
    assert surprising == []


@needs_spin
@pytest.mark.first
@pytest.mark.parametrize("name", [name for name, one in PROTOCOL.items() if one.model in spin.COLUMNS], scope="module")
def test_every_step_of_a_smaller_model_is_taken(name: str) -> None:
    verdict, lines = holding(name), MODELS[PROTOCOL[name].model].splitlines()
    assert verdict.unreached
    surprising = [
        (line, text)
        for line, text in verdict.unreached
        if text != "-end-"
        and not re.search(r"broken \| %e|:: else -> printf|refuses: |:: else -> runs\[2\]|must\(", lines[line - 1])
    ]
    assert surprising == []


@needs_spin
@pytest.mark.parametrize("name", RULES, scope="module")
def test_no_rule_can_be_left_out(name: str) -> None:
    verdict = without(name)
    assert not verdict.complete
    assert verdict.broken == RULES[name].broken, spin.table(verdict.steps)
    created = re.findall(r"creates (\w)", " ".join(step.what for step in verdict.steps))
    assert len(created) == len(set(created)), "a letter stands for two keys: the table cannot be read"


@needs_spin
@pytest.mark.parametrize("name", RULES, scope="module")
def test_the_page_shows_what_spin_finds(name: str) -> None:
    """The very steps where it is the version of Spin that the page names, else as many steps to the same end."""
    text = PAGE.read_text(encoding="utf-8")
    found = shown(without(name), RULES[name].model)
    if os.environ.get("UPDATE_DOCS") == "1":
        text = _BLOCK.sub(lambda old: f"{old[1]}{old[2]}{found if old[1] == name else old[3]}", text)
        PAGE.write_text(text, encoding="utf-8")
    on_page = {block[1]: block[3] for block in _BLOCK.finditer(text)}[name]
    if on_page_is_this_spin():
        assert on_page == found, "UPDATE_DOCS=1 writes what Spin finds into the page"
    else:
        assert on_page.count("\n|") == found.count("\n|")
        assert on_page.splitlines()[-1] == found.splitlines()[-1]


@needs_spin
@pytest.mark.parametrize("name", NAIVE)
def test_the_naive_rotation_fails_as_its_page_tells(name: str) -> None:
    verdict = searched("naive", NAIVE[name].options, shortest=True)
    assert verdict.broken == NAIVE[name].broken
    assert f"\n## {name}\n" in (pages.DOCS / "explanation" / "why-not-delete-the-oldest.md").read_text(encoding="utf-8")


def test_each_rule_of_the_model_is_left_out_once_and_has_its_place_on_the_page() -> None:
    in_models = {(name, rule) for name, text in MODELS.items() for rule in re.findall(r"#ifdef WITHOUT_(\w+)", text)}
    on_page = [found[1] for found in _BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]
    assert in_models == {(rule.model, name) for name, rule in RULES.items()}
    assert sorted(on_page) == sorted(RULES)


def test_each_invariant_is_named_on_the_page_and_broken_by_some_rule() -> None:
    rows = pages.tables(PAGE)["What must never happen"]
    assert {row[0]: row[1] for row in rows} == INVARIANTS
    assert {rule.broken for rule in RULES.values()} == set(INVARIANTS)


def test_each_configuration_is_on_the_page() -> None:
    rows = pages.tables(PAGE)["How far it looks"]
    assert {row[0]: tuple(pages.words(row[1])) for row in rows} == {
        name: tuple(f"-D{option}" for option in one.options) for name, one in PROTOCOL.items()
    }
