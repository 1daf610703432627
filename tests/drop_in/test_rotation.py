"""The drop-in's logic without AWS: which key goes, what is said, and what proves a key."""

from __future__ import annotations

import math
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from twokey import drop_in
from twokey.core.errors import Failed, ServiceRejected, Unreachable, UsageError
from twokey.core.model import AccessKey, LastUse, MachineUser
from twokey.core.secret import Credential
from twokey.drop_in.decision import Decision, decide, to_remove
from twokey.drop_in.output import StandardOutput
from twokey.drop_in.rotation import Rotation

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OLD = AccessKey("AKIAOLD", active=True, created=NOW - timedelta(days=40))
NEW = AccessKey("AKIANEW", active=True, created=NOW - timedelta(days=16))
OFF_OLD = AccessKey("AKIAOLD", active=False, created=OLD.created)
OFF_NEW = AccessKey("AKIANEW", active=False, created=NEW.created)
FRESH = AccessKey("AKIANEW", active=True, created=NOW - timedelta(hours=5))


def decided(*keys: AccessKey, last_use: LastUse | None = None, own_key: str = "ASIAOTHER") -> Decision:
    return decide("ci", keys, last_use=last_use, own_key=own_key, now=NOW)


# Which key goes


@pytest.mark.parametrize(
    ("keys", "removed"),
    [
        ((), None),
        ((NEW,), None),
        ((OFF_NEW,), None),
        ((OLD, NEW), OLD),
        ((NEW, OLD), OLD),
        ((OFF_OLD, NEW), OFF_OLD),
        ((OLD, OFF_NEW), OFF_NEW),
        ((OFF_OLD, OFF_NEW), OFF_OLD),
    ],
)
def test_the_older_of_two_goes_unless_only_one_is_inactive(
    keys: tuple[AccessKey, ...], removed: AccessKey | None
) -> None:
    assert to_remove(keys) == removed
    assert decided(*keys).remove == removed
    assert decided(*keys).refusal == ""


def test_an_ordinary_rotation_says_nothing() -> None:
    assert decided(OLD, NEW, last_use=LastUse(NOW - timedelta(days=2), "s3")).warnings == ()
    assert decided(OLD, NEW, last_use=LastUse(None)).warnings == ()
    assert decided().warnings == ()


def test_a_newer_key_younger_than_a_day_is_warned_of() -> None:
    assert decided(OLD, FRESH).warnings == ("the newer key of ci (AKIANEW) is 5h old: was the last run's output lost?",)
    assert decided(FRESH).warnings == ("the only key of ci (AKIANEW) is 5h old: was the last run's output lost?",)


def test_a_key_created_after_now_is_not_of_negative_age() -> None:
    ahead = AccessKey("AKIANEW", active=True, created=NOW + timedelta(seconds=1))

    assert "is 0s old" in decided(ahead).warnings[0]


def test_late_use_of_the_key_that_goes_is_warned_of() -> None:
    assert decided(OLD, NEW, last_use=LastUse(NOW - timedelta(hours=3), "s3")).warnings == (
        "AKIAOLD of ci, which is removed, was used 3h ago (s3): a job may still depend on it.",
    )


def test_the_removal_of_a_newer_inactive_key_is_said() -> None:
    assert decided(OLD, OFF_NEW).warnings == (
        "AKIANEW of ci is removed although it is the newer key: it is Inactive, and the older one works.",
    )


def test_keys_of_the_same_second_keep_iams_order_and_are_said() -> None:
    twin = AccessKey("AKIATWIN", active=True, created=OLD.created)

    decision = decided(OLD, twin)

    assert decision.remove == OLD
    assert decision.warnings == (
        "both keys of ci were created in the same second; AKIAOLD is taken for the older one.",
    )


def test_a_third_key_is_refused_by_name() -> None:
    refusal = decided(OLD, NEW, FRESH).refusal

    assert refusal.startswith("ci: expected at most two keys, found 3 (AKIAOLD, AKIANEW, AKIANEW). Nothing was changed")


def test_the_key_of_the_run_itself_is_refused() -> None:
    assert decided(NEW, own_key="AKIANEW").refusal.startswith("ci: this run itself authenticates with its key AKIANEW.")


@pytest.mark.parametrize("path", ["", "/", "//", "a b", "é"])
def test_a_path_that_is_none_or_means_everybody_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match=r"^PATH: "):
        drop_in.prefix(path)


# A run against an IAM that is not there


def machine_user(name: str) -> MachineUser:
    return MachineUser(name, "/a/", f"AIDA{name}", "123456789012", f"arn:aws:iam::123456789012:user/a/{name}")


class FakeTime:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return NOW

    def skew(self) -> timedelta:
        return timedelta(0)

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


