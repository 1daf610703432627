"""One user's rotation from the first look to the result, against the strict emulator and real stores."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.rig import DAY, POLICY, Rig
from twokey.aws.sts import Sts
from twokey.core.reasons import Outcome, Reason
from twokey.emulator import Rule
from twokey.planning.policy import RotationPolicy, Verification

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.rotation.results import Result


class TestACycle:
    def test_of_a_user_without_keys_ends_with_one_that_works(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        result = rig.rotate()
        stored = rig.stored()
        assert (result.outcome, result.reason) == (Outcome.ROTATED, Reason.NO_KEY)
        assert stored
        assert rig.aws.authenticates(stored)
        assert rig.ids() == [result.current]

    def test_of_a_user_with_one_key_keeps_that_key_working_as_last(self, rig: Rig) -> None:
        (found,) = rig.aws.make_user("ci", keys=1, ages=(200 * DAY,))
        result = rig.rotate()
        assert rig.ids() == [found.access_key_id, result.current]
        assert result.last == found.access_key_id
        assert rig.aws.authenticates(found)

    def test_of_a_settled_user_removes_last_and_keeps_the_former_current(self, rig: Rig) -> None:
        last, current = rig.settled()
        result = rig.rotate()
        assert result.removed == (last.access_key_id,)
        assert rig.ids() == [current.access_key_id, result.current]
        assert rig.held() == result.current
        assert rig.aws.authenticates(current)

    def test_counts_grace_and_period_from_its_end(self, rig: Rig) -> None:
        rig.settled()
        rig.at[("store", "done")] = lambda: rig.sleep_through(90)
        rig.rotate()
        committed = rig.record().journal.committed
        assert committed
        assert abs((rig.aws.now() - committed).total_seconds()) < 30

    def test_run_again_finds_nothing_due_and_writes_nothing(self, rig: Rig) -> None:
        rig.settled()
        rig.rotate()
        rig.aws.clear_requests()
        result = rig.rotate()
        assert result.outcome is Outcome.NOT_DUE
        assert [r.operation for r in rig.aws.requests if not r.operation.startswith(("Get", "List", "Describe"))] == []

    def test_goes_on_for_window_after_window(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        seen = [rig.rotate().current]
        for _ in range(4):
            rig.later(days=15)
            result = rig.rotate()
            assert result.outcome is Outcome.ROTATED
            assert rig.ids() == [seen[-1], result.current]
            seen.append(result.current)

    def test_says_when_the_next_rotation_is_due_and_keeps_that_promise(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        due = rig.rotate().next_due
        assert due
        left = (due - rig.aws.now()).total_seconds()
        rig.later(seconds=left - 3)
        assert rig.rotate().outcome is Outcome.NOT_DUE
        rig.later(seconds=5)
        assert rig.rotate().outcome is Outcome.ROTATED

    @pytest.mark.parametrize("scheme", ["ssm:/machine-users/{user}", "file:{folder}/{{user}}.json"])
    def test_runs_on_every_store(self, rig: Rig, scheme: str, tmp_path: Path) -> None:
        rig.store_url = scheme.replace("{folder}", str(tmp_path)).replace("{{user}}", "{user}")
        rig.aws.make_user("ci", keys=0)
        first = rig.rotate()
        rig.later(days=15)
        second = rig.rotate()
        rig.later(days=15)
        third = rig.rotate()
        assert third.outcome is Outcome.ROTATED
        assert third.removed == (first.current,)
        assert rig.ids() == [second.current, third.current]
        assert rig.held() == third.current

    def test_stores_exactly_what_the_origin_tool_prints(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        result = rig.rotate()
        answer = rig.aws.client("secretsmanager").get_secret_value(SecretId="machine-users/ci")
        assert set(json.loads(answer["SecretString"])) == {"AccessKeyId", "SecretAccessKey"}
        assert json.loads(answer["SecretString"])["AccessKeyId"] == result.current


class TestWhatARotationCosts:
    def test_five_iam_requests_with_two_keys(self, rig: Rig) -> None:
        rig.settled()
        machine_user, world = rig.world()
        rig.aws.clear_requests()
        from twokey.rotation import rotate

        assert rotate.rotate(machine_user, POLICY, world).outcome is Outcome.ROTATED
        iam = [r.operation for r in rig.aws.requests if r.service == "iam"]
        assert sorted(name for name in iam if name != "SimulatePrincipalPolicy") == [
            "CreateAccessKey",
            "DeleteAccessKey",
            "GetAccessKeyLastUsed",
            "ListAccessKeys",
            "ListAccessKeys",
        ]

    def test_one_iam_request_where_nothing_is_due(self, rig: Rig) -> None:
        rig.settled()
        rig.rotate()
        machine_user, world = rig.world()
        rig.aws.clear_requests()
        from twokey.rotation import rotate

        assert rotate.rotate(machine_user, POLICY, world).outcome is Outcome.NOT_DUE
        assert [r.operation for r in rig.aws.requests if r.service == "iam"] == ["ListAccessKeys"]


EFFECTS = [
    (step, phase)
    for step in ("lease", "delete", "intent", "create", "verify", "store", "deliver", "commit")
    for phase in ("begin", "done")
]


class TestAKilledRun:
    @pytest.mark.parametrize(("step", "phase"), EFFECTS)
    def test_is_made_good_by_the_next_one(self, rig: Rig, step: str, phase: str) -> None:
        last, current = rig.settled()
        rig.deliver = ("ssm:/copies/{user}",)
        rig.killed_at("delete" if step == "delete" else step, phase)
        between = rig.stored()
        assert between
        assert rig.aws.authenticates(between)
        assert rig.aws.authenticates(current)
        result = rig.rotate()
        assert result.outcome in (Outcome.ROTATED, Outcome.COMPLETED, Outcome.NOT_DUE), result.message
        stored = rig.stored()
        assert stored
        assert rig.aws.authenticates(stored)
        assert rig.aws.authenticates(current)
        assert rig.ids() == [current.access_key_id, stored.access_key_id]
        assert last.access_key_id not in rig.ids()
        journal = rig.record().journal
        assert (journal.current, journal.last) == (stored.access_key_id, current.access_key_id)
        assert (journal.intent, journal.lease) == (None, None)

    def test_between_create_and_store_leaves_a_stray_that_the_next_one_removes(self, rig: Rig) -> None:
        _, current = rig.settled()
        assert rig.killed_at("create", "done")
        (orphan,) = set(rig.ids()) - {current.access_key_id}
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.ROTATED, Reason.INTERRUPTED)
        assert result.removed == (orphan,)

    def test_between_store_and_commit_is_completed_without_another_key(self, rig: Rig) -> None:
        rig.settled()
        assert rig.killed_at("store", "done")
        made = rig.held()
        rig.aws.clear_requests()
        result = rig.rotate()
        assert (result.outcome, result.current) == (Outcome.COMPLETED, made)
        assert rig.aws.count("iam:CreateAccessKey") == 0

    def test_on_another_host_is_waited_for_until_its_lease_ends(self, rig: Rig) -> None:
        from unittest import mock

        from twokey.rotation import lease

        rig.settled()
        with mock.patch.object(lease, "_host", return_value="elsewhere boot pid"):
            assert rig.killed_at("create", "done")
        refused = rig.rotate(wait=False)
        assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.LEASE_HELD)
        assert "elsewhere" in refused.message
        rig.later(minutes=4)
        assert rig.rotate(wait=False).outcome is Outcome.ROTATED


class TestALostAnswer:
    @pytest.mark.parametrize("effect", ["lost_response", "reset", "error_before", "error_after"])
    def test_of_the_creation_costs_no_job_its_key(self, rig: Rig, effect: str) -> None:
        _, current = rig.settled()
        rig.aws.weather.add(Rule("iam:CreateAccessKey", effect=effect))
        first = rig.rotate()
        assert first.outcome is Outcome.FAILED
        assert rig.aws.count("iam:CreateAccessKey") == 1
        assert rig.held() == current.access_key_id
        assert rig.rotate().outcome is Outcome.ROTATED
        assert len(rig.ids()) == 2
        stored = rig.stored()
        assert stored
        assert rig.aws.authenticates(stored)

    @pytest.mark.parametrize("variable", [{"AWS_MAX_ATTEMPTS": "9"}, {"AWS_RETRY_MODE": "adaptive"}])
    def test_of_the_creation_is_never_repeated_whatever_the_user_sets(
        self, rig: Rig, variable: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in variable.items():
            monkeypatch.setenv(name, value)
        rig.settled()
        rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="lost_response", times=None))
        rig.rotate()
        assert rig.aws.count("iam:CreateAccessKey") == 1

    @pytest.mark.parametrize(
        "operation",
        [
            "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecretVersionStage",
            "secretsmanager:DescribeSecret",
            "iam:DeleteAccessKey",
            "iam:ListAccessKeys",
        ],
    )
    @pytest.mark.parametrize("nth", [1, 2, 3])
    def test_of_what_may_be_repeated_is_not_even_noticed(self, rig: Rig, operation: str, nth: int) -> None:
        rig.settled()
        rig.aws.weather.add(Rule(operation, nth=nth, effect="lost_response"))
        assert rig.rotate().outcome is Outcome.ROTATED

    def test_and_throttling_of_the_creation_is_tried_again_because_nothing_was_made(self, rig: Rig) -> None:
        rig.settled()
        rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="throttle", times=2))
        assert rig.rotate().outcome is Outcome.ROTATED
        assert len(rig.ids()) == 2


class TestVerification:
    def test_waits_until_the_key_has_propagated_before_anybody_sees_it(self, rig: Rig) -> None:
        rig.settled()
        rig.aws.weather.propagation = 0.6
        assert rig.rotate().outcome is Outcome.ROTATED
        stored = rig.stored()
        assert stored
        assert rig.aws.authenticates(stored)

    def test_that_times_out_removes_the_key_and_leaves_everything_as_it_was(self, rig: Rig) -> None:
        _, current = rig.settled()
        rig.aws.weather.propagation = 60
        rig.policy = replace(POLICY, verification=Verification(2, timedelta(seconds=0.01), timedelta(seconds=0.3)))
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.NOT_VERIFIED)
        assert rig.ids() == [current.access_key_id]
        assert rig.held() == current.access_key_id
        assert rig.record().journal.intent is None
        rig.aws.weather.propagation = 0
        assert rig.rotate().outcome is Outcome.ROTATED

    def test_asks_every_region_that_is_configured(self, rig: Rig) -> None:
        rig.settled()
        rig.policy = replace(
            POLICY,
            verification=Verification(2, timedelta(0), timedelta(seconds=2), regions=("eu-west-1", "us-east-1")),
        )
        rig.aws.clear_requests()
        assert rig.rotate().outcome is Outcome.ROTATED
        assert rig.aws.count("sts:GetCallerIdentity") >= 4


class TestPreflight:
    def test_refuses_before_last_is_removed_where_creating_is_denied(self, rig: Rig) -> None:
        last, current = rig.settled()
        rotator = _rotator(rig, deny="iam:CreateAccessKey")
        result = _as(rig, rotator)
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.PREFLIGHT)
        assert "iam:CreateAccessKey" in result.message
        assert rig.ids() == [last.access_key_id, current.access_key_id]

    def test_refuses_before_last_is_removed_where_no_key_could_be_verified_in_a_region(self, rig: Rig) -> None:
        """Not enabled, or of another partition. Each run would create a key and remove it again, without LAST."""
        last, current = rig.settled()
        rig.aws.weather.disabled_regions = {"me-south-1"}
        rig.policy = replace(
            rig.policy, verification=replace(POLICY.verification, regions=("eu-central-1", "me-south-1"))
        )
        for _ in range(2):
            result = rig.rotate()
            assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.PREFLIGHT)
            assert "me-south-1" in result.message
            assert "Enable me-south-1 for the account, or remove it from verify.regions" in result.message
        assert rig.ids() == [last.access_key_id, current.access_key_id]
        rig.aws.weather.disabled_regions = set()
        assert rig.rotate().outcome is Outcome.ROTATED

    def test_refuses_before_last_is_removed_where_a_region_cannot_be_reached(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A mistyped name has no endpoint."""
        last, current = rig.settled()
        rig.policy = replace(rig.policy, verification=replace(POLICY.verification, regions=("eu-cental-1",)))
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.PREFLIGHT)
        assert "The region eu-cental-1 of verify.regions cannot be used" in result.message
        assert "Check the name eu-cental-1 in verify.regions" in result.message
        assert rig.ids() == [last.access_key_id, current.access_key_id]

    def test_asks_each_region_once_for_all_users(self, rig: Rig) -> None:
        rig.policy = replace(rig.policy, verification=replace(POLICY.verification, regions=("eu-central-1",)))
        sts = Sts(rig.clients())
        for _ in range(3):
            sts.reach("eu-central-1")
        assert rig.aws.count("sts:GetCallerIdentity") == 1

    def test_refuses_where_the_store_may_not_be_written(self, rig: Rig) -> None:
        last, current = rig.settled()
        rotator = _rotator(rig, deny="secretsmanager:PutSecretValue")
        result = _as(rig, rotator)
        assert result.outcome is Outcome.REFUSED
        assert "secretsmanager:PutSecretValue" in result.message
        assert rig.ids() == [last.access_key_id, current.access_key_id]

    def test_refuses_where_the_store_may_not_be_read(self, rig: Rig) -> None:
        rig.settled()
        result = _as(rig, _rotator(rig, deny="secretsmanager:DescribeSecret"))
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.UNREADABLE)
        assert "secretsmanager:DescribeSecret" in result.message


