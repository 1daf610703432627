"""The small changes of ``make mutants``: which ones it makes, what it leaves alone, and that they take effect."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def scripts() -> Any:
    sys.path.insert(0, str(SCRIPTS))
    try:
        return importlib.import_module("mutants")
    finally:
        sys.path.remove(str(SCRIPTS))


def changes(code: str) -> list[str]:
    function = ast.parse(code).body[0]
    return [f"{before} -> {after}" for before, after, _, _ in importlib.import_module("mutations").changes(function)]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("self.guard()", ["self.guard() -> pass"]),
        ("raise Conflict('It is late.')", ["raise Conflict('It is late.') -> pass"]),
        ("self.at = 'x'", ["self.at = 'x' -> pass", "'x' -> 'xXX'"]),
        ("return 3", ["return 3 -> return None", "3 -> 4"]),
        ("if a: pass", ["a -> True", "a -> False"]),
        ("while a: pass", ["a -> False"]),
        ("if a < b: pass", ["a < b -> True", "a < b -> False", "a < b -> a <= b"]),
        ("x = a and b", ["a and b -> b", "a and b -> a"]),
        ("x = not a", ["not a -> a"]),
        ("x = 1 if a else b", ["a -> True", "a -> False", "1 -> 2"]),
        ("x = [a for a in b if a]", ["a -> True"]),
        ("x = a + b", ["a + b -> a - b"]),
        ("x = max(3, 4)", ["max(3, 4) -> min(3, 4)", "3 -> 4", "4 -> 5"]),
        ("x = f(a, b=a)", ["f(a, b=a) -> None for a", "f(a, b=a) -> without b"]),
        ("x = {a: b, c: d}", ["{a: b, c: d} -> {c: d}", "{a: b, c: d} -> {a: b}"]),
        ("with a(): b()", ["with a(): -> without it", "b() -> pass"]),
        ("try: b()\nexcept (A, B): pass", [
            "b() -> pass", "except (A, B): -> raise", "except (A, B): -> without A", "except (A, B): -> without B",
        ]),
    ],
)  # fmt: skip
def test_a_statement_is_changed_in_every_small_way(code: str, found: list[str], scripts: Any) -> None:
    lines = "\n".join(f"    {line}" for line in code.splitlines())
    assert changes(f"def function():\n{lines}") == found


def test_what_only_helps_to_find_a_defect_stays(scripts: Any) -> None:
    found = changes("def function():\n    x = zip(a, b, strict=True), Pool(c, thread_name_prefix='d')")
    assert found == [
        "zip(a, b, strict=True) -> None for a",
        "zip(a, b, strict=True) -> None for b",
        "Pool(c, thread_name_prefix='d') -> None for c",
    ]


def test_what_only_operators_read_stays(scripts: Any) -> None:
    assert changes(
        """def function(key: 'str'):
            '''Explain.'''
            raise Failed(f'It is {key}.' + ' So it is.', state='', remedy='again')"""
    ) == ["raise Failed(…) -> pass"]


def test_a_mutant_takes_the_place_of_the_function_that_is_loaded(
    scripts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "example.py").write_text(
        "from contextlib import contextmanager\n\nclass Example:\n    @property\n    def one(self):\n        return 1\n"
        "\n@contextmanager\ndef two():\n    yield 2\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    example = importlib.import_module("example")
    module = scripts.Module("example")
    one, two = (next(m for m in module.mutants if m.name.endswith(change)) for change in ("1 -> 2", "2 -> 3"))
    lines: list[int] = []
    unwatch = module.watch(lines.append)
    assert example.Example().one == 1
    unwatch()
    module.install(one)
    assert example.Example().one == 2
    module.install(two)
    with example.two() as found:
        assert found == 3
    assert lines == [6] == list(one.lines)


def test_a_mutant_without_the_only_call_of_its_base_can_be_tried(
    scripts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "derived.py").write_text(
        "class Base:\n    def one(self):\n        return 1\n\n"
        "class Derived(Base):\n    def one(self):\n        return super().one()\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    derived = importlib.import_module("derived")
    module = scripts.Module("derived")
    module.install(next(m for m in module.mutants if m.name.endswith("return super().one() -> return None")))
    assert derived.Derived().one() is None


def test_a_test_that_noticed_a_mutant_is_remembered_until_none_notices_it(scripts: Any, tmp_path: Path) -> None:
    first, second = "core.model:f :: a -> b", "core.model:f :: b -> c"
    noticed = scripts.Noticed("core", tmp_path)
    noticed.note(first, "test_a")
    noticed.note(second, "test_a")
    noticed.forget(second)
    noticed.save()
    found = scripts.Noticed("core", tmp_path)
    assert found.by == {first: "test_a"}
    assert found.counts("core.model:f")["test_a"] == found.counts("core.model")["test_a"] == 1


def test_every_group_has_modules_and_tests_and_every_explained_mutant_exists(scripts: Any) -> None:
    modules = {name for group in scripts.GROUPS.values() for name in scripts.modules_of(group)}
    assert all(scripts.modules_of(group) and scripts.files_and_tests(group, "") for group in scripts.GROUPS.values())
    explained = scripts.explained()
    named = {f"twokey.{name.partition(':')[0]}" for name in explained}
    assert named <= modules
    assert set(explained) <= {mutant.name for name in named for mutant in scripts.Module(name).mutants}
