"""README and each destination's page say what it was tested with, and the tests do what they say."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from clients import evidence
from clients.evidence import CLIENTS, DESCRIPTIONS, SERVERS, TESTS, Client
from docs import pages

if TYPE_CHECKING:
    from pathlib import Path

PAGES = [one for one in sorted((pages.DOCS / "reference" / "destinations").glob("*.md")) if one.name != "README.md"]
PROGRAMS = TESTS / "clients" / "programs"
SECTION = "## Not verified against the live service\n\n"
HEAD = "| destination | real server | clients that others wrote | API description |\n|---|---|---|---|\n"


def shown(page: Path, pattern: str, wanted: str, at: str) -> None:
    """Assert that a page contains what the table of the tests says; write it there if that is asked for."""
    text = page.read_text(encoding="utf-8")
    if os.environ.get("UPDATE_DOCS"):
        text = re.sub(pattern, lambda _: "", text, flags=re.MULTILINE)
        text = text.replace(at, at + wanted, 1)
        page.write_text(text, encoding="utf-8")
    assert re.findall(pattern, text, re.MULTILINE) == [wanted], "UPDATE_DOCS=1 writes it"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.stem))
def test_each_page_says_what_stands_behind_it(page: Path) -> None:
    shown(page, r"^\*\*Real server:\*\* .*\n\n", f"{evidence.sentence(page.stem)}\n\n", SECTION)


def test_the_readme_has_the_table() -> None:
    wanted = "".join(f"{row}\n" for row in evidence.rows())
    shown(pages.ROOT / "README.md", r"(?:^\| \[`[a-z0-9-]+`\]\(docs/reference/destinations/.*\n)+", wanted, HEAD)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda one: f"{one.package}{'-npm' * one.npm}")
def test_a_client_that_is_named_is_used(client: Client) -> None:
    tests = {one: one.read_text(encoding="utf-8") for one in (TESTS / "clients").glob("test_*.py")}
    if not client.program:
        assert any('"aws"' in text for text in tests.values())
        return
    name = client.program if client.npm else f"{client.program}.py"
    imported = rf'from "{client.imports}"' if client.npm else rf"^(?:from|import) {re.escape(client.imports)}\b"
    assert re.search(imported, (PROGRAMS / name).read_text(encoding="utf-8"), re.MULTILINE)
    using = [text for text in tests.values() if f'"{client.program}"' in text]
    assert using
    assert not client.compares or any("assert_same_" in text for text in using)


def test_each_program_and_package_is_named() -> None:
    programs = {one.name for one in PROGRAMS.iterdir() if one.suffix in {".py", ".mjs"} and one.stem != "steps"}
    assert programs == {one.program if one.npm else f"{one.program}.py" for one in CLIENTS if one.program}
    for_python = set((evidence.REQUIREMENTS / "python.in").read_text(encoding="utf-8").split())
    assert for_python <= {one.package for one in CLIENTS if not one.npm}
    npm = json.loads((evidence.REQUIREMENTS / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert npm.keys() - {"libsodium-wrappers"} == {one.package for one in CLIENTS if one.npm}


@pytest.mark.parametrize(("page", "named"), [*DESCRIPTIONS.items(), *SERVERS.items()])
def test_a_description_or_server_that_is_named_is_used(page: str, named: tuple[str, str]) -> None:
    assert page in (TESTS / named[1]).read_text(encoding="utf-8")