class TestDeliveries:
    def test_reach_every_destination(self, rig: Rig, tmp_path: Path) -> None:
        rig.settled()
        rig.deliver = ("ssm:/copies/{user}", f"file:{tmp_path}/{{user}}.json")
        result = rig.rotate()
        assert [one.outcome for one in result.destinations] == ["delivered"] * 3
        pair = json.loads((tmp_path / "ci.json").read_text())
        assert pair["AccessKeyId"] == result.current

    def test_that_fail_stop_no_other_and_are_resumed_without_another_key(self, rig: Rig, tmp_path: Path) -> None:
        _, current = rig.settled()
        rig.deliver = ("ssm:/copies/{user}", f"file:{tmp_path}/{{user}}.json")
        rule = rig.aws.weather.add(
            Rule(
                "ssm:PutParameter",
                times=None,
                effect="error_before",
                status=400,
                code="AccessDeniedException",
                message="no",
            )
        )
        failed = rig.rotate()
        assert (failed.outcome, failed.reason) == (Outcome.FAILED, Reason.DELIVERY_FAILED)
        assert {one.destination.split(":")[0]: one.outcome for one in failed.destinations} == {
            "secretsmanager": "delivered",
            "ssm": "failed",
            "file": "delivered",
        }
        assert rig.aws.authenticates(current)
        rig.aws.weather.remove(rule)
        rig.aws.clear_requests()
        result = rig.rotate()
        assert (result.outcome, result.current) == (Outcome.COMPLETED, failed.current)
        assert rig.aws.count("iam:CreateAccessKey") == 0

    def test_are_made_to_a_destination_that_was_added_later(self, rig: Rig) -> None:
        rig.settled()
        made = rig.rotate().current
        rig.deliver = ("ssm:/copies/{user}",)
        result = rig.rotate()
        assert (result.outcome, result.reason, result.current) == (Outcome.COMPLETED, Reason.OUT_OF_DATE, made)
        assert rig.rotate().outcome is Outcome.NOT_DUE

    def test_to_one_that_was_behind_give_last_its_whole_grace_again(self, rig: Rig) -> None:
        rig.settled()
        rig.rotate()
        rig.later(days=14)
        rig.deliver = ("ssm:/copies/{user}",)
        rig.rotate()
        rig.later(days=2)
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.GRACE)
        rig.later(days=13)
        assert rig.rotate().outcome is Outcome.ROTATED


