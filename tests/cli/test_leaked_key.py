"""CURRENT has leaked: the refusal of ``--retire CURRENT`` names steps that end with that key gone and all jobs well."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.commands import twokey
from support.rig import POLICY
from twokey.emulator import Rule

if TYPE_CHECKING:
    from support.rig import Rig
    from twokey.emulator import KeyPair

SELECTED = ("--store", "secretsmanager:machine-users/{user}", "--to", "ssm:/m/{user}")
STEP = re.compile(r"\((\d)\) twokey (rotate [\w -]+?) (?:creates|has) ")
STOP = re.compile(r"stop it at once and replace it: twokey (revoke \S+); jobs fail")


def refused(rig: Rig, *more: str) -> str:
    """Return what ``--retire CURRENT`` says."""
    ran = twokey("rotate", "ci", *SELECTED, "--retire", rig.held(), *more, "--json")
    (result,) = ran.document["results"]
    assert (ran.code, result["outcome"], result["reason"]) == (3, "refused", "retire_held")
    return str(result["message"])


def follow(rig: Rig, message: str, *more: str) -> None:
    """Type the steps of a message, one after the other; each must succeed."""
    steps = STEP.findall(message)
    assert [number for number, _ in steps] == ["1", "2"]
    for _, command in steps:
        ran = twokey(*shlex.split(command), *SELECTED, *more)
        assert ran.code == 0, ran.out


def well(rig: Rig, leaked: str) -> None:
    """Check that the leaked key is gone, and that the store and the destination hold one key that works."""
    assert leaked not in rig.ids()
    stored = rig.stored()
    assert stored
    assert rig.aws.authenticates(stored)
    parameter = rig.aws.client("ssm").get_parameter(Name="/m/ci", WithDecryption=True)["Parameter"]["Value"]
    assert stored.access_key_id in parameter
    assert stored.secret_access_key in parameter


@pytest.fixture
def leaked(rig: Rig) -> KeyPair:
    """Return CURRENT of a user whose rotation was finished a moment ago: LAST is in its grace."""
    rig.settled()
    assert twokey("rotate", "ci", *SELECTED).code == 0
    found = rig.stored()
    assert found
    return found


def test_the_steps_replace_the_key_everywhere_and_then_remove_it(rig: Rig, leaked: KeyPair) -> None:
    last = next(one for one in rig.ids() if one != leaked.access_key_id)
    message = refused(rig)
    assert (
        f"--force --ignore-last-use creates another key and delivers it; jobs that still use LAST ({last}) " in message
    )
    follow(rig, message)
    well(rig, leaked.access_key_id)
    assert not rig.aws.authenticates(leaked)


def test_a_user_without_last_needs_no_veto_to_be_ignored(rig: Rig) -> None:
    assert rig.aws.make_user("ci", path="/machine-users/", keys=0) == []
    assert twokey("rotate", "ci", *SELECTED).code == 0
    current = rig.held()
    message = refused(rig)
    assert "--ignore-last-use" not in message
    follow(rig, message)
    well(rig, current)


def test_the_command_that_stops_it_at_once_is_named_and_stops_it(rig: Rig, leaked: KeyPair) -> None:
    stop = STOP.search(refused(rig))
    assert stop
    assert twokey(*shlex.split(stop[1]), *SELECTED, "--delete", "--yes").code == 0
    assert not rig.aws.authenticates(leaked)
    well(rig, leaked.access_key_id)


def test_the_steps_go_on_where_the_key_was_stopped_in_iam_first(rig: Rig, leaked: KeyPair) -> None:
    message = refused(rig)
    key_id = leaked.access_key_id
    rig.aws.client("iam").update_access_key(UserName="ci", AccessKeyId=key_id, Status="Inactive")
    assert not rig.aws.authenticates(leaked)
    follow(rig, message)
    well(rig, key_id)


SOAK = ("--soak", "2d", "--grace", "1d")


def test_with_a_soak_the_key_is_inactive_after_the_steps_and_deleted_by_a_later_run(rig: Rig) -> None:
    rig.aws.make_user("ci", path="/machine-users/", keys=0)
    assert twokey("rotate", "ci", *SELECTED, *SOAK).code == 0
    leaked = rig.stored()
    assert leaked
    message = refused(rig, *SOAK)
    assert "made Inactive, and deleted by a run 2d later" in message
    follow(rig, message, *SOAK)
    assert not rig.aws.authenticates(leaked)
    assert leaked.access_key_id in rig.ids()
    rig.later(days=2, hours=1)
    rig.deliver, rig.policy = ("ssm:/m/{user}",), replace(POLICY, soak=timedelta(days=2), requested_grace=timedelta(1))
    done = rig.rotate()
    assert done.removed == (leaked.access_key_id,), done
    well(rig, leaked.access_key_id)


def test_a_soak_that_would_hold_up_the_successor_is_to_be_set_to_nothing(rig: Rig, leaked: KeyPair) -> None:
    message = refused(rig, *SOAK)
    assert "Set soak to 0s while you do that (soak: 0s in twokey.yaml, or --soak 0s)" in message
    follow(rig, message, "--soak", "0s")
    well(rig, leaked.access_key_id)


def test_an_unmanaged_key_that_would_be_in_the_way_is_part_of_the_steps(rig: Rig) -> None:
    rig.aws.make_user("ci", path="/machine-users/", keys=0)
    assert twokey("rotate", "ci", *SELECTED).code == 0
    current = rig.held()
    other = rig.aws.client("iam").create_access_key(UserName="ci")["AccessKey"]["AccessKeyId"]
    message = refused(rig)
    assert f"--force --retire {other} creates another key and delivers it; a program that uses {other} fails" in message
    follow(rig, message)
    well(rig, current)


def test_a_destination_that_did_not_get_the_new_key_keeps_the_leaked_one_and_is_named(
    rig: Rig, leaked: KeyPair
) -> None:
    message = refused(rig)
    rule = Rule(
        "ssm:PutParameter", nth=2, effect="error_before", status=400, code="AccessDeniedException"
    )  # not the probe
    rig.aws.weather.add(rule)
    (_, first), (_, second) = STEP.findall(message)
    assert twokey(*shlex.split(first), *SELECTED).code == 1
    assert leaked.access_key_id in rig.ids()
    rig.later(seconds=55)  # most of the time after which IAM's list surely shows what was created
    assert "Deliver CURRENT there first: twokey deliver ci." in twokey(*shlex.split(second), *SELECTED).out
    assert twokey("deliver", "ci", *SELECTED).code == 0
    assert twokey(*shlex.split(second), *SELECTED).code == 0
    well(rig, leaked.access_key_id)


def test_plan_says_the_same(rig: Rig, leaked: KeyPair) -> None:
    ran = twokey("plan", "ci", *SELECTED, "--retire", leaked.access_key_id)
    assert ran.code == 3
    assert refused(rig) in ran.out
