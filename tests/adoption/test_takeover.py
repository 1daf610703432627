"""Users managed outside twokey are taken over, against the strict emulator and real stores, whatever interrupts it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from support.rig import DAY, Killed, Rig, dead_processes_release_their_lease
from twokey.adoption import takeover
from twokey.adoption.sources import Sources, SuppliedCredential
from twokey.core.reasons import Ending, Outcome, Reason
from twokey.core.secret import Credential
from twokey.emulator import KeyPair, Rule

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from twokey.adoption.takeover import TakeoverResult

STEPS = ("verify", "lease", "preflight", "record", "store", "commit")


def write(file: Path, pair: KeyPair) -> None:
    """Write a credential as the operator would."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"AccessKeyId": pair.access_key_id, "SecretAccessKey": pair.secret_access_key}))
    file.chmod(0o600)


def supplied(pair: KeyPair) -> SuppliedCredential:
    """Return a credential as the operator supplies it."""
    return SuppliedCredential(Credential(pair.access_key_id, pair.secret_access_key))


def adopt(rig: Rig, *, perform: bool = True, chosen: Any = None, run: str = "run") -> TakeoverResult:
    """Take the user over in this process, or only say what would be done."""
    user, world = rig.world(run=run)
    sources = Sources.among(world.destinations, chosen)
    return (takeover.take_over if perform else takeover.preview)(user, rig.policy, world, sources)


def killed(rig: Rig, step: str, phase: str, chosen: Any = None) -> bool:
    """Run a takeover that dies at a step; say whether it got there. A dead process releases nothing."""
    rig.kill_at = (step, phase)
    try:
        with mock.patch.object(takeover, "_give_back"), dead_processes_release_their_lease():
            adopt(rig, chosen=chosen, run="killed")
    except Killed:
        return True
    finally:
        rig.kill_at = None
    return False


@pytest.fixture
def copies(rig: Rig, tmp_path: Path) -> Path:
    """The folder of a destination that can be read."""
    rig.deliver = (f"file:{tmp_path}/copies/{{user}}.json",)
    return tmp_path / "copies"


@pytest.fixture
def pairs(rig: Rig) -> list[KeyPair]:
    """A user with an older and a newer key."""
    return rig.aws.make_user("ci", keys=2, ages=(40 * DAY, 16 * DAY))


def writes(rig: Rig) -> list[str]:
    """Name every request that may have changed something."""
    reads = ("Get", "List", "Describe")
    return [r.operation for r in rig.aws.requests if not r.operation.startswith(reads)]


STORES: dict[str, Callable[[Path], str]] = {
    "secretsmanager": lambda _: "secretsmanager:machine-users/{user}",
    "ssm": lambda _: "ssm:/machine-users/{user}",
    "file": lambda folder: f"file:{folder}/store/{{user}}.json",
}


