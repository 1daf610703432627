"""The command ``iam-credential-rotation`` leaves alone the users that twokey manages: age is no evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.drop_in_runs import PATH, changes, ids, make, run
from twokey.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEGIN = "version: 1\nmachine_users:\n"
STORE = "    store: secretsmanager:machine-users/{user}\n"


@pytest.fixture
def aws() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


def configure(tmp_path: Path, *entries: str, name: str = "twokey.yaml") -> Path:
    file = tmp_path / name
    file.write_text(BEGIN + "".join(f"  - {entry}\n{STORE}" for entry in entries))
    return file


@pytest.mark.parametrize("entry", [f"path: {PATH}", "users: [b, A]", f"path: {PATH}\n    except: [c]"])
def test_users_of_twokey_yaml_in_the_working_directory_are_refused_and_the_others_rotated(
    aws: Emulator, tmp_path: Path, entry: str
) -> None:
    make(aws, "a", "b", "c")
    before = {user: ids(aws, user) for user in "abc"}
    configure(tmp_path, entry)

    answer = run(aws, tmp_path, PATH)

    refused = "abc" if entry == f"path: {PATH}" else "ab"
    for user in refused:
        assert f"Error: {user}: twokey manages this user (twokey.yaml line 3)." in answer.err
        assert f"Nothing was changed for it. Run twokey rotate {user}." in answer.err
        assert ids(aws, user) == before[user]
    assert answer.code == 1
    if refused == "ab":
        assert list(answer.made) == ["c"]
    else:
        assert (answer.out, changes(aws)) == ("", 0)


def test_a_configuration_elsewhere_is_named(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "a")
    file = configure(tmp_path, "users: [a]", name="own.yaml")
    assert run(aws, tmp_path, PATH).code == 0

    answer = run(aws, tmp_path, "--config", str(file), PATH)

    assert answer.code == 1
    assert f"Run twokey rotate a --config {file}." in answer.err


def test_users_that_no_entry_selects_are_rotated_as_ever(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "a")
    configure(tmp_path, "path: /others/", f"path: {PATH}\n    except: [a]")
    answer = run(aws, tmp_path, PATH)
    assert (answer.code, answer.err) == (0, "")
    assert list(answer.made) == ["a"]


def test_a_configuration_that_cannot_be_read_does_not_count_as_none(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "a")
    (tmp_path / "twokey.yaml").write_text("version: 2\n")
    answer = run(aws, tmp_path, PATH)
    assert (answer.code, answer.out, changes(aws)) == (2, "", 0)
    assert answer.err.startswith("Error: It is unknown which users twokey manages. twokey.yaml line 1: `version`: ")
    assert run(aws, tmp_path, "--config", "nowhere.yaml", PATH).code == 2
