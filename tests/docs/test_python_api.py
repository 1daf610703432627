"""The pages about ``twokey.api``: their programs run and print what is shown, their tables are those of the code."""

from __future__ import annotations

import inspect
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from docs import pages
from docs.consoles import UPDATE
from twokey import api

if TYPE_CHECKING:
    from support.rig import Rig

GUIDE, REFERENCE = pages.DOCS / "how-to" / "use-from-python.md", pages.DOCS / "reference" / "python-api.md"
STEP = re.compile(r"^```(python|yaml)\n(.*?)^```$(?:\n\n^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w.]+)\n")


@pytest.fixture
def _users(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One user without a key, and one with a key that no store holds."""
    monkeypatch.chdir(tmp_path)
    rig.aws.make_user("build", path="/machine-users/", keys=0)
    rig.aws.make_user("site", path="/machine-users/", keys=1)


def run(page: Path) -> dict[str, Any]:
    """Run the programs of a page in order, as one; return its variables. A block that names a file is that file."""
    variables: dict[str, Any] = {"__name__": "a_program"}
    text = page.read_text(encoding="utf-8")
    steps, printed = list(STEP.finditer(text)), []
    for step in steps:
        file, out = FILE.match(step[2]), StringIO()
        if file:
            Path(file[1]).write_text(step[2], encoding="utf-8")
        if step[1] == "python":
            with redirect_stdout(out):
                exec(compile(step[2], str(page), "exec"), variables)
        printed.append(out.getvalue())
    if UPDATE:
        for step, shown in reversed(list(zip(steps, printed, strict=True))):
            if step[3] is not None:
                text = text[: step.start(3)] + shown + text[step.end(3) :]
        page.write_text(text, encoding="utf-8")
    else:
        assert [one for one, step in zip(printed, steps, strict=True) if step[3] is not None] == [
            step[3] for step in steps if step[3] is not None
        ]
    return variables


@pytest.mark.usefixtures("_users")
def test_the_guide_does_what_it_says() -> None:
    variables = run(GUIDE)

    class Context:
        left = 900_000

        def get_remaining_time_in_millis(self) -> int:
            return self.left

    assert variables["handler"]({"users": ["site"]}, Context())["not_due"] == 1
    Context.left = 0
    with pytest.raises(RuntimeError, match="stopped"):
        variables["handler"]({}, Context())


@pytest.mark.usefixtures("_users")
def test_the_example_of_the_reference_runs(tmp_path: Path) -> None:
    [configuration] = pages.blocks(GUIDE, "yaml")
    (tmp_path / "twokey.yaml").write_text(configuration)
    assert "api" in run(REFERENCE)


def test_the_reference_has_each_name_of_the_api_and_each_keyword() -> None:
    tables = pages.tables(REFERENCE)
    functions = {pages.words(row[0])[0]: row for row in tables["Functions"]}
    for shown, row in functions.items():
        signature = inspect.signature(getattr(api, shown.partition("(")[0])).parameters.values()
        keywords = [one.name for one in signature if one.kind is inspect.Parameter.KEYWORD_ONLY]
        assert pages.words(row[1]) == keywords
    exceptions = {pages.words(row[0])[0]: row[2] for row in tables["Exceptions"]}
    for name, code in exceptions.items():
        kind = getattr(api, name)
        assert code == ("" if kind is api.TwokeyError else "130" if name == "Interrupted" else str(int(kind.exit_code)))
    named = {
        shown.partition("(")[0] for shown in [*functions, *(pages.words(row[0])[0] for row in tables["Configuration"])]
    }
    text = REFERENCE.read_text(encoding="utf-8")
    described = {name for name in api.__all__ if name.endswith(("Entry", "Document")) or f"`{name}`" in text}
    assert named | {*exceptions} | described == {*api.__all__}