class TestATakeover:
    @pytest.mark.parametrize("store", STORES)
    def test_puts_the_credential_in_use_into_an_empty_store_and_writes_the_journal(
        self, rig: Rig, copies: Path, pairs: list[KeyPair], store: str, tmp_path: Path
    ) -> None:
        rig.store_url = STORES[store](tmp_path)
        write(copies / "ci.json", pairs[1])
        result = adopt(rig)
        journal = rig.record().journal
        assert result.ending is Ending.ADOPTED
        assert rig.stored() == pairs[1]
        assert (journal.current, journal.last) == (pairs[1].access_key_id, pairs[0].access_key_id)
        assert [given.key for given in journal.delivered.values()] == [pairs[1].access_key_id]
        assert journal.user == result.user.id
        assert (journal.lease, journal.intent) == (None, None)

    def test_of_a_store_that_holds_the_key_writes_the_journal_and_nothing_else(
        self, rig: Rig, pairs: list[KeyPair]
    ) -> None:
        rig.fill(pairs[1])
        before = rig.aws.client("secretsmanager").get_secret_value(SecretId="machine-users/ci")["VersionId"]
        assert adopt(rig).ending is Ending.ADOPTED
        after = rig.aws.client("secretsmanager").get_secret_value(SecretId="machine-users/ci")["VersionId"]
        assert after == before
        assert rig.record().journal.current == pairs[1].access_key_id

    def test_takes_what_a_person_hands_over(self, rig: Rig, pairs: list[KeyPair]) -> None:
        assert adopt(rig, chosen=supplied(pairs[1])).ending is Ending.ADOPTED
        assert rig.stored() == pairs[1]

    def test_done_again_finds_nothing_to_do_and_writes_nothing(self, rig: Rig, pairs: list[KeyPair]) -> None:
        adopt(rig, chosen=supplied(pairs[1]))
        rig.aws.clear_requests()
        assert adopt(rig, chosen=supplied(pairs[1])).ending is Ending.NOTHING
        assert writes(rig) == []

    def test_touches_no_key(self, rig: Rig, copies: Path, pairs: list[KeyPair]) -> None:
        write(copies / "ci.json", pairs[1])
        adopt(rig)
        assert {r.operation for r in rig.aws.requests if r.service == "iam"} <= {
            "GetUser",
            "ListAccessKeys",
            "GetAccessKeyLastUsed",
        }
        assert all(rig.aws.authenticates(pair) for pair in pairs)

    def test_waits_for_a_key_that_was_made_a_moment_ago_to_be_known_everywhere(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        made = rig.aws.client("iam").create_access_key(UserName="ci")["AccessKey"]
        pair = KeyPair(made["AccessKeyId"], made["SecretAccessKey"])
        rig.aws.weather.add(
            Rule("sts:GetCallerIdentity", effect="error_before", status=403, code="InvalidClientTokenId", times=3)
        )
        assert adopt(rig, chosen=supplied(pair)).ending is Ending.ADOPTED


class TestAPreview:
    def test_decides_the_same_and_writes_nothing(self, rig: Rig, copies: Path, pairs: list[KeyPair]) -> None:
        write(copies / "ci.json", pairs[1])
        rig.aws.clear_requests()
        previewed = adopt(rig, perform=False)
        assert writes(rig) == []
        assert previewed.decision.does_as(adopt(rig).decision)


class TestGrace:
    """Since when jobs read CURRENT is unknown, so LAST gets its whole grace from the takeover."""

    def test_of_last_is_not_shortened_by_the_age_of_current(self, rig: Rig, pairs: list[KeyPair]) -> None:
        rig.fill(pairs[1])
        adopt(rig)
        assert rig.rotate().outcome is Outcome.NOT_DUE
        forced = rig.rotate(force=True)
        assert (forced.outcome, forced.reason) == (Outcome.REFUSED, Reason.GRACE)
        rig.later(seconds=rig.policy.grace.total_seconds() - 60)
        assert rig.rotate(force=True).reason is Reason.GRACE
        rig.later(seconds=120)
        assert rig.rotate(force=True).removed == (pairs[0].access_key_id,)

    def test_is_promised_to_the_readers_of_both_keys(self, rig: Rig, pairs: list[KeyPair]) -> None:
        rig.fill(pairs[1])
        adopt(rig)
        assert rig.record().journal.graces == dict.fromkeys([pair.access_key_id for pair in pairs], rig.policy.grace)
        rig.policy = replace(rig.policy, window=timedelta(days=4))
        rig.later(days=10)
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.GRACE)
        rig.later(days=5)
        assert rig.rotate().removed == (pairs[0].access_key_id,)
        rig.later(days=10)
        assert rig.rotate().reason is Reason.GRACE

    def test_of_a_key_that_a_destination_holds_counts_from_the_delivery_of_current(
        self, rig: Rig, copies: Path, pairs: list[KeyPair]
    ) -> None:
        rig.fill(pairs[0])
        write(copies / "ci.json", pairs[1])
        assert adopt(rig).decision.last == pairs[1].access_key_id
        rig.later(days=10)
        assert rig.rotate().reason is Reason.OUT_OF_DATE
        rig.later(days=10)
        assert rig.rotate(force=True).reason is Reason.GRACE
        assert rig.aws.authenticates(pairs[1])

    def test_does_not_delay_the_rotation_of_a_single_old_key_at_once(self, rig: Rig) -> None:
        (only,) = rig.aws.make_user("ci", keys=1, ages=(100 * DAY,))
        adopt(rig, chosen=supplied(only))
        result = rig.rotate()
        assert (result.outcome, result.reason, result.last) == (Outcome.ROTATED, Reason.DUE, only.access_key_id)
        assert rig.aws.authenticates(only)