class TestSoak:
    def test_switches_last_off_first_and_deletes_it_after_the_soak(self, rig: Rig) -> None:
        last, _ = rig.settled()
        rig.policy = replace(POLICY, soak=timedelta(days=2))
        retired = rig.rotate()
        assert retired.outcome is Outcome.RETIRED
        assert not rig.aws.authenticates(last)
        assert len(rig.ids()) == 2
        rig.later(days=1)
        assert rig.rotate().reason is Reason.SOAKING
        rig.later(days=1, seconds=5)
        rotated = rig.rotate()
        assert rotated.outcome is Outcome.ROTATED
        assert rotated.removed == (last.access_key_id,)


class TestTwoRunners:
    def test_at_once_rotate_once(self, rig: Rig) -> None:
        rig.settled()
        results: list[Result] = []
        threads = [
            threading.Thread(target=lambda name=name: results.append(rig.rotate(run=name)))
            for name in ("one", "two", "three")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(result.outcome for result in results) == ["not_due", "not_due", "rotated"]
        assert rig.aws.count("iam:CreateAccessKey") == 1
        assert len(rig.ids()) == 2


class TestASleepingRun:
    """A process that stands still (a suspended machine, SIGSTOP) for longer than its lease, and wakes up."""

    @pytest.mark.parametrize("step", ["lease", "delete", "intent"])
    def test_creates_no_key_once_its_lease_is_over(self, rig: Rig, step: str) -> None:
        _, current = rig.settled()
        rig.at[(step, "done")] = lambda: rig.sleep_through(200)
        rig.aws.clear_requests()
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.LEASE_LOST)
        assert rig.aws.count("iam:CreateAccessKey") == 0
        assert rig.held() == current.access_key_id
        rig.later(minutes=4)
        assert rig.rotate().outcome is Outcome.ROTATED

    @pytest.mark.parametrize("store", ["secretsmanager:machine-users/{user}", "ssm:/machine-users/{user}"])
    def test_that_another_run_overtook_publishes_nothing(self, rig: Rig, store: str) -> None:
        rig.store_url = store
        rig.aws.make_user("ci", keys=0)
        first = rig.rotate()
        rig.later(days=15)
        others: list[Result] = []

        def overtaken() -> None:
            rig.sleep_through(200)
            others.append(rig.rotate(run="other"))

        rig.at[("verify", "done")] = overtaken
        result = rig.rotate(run="sleeper")
        assert result.outcome is Outcome.FAILED
        assert [other.outcome for other in others] == [Outcome.ROTATED]
        assert rig.held() == others[0].current
        assert rig.ids() == [first.current, others[0].current]


