"""What npm installs is named exactly, and by no address: each machine takes it from its own registry."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[2] / "requirements"


@pytest.fixture(params=["apis", "browser", "clients"])
def folder(request: pytest.FixtureRequest) -> Path:
    return REQUIREMENTS / str(request.param)


@pytest.fixture
def lock(folder: Path) -> str:
    return (folder / "package-lock.json").read_text(encoding="utf-8")


def test_each_package_has_a_version_and_a_hash(lock: str) -> None:
    packages = {path: package for path, package in json.loads(lock)["packages"].items() if path}
    assert packages
    for path, package in packages.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+\S*", package["version"]), path
        assert package["integrity"].startswith("sha512-"), path


def test_what_is_asked_for_is_what_is_locked(folder: Path, lock: str) -> None:
    asked = json.loads((folder / "package.json").read_text(encoding="utf-8"))["dependencies"]
    locked = json.loads(lock)["packages"]
    assert asked == {name: locked[f"node_modules/{name}"]["version"] for name in asked}


def test_no_address_is_named(lock: str) -> None:
    assert "://" not in lock
    assert "resolved" not in lock
    assert not re.search(r'"[^"]*(?:registry|npmjs)[^"]*"', lock)


def test_no_package_runs_a_program_while_it_is_installed(folder: Path) -> None:
    assert "ignore-scripts=true" in (folder / ".npmrc").read_text(encoding="utf-8").splitlines()
