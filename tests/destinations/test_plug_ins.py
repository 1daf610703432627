"""Kinds of other packages: found by their entry points; whatever is wrong with one is a usage error that names it."""

from __future__ import annotations

import os
import re
import textwrap
from typing import TYPE_CHECKING

import pytest

from docs import pages
from support import forked

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
from twokey.destinations.api import Kind

def check(address): address.allow(())
def open_locker(address, context): raise AssertionError
KIND = Kind(scheme="locker", check=check, open=open_locker)
"""
ENTRY = "locker = locker_kind"


def install(site: Path, module: str, *entries: str, package: str = "twokey-locker") -> None:
    """Put a package where Python finds it, as an installer would."""
    site.mkdir(exist_ok=True)
    (site / "locker_kind.py").write_text(textwrap.dedent(module))
    info = site / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[twokey.destinations]", *entries, ""]))


ILLEGAL = "ssm:/not a name/{user}"
"""It ends each run, before anything is called: settings are checked in their order."""


def twokey(site: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command in that directory, where Python finds packages; return its exit code and what it prints."""
    with forked.start(*arguments, cwd=site, env=os.environ) as run:
        out, err = run.communicate(300)
        return run.wait(), out, err


def refusal(site: Path, url: str = "locker:{user}") -> str:
    """Return the error of a command that delivers to this URL and then to an illegal one, and so is a usage error."""
    code, out, err = twokey(site, "plan", "ci", "--store", "file:{user}.json", "--to", url, "--to", ILLEGAL)
    assert (code, out) == (2, ""), err
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize(
    ("module", "entry"),
    [
        (GOOD, ENTRY),
        (GOOD, "locker = locker_kind:KIND"),
        (GOOD.replace("KIND = ", "MINE = ") + "KINDS = (MINE,)\n", ENTRY),
    ],
)
def test_an_entry_point_names_a_kind_or_a_module(tmp_path: Path, module: str, entry: str) -> None:
    install(tmp_path, module, entry)
    assert "/not a name/" in refusal(tmp_path)
    assert "there is no option 'x' here" in refusal(tmp_path, "locker:{user}?x=1")
    assert "did you mean locker" in refusal(tmp_path, "lokcer:{user}")


@pytest.mark.parametrize(
    ("module", "entry", "why"),
    [
        (
            GOOD.replace("check=check", "chekc=check"),
            ENTRY,
            "InvalidKind: Kind: the field `chekc` is unknown; did you mean check?",
        ),
        (GOOD.replace("check=check, ", ""), ENTRY, "InvalidKind: Kind: the field `check` is missing."),
        (
            GOOD.replace("check=check", 'check="check"'),
            ENTRY,
            "InvalidKind: Kind: the field `check` has the type str; expected callable.",
        ),
        (GOOD.replace("KIND =", "NAMING ="), ENTRY, "locker_kind has neither KIND nor KINDS."),
        (GOOD.replace("KIND = Kind(", "KIND = dict("), ENTRY, "expected KIND to be a Kind, and KINDS a tuple of Kind."),
        (GOOD + "KINDS = [KIND]\n", ENTRY, "expected KIND to be a Kind, and KINDS a tuple of Kind."),
        (
            GOOD.replace('"locker"', '"safe"'),
            ENTRY,
            "its Kind has the scheme safe; expected locker, the name of the entry",
        ),
        ("import nothing_like_it\n", ENTRY, "ModuleNotFoundError: No module named 'nothing_like_it'."),
        ("raise RuntimeError('boom')\n", ENTRY, "RuntimeError: boom."),
        ("def (\n", ENTRY, "SyntaxError"),
        (GOOD, "locker = no_such_module", "ModuleNotFoundError: No module named 'no_such_module'."),
        (GOOD, "locker = locker_kind:NONE", "AttributeError"),
    ],
)
def test_one_that_cannot_be_used_is_named_with_its_entry_point(
    tmp_path: Path, module: str, entry: str, why: str
) -> None:
    install(tmp_path, module, entry)
    error = refusal(tmp_path).replace("\n", " ")
    assert f"The destination {entry} of the package twokey-locker cannot be used: " in error
    assert why in error
    assert "twokey-locker" in error.partition("cannot be used")[2]


def test_a_scheme_of_twokeys_own_is_not_replaced(tmp_path: Path) -> None:
    install(tmp_path, GOOD, "ssm = locker_kind", ENTRY)
    error = refusal(tmp_path).replace("\n", " ")
    assert (
        "ssm = locker_kind of the package twokey-locker cannot be used: the scheme ssm is one of twokey's own." in error
    )
    assert "/not a name/" in refusal(tmp_path, "ssm:/{user}")


def test_two_packages_do_not_share_a_scheme(tmp_path: Path) -> None:
    install(tmp_path, GOOD, ENTRY)
    install(tmp_path, GOOD, ENTRY, package="other-locker")
    error = refusal(tmp_path).replace("\n", " ")
    assert "the scheme locker is also added by locker = locker_kind of the package" in error
    assert "twokey-locker" in error
    assert "other-locker" in error
    assert "Uninstall one of them." in error


BROKEN = "raise RuntimeError('boom')\n"
CONNECTIONS = """
version: 1
machine_users:
  - users: [ci]
    store: file:{user}.json
connections:
  NAME: {url: 'http://not encrypted'}
"""


@pytest.mark.parametrize(
    ("name", "expected"), [("gitlab", "`gitlab` has no `token`"), ("locker", "RuntimeError: boom.")]
)
def test_one_that_cannot_be_used_does_not_get_in_the_way_of_other_connections(
    tmp_path: Path, name: str, expected: str
) -> None:
    install(tmp_path, BROKEN, ENTRY)
    (tmp_path / "twokey.yaml").write_text(CONNECTIONS.replace("NAME", name))
    code, _, err = twokey(tmp_path, "plan")
    assert code == 2
    assert expected in err.replace("\n", " ")


def test_the_page_for_authors_imports_the_facade_and_the_contract_only() -> None:
    text = (pages.DOCS / "how-to" / "write-a-destination.md").read_text(encoding="utf-8")
    imported = set(re.findall(r"^\s*(?:from|import) (twokey[\w.]*)", text, re.MULTILINE))
    assert imported == {"twokey.destinations.api", "twokey.testing.contract", "twokey.testing.server"}
