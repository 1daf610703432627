"""One user's move between real stores on the emulator: every request goes wrong once, and the move is run again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twokey.core.reasons import Outcome, Reason
from twokey.destinations.registry import Services, open_store
from twokey.emulator import Rule
from twokey.moving.move import move_store

if TYPE_CHECKING:
    from support.rig import Rig
    from twokey.core.destination import Store
    from twokey.rotation.results import Result

SECRET, PARAMETER = "secretsmanager:keys/{user}", "ssm:/keys/{user}"
MOST = 40


def store(rig: Rig, template: str, user: str) -> Store:
    return open_store(template.format(user=user), Services(rig.clients_of("run")))


def move(rig: Rig, user: str, target: str) -> Result:
    machine_user, world = rig.world(user, "mover", wait=False)
    return move_store(machine_user, rig.policy, world, store(rig, target, user))


@pytest.mark.parametrize(("source", "target"), [(SECRET, PARAMETER), (PARAMETER, SECRET)])
def test_one_lost_response_anywhere_is_finished_by_running_it_again(rig: Rig, source: str, target: str) -> None:
    """A store without conditions keeps its lease while a write to it is in doubt.

    The simulation plays every other ending; here the responses are those of the services.
    """
    for nth in range(2, MOST):  # the first request is the test's own
        user = f"u{nth}"
        rig.store_url = source
        rig.aws.make_user(user, keys=1)
        assert rig.rotate(user).outcome is Outcome.ROTATED
        rule = Rule("*", nth=nth, effect="lost_response")
        rig.aws.weather.add(rule)
        result = move(rig, user, target)
        rig.aws.weather.clear()
        if not rule.hits:
            assert result.outcome is Outcome.COMPLETED
            return
        if result.outcome is not Outcome.COMPLETED:
            rig.later(minutes=4)
            assert move(rig, user, target).outcome is Outcome.COMPLETED, (nth, result.message)
        former, new = store(rig, source, user).load(), store(rig, target, user).load()
        assert (former.journal.moved, new.journal.arriving) == (target.format(user=user), "")
        assert former.holding == new.holding
        assert rig.rotate(user).reason is Reason.MOVED
        rig.store_url = target
        assert rig.rotate(user).outcome is Outcome.NOT_DUE
    raise AssertionError("a move has too many requests")


def test_a_key_that_does_not_work_is_not_moved(rig: Rig) -> None:
    rig.store_url = SECRET
    rig.aws.make_user("ci", keys=1)
    held = rig.rotate().current
    rig.aws.client("iam").update_access_key(UserName="ci", AccessKeyId=held, Status="Inactive")
    result = move(rig, "ci", PARAMETER)
    assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.UNVERIFIED)
    assert "only the journal of" in result.message
    assert store(rig, PARAMETER, "ci").load().journal.epoch == 0


def test_a_target_that_holds_another_key_is_refused(rig: Rig) -> None:
    rig.store_url = SECRET
    (found,) = rig.aws.make_user("ci", keys=1)
    rig.rotate()
    rig.aws.client("ssm").put_parameter(
        Name="/keys/ci",
        Type="SecureString",
        Value=f'{{"AccessKeyId": "{found.access_key_id}", "SecretAccessKey": "{found.secret_access_key}"}}',
    )
    assert move(rig, "ci", PARAMETER).reason is Reason.DESTINATIONS_DIFFER


def test_a_store_of_its_own_is_refused(rig: Rig) -> None:
    rig.store_url = PARAMETER
    rig.aws.make_user("ci", keys=1)
    rig.rotate()
    rig.store_url = SECRET
    rig.rotate(ignore_last_use=True)
    rig.store_url = SECRET
    assert move(rig, "ci", PARAMETER).outcome is Outcome.REFUSED


def test_while_another_run_holds_the_lease_it_is_refused(rig: Rig) -> None:
    rig.store_url = SECRET
    rig.aws.make_user("ci", keys=1)
    results = []
    rig.at[("store", "done")] = lambda: results.append(move(rig, "ci", PARAMETER))
    assert rig.rotate().outcome is Outcome.ROTATED
    (refused,) = results
    assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.LEASE_HELD)


def test_a_target_with_its_creation_options_gets_them(rig: Rig) -> None:
    rig.store_url = PARAMETER
    rig.aws.make_user("ci", keys=1)
    rig.rotate()
    move(rig, "ci", f"{SECRET}?tag.team=platform")
    assert rig.aws.client("secretsmanager").describe_secret(SecretId="keys/ci")["Tags"]
