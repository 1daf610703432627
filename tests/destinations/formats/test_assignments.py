"""Lines of a dotenv file: what sh and dotenv libraries agree on, written without touching anything else."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twokey.core.errors import ServiceRejected
from twokey.core.model import CannotTell
from twokey.core.secret import Hidden
from twokey.destinations.formats import assignments

if TYPE_CHECKING:
    from pathlib import Path

WANTED = {"ID": Hidden("AKIAEXAMPLE000000001"), "SECRET": Hidden("s/+=")}


def edited(text: str) -> str:
    return str(assignments.edited(Hidden(text), WANTED))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "ID=AKIAEXAMPLE000000001\nSECRET=s/+=\n"),
        ("A=1", "A=1\nID=AKIAEXAMPLE000000001\nSECRET=s/+=\n"),
        ("ID=old\nSECRET=old\n", "ID=AKIAEXAMPLE000000001\nSECRET=s/+=\n"),
        (
            "export ID=old # mine\nexport SECRET='old'\n",
            "export ID=AKIAEXAMPLE000000001 # mine\nexport SECRET='s/+='\n",
        ),
        ('SECRET="old"\n# ID=no\nID=\n', 'SECRET="s/+="\n# ID=no\nID=AKIAEXAMPLE000000001\n'),
        ("export A=1\n", "export A=1\nexport ID=AKIAEXAMPLE000000001\nexport SECRET=s/+=\n"),
        ("export ID=1\nA=2\n", "export ID=AKIAEXAMPLE000000001\nA=2\nexport SECRET=s/+=\n"),
        ("ID = old\nSECRET= 'old'\n", "ID=AKIAEXAMPLE000000001\nSECRET='s/+='\n"),
        ("A='\nID=inner\n'\nID=1\nSECRET=2\n", "A='\nID=inner\n'\nID=AKIAEXAMPLE000000001\nSECRET=s/+=\n"),
        ('A="\nID=inner\n"\n', 'A="\nID=inner\n"\nID=AKIAEXAMPLE000000001\nSECRET=s/+=\n'),
        ("ID=1\nID=2\nSECRET=3\n", "ID=AKIAEXAMPLE000000001\nID=AKIAEXAMPLE000000001\nSECRET=s/+=\n"),
        ("A=1\r\nID=1\r\nSECRET=2\r\n", "A=1\r\nID=AKIAEXAMPLE000000001\r\nSECRET=s/+=\r\n"),
        ("A=1\r\n", "A=1\r\nID=AKIAEXAMPLE000000001\r\nSECRET=s/+=\r\n"),
        ("ID=1\nSECRET=$OTHER\n", "ID=AKIAEXAMPLE000000001\nSECRET=s/+=\n"),
        ("MY_ID=1\nID2=2\n", "MY_ID=1\nID2=2\nID=AKIAEXAMPLE000000001\nSECRET=s/+=\n"),
    ],
)
def test_the_two_lines_change_or_are_added_and_all_else_stays(before: str, after: str) -> None:
    assert edited(before) == after
    assert edited(after) == after


@pytest.mark.parametrize(
    "text", ["A='open\n", 'ID=1\nA="open\n', "ID='\n", "A=it's\n", "A=1\\\nB=2\n", "echo 'x\n", "x \\\n"]
)
def test_a_line_that_goes_on_for_some_readers_only_is_refused(text: str) -> None:
    with pytest.raises(ServiceRejected, match="has a quote that is not closed, or ends with a backslash"):
        edited(text)


@pytest.mark.parametrize("text", ["# it's\n", "A=1 # it's\n", "A='it\"s'\n", 'A="it\'s \\" one"\n', "A='x'y'z'\n"])
def test_quotes_that_mean_the_same_to_all_are_no_obstacle(text: str) -> None:
    assert edited(text).startswith(text)


def test_a_value_that_readers_read_differently_is_unknown() -> None:
    lines = assignments.statements(Hidden("ID=$OTHER\nSECRET=s\n"))
    found = assignments.values(lines, WANTED)
    assert isinstance(found, CannotTell)
    assert "ID is written so that sh and dotenv libraries read it differently" in found.why


LINES = st.sampled_from(
    [
        "",
        "# comment 'with a quote",
        "A=1",
        "export B='two words' # why",
        'C="three $A"',
        "D='\nID=inner\n'",
        'E="\nSECRET=inner\n"',
        "F=a#b",
        "ID=old",
        "export ID='old' # which",
        'ID="old"',
        "SECRET=old",
        "  SECRET=older",
        "SECRET=$A",
    ]
)


@given(lines=st.lists(LINES, max_size=10), ended=st.booleans())
@settings(max_examples=120, deadline=None)
def test_sh_reads_the_new_values_and_all_else_as_before(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], ended: bool
) -> None:
    text = "\n".join(lines) + ("\n" if ended else "")
    folder = tmp_path_factory.mktemp("env")
    after_text = edited(text)
    after = read(folder / "after", after_text)
    assert after == {**read(folder / "before", text), **WANTED}
    assert edited(after_text) == after_text
    assert assignments.values(assignments.statements(Hidden(after_text)), WANTED) == WANTED


@given(text=st.text("A=1'\"\\#$ \n\r\texport_", max_size=40))
@settings(max_examples=400)
def test_a_text_that_is_taken_apart_is_whole_again(text: str) -> None:
    assert "".join(line.text for line in assignments.statements(Hidden(text))) == text


def read(path: Path, text: str) -> dict[str, str]:
    """Return what ``sh`` reads of these names; the file is sourced."""
    path.write_text(text)
    names = ("A", "B", "C", "D", "E", "F", "ID", "SECRET")
    script = f". {shlex.quote(str(path))}; " + "; ".join(f'printf "%s\\0" "${name}"' for name in names)
    ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env={})
    return dict(zip(names, ran.stdout.split("\0"), strict=False))