class TestWhatPeopleDo:
    def test_a_key_made_by_hand_is_named_and_never_touched(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        rig.rotate()
        made = rig.aws.client("iam").create_access_key(UserName="ci")["AccessKey"]["AccessKeyId"]
        rig.later(days=20)
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.UNMANAGED_KEY)
        assert made in result.message
        assert made in rig.ids()

    def test_three_keys_are_all_seen(self, rig: Rig) -> None:
        keys = rig.aws.make_user("ci", keys=3, ages=(60 * DAY, 31 * DAY, 16 * DAY))
        rig.fill(keys[-1])
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.UNMANAGED_KEY)
        assert len(rig.ids()) == 3

    def test_a_person_may_retire_a_key_by_name(self, rig: Rig) -> None:
        first, second = rig.aws.make_user("ci", keys=2, ages=(60 * DAY, 16 * DAY))
        assert rig.rotate().reason is Reason.CANNOT_ATTRIBUTE
        result = rig.rotate(retire=frozenset({first.access_key_id}))
        assert result.outcome is Outcome.ROTATED
        assert rig.ids() == [second.access_key_id, result.current]

    def test_a_user_made_again_is_not_taken_for_the_old_one(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        made = rig.rotate().current
        iam = rig.aws.client("iam")
        iam.delete_access_key(UserName="ci", AccessKeyId=made)
        iam.delete_user(UserName="ci")
        rig.aws.make_user("ci", keys=1)
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.USER_RECREATED)

    def test_a_stored_key_switched_off_by_hand_is_replaced_at_once(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        made = rig.rotate().current
        rig.aws.client("iam").update_access_key(UserName="ci", AccessKeyId=made, Status="Inactive")
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.ROTATED, Reason.CURRENT_INACTIVE)
        assert rig.ids() == [made, result.current]

    def test_a_job_that_never_stops_using_last_is_found(self, rig: Rig) -> None:
        last, _ = rig.settled()
        rig.aws.set_last_used(last.access_key_id, 3600)
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.IN_USE)
        assert last.access_key_id in result.message

    def test_twokeys_own_user_is_left_alone(self, rig: Rig) -> None:
        (own,) = rig.aws.make_user("ci", keys=1, ages=(20 * DAY,))
        rig.fill(own)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in rig.aws.environment(own).items():
                patch.setenv(name, value)
            rig.aws.client("iam").put_user_policy(UserName="ci", PolicyName="all", PolicyDocument=_policy("Allow", "*"))
            result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.OWN_KEY)


