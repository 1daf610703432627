"""``hooks:`` in an entry of twokey.yaml: what it makes, and what is said with which line where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from twokey.config.load import load as load_file
from twokey.core.errors import UsageError
from twokey.core.hooks import Hook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.hooks import HookName

ENTRY = "version: 1\nmachine_users:\n  - path: /ci/\n    store: ssm:/ci/{user}\n    hooks:\n      "


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(hooks: str) -> Mapping[HookName, Hook]:
    Path("twokey.yaml").write_text(ENTRY + hooks)
    (selection,) = load_file(Path("twokey.yaml")).selections
    return selection.hooks


def test_what_is_left_out_has_its_default() -> None:
    assert load("after: {run: [/bin/true]}") == {"after": Hook(("/bin/true",), 30.0, "fail", ())}
    full = "before: {run: [/bin/sh, -c, 'exit 0'], timeout: 1m, env: [KUBECONFIG], on_error: warn}"
    assert load(full) == {"before": Hook(("/bin/sh", "-c", "exit 0"), 60.0, "warn", ("KUBECONFIG",))}


@pytest.mark.parametrize(
    ("hooks", "sentence"),
    [
        ("afetr: {run: [/bin/true]}", "unknown key `afetr`; did you mean `after`?"),
        ("after: {rnu: [/bin/true]}", "unknown key `rnu`; did you mean `run`?"),
        ("after: {timeout: 1s}", "has no `run`, which is required."),
        ("after: {run: /bin/true}", "`run` must be a list, not text."),
        ("after: {run: []}", "`run` is an empty list."),
        ("after: {run: [kubectl]}", "expected the absolute path of a program, got 'kubectl'."),
        ("after: {run: [/opt/../bin/true]}", "expected the absolute path of a program"),
        ("after: {run: [/bin/true], timeout: 2m}", "expected more than 0s and at most 60s: the user stays locked"),
        ("after: {run: [/bin/true], timeout: 30}", "`timeout`: 30 is not a duration."),
        ("after: {run: [/bin/true], on_error: ignore}", "`on_error`: expected fail or warn, got ignore."),
        ("after: {run: [/bin/true], env: [TWOKEY_HOOK]}", "does not begin with TWOKEY_, got 'TWOKEY_HOOK'."),
        ("after: {run: [/bin/true], env: [A=B]}", "expected the name of an environment variable"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(hooks: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        load(hooks)
    assert str(refused.value).startswith("twokey.yaml line 6: ")
    assert sentence in str(refused.value)


def test_none_at_all_is_refused_for_it_is_a_mistake() -> None:
    with pytest.raises(UsageError, match=r"^twokey\.yaml line 5: `hooks`: expected at least one of before, "):
        load("{}")