class TestARefusal:
    def test_of_a_secret_that_does_not_work_comes_before_anything_is_written(
        self, rig: Rig, pairs: list[KeyPair]
    ) -> None:
        rig.aws.clear_requests()
        result = adopt(rig, chosen=supplied(KeyPair(pairs[1].access_key_id, "x" * 40)))
        assert (result.ending, result.decision.reason) == (Ending.REFUSED, Reason.UNVERIFIED)
        assert writes(rig) == []
        assert "created" not in result.decision.message
        assert "x" * 40 not in result.decision.message

    def test_of_a_store_that_holds_a_wrong_secret_writes_no_journal(self, rig: Rig, pairs: list[KeyPair]) -> None:
        rig.fill(KeyPair(pairs[1].access_key_id, "x" * 40))
        assert adopt(rig).decision.reason is Reason.UNVERIFIED
        assert rig.record().journal.epoch == 0

    def test_of_another_users_credential_names_what_it_is(self, rig: Rig, pairs: list[KeyPair]) -> None:
        (other,) = rig.aws.make_user("other", keys=1)
        result = adopt(rig, chosen=supplied(other))
        assert result.decision.reason is Reason.NOT_LISTED
        assert other.access_key_id in result.decision.message

    def test_where_the_store_cannot_be_written_says_so_and_leaves_the_user_to_a_rotation(
        self, rig: Rig, copies: Path, pairs: list[KeyPair]
    ) -> None:
        write(copies / "ci.json", pairs[1])
        rig.aws.weather.add(
            Rule(
                "secretsmanager:CreateSecret",
                effect="error_before",
                status=400,
                code="AccessDeniedException",
                times=None,
            )
        )
        result = adopt(rig)
        assert (result.ending, result.decision.reason) == (Ending.REFUSED, Reason.PREFLIGHT)
        assert "secretsmanager:CreateSecret" in result.decision.message
        rig.aws.weather.clear()
        assert adopt(rig).ending is Ending.ADOPTED

    def test_of_a_store_that_may_not_be_written_comes_before_anything_is_written(
        self, rig: Rig, pairs: list[KeyPair]
    ) -> None:
        rig.fill(pairs[1])
        rig.aws.weather.add(
            Rule(
                "secretsmanager:PutSecretValue",
                effect="error_before",
                status=400,
                code="AccessDeniedException",
                times=None,
            )
        )
        result = adopt(rig)
        assert (result.ending, result.decision.reason) == (Ending.REFUSED, Reason.PREFLIGHT)
        assert not any(event.step == "lease" for event in rig.events)
        assert rig.record().journal.epoch == 0

    def test_while_another_run_has_the_lease_changes_nothing(self, rig: Rig, pairs: list[KeyPair]) -> None:
        from twokey.rotation.leased_journal import LeasedJournal

        rig.fill(pairs[1])
        user, world = rig.world(run="other")
        LeasedJournal.take(world.store, world.clock, "other", user.id, world.store.load())
        for perform in (False, True):
            result = adopt(rig, perform=perform)
            assert (result.ending, result.decision.reason) == (Ending.REFUSED, Reason.LEASE_HELD)
            assert "--no-wait" not in result.decision.message


