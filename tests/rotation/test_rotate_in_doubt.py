"""What one AWS server says and another does not know yet, and what a run leaves that got no response."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.rig import DAY, IN_VAIN, POLICY, Rig
from twokey.core.destination import Receipt, Traits
from twokey.core.errors import Conflict, NotVerified, ServiceRejected
from twokey.core.model import CannotTell, MachineUser
from twokey.core.reasons import Outcome, Reason
from twokey.core.secret import Credential
from twokey.destinations.stores.ssm import ParameterStore
from twokey.emulator import Rule
from twokey.planning.policy import Verification
from twokey.rotation.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.core.model import Holding

UNKNOWN_KEY: dict[str, Any] = {"effect": "error_before", "status": 404, "code": "NoSuchEntity"}
SSM = "ssm:/machine-users/{user}"


class TestADeletionThatIamDoesNotKnowOf:
    def test_is_asked_for_again(self, rig: Rig) -> None:
        _, current = rig.settled()
        rig.aws.weather.add(Rule("iam:DeleteAccessKey", times=2, **UNKNOWN_KEY))
        result = rig.rotate()
        assert result.outcome is Outcome.ROTATED
        assert rig.ids() == [current.access_key_id, result.current]

    def test_is_made_good_by_a_later_run(self, rig: Rig) -> None:
        last, current = rig.settled()
        rig.aws.weather.add(Rule("iam:DeleteAccessKey", times=3, **UNKNOWN_KEY))
        failed = rig.rotate()
        assert failed.outcome is Outcome.FAILED
        assert "LimitExceeded" in failed.message
        assert rig.aws.authenticates(current)
        rig.policy = replace(POLICY, settle=timedelta(seconds=30))
        rig.later(minutes=1)
        result = rig.rotate()
        assert (result.outcome, result.removed) == (Outcome.ROTATED, (last.access_key_id,))
        assert rig.ids() == [current.access_key_id, result.current]

    def test_of_the_runs_own_key_keeps_the_intent_so_that_the_next_run_finds_it(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        rig.aws.weather.propagation = 30
        rig.aws.weather.add(Rule("iam:DeleteAccessKey", times=None, **UNKNOWN_KEY))
        rig.policy = replace(rig.policy, verification=IN_VAIN)
        failed = rig.rotate()
        assert failed.reason is Reason.NOT_VERIFIED
        (orphan,) = rig.ids()
        assert f"IAM does not know {orphan} yet" in failed.message
        rig.aws.weather.clear()
        result = rig.rotate()
        assert (result.outcome, result.removed) == (Outcome.ROTATED, (orphan,))


class TestAListThatLags:
    def test_right_after_a_commit_makes_no_second_key(self, rig: Rig) -> None:
        rig.settled()
        rig.policy = replace(POLICY, settle=timedelta(seconds=3))
        rig.aws.weather.list_lag = 2.0
        made = rig.rotate()
        again = rig.rotate()
        assert (again.outcome, again.current) == (Outcome.NOT_DUE, made.current)
        assert rig.aws.count("iam:CreateAccessKey") == 1

    def test_is_waited_for_by_plan_and_status_says_so(self, rig: Rig) -> None:
        from twokey.reports.status import status
        from twokey.rotation.preview import preview

        rig.settled()
        rig.policy = replace(POLICY, settle=timedelta(seconds=2))
        rig.aws.weather.list_lag = 1.5
        rig.rotate()
        user, world = rig.world()
        entry = status(user, rig.policy, world)
        assert (entry.next, entry.problems) == ("rotated just now: IAM's list may lag", [])
        foreseen = preview(user, rig.policy, world)
        result, decision = foreseen.result, foreseen.plan
        assert (result.outcome, decision.actions if decision else None) == (Outcome.NOT_DUE, ())


class TestALateDelivery:
    @pytest.mark.parametrize(
        ("step", "copied_by_operator"),
        [("record", True), ("deliver", True), ("commit", True), ("deliver", False), ("commit", False)],
    )
    @pytest.mark.parametrize("days", [1, 2])
    def test_whose_commit_is_lost_still_gives_last_its_whole_grace(
        self, rig: Rig, step: str, days: int, tmp_path: Path, *, copied_by_operator: bool
    ) -> None:
        rig.settled()
        rig.policy = replace(POLICY, requested_grace=timedelta(days=14))
        copy = f"file:{tmp_path}/{{user}}.json"
        rig.deliver = () if copied_by_operator else (copy,)
        first = rig.rotate()
        if copied_by_operator:
            _copy_as_the_operator(rig, tmp_path / "ci.json")
        rig.deliver = ()
        rig.later(days=15)
        second = rig.rotate()
        rig.later(days=13 + days)
        rig.deliver = (copy,)
        assert rig.killed_at(step, "begin" if step == "commit" else "done")
        rig.later(days=3)
        again = rig.rotate()
        assert (again.outcome, again.reason) == (Outcome.COMPLETED, Reason.OUT_OF_DATE)
        assert first.current in rig.ids()
        rig.later(days=13)
        assert rig.rotate().reason is Reason.GRACE
        rig.later(days=2)
        assert rig.rotate().removed == (first.current,)
        assert second.current in rig.ids()

    def test_to_a_destination_that_is_left_out_is_asked_for_before_last_goes(self, rig: Rig, tmp_path: Path) -> None:
        rig.settled()
        rig.deliver = (f"file:{tmp_path}/{{user}}.json",)
        first = rig.rotate()
        rig.deliver = ()
        rig.later(days=15)
        rig.rotate()
        rig.later(days=15)
        refused = rig.rotate()
        assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.LAST_HELD)
        assert f"file:{tmp_path}/ci.json is not among this run's destinations" in refused.message
        assert first.current in rig.ids()
        assert rig.rotate(ignore_last_use=True).outcome is Outcome.ROTATED


class TestANewDestination:
    def test_that_is_taken_out_after_a_kill_is_known_to_hold_its_key(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        destination = Stamped()
        rig.others = (destination,)
        assert rig.killed_at("deliver", "done")
        given = destination.holds
        rig.others = ()
        assert rig.rotate().outcome is Outcome.COMPLETED
        rig.later(days=15)
        assert rig.rotate().last == given
        rig.later(days=15)
        refused = rig.rotate()
        assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.LAST_HELD)
        assert "ci:stamped is not among this run's destinations" in refused.message
        assert given in rig.ids()

    def test_that_was_not_reached_before_a_kill_is_delivered_to_by_the_next_run(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        destination = Stamped()
        rig.others = (destination,)
        assert rig.killed_at("record", "done")
        journal = rig.record().journal
        assert (set(journal.delivered), journal.delivering) == ({"ci:stamped"}, ("ci:stamped",))
        assert destination.holds == ""
        assert rig.rotate().outcome is Outcome.COMPLETED
        assert destination.holds == rig.held()
        assert rig.record().journal.delivering == ()

    def test_that_refuses_its_first_key_is_not_recorded_to_hold_it(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        destination = Stamped()
        destination.refuses = True
        rig.others = (destination,)
        assert rig.rotate().reason is Reason.DELIVERY_FAILED
        journal = rig.record().journal
        assert (journal.delivered, journal.delivering) == ({}, ())


class TestAGraceThatIsShortened:
    def test_is_kept_for_the_jobs_that_read_a_key_while_it_was_longer(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        first = rig.rotate()
        rig.policy = replace(POLICY, window=timedelta(days=4))
        rig.later(days=2)
        second = rig.rotate()
        assert (second.outcome, second.last) == (Outcome.ROTATED, first.current)
        rig.later(days=14)
        refused = rig.rotate()
        assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.GRACE)
        assert "LAST keeps the grace of 14d 9h that its readers were promised" in refused.message
        rig.later(days=1)
        third = rig.rotate()
        assert (third.outcome, third.removed) == (Outcome.ROTATED, (first.current,))
        rig.later(days=2)
        assert rig.rotate().removed == (second.current,)

    def test_is_longer_for_the_present_last_at_once_where_it_is_lengthened(self, rig: Rig) -> None:
        rig.policy = replace(POLICY, window=timedelta(days=4))
        rig.aws.make_user("ci", keys=0)
        rig.rotate()
        rig.later(days=2)
        rig.policy = POLICY
        rig.rotate(force=True)
        journal = rig.record().journal
        assert journal.graces == {journal.current: POLICY.grace, journal.last: POLICY.grace}


class TestAKeyThatOnlyAnOpenIntentExplains:
    def test_is_not_removed_where_jobs_use_it(self, rig: Rig) -> None:
        """A store that was restored from a backup, or an operator's key created within that minute."""
        rig.settled()
        assert rig.killed_at("create", "done")
        (key,) = (key_id for key_id in rig.ids() if key_id != rig.held())
        rig.later(days=3)
        rig.aws.set_last_used(key, 3600, "s3")
        refused = rig.rotate()
        assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.UNMANAGED_KEY)
        assert f"{key} (Active, last used 1h" in refused.message
        assert key in rig.ids()

    def test_is_removed_although_the_run_that_created_it_has_verified_it(self, rig: Rig) -> None:
        rig.settled()
        assert rig.killed_at("verify", "done")
        (key,) = (key_id for key_id in rig.ids() if key_id != rig.held())
        rig.later(days=3)
        assert rig.rotate().removed == (key,)

    def test_becomes_last_where_a_destination_shows_that_it_was_written(self, rig: Rig) -> None:
        """A run stored and delivered it; then the store was restored from a backup made before that."""
        _, current = rig.settled()
        destination = Stamped()
        rig.others = (destination,)
        assert rig.rotate(force=True).outcome is Outcome.COMPLETED
        rig.later(days=15)
        assert rig.killed_at("create", "done")
        (key,) = (key_id for key_id in rig.ids() if key_id != current.access_key_id)
        destination.write(key)
        result = rig.rotate()
        assert (result.outcome, result.reason, result.last) == (Outcome.COMPLETED, Reason.OUT_OF_DATE, key)
        assert destination.holds == current.access_key_id
        rig.later(days=14)
        assert rig.rotate().reason is Reason.GRACE
        rig.later(days=1)
        assert rig.rotate().removed == (key,)

    def test_becomes_last_only_once_the_run_that_created_it_can_no_longer_store_it(self, rig: Rig) -> None:
        """That run may be paused, right before it writes to the store."""
        rig.settled()
        rig.rotate()
        rig.later(days=15)
        assert rig.killed_at("create", "done")
        prepared, current = rig.record().revision, rig.held()
        (key,) = (key_id for key_id in rig.ids() if key_id != current)
        rig.others = (Stamped(),)
        assert rig.rotate().last == key
        with pytest.raises(Conflict):
            rig.store().put(Credential(key, "s" * 40), prepared)
        assert rig.held() == current

    @pytest.mark.parametrize("step", ["record", "deliver", "commit"])
    def test_becomes_last_whatever_interrupts_that(self, rig: Rig, step: str) -> None:
        _, current = rig.settled()
        destination = Stamped()
        rig.rotate()
        rig.later(days=15)
        assert rig.killed_at("create", "done")
        (key,) = (key_id for key_id in rig.ids() if key_id != rig.held())
        rig.others = (destination,)
        assert rig.killed_at(step, "begin" if step == "commit" else "done")
        rig.later(days=1)
        assert rig.rotate().reason in (Reason.OUT_OF_DATE, Reason.GRACE)
        assert rig.record().journal.last == key
        assert key in rig.ids()
        assert destination.holds == rig.held() != current.access_key_id


