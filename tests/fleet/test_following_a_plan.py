"""What a plan file has of each user, and who is rotated by it: without a service."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from fleet.test_roster import job as job_of
from support.builders import NOW, USER, journal, key, observation_of
from twokey import __version__
from twokey.config.settings import Settings
from twokey.core.accounts import Account
from twokey.core.errors import Refused
from twokey.core.hooks import Hook
from twokey.core.model import MachineUser, UserKey
from twokey.core.reasons import Outcome, Reason
from twokey.destinations.connections import Configured
from twokey.destinations.logins import vault
from twokey.fleet.lookup import no_result
from twokey.fleet.planned import Following, Recorder, configuration_of
from twokey.fleet.roster import Job, Roster
from twokey.fleet.runtime import Runtime
from twokey.planning.binding import bound
from twokey.planning.plan import Overrides
from twokey.planning.policy import RotationPolicy, Verification
from twokey.reports.plan_file import Decision, Options, PlanFile, PlannedUser
from twokey.rotation.preview import Preview
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from pathlib import Path

LAST, CURRENT = "AKIAAAAAAAAAAAAAAAAA", "AKIABBBBBBBBBBBBBBBB"
POLICY = RotationPolicy()
DAY = timedelta(days=1)
SETTINGS = Settings((), 100, 1, "test")
HOOKS: dict[Any, Hook] = {"after": Hook(("/bin/true",), 5.0), "before": Hook(("/bin/false",), 5.0)}
JOB = Job(USER, POLICY, "file:ci.json", ("file:b.json",), hooks=HOOKS)
UNDECIDED = job_of(UserKey(USER.account, "x"), "file:x.json")
"""A user about whom nothing was decided, because of an error."""
AGAIN = "Nothing was changed for this user. Make another plan: twokey plan --out FILE."


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


@pytest.fixture
def runtime() -> Any:
    made: Any = Runtime()
    made.clients = SimpleNamespace(clock=SimpleNamespace(now=lambda: NOW.replace(microsecond=5)))
    return made


def observed(**more: Any) -> Any:
    book = journal(current=CURRENT, last=LAST, committed=NOW - timedelta(days=1), hook="rotated")
    return replace(observation_of(key(LAST, days=16), key(CURRENT, days=1), held=CURRENT, journal=book), **more)


REQUESTED = Overrides(force=True, ignore_last_use=True, retire=frozenset({LAST, "AKIACCCCCCCCCCCCCCCC"}))


def connection(url: str) -> vault.Settings:
    return msgspec.convert({"url": url, "token": {"env": "TOKEN"}}, vault.Settings)


def recorded(runtime: Any, job: Job = JOB) -> PlanFile:
    """Return the plan of two users: of one, a rotation is requested, of the other, nothing is known."""
    recorder = Recorder()
    made = recorder.decide(job)(observed(), POLICY, NOW, replace(REQUESTED, retire=frozenset()))
    assert made.outcome is Outcome.ROTATED, made
    shown = Result(USER, Outcome.COMPLETED, Reason.HOOK_DUE, "It will be rotated.")
    failed = Result(UNDECIDED.user, Outcome.FAILED, Reason.ERROR, "It is unreadable.")
    run: Any = SimpleNamespace(runtime=runtime, settings=SETTINGS)
    return recorder.plan([Preview(shown, made), Preview(failed)], run, REQUESTED)


class TestAPlan:
    def test_has_each_decision_with_what_it_was_made_of(self, runtime: Any) -> None:
        found = recorded(runtime)
        made = Recorder().decide(JOB)(observed(), POLICY, NOW, Overrides(force=True, ignore_last_use=True))
        facts = bound(observed(), made, hook=True)
        assert facts.hook
        assert found == PlanFile(
            1,
            NOW.replace(microsecond=0),
            __version__,
            Options(force=True, ignore_last_use=True, retire=(LAST, "AKIACCCCCCCCCCCCCCCC")),
            (
                PlannedUser(
                    USER.account,
                    USER.name,
                    made.outcome,
                    made.reason,
                    "It will be rotated.",
                    Decision(
                        configuration_of(JOB, runtime, SETTINGS),
                        facts.user_id,
                        dict(facts.keys),
                        facts.store,
                        facts.holds,
                        facts.hook,
                        facts.actions,
                        facts.steps,
                    ),
                ),
                PlannedUser(USER.account, "x", Outcome.FAILED, Reason.ERROR, "It is unreadable.", None),
            ),
        )

    def test_has_a_hook_only_of_a_user_that_has_one_after_a_rotation(self, runtime: Any) -> None:
        without: tuple[dict[Any, Hook], ...] = ({}, {"before": HOOKS["before"]})
        for hooks in without:
            decision = recorded(runtime, replace(JOB, hooks=hooks)).users[0].decision
            assert decision
            assert not decision.hook


class TestTheConfigurationOfAUser:
    def test_is_the_same_whatever_the_order_in_which_it_is_written(self, runtime: Any) -> None:
        other = replace(JOB, hooks=dict(reversed(HOOKS.items())))
        assert configuration_of(other, runtime, SETTINGS) == configuration_of(JOB, runtime, SETTINGS)
        assert len(configuration_of(JOB, runtime, SETTINGS)) == 64

    def test_differs_with_what_new_objects_get(self, runtime: Any) -> None:
        urls = ("ssm:/ci", "ssm:/ci?kms=alias/one", "ssm:/ci?kms=alias/other")
        jobs = [replace(JOB, store=url) for url in urls] + [replace(JOB, deliver=(url,)) for url in urls]
        assert len({configuration_of(job, runtime, SETTINGS) for job in jobs}) == len(jobs)

    def test_differs_with_each_part_of_it(self, runtime: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        rules: dict[str, Any] = {
            "window": timedelta(days=60),
            "requested_grace": timedelta(days=1),
            "requested_idle": timedelta(hours=7),
            "soak": timedelta(days=2),
            "enforce_window": not POLICY.enforce_window,
            "rotate_self": not POLICY.rotate_self,
        }
        changed = {
            "store": replace(JOB, store="file:other.json"),
            "lock": replace(JOB, lock="s3:bucket/ci"),
            "deliver": replace(JOB, deliver=("file:b.json", "file:c.json")),
            "hooks": replace(JOB, hooks={"after": HOOKS["after"]}),
            "proof": replace(JOB, policy=replace(POLICY, settle=timedelta(seconds=7))),
            "verification": replace(JOB, policy=replace(POLICY, verification=Verification(successes=7))),
            **{rule: replace(JOB, policy=replace(POLICY, **{rule: value})) for rule, value in rules.items()},
        }
        hashes = {name: configuration_of(job, runtime, SETTINGS) for name, job in changed.items()}
        assert len({*hashes.values(), configuration_of(JOB, runtime, SETTINGS)}) == len(changed) + 1
        before = configuration_of(JOB, runtime, SETTINGS)
        settings = [
            replace(SETTINGS, connections={name: Configured("vault", connection(url), at) for name, url, at in those})
            for those in (
                [("vault", "https://a", "line 1")],
                [("vault", "https://b", "line 1")],
                [("other", "https://a", "line 1")],
                [("vault", "https://a", "line 1"), ("other", "https://b", "line 2")],
                [("other", "https://b", "line 1"), ("vault", "https://a", "line 2")],
            )
        ]
        one, url, name, both, again = (configuration_of(JOB, runtime, each) for each in settings)
        assert len({before, one, url, name, both}) == 5
        assert both == again
        monkeypatch.setattr(type(runtime), "targets", lambda _self, _job: [("file:ci.json", frozenset({"elsewhere"}))])
        assert configuration_of(JOB, runtime, SETTINGS) != before


def account_result(account: str) -> Result:
    return Result(MachineUser("", "", "", account, ""), Outcome.FAILED, Reason.ERROR, "It is closed.")


def refused(name: str, how: str, account: str = USER.account) -> Result:
    user = MachineUser(name, "", "", account, "")
    message = f"The plan does not apply to {name} any more: {how}. {AGAIN}"
    return Result(user, Outcome.REFUSED, Reason.PLAN_CHANGED, message)


GONE = "it does not exist, or the configuration does not select it"
NOTHING_DECIDED = "nothing was decided when it was made (error: It is unreadable.)"


class TestTheUsersOfAPlan:
    def select(self, runtime: Any, *jobs: Job, names: tuple[str, ...] = (), failed: tuple[Result, ...] = ()) -> Roster:
        following = Following(recorded(runtime), DAY, names)
        return following.select(Roster(jobs, failed, ("A warning.",)), runtime, SETTINGS)

    def test_are_rotated_where_something_was_decided(self, runtime: Any) -> None:
        missing = no_result("gone", "There is no IAM user gone.")
        found = self.select(runtime, JOB, UNDECIDED, failed=(missing,))
        assert (found.jobs, found.warnings) == ((JOB,), ("A warning.",))
        assert found.failed == (replace(refused("x", NOTHING_DECIDED), user=UNDECIDED.user), missing)

    def test_are_refused_where_their_configuration_was_changed(self, runtime: Any) -> None:
        changed = replace(JOB, deliver=())
        found = self.select(runtime, changed, UNDECIDED)
        how = "its configuration, or the account or region of its store, was changed"
        assert (found.jobs, found.failed[0]) == ((), replace(refused("ci", how), user=USER))

    def test_are_refused_where_they_are_not_selected_any_more(self, runtime: Any) -> None:
        found = self.select(runtime)
        assert (found.jobs, found.failed) == ((), (refused("ci", GONE), refused("x", NOTHING_DECIDED)))

    def test_are_not_refused_a_second_time_where_the_run_could_not_find_them(self, runtime: Any) -> None:
        for failed in (
            (no_result("CI", "It is denied."), no_result("x", "It is denied.")),
            (account_result(USER.account),),
            tuple(replace(account_result(USER.account), user=replace(USER, name=name)) for name in ("Ci", "x")),
        ):
            assert self.select(runtime, failed=failed).failed == failed

    def test_are_refused_although_another_user_of_their_account_could_not_be_found(self, runtime: Any) -> None:
        other = replace(account_result(USER.account), user=replace(USER, name="other"))
        assert self.select(runtime, UNDECIDED, failed=(other,)).failed[1:] == (refused("ci", GONE), other)

    def test_are_left_alone_in_accounts_that_this_run_leaves_out(self, runtime: Any) -> None:
        for selected, count in ((Account("999999999999"), 0), (Account(USER.account), 2)):
            runtime.accounts = SimpleNamespace(
                selected=(selected,), of=lambda _id: SimpleNamespace(services=runtime.services), home=USER.account
            )
            nowhere = replace_account(PLANNED[0], "")
            following = Following(PlanFile(1, NOW, "1", Options(False, False, ()), (*PLANNED, nowhere)), DAY)
            assert len(following.select(Roster(()), runtime, SETTINGS).failed) == count + 1

    @pytest.mark.parametrize(
        ("count", "sentence"),
        [
            (1, "1 selected user is not in the plan, and not touched: u0."),
            (5, "5 selected users are not in the plan, and not touched: u0, u1, u2, u3, u4."),
            (6, "6 selected users are not in the plan, and not touched: u0, u1, u2, u3, u4, …."),
        ],
    )
    def test_are_the_only_ones_and_the_others_are_named(self, runtime: Any, count: int, sentence: str) -> None:
        others = [job_of(UserKey(USER.account, f"u{number}")) for number in range(count)]
        found = self.select(runtime, JOB, UNDECIDED, *others)
        assert (found.jobs, found.warnings) == ((JOB,), ("A warning.", sentence))

    def test_are_those_of_the_command_line_where_some_are_named(self, runtime: Any) -> None:
        other = job_of(UserKey(USER.account, "other"))
        found = self.select(runtime, JOB, other, names=("CI", "Other"))
        message = f"{Reason.NOT_PLANNED.sentence} {AGAIN}"
        assert found.jobs == (JOB,)
        assert found.failed == (Result(other.user, Outcome.REFUSED, Reason.NOT_PLANNED, message),)
        assert found.warnings == ("A warning.",)

    def test_are_rotated_as_long_as_the_plan_is_young_enough(self, runtime: Any) -> None:
        made, plan = NOW.replace(microsecond=0), recorded(runtime)
        following = Following(plan, DAY)
        runtime.clients.clock.now = lambda: made + DAY
        assert following.select(Roster((JOB, UNDECIDED)), runtime, SETTINGS).jobs == (JOB,)
        runtime.clients.clock.now = lambda: made + DAY + timedelta(seconds=1)
        with pytest.raises(Refused, match="The plan was valid until"):
            following.select(Roster((JOB, UNDECIDED)), runtime, SETTINGS)


def replace_account(planned: PlannedUser, account: str) -> PlannedUser:
    return msgspec.structs.replace(planned, account=account)


PLANNED = tuple(
    PlannedUser(USER.account, name, Outcome.FAILED, Reason.ERROR, "It is unreadable.", None) for name in ("ci", "x")
)


class TestWhatWasRequested:
    def test_is_what_it_was_for_these_users(self, runtime: Any) -> None:
        plan = recorded(runtime)
        assert Following(plan, DAY).overrides == Overrides(force=True, ignore_last_use=True, retire=frozenset({LAST}))
        assert Following(plan, DAY, ("x",)).overrides == Overrides(force=True, ignore_last_use=True)


class TestTheDecision:
    def test_that_was_planned_is_made(self, runtime: Any) -> None:
        following = Following(recorded(runtime), DAY)
        requested = Overrides(force=True, ignore_last_use=True)
        assert following.decide(JOB)(observed(), POLICY, NOW, requested).outcome is Outcome.ROTATED

    @pytest.mark.parametrize(
        "changed",
        [
            {"user": replace(USER, id="AIDAOTHER")},
            {"keys": (key(CURRENT, days=1),)},
            {"store": "file:other.json"},
            {"record": replace(observed().record, journal=journal(current=CURRENT, last=LAST, committed=NOW - DAY))},
        ],
    )
    def test_is_refused_where_what_it_was_made_of_was_changed(self, runtime: Any, changed: dict[str, Any]) -> None:
        following = Following(recorded(runtime), DAY)
        with pytest.raises(Refused, match="ci"):
            following.decide(JOB)(observed(**changed), POLICY, NOW, Overrides(force=True, ignore_last_use=True))

    def test_is_refused_where_another_one_would_be_made_or_the_plan_is_too_old(self, runtime: Any) -> None:
        following = Following(recorded(runtime), DAY)
        with pytest.raises(Refused, match=r"^The plan does not apply to ci any more: the plan says rotated"):
            following.decide(JOB)(observed(), POLICY, NOW, None)
        with pytest.raises(Refused, match="The plan was valid until"):
            following.decide(JOB)(observed(), POLICY, NOW + 2 * DAY, Overrides(force=True, ignore_last_use=True))
