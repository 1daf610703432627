"""``make break`` leaves out one rule at a time: its list has to fit the code, or it proves nothing."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RULES: Any = runpy.run_path(str(ROOT / "scripts" / "break_rules.py"))["RULES"]


def test_the_page_of_the_proof_has_their_number() -> None:
    page = (ROOT / "docs" / "explanation" / "proof.md").read_text(encoding="utf-8")
    number = len({rule.name for rule in RULES})
    assert number == len(RULES)
    assert f"ends with `{number} of {number} broken rules found`. The {number} rules are:" in page


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_is_where_the_list_says_and_its_guards_exist(rule: Any) -> None:
    code = (ROOT / "src" / "twokey" / rule.file).read_text(encoding="utf-8")
    assert code.count(rule.text) == 1
    assert rule.broken != rule.text
    assert all((ROOT / test.partition("::")[0]).exists() for test in rule.guards)
