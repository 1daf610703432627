"""A leaked key is made Inactive, and known to be, before anything else; no code of twokey makes a key Active."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import twokey
from support.store_faults import denied
from twokey.core.errors import AccessDenied
from twokey.emulator import Rule
from twokey.revocation.contain import contain

if TYPE_CHECKING:
    from support.rig import Rig


def statuses(rig: Rig) -> list[str]:
    return [status for _, status, _ in rig.aws.keys("ci")]


@pytest.mark.parametrize("effect", ["lost_response", "reset", "throttle"])
def test_a_request_without_a_response_is_sent_again_until_the_key_is_known_to_be_inactive(
    rig: Rig, effect: str
) -> None:
    """Longer than any single call goes on by itself."""
    (key,) = rig.aws.make_user("ci", keys=1)
    rig.aws.weather.add(Rule("iam:UpdateAccessKey", times=6, effect=effect))
    _, world = rig.world()
    done = contain("ci", key.access_key_id, world.iam, world.clock)
    assert statuses(rig) == ["Inactive"]
    assert done.request_id
    assert abs((done.at - rig.aws.now()).total_seconds()) < 5


def test_to_contain_twice_is_harmless(rig: Rig) -> None:
    (key,) = rig.aws.make_user("ci", keys=1)
    _, world = rig.world()
    for _ in range(2):
        assert not contain("ci", key.access_key_id, world.iam, world.clock).gone
    assert statuses(rig) == ["Inactive"]


def test_a_key_that_was_deleted_needs_no_containment(rig: Rig) -> None:
    (key,) = rig.aws.make_user("ci", keys=1)
    rig.aws.client("iam").delete_access_key(UserName="ci", AccessKeyId=key.access_key_id)
    _, world = rig.world()
    assert contain("ci", key.access_key_id, world.iam, world.clock).gone


def test_a_key_that_may_not_be_stopped_is_an_error_at_once(rig: Rig) -> None:
    (key,) = rig.aws.make_user("ci", keys=1)
    rig.aws.weather.add(denied("iam:UpdateAccessKey"))
    _, world = rig.world()
    with pytest.raises(AccessDenied, match="iam:UpdateAccessKey"):
        contain("ci", key.access_key_id, world.iam, world.clock)
    assert rig.aws.count("iam:UpdateAccessKey") == 1


def test_no_code_makes_a_key_active() -> None:
    """The only calls that change a key's status make it Inactive; those of a rehearsal go to its emulator."""
    source = Path(twokey.__file__).parent
    calls = [
        (file.relative_to(source).as_posix(), text[found.start() - 200 : found.end() + 100])
        for file in source.rglob("*.py")
        for text in [file.read_text(encoding="utf-8")]
        for found in re.finditer(r"update_access_key", text)
        if "emulator" not in file.parts
    ]
    assert {file for file, _ in calls} == {"aws/iam.py", "cli/rehearse_stage.py"}
    assert [text for _, text in calls if "Inactive" not in text or '"Active"' in text] == []