class TestADestinationThatCannotBeRead:
    def test_is_not_believed_to_hold_what_it_was_last_given_while_something_is_to_go(self, rig: Rig) -> None:
        rig.settled()
        rig.deliver = ("ssm:/copies/{user}",)
        first = rig.rotate()
        rig.later(days=15)
        rig.rotate()
        rig.later(days=15)
        denied: dict[str, Any] = {"effect": "error_before", "status": 400, "code": "AccessDeniedException"}
        rig.aws.weather.add(Rule("ssm:GetParameter", times=None, **denied))
        refused = rig.rotate()
        assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.UNREADABLE)
        assert "ssm:/copies/ci cannot be read" in refused.message
        assert first.current in rig.ids()
        rig.aws.weather.clear()
        assert rig.rotate().removed == (first.current,)


class TestAStoreWithoutConditions:
    def test_keeps_the_lease_while_a_write_of_the_key_is_in_doubt(self, rig: Rig) -> None:
        rig.store_url = SSM
        rig.aws.make_user("ci", keys=0)
        rig.at[("store", "begin")] = lambda: _everything_fails(rig)
        failed = rig.rotate()
        rig.aws.weather.clear()
        assert failed.outcome is Outcome.FAILED
        assert rig.record().journal.lease is not None
        assert rig.rotate(run="other", wait=False).reason is Reason.LEASE_HELD
        rig.later(minutes=4)
        assert rig.rotate(run="other").outcome is Outcome.ROTATED
        assert len(rig.ids()) == 1

    def test_takes_nothing_over_from_a_dead_process_that_was_creating(self, rig: Rig) -> None:
        rig.store_url = SSM
        rig.aws.make_user("ci", keys=0)
        assert rig.killed_at("create", "done")
        assert rig.rotate(wait=False).reason is Reason.LEASE_HELD
        rig.later(minutes=4)
        assert rig.rotate(wait=False).outcome is Outcome.ROTATED

    @pytest.mark.parametrize("parameter", ["/machine-users/ci", "/machine-users/ci.twokey-journal"])
    def test_publishes_nothing_after_a_sleep_between_its_check_and_its_write(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch, parameter: str
    ) -> None:
        """Meanwhile, another run has taken over and removed the key as an orphan."""
        rig.store_url = SSM
        rig.aws.make_user("ci", keys=0)
        rig.rotate()
        rig.later(days=15)
        write, puts = ParameterStore._write, []

        def late(self: ParameterStore, name: str, *arguments: Any, **named: Any) -> int:
            if name == parameter and rig.record().journal.intent:
                monkeypatch.setattr(ParameterStore, "_write", write)
                rig.sleep_through(400)
                assert rig.rotate(run="other").outcome in (Outcome.ROTATED, Outcome.COMPLETED)
                puts.append(rig.aws.count("ssm:PutParameter"))
            return write(self, name, *arguments, **named)

        monkeypatch.setattr(ParameterStore, "_write", late)
        failed = rig.rotate()
        assert (failed.outcome, failed.reason) == (Outcome.FAILED, Reason.LEASE_LOST)
        assert puts == [rig.aws.count("ssm:PutParameter")]
        stored = rig.stored()
        assert stored
        assert rig.aws.authenticates(stored)
        assert stored.access_key_id == rig.record().journal.current

    def test_calls_a_published_key_that_is_gone_by_its_name_and_goes_on(self, rig: Rig) -> None:
        rig.store_url = SSM
        rig.aws.make_user("ci", keys=0)
        rig.rotate()
        (current,) = rig.ids()
        gone = {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "gone"}
        rig.aws.client("ssm").put_parameter(
            Name="/machine-users/ci", Value=json.dumps(gone), Type="SecureString", Overwrite=True
        )
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.ROTATED, Reason.KEY_GONE)
        assert current in rig.ids()
        assert rig.record().journal.last == current

    def test_whose_next_version_aws_would_refuse_keeps_last(self, rig: Rig) -> None:
        rig.store_url = SSM
        rig.aws.make_user("ci", keys=0)
        for _ in range(2):
            assert rig.rotate().outcome is Outcome.ROTATED
            rig.later(days=15)
        ssm, ids = rig.aws.client("ssm"), rig.ids()
        value = ssm.get_parameter(Name="/machine-users/ci", WithDecryption=True)["Parameter"]["Value"]
        for _ in range(98):
            ssm.put_parameter(Name="/machine-users/ci", Value=value, Type="SecureString", Overwrite=True)
        ssm.label_parameter_version(Name="/machine-users/ci", ParameterVersion=1, Labels=["release"])
        refused = rig.rotate()
        assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.PREFLIGHT)
        assert "--parameter-version 1 --labels release" in refused.message
        assert rig.ids() == ids
        ssm.unlabel_parameter_version(Name="/machine-users/ci", ParameterVersion=1, Labels=["release"])
        assert rig.rotate().outcome is Outcome.ROTATED

    def test_refuses_more_destinations_than_its_journal_can_name_before_anything_is_changed(self, rig: Rig) -> None:
        _, current = rig.settled()
        rig.store_url = SSM
        rig.aws.client("ssm").put_parameter(
            Name="/machine-users/ci",
            Type="SecureString",
            Value=f'{{"AccessKeyId": "{current.access_key_id}", "SecretAccessKey": "{current.secret_access_key}"}}',
        )
        rig.deliver = tuple(f"ssm:/a/rather/long/name/of/a/destination/number-{n}/{{user}}" for n in range(45))
        ids = rig.ids()
        refused = rig.rotate()
        assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.PREFLIGHT)
        assert "a standard parameter holds 4096" in refused.message
        assert "Nothing was changed" in refused.message
        assert rig.ids() == ids


