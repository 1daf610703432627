"""A run that is paused until its lease is over takes none of the steps that follow; another run may have begun."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.rig import DAY, IN_VAIN, POLICY, Rig
from support.store_faults import denied
from twokey.core.reasons import Outcome, Reason
from twokey.emulator import Rule
from twokey.rotation import lease as leases

if TYPE_CHECKING:
    from collections.abc import Callable

SSM = "ssm:/machine-users/{user}"


def a_rotation_is_due(rig: Rig) -> None:
    rig.settled()


def a_soak_is_due(rig: Rig) -> None:
    rig.policy = replace(POLICY, soak=timedelta(days=2))
    rig.settled()


def an_orphaned_key_is_there(rig: Rig) -> None:
    _, current = rig.aws.make_user("ci", path="/machine-users/", keys=2, ages=(31 * DAY, 16 * DAY))
    rig.aws.client("iam").delete_access_key(UserName="ci", AccessKeyId=rig.ids()[0])
    rig.fill(current)
    assert rig.killed_at("create", "done")
    rig.later(minutes=5)


@pytest.mark.parametrize(
    ("prepare", "requests"),
    [
        (a_rotation_is_due, "iam:DeleteAccessKey"),
        (a_soak_is_due, "iam:UpdateAccessKey"),
        (an_orphaned_key_is_there, "secretsmanager:PutSecretValue"),
        (an_orphaned_key_is_there, "iam:DeleteAccessKey"),
    ],
)
def test_nothing_is_removed_or_fenced_once_the_lease_is_over(
    rig: Rig, prepare: Callable[[Rig], None], requests: str
) -> None:
    prepare(rig)
    before: list[int] = []

    def pause() -> None:
        rig.sleep_through(200)
        before.append(rig.aws.count(requests))

    rig.at[("lease", "done")] = pause
    result = rig.rotate()
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.LEASE_LOST)
    assert before == [rig.aws.count(requests)]
    rig.later(minutes=5)
    assert rig.rotate().outcome in (Outcome.ROTATED, Outcome.RETIRED)


def test_a_key_that_did_not_work_is_not_deleted_once_the_lease_is_over_on_a_store_without_conditions(rig: Rig) -> None:
    """The next run may hold it for its own: it removes it, or names it."""
    rig.store_url = SSM
    rig.aws.make_user("ci", keys=0)
    rig.aws.weather.propagation = 300
    rig.policy = replace(POLICY, verification=IN_VAIN)
    rig.at[("verify", "failed")] = lambda: rig.sleep_through(200)
    result = rig.rotate()
    (created,) = rig.ids()
    assert result.outcome is Outcome.FAILED
    assert f"{created}, which this run created, still exists" in result.message
    assert rig.aws.count("iam:DeleteAccessKey") == 0


def test_no_key_is_created_when_the_lease_may_end_before_the_response(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.aws.make_user("ci", keys=0)
    monkeypatch.setattr(leases, "LENGTH", timedelta(seconds=24))
    monkeypatch.setattr("twokey.rotation.leased_journal.WRITE_LIMIT", 1.0)
    result = rig.rotate()
    assert result.outcome is Outcome.FAILED
    assert "No key could be created" in result.message
    assert rig.aws.count("iam:CreateAccessKey") == 0


@pytest.mark.parametrize("reading", ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"])
def test_a_key_whose_write_was_refused_is_kept_while_what_the_store_holds_is_unknown(rig: Rig, reading: str) -> None:
    """The refusal may be that of a second attempt. Only a store that shows another key proves that nobody read it."""
    last, current = rig.settled()

    def deny() -> None:
        rig.aws.weather.add(replace(denied("secretsmanager:PutSecretValue"), times=None))
        rig.aws.weather.add(replace(denied(reading), times=None))

    rig.at[("store", "begin")] = deny
    result = rig.rotate()
    assert result.outcome is Outcome.FAILED
    assert [key for key in rig.ids() if key not in (last.access_key_id, current.access_key_id)]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_the_lease_is_given_back_whatever_ends_the_run(rig: Rig, error: type[BaseException]) -> None:
    rig.settled()

    def end() -> None:
        raise error

    rig.at[("verify", "begin")] = end
    with pytest.raises(error):
        rig.rotate()
    assert rig.record().journal.lease is None


def test_the_lease_is_kept_while_a_write_without_a_condition_is_in_doubt(rig: Rig) -> None:
    rig.store_url = SSM
    rig.aws.make_user("ci", keys=0)

    def fail() -> None:
        rig.aws.weather.add(Rule("ssm:*", times=None, effect="error_before", status=500))

    rig.at[("store", "begin")] = fail
    rig.at[("store", "failed")] = rig.aws.weather.clear
    assert rig.rotate().outcome is Outcome.FAILED
    assert rig.record().journal.lease is not None