class TestTime:
    def test_a_clock_that_is_off_is_refused(self, rig: Rig) -> None:
        rig.settled()
        rig.aws.advance(90)
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.CLOCK_SKEW)
        assert "behind AWS" in result.message

    def test_a_list_that_lags_is_waited_for_while_an_intent_is_open(self, rig: Rig) -> None:
        _, current = rig.settled()
        rig.aws.weather.list_lag = 1.0
        assert rig.killed_at("create", "done")
        rig.policy = replace(POLICY, settle=timedelta(seconds=2.5))
        result = rig.rotate()
        assert result.outcome is Outcome.ROTATED
        assert len(result.removed) == 1
        rig.aws.weather.list_lag = 0
        assert rig.ids() == [current.access_key_id, result.current]

    def test_a_window_of_seconds_is_a_whole_cycle(self, rig: Rig) -> None:
        rig.policy = RotationPolicy(window=timedelta(seconds=20), settle=timedelta(0), verification=POLICY.verification)
        rig.aws.make_user("ci", keys=0)
        assert rig.rotate().outcome is Outcome.ROTATED
        rig.later(seconds=12)
        assert rig.rotate().outcome is Outcome.ROTATED
        rig.later(seconds=12)
        assert len(rig.rotate().removed) == 1


def _policy(effect: str, *actions: str) -> str:
    statement = {"Effect": effect, "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _rotator(rig: Rig, deny: str) -> dict[str, str]:
    """Make a principal that may do everything but one action; return its environment."""
    (pair,) = rig.aws.make_user("rotator", path="/ops/", keys=1)
    iam = rig.aws.client("iam")
    iam.put_user_policy(UserName="rotator", PolicyName="all", PolicyDocument=_policy("Allow", "*"))
    iam.put_user_policy(UserName="rotator", PolicyName="but", PolicyDocument=_policy("Deny", deny))
    return rig.aws.environment(pair)


def _as(rig: Rig, environment: dict[str, str]) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return rig.rotate()