class Patience(threading.Event):
    """A stop that is waited for without waiting."""

    def __init__(self, time: FakeTime) -> None:
        super().__init__()
        self._time = time

    def wait(self, timeout: float | None = None) -> bool:
        self._time.sleep(timeout or 0.0)
        return self.is_set()


class FakeIam:
    """One old key for everybody; ``create`` says what comes of a creation."""

    def __init__(self, create: Callable[[str], Credential] = lambda user: Credential(f"AKIA{user}", "s3cr3t")) -> None:
        self._create = create
        self.deleted: list[str] = []

    def keys(self, _user: str) -> tuple[AccessKey, ...]:
        return (OLD, NEW)

    def last_use(self, _key: str) -> LastUse:
        return LastUse(None)

    def may_create(self, _user: MachineUser) -> bool | None:
        return None

    def delete_key(self, user: str, _key: str) -> bool:
        self.deleted.append(user)
        return True

    def create_key(self, user: str, _just_before: Callable[[], None] = lambda: None) -> tuple[AccessKey, Credential]:
        return NEW, self._create(user)


class FakeSts:
    """Answers who a key authenticates as, one answer after the other; the last one stays."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)

    def identity_of(self, _credential: Credential, _region: str | None = None) -> Any:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def credentials_left(self) -> float:
        return math.inf

    def reach(self, region: str) -> None:
        """Accept the credentials in every region."""


def rotation(iam: FakeIam | None = None, sts: FakeSts | None = None) -> tuple[Rotation, list[str]]:
    said: list[str] = []
    time = FakeTime()
    iam_port: Any = iam or FakeIam()
    run = Rotation(
        iam_port, sts or FakeSts(None), time, "ASIAOWN", StandardOutput(sys.stdout), said.append, lambda _: None,
        stop=Patience(time),
    )  # fmt: skip
    return run, said


CI = machine_user("ci")
RIGHT = (CI.account, CI.arn)


@pytest.mark.parametrize(
    ("answers", "proved"),
    [
        ((RIGHT,), True),
        ((None, None, RIGHT), True),
        ((RIGHT, RIGHT, None, RIGHT), True),
        ((Unreachable("no route"), RIGHT), True),
        ((None,), False),
        ((Unreachable("no route"),), False),
    ],
)
def test_three_successes_in_a_row_prove_a_key(answers: tuple[object, ...], proved: bool) -> None:
    run, said = rotation(sts=FakeSts(*answers))

    run.run([CI])

    assert run.failed is not proved
    assert "ci" in run.made
    if not proved:
        assert said == [
            "Error: ci: the new key AKIAci was not proved to work. It is in the output; try it before you rely on it."
        ]
        assert run.clock.monotonic() == 60.0


def test_a_key_of_another_user_is_said_and_handed_over() -> None:
    run, said = rotation(sts=FakeSts((CI.account, "arn:aws:iam::123456789012:user/other")))

    run.run([CI])

    assert run.failed
    assert "authenticates as arn:aws:iam::123456789012:user/other instead of" in said[0]
    assert "ci" in run.made


def test_what_nobody_foresaw_keeps_no_other_user_from_theirs() -> None:
    def create(user: str) -> Credential:
        if user == "ci":
            raise KeyError("AccessKey")
        return Credential("AKIAcd", "s3cr3t")

    run, said = rotation(FakeIam(create))
    run.run([CI, machine_user("cd")])

    assert list(run.made) == ["cd"]
    assert said[0].startswith("Error: ci: an unforeseen error occurred (KeyError). List its keys before")


def test_a_refused_creation_says_what_is_left() -> None:
    def create(_user: str) -> Credential:
        raise ServiceRejected("iam:CreateAccessKey on ci: Cannot exceed quota (LimitExceeded).")

    run, said = rotation(FakeIam(create))
    run.run([CI])

    assert said[0].startswith("Error: ci: no key was created: iam:CreateAccessKey on ci: Cannot exceed quota")
    assert said[0].endswith("Its older key AKIAOLD was deleted; any other key is untouched. Run again.")


def test_a_stopped_run_begins_no_other_user() -> None:
    iam = FakeIam()
    run, said = rotation(iam)
    run.stop.set()

    run.run([CI, machine_user("cd")])

    assert iam.deleted == []
    assert said == ["Error: The run was stopped; nothing was changed for ci, cd."]


def test_a_run_whose_results_cannot_be_written_down_stops_and_hands_over() -> None:
    class Full(StandardOutput):
        def keep(self, _results: Any) -> None:
            raise Failed("No room.")

    run, said = rotation()
    run.output = Full(sys.stdout)
    run.run([CI, machine_user("cd")])

    assert list(run.made) == ["ci"]
    assert said[0] == "Error: No room. The run stops here, and outputs the credentials that it has created."
    assert said[1] == "Error: The run was stopped; nothing was changed for cd."