class TestASecretThatTakesNoMoreVersions:
    def test_is_named_with_what_ends_that(self, rig: Rig) -> None:
        _, current = rig.settled()
        full: dict[str, Any] = {
            "effect": "error_before",
            "status": 400,
            "code": "LimitExceededException",
            "message": "100 versions",
        }
        rig.aws.weather.add(Rule("secretsmanager:PutSecretValue", times=None, **full))
        refused = rig.rotate()
        assert refused.outcome is Outcome.REFUSED
        assert "has as many versions as AWS allows" in refused.message
        assert "wait until versions are a day old" in refused.message
        assert rig.held() == current.access_key_id


class TestACreation:
    def test_that_was_held_up_after_its_intent_gets_another_intent_and_is_found_when_it_is_lost(self, rig: Rig) -> None:
        rig.settled()
        rig.at[("intent", "done")] = lambda: rig.sleep_through(90)
        assert rig.killed_at("create", "done")
        intent = rig.record().journal.intent
        assert intent
        assert (rig.aws.now() - intent.at).total_seconds() < 30
        result = rig.rotate()
        assert (result.outcome, len(result.removed)) == (Outcome.ROTATED, 1)

    @pytest.mark.parametrize("seconds", [9, 19])
    def test_that_was_throttled_and_then_lost_is_waited_for(self, rig: Rig, seconds: float) -> None:
        rig.aws.make_user("ci", keys=0)
        rig.policy = replace(POLICY, settle=timedelta(seconds=30))
        rig.aws.weather.list_lag = 25.0
        rig.at[("create", "begin")] = lambda: rig.sleep_through(seconds)
        assert rig.killed_at("create", "done")
        (lost,) = rig.ids()
        result = rig.rotate()
        assert (result.outcome, result.removed) == (Outcome.ROTATED, (lost,))
        assert rig.ids() == [result.current]

    def test_of_an_ordinary_run_is_waited_for_less_than_a_minute(self, rig: Rig) -> None:
        rig.settled()
        rig.policy = replace(POLICY, settle=timedelta(seconds=30))
        assert rig.killed_at("create", "done")
        before = rig.aws.now()
        assert rig.rotate().outcome is Outcome.ROTATED
        assert (rig.aws.now() - before).total_seconds() < 60

    def test_whose_intent_takes_long_to_write_gets_more_time_with_each_of_three(self, rig: Rig) -> None:
        rig.settled()
        within: list[float] = []

        def slowly(seconds: float) -> None:
            intent = rig.record().journal.intent
            within.append(intent.within if intent else 0.0)
            rig.sleep_through(seconds)
            rig.at[("intent", "done")] = lambda: slowly(seconds)

        rig.at[("intent", "done")] = lambda: slowly(30)
        assert rig.rotate().outcome is Outcome.ROTATED
        assert within == [10, 10, 20, 40]
        rig.later(days=15)
        rig.at[("intent", "done")] = lambda: slowly(45)
        failed = rig.rotate()
        assert (failed.outcome, failed.reason) == (Outcome.FAILED, Reason.LEASE_LOST)
        assert "No key could be created within 40 s of its intent" in failed.message
        rig.at.clear()
        assert rig.rotate().outcome is Outcome.ROTATED

    def test_whose_key_the_list_lacks_for_minutes_is_not_forgotten_for_those_that_are_refused(self, rig: Rig) -> None:
        _, current = rig.settled()
        rig.policy = replace(POLICY, settle=timedelta(seconds=30))
        rig.aws.weather.list_lag = 400.0
        assert rig.killed_at("create", "done")
        (lost,) = (key_id for key_id in rig.ids() if key_id != current.access_key_id)
        opened = rig.record().journal.intent
        for _ in range(6):
            refused = rig.rotate()
            assert "LimitExceeded" in refused.message
            assert rig.record().journal.intent == opened
            rig.later(seconds=40)
        rig.aws.weather.list_lag = 0.0
        result = rig.rotate()
        assert (result.outcome, result.removed) == (Outcome.ROTATED, (lost,))

    def test_of_which_many_are_lost_are_all_remembered(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        rig.aws.weather.add(Rule("iam:CreateAccessKey", times=None, effect="error_before", status=500))
        for number in range(8):
            assert rig.rotate().outcome is Outcome.FAILED
            intent = rig.record().journal.intent
            assert intent
            assert len(intent.earlier) == number
            rig.later(minutes=2)
        assert rig.rotate().reason is Reason.UNREADABLE
        rig.aws.weather.clear()
        rig.later(hours=1)
        assert rig.rotate().outcome is Outcome.ROTATED

    def test_that_is_undone_leaves_an_earlier_one_open(self, rig: Rig) -> None:
        rig.settled()
        rig.aws.weather.add(Rule("iam:CreateAccessKey", times=1, effect="error_before", status=500))
        assert rig.rotate().outcome is Outcome.FAILED
        opened = rig.record().journal.intent
        rig.later(minutes=2)
        rig.aws.weather.propagation = 30
        rig.policy = replace(rig.policy, verification=IN_VAIN)
        assert rig.rotate().reason is Reason.NOT_VERIFIED
        assert opened == rig.record().journal.intent is not None

    def test_whose_run_lost_its_lease_is_taken_back_or_named(self, rig: Rig) -> None:
        rig.settled()
        rig.at[("verify", "done")] = lambda: rig.sleep_through(200)
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.LEASE_LOST)
        assert "which this run created and no reader saw, was deleted again" in result.message
        assert len(rig.ids()) == 1

    def test_on_a_store_without_conditions_is_named(self, rig: Rig) -> None:
        rig.store_url = SSM
        rig.aws.make_user("ci", keys=0)
        rig.at[("verify", "done")] = lambda: rig.sleep_through(200)
        result = rig.rotate()
        (made,) = rig.ids()
        assert f"{made}, which this run created, still exists and nothing uses it" in result.message


