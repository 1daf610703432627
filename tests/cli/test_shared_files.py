"""Whole rotations of several users into one file, as jobs on this host read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.configloader import raw_config_parse

from support.commands import twokey

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

USERS = tuple(f"ci-{number}" for number in range(6))
STORE = "secretsmanager:machine-users/{user}"


def from_profiles(path: Path) -> dict[str, tuple[str, str]]:
    found: dict[str, Any] = raw_config_parse(str(path))
    return {user: (found[user]["aws_access_key_id"], found[user]["aws_secret_access_key"]) for user in USERS}


def from_members(path: Path) -> dict[str, tuple[str, str]]:
    found = json.loads(path.read_text())
    return {user: (found[user]["id"], found[user]["key"]) for user in USERS}


def from_lines(path: Path) -> dict[str, tuple[str, str]]:
    found = dict(line.split("=", 1) for line in path.read_text().splitlines())
    names = {user: user.upper().replace("-", "_") for user in USERS}
    return {user: (found[f"{name}_ID"], found[f"{name}_SECRET"]) for user, name in names.items()}


KINDS = {
    "credentials-file:{path}?profile={{user}}": from_profiles,
    "json:{path}?id={{user}}.id&secret={{user}}.key": from_members,
    "dotenv:{path}?id={{USER}}_ID&secret={{USER}}_SECRET": from_lines,
}


@pytest.fixture
def fleet(rig: Rig) -> Rig:
    for user in USERS:
        rig.settled(user)
    return rig


@pytest.mark.parametrize("template", KINDS, ids=lambda template: template.partition(":")[0])
def test_a_fleet_is_rotated_into_one_file_at_the_same_time(fleet: Rig, tmp_path: Path, template: str) -> None:
    path = tmp_path / "keys"
    arguments = ("--path", "machine-users", "--store", STORE, "--to", template.format(path=path), "--json")
    for _ in range(2):
        ran = twokey("rotate", *arguments, "--concurrency", "6", "--force", "--ignore-last-use")
        assert ran.code == 0, ran.out
        assert set(ran.outcomes.values()) == {"rotated"}
        stored = {user: fleet.stored(user) for user in USERS}
        expected = {user: (key.access_key_id, key.secret_access_key) for user, key in stored.items() if key}
        assert KINDS[template](path) == expected
    again = twokey("rotate", *arguments)
    assert set(again.outcomes.values()) == {"not_due"}, again.out


def test_two_users_in_one_profile_are_refused_before_anything_is_changed(fleet: Rig, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    before = {user: fleet.ids(user) for user in USERS}
    destinations = ("--store", STORE, "--to", f"credentials-file:{path}?profile={{account}}")
    ran = twokey("rotate", "--path", "machine-users", *destinations, "--force")
    assert ran.code == 2
    assert "{user}" in ran.err
    assert not path.exists()
    assert {user: fleet.ids(user) for user in USERS} == before


def test_one_member_of_a_file_that_two_kinds_of_url_name_is_refused_before_anything_is_changed(
    fleet: Rig, tmp_path: Path
) -> None:
    before = fleet.ids("ci-0")
    ran = twokey("rotate", "ci-0", "--store", f"file:{tmp_path}/a.json", "--to", f"json:{tmp_path}/a.json", "--force")
    assert ran.code == 2
    assert f"ci-0, twice, would write to the same destination: json:{tmp_path}/a.json (as file:{tmp_path}/a.json)" in (
        " ".join(ran.err.split())
    )
    assert fleet.ids("ci-0") == before
    assert not list(tmp_path.iterdir())


def test_while_the_profile_cannot_be_changed_no_key_is_created_and_none_removed(fleet: Rig, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    text = "[ci-0]\nregion = a\n[ci-0]\nregion = b\n"
    path.write_text(text)
    before = fleet.ids("ci-0")
    to = f"credentials-file:{path}?profile={{user}}"
    ran = twokey("rotate", "ci-0", "--store", STORE, "--to", to, "--force", "--ignore-last-use", "--json")
    assert ran.code == 1
    assert "[ci-0] occurs more than once" in ran.document["results"][0]["message"]
    assert fleet.ids("ci-0") == before
    assert path.read_text() == text
