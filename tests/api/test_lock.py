"""What npm installs is named exactly, and by no address: each machine takes it from its own registry."""

from __future__ import annotations

import json
import re

from api import descriptions

FOLDER = descriptions.ROOT / "requirements" / "apis"
LOCK = (FOLDER / "package-lock.json").read_text(encoding="utf-8")


def test_each_package_has_a_version_and_a_hash() -> None:
    packages = {path: package for path, package in json.loads(LOCK)["packages"].items() if path}
    assert len(packages) > 100
    for path, package in packages.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+\S*", package["version"]), path
        assert package["integrity"].startswith("sha512-"), path


def test_what_is_asked_for_is_what_is_locked() -> None:
    asked = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))["dependencies"]
    locked = json.loads(LOCK)["packages"]
    assert asked == {name: locked[f"node_modules/{name}"]["version"] for name in asked}


def test_no_address_is_named() -> None:
    assert "://" not in LOCK
    assert "resolved" not in LOCK
    assert not re.search(r'"[^"]*(?:registry|npmjs)[^"]*"', LOCK)


def test_no_package_runs_a_program_while_it_is_installed() -> None:
    assert "ignore-scripts=true" in (FOLDER / ".npmrc").read_text(encoding="utf-8").splitlines()
