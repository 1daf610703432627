"""The page about roles in pipelines: its files are files of those systems, and its commands are commands of twokey."""

from __future__ import annotations

import json
import re
import shlex
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
import yaml

from docs import pages
from twokey.config.load import load

if TYPE_CHECKING:
    from pathlib import Path

    import click

PAGE = pages.DOCS / "tutorial" / "roles-in-pipelines.md"
TEXT = PAGE.read_text(encoding="utf-8")
SYSTEMS = ("GitHub Actions", "GitLab CI/CD", "CircleCI", "Buildkite", "Bitbucket Pipelines", "Azure Pipelines")


@pytest.mark.parametrize("system", [*SYSTEMS, "HCP Terraform"])
def test_each_system_has_a_file_and_a_way_without_any_key(system: str) -> None:
    assert f"### {system}\n" in TEXT
    rows = pages.tables(PAGE)["4. Without any key"]
    assert system in [row[0] for row in rows]


def test_the_files_are_yaml_and_json() -> None:
    files = [yaml.safe_load(text) for text in pages.blocks(PAGE, "yaml")]
    assert len(files) == 1 + len(SYSTEMS)
    for text in pages.blocks(PAGE, "json"):
        assert json.loads(text)["Version"] == "2012-10-17"


def test_the_configuration_is_one(tmp_path: Path) -> None:
    file = tmp_path / "twokey.yaml"
    file.write_text(pages.blocks(PAGE, "yaml")[0])
    assert load(file).roles["deploy"].arn == "arn:aws:iam::123456789012:role/deploy"


def test_the_commands_are_parsed_as_they_stand() -> None:
    command: click.Command = import_module("twokey.cli.exec").command
    lines = re.findall(r"^\W*(?:run: |script: )?twokey (exec .*)$", TEXT, re.MULTILINE)
    assert len(lines) == len(SYSTEMS) + 2
    for line in lines:
        _, *words = shlex.split(line)
        context = command.make_context("exec", words)
        assert context.params["roles"]
        assert context.params["command"][0] in ("make", "aws")