class TestSoaks:
    def test_of_two_keys_that_a_person_names_are_both_waited_for_and_end_without_another_word(self, rig: Rig) -> None:
        made = rig.aws.make_user("ci", path="/machine-users/", keys=3, ages=(40 * DAY, 39 * DAY, DAY))
        rig.fill(made[2])
        rig.policy = replace(POLICY, soak=timedelta(days=2))
        named = [key.access_key_id for key in made[:2]]
        assert rig.rotate(retire=frozenset(named[:1])).reason is Reason.SOAK
        rig.later(days=1)
        assert rig.rotate(retire=frozenset(named)).reason is Reason.SOAK
        assert [status for _, status, _ in rig.aws.keys("ci")] == ["Inactive", "Inactive", "Active"]
        rig.later(days=1.5)
        assert rig.rotate().reason is Reason.SOAKING
        rig.later(days=1)
        result = rig.rotate()
        assert (result.outcome, set(result.removed)) == (Outcome.RETIRED, set(named))


class TestWaitingForAnotherRun:
    def test_reads_the_journal_only(self, rig: Rig) -> None:
        from unittest import mock

        from twokey.rotation import lease

        rig.settled()
        with mock.patch.object(lease, "_host", return_value="elsewhere boot pid"):
            assert rig.killed_at("create", "done")
        rig.aws.clear_requests()
        rig.at[("wait", "note")] = lambda: None
        machine_user, world = rig.world()
        naps: list[float] = []

        def sleep(seconds: float) -> None:
            naps.append(seconds)
            rig.sleep_through(seconds)

        world = replace(world, clock=_Sleeping(world.clock, sleep))
        from twokey.rotation.rotate import rotate

        assert rotate(machine_user, rig.policy, world).outcome is Outcome.ROTATED
        assert sum(naps) > 170
        assert rig.aws.count("iam:ListAccessKeys") == 3
        assert rig.aws.count("secretsmanager:DescribeSecret") < 70