class TestAChangeInBetween:
    def test_of_the_credentials_place_is_looked_at_again(self, rig: Rig, copies: Path, pairs: list[KeyPair]) -> None:
        write(copies / "ci.json", pairs[1])
        rig.at[("lease", "done")] = lambda: write(copies / "ci.json", pairs[0])
        result = adopt(rig)
        assert result.decision.reason is Reason.UNMANAGED_KEY
        assert rig.held() == ""
        assert rig.record().journal.lease is None

    def test_of_the_store_before_the_lease_is_looked_at_again(
        self, rig: Rig, copies: Path, pairs: list[KeyPair]
    ) -> None:
        write(copies / "ci.json", pairs[1])
        rig.at[("lease", "begin")] = lambda: rig.fill(pairs[0])
        decision = adopt(rig).decision
        assert (decision.current, decision.last) == (pairs[0].access_key_id, pairs[1].access_key_id)
        assert rig.stored() == pairs[0]

    def test_of_the_store_under_the_lease_is_not_overwritten(
        self, rig: Rig, copies: Path, pairs: list[KeyPair]
    ) -> None:
        rig.fill(KeyPair("AKIAGONEGONEGONEGONE", "x" * 40))
        write(copies / "ci.json", pairs[1])
        rig.at[("store", "begin")] = lambda: rig.fill(pairs[0])
        result = adopt(rig, chosen=supplied(pairs[1]))
        assert result.ending is Ending.FAILED
        assert rig.stored() == pairs[0]


@pytest.mark.parametrize("fault", ["returns nothing", "raises"])
def test_a_source_that_breaks_its_contract_is_named_and_nothing_is_taken_from_it(
    rig: Rig, pairs: list[KeyPair], fault: str
) -> None:
    class Faulty(SuppliedCredential):
        def held(self) -> Any:
            if fault == "raises":
                raise KeyError("a secret")

    chosen = Faulty(Credential(pairs[1].access_key_id, pairs[1].secret_access_key))
    decision = adopt(rig, chosen=chosen).decision
    assert decision.reason is Reason.UNREADABLE
    assert "standard input: the code that reads or writes it has a bug" in decision.message
    assert "a secret" not in decision.message
    assert rig.stored() is None


def works(rig: Rig, pairs: list[KeyPair]) -> bool:
    """Say whether every key still works, and whether a job that reads the store gets one of them, or nothing."""
    return all(rig.aws.authenticates(pair) for pair in pairs) and rig.stored() in (None, *pairs)


class TestAKilledTakeover:
    @pytest.mark.parametrize("phase", ["begin", "done"])
    @pytest.mark.parametrize("step", STEPS)
    def test_is_finished_by_the_next(self, rig: Rig, copies: Path, pairs: list[KeyPair], step: str, phase: str) -> None:
        write(copies / "ci.json", pairs[1])
        if not killed(rig, step, "note" if step == "preflight" else phase):
            pytest.fail("it was not killed")
        assert works(rig, pairs)
        result = adopt(rig)
        assert result.ending is (Ending.NOTHING if (step, phase) == ("commit", "done") else Ending.ADOPTED)
        assert rig.stored() == pairs[1]
        journal = rig.record().journal
        assert (journal.current, journal.last) == (pairs[1].access_key_id, pairs[0].access_key_id)

    @pytest.mark.parametrize("phase", ["begin", "done"])
    @pytest.mark.parametrize("step", STEPS)
    def test_leaves_a_user_that_rotate_treats_safely(
        self, rig: Rig, copies: Path, pairs: list[KeyPair], step: str, phase: str
    ) -> None:
        """Before the store is written it refuses, as with any two keys; from then on it keeps LAST for its grace."""
        write(copies / "ci.json", pairs[1])
        assert killed(rig, step, "note" if step == "preflight" else phase)
        stored = rig.stored() is not None
        for _ in range(2):
            result = rig.rotate(force=True)
            expected = Reason.GRACE if stored else Reason.CANNOT_ATTRIBUTE
            assert result.reason in (expected, Reason.OUT_OF_DATE)
            assert works(rig, pairs)

    def test_goes_through_every_step(self, rig: Rig, copies: Path, pairs: list[KeyPair]) -> None:
        write(copies / "ci.json", pairs[1])
        adopt(rig)
        assert {event.step for event in rig.events} == set(STEPS)
