"""A user whose name looks like an option: IAM allows ``-x``, and no command takes it for one."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from support.commands import twokey
from twokey.core.commands import rotate_command

if TYPE_CHECKING:
    from support.rig import Rig

STORE = "secretsmanager:machine-users/{user}"


def test_the_command_that_a_message_names_takes_the_name_as_a_name(rig: Rig) -> None:
    rig.aws.make_user("--force", path="/machine-users/", keys=0)
    command = shlex.split(rotate_command("--force", f"--json --store {STORE}"))
    assert command[-2:] == ["--", "--force"]
    assert twokey(*command[1:]).outcomes == {"--force": "rotated"}


def test_other_names_come_first() -> None:
    assert rotate_command("ci", "--retire KEY_ID") == "twokey rotate ci --retire KEY_ID"
    assert rotate_command("ci") == "twokey rotate ci"


def test_adopt_names_such_a_command(rig: Rig) -> None:
    rig.aws.make_user("-x", path="/machine-users/", keys=2)
    ran = twokey("adopt", "--path", "/machine-users/", "--store", STORE)
    assert "twokey rotate --retire KEY_ID -- -x" in ran.out