class _Sleeping:
    """A clock whose sleep the test provides."""

    def __init__(self, clock: Any, sleep: Any) -> None:
        self._clock = clock
        self.sleep = sleep

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)


def test_verification_looks_after_the_lease_before_every_round(rig: Rig) -> None:
    looks: list[int] = []
    user = MachineUser("ci", "/", "AIDACI", "123456789012", "arn:aws:iam::123456789012:user/ci")
    unknown = Credential("AKIAIOSFODNN7EXAMPLE", "no secret")
    _, world = rig.settled() and rig.world()
    rules = Verification(successes=1, interval=timedelta(seconds=0.01), timeout=timedelta(seconds=0.2))
    with pytest.raises(NotVerified):
        verify(unknown, user, rules, world.sts, world.clock, lambda: looks.append(rig.aws.count("sts:*")))
    assert looks == sorted(set(looks))
    assert len(looks) > 1


class Stamped:
    """A destination that does not show which key it holds, only how often it was written."""

    name = "ci:stamped"
    traits = Traits(atomic=True, conditional=False, confirms="timestamp")

    def __init__(self) -> None:
        self.holds = ""
        self.writes = 0
        self.refuses = False

    def write(self, key_id: str) -> None:
        self.holds, self.writes = key_id, self.writes + 1

    def held(self) -> Holding:
        return CannotTell("write-only", stamp=str(self.writes))

    def deliver(self, credential: Credential) -> Receipt:
        if self.refuses:
            raise ServiceRejected("It takes no key.")
        self.write(credential.access_key_id)
        return Receipt(credential.access_key_id, written=True, stamp=str(self.writes))

    def preflight(self) -> None:
        """It can always be written."""


def _copy_as_the_operator(rig: Rig, file: Path) -> None:
    stored = rig.stored()
    assert stored
    file.touch(mode=0o600)
    file.write_text(f'{{"AccessKeyId":"{stored.access_key_id}","SecretAccessKey":"{stored.secret_access_key}"}}\n')


def _everything_fails(rig: Rig) -> None:
    rig.aws.weather.add(Rule("ssm:*", times=None, effect="error_before", status=500))
