"""Doctored logs: a line that was removed, changed or invented is found, and the correct line is named.

The first group does it with an editor. The second knows the format and recomputes the whole chain; there only the
protocol, or a hash that was recorded elsewhere, can reveal it.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from audit_log.doctor import FORGED, Log, common, first_finding, replace
from twokey.audit_log import records
from twokey.audit_log.records import Begin, Done, Ended, Failed, Observed, Proved, Rules
from twokey.core.reasons import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from twokey.core.journal import Journal


class TestWithoutKnowingTheChain:
    def test_nothing_is_wrong_before(self, log: Log) -> None:
        assert log.verified(log.head).findings == ()

    def test_the_first_line_is_removed(self, log: Log) -> None:
        del log.lines[0]
        assert first_finding(log.verified()) == (1, "chain")

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_a_line_in_the_middle_is_removed(self, log: Log, share: float) -> None:
        number = int(len(log.lines) * share)
        del log.lines[number - 1]
        report = log.verified()
        assert first_finding(report) == (number, "chain")
        assert "1 line is missing" in report.findings[0].message

    def test_the_last_lines_are_removed_and_an_expected_hash_finds_it(self, log: Log) -> None:
        head = log.head
        del log.lines[-7:]
        assert log.verified().good, "a chain alone cannot find this"
        assert first_finding(log.verified(head)) == (len(log.lines), "head")

    def test_two_lines_are_swapped(self, log: Log) -> None:
        number = log.find("third", Begin, effect="delete")
        log.lines[number - 1], log.lines[number] = log.lines[number], log.lines[number - 1]
        assert first_finding(log.verified()) == (number, "chain")

    def test_a_line_is_there_twice(self, log: Log) -> None:
        number = log.find("third", Begin, effect="delete")
        log.lines.insert(number, log.lines[number - 1])
        assert first_finding(log.verified()) == (number + 1, "chain")

    def test_a_time_is_changed(self, log: Log) -> None:
        number = log.find("third", Begin, effect="delete")
        at = log.records[number - 1].at
        log.text(number, f"{at:%Y-%m-%dT%H}", f"{at - timedelta(days=1):%Y-%m-%dT%H}")
        assert first_finding(log.verified()) == (number, "chain")

    def test_a_key_id_is_changed(self, log: Log) -> None:
        number = log.find("third", Begin, effect="delete")
        log.text(number, log.records[number - 1].key, FORGED)
        assert first_finding(log.verified()) == (number, "chain")

    def test_an_outcome_is_changed(self, log: Log) -> None:
        number = log.find("refused", Ended)
        log.text(number, '"refused"', '"rotated"')
        assert first_finding(log.verified()) == (number, "chain")

    def test_a_hash_is_changed(self, log: Log) -> None:
        number = log.find("third", Ended)
        digest = records.unseal(log.lines[number - 1][:-1])[1]
        log.text(number, digest, digest[::-1])
        assert first_finding(log.verified()) == (number, "chain")

    def test_a_hash_is_recomputed_for_one_line_only(self, log: Log) -> None:
        number = log.find("third", Ended)
        record = log.records[number - 1]
        log.lines[number - 1] = records.seal(replace(record, last=""), record.seq, record.prev)[0]
        assert first_finding(log.verified()) == (number + 1, "chain")

    def test_the_beginning_of_one_log_and_the_end_of_another(self, log: Log, tmp_path: Path) -> None:
        other = Log(tmp_path / "other", list(log.lines))
        other.forge([replace(one, file="0" * 32) if isinstance(one, records.Opened) else one for one in log.records])
        log.lines[100:] = other.lines[100:]
        assert first_finding(log.verified()) == (101, "chain")

    def test_one_log_after_the_other(self, log: Log) -> None:
        number = len(log.lines)
        log.lines += log.lines
        assert first_finding(log.verified()) == (number + 1, "chain")

    def test_it_is_cut_off_within_a_line(self, log: Log) -> None:
        log.lines[-1] = log.lines[-1][:40]
        assert first_finding(log.verified()) == (len(log.lines), "chain")

    def test_something_is_written_before_a_line(self, log: Log) -> None:
        number = log.find("third", Ended)
        log.lines[number - 1] = b"nothing happened here " + log.lines[number - 1]
        assert first_finding(log.verified()) == (number, "chain")

    def test_an_empty_line_is_inserted(self, log: Log) -> None:
        log.lines.insert(50, b"\n")
        assert first_finding(log.verified()) == (51, "chain")

    def test_the_file_is_emptied(self, log: Log) -> None:
        log.lines = []
        assert first_finding(log.verified()) == (0, "chain")

    def test_a_member_is_added_and_the_line_sealed_again(self, log: Log) -> None:
        """The hash of the last line protects nothing after it; what twokey never writes is found nevertheless."""
        body = log.lines[-1].rpartition(b',"hash"')[0] + b',"note":"all is well"}'
        log.lines[-1] = body[:-1] + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'
        assert first_finding(log.verified()) == (len(log.lines), "chain")

    def test_a_member_is_named_twice_and_the_line_sealed_again(self, log: Log) -> None:
        """One reader takes the first of two, another the last."""
        body = log.lines[-1].rpartition(b',"hash"')[0].replace(b'"seq"', b'"run":"another","seq"', 1) + b"}"
        log.lines[-1] = body[:-1] + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'
        assert first_finding(log.verified()) == (len(log.lines), "chain")


class TestWithARecomputedChain:
    def test_recomputing_alone_is_not_found(self, log: Log) -> None:
        log.forge(log.records)
        assert log.verified().findings == ()

    def test_a_deletion_of_current_is_invented(self, log: Log) -> None:
        number = log.find("third", Ended) - 2
        all_of, commit = log.records, log.records[number - 1]
        assert commit.effect == "journal"
        forged = Begin(**common(commit), effect="delete", key=commit.journal.current)
        log.forge(
            [
                *all_of[: number - 1],
                forged,
                Failed(**common(commit), of=number, error="ServiceRejected"),
                *all_of[number - 1 :],
            ]
        )
        assert first_finding(log.verified()) == (number, "I3")

    def test_a_creation_is_invented_where_two_keys_exist(self, log: Log) -> None:
        number = log.find("third", Begin, effect="delete")
        all_of, delete = log.records, log.records[number - 1]
        forged = Begin(**common(delete), effect="create")
        log.forge(
            [
                *all_of[: number - 1],
                forged,
                Failed(**common(delete), of=number, error="ServiceRejected"),
                *all_of[number - 1 :],
            ]
        )
        assert first_finding(log.verified()) == (number, "I5")

    def test_a_second_creation_is_invented(self, log: Log) -> None:
        number = log.find("third", Proved)
        proof = log.records[number - 1]
        made = Done(**common(proof), of=number, key=FORGED, created=proof.at)
        forged = [Begin(**common(proof), effect="create"), made]
        log.forge([*log.records[: number - 1], *forged, *log.records[number - 1 :]])
        assert first_finding(log.verified())[0] == number

    def test_a_deletion_is_moved_to_before_the_end_of_grace(self, log: Log) -> None:
        number = log.find("third", Begin, effect="delete")
        log.earlier("third", timedelta(days=10))
        report = log.verified()
        assert first_finding(report) == (number, "I2")
        assert "before its grace is over" in report.findings[0].message

    def test_the_option_that_accepted_failing_jobs_is_removed(self, log: Log) -> None:
        number = log.find("in-a-hurry", Begin, effect="delete")
        log.forge([replace(o, ignore_last_use=False) if isinstance(o, Rules) else o for o in log.records])
        assert first_finding(log.verified()) == (number, "I2")

    def test_an_orphan_is_removed_that_no_intent_explains(self, log: Log) -> None:
        number = log.find("repair-orphan", Begin, effect="delete")
        first = log.find("killed-after-create", Begin, effect="create")
        kept = []
        for one in log.records:
            if first <= one.seq <= first + 1:
                continue  # the creation and its end
            changed = one
            if getattr(one, "run", "") in ("killed-after-create", "repair-orphan") and one.seq <= number:
                journal = getattr(one, "journal", None)
                changed = replace(one, journal=replace(journal, intent=None)) if journal else one
            kept.append(changed)
        log.forge(kept)
        assert first_finding(log.verified()) == (number - 2, "I7")

    def test_an_orphan_is_removed_without_the_fence(self, log: Log) -> None:
        number = log.find("repair-orphan", Begin, effect="fence")
        log.forge([one for one in log.records if one.seq not in (number, number + 1)])
        assert first_finding(log.verified()) == (number, "I6")

    def test_a_key_is_published_unproved(self, log: Log) -> None:
        number = log.find("third", Proved)
        log.forge([one for one in log.records if one.seq != number])
        report = log.verified()
        assert first_finding(report) == (number, "I1")
        assert "was not proved" in report.findings[0].message

    def test_a_key_is_published_after_too_few_proofs(self, log: Log) -> None:
        number = log.find("third", Proved)
        log.forge([replace(one, in_a_row=1) if one.seq == number else one for one in log.records])
        assert first_finding(log.verified()) == (number + 1, "I1")

    def test_another_key_is_delivered_than_the_store_holds(self, log: Log) -> None:
        number = log.find("third", Begin, effect="deliver")
        old = log.records[log.find("second", Ended) - 1].current
        log.forge([replace(one, key=old) if one.seq == number else one for one in log.records])
        assert first_finding(log.verified()) == (number, "I1")

    def test_a_soak_is_cut_short(self, log: Log) -> None:
        number = log.find("soaked", Begin, effect="delete")
        log.earlier("soaked", timedelta(days=2))
        assert (number, "I8") in [(one.line, one.rule) for one in log.verified().findings]
        assert first_finding(log.verified()) == (number, "I8")

    def test_a_soak_is_skipped(self, log: Log) -> None:
        number = log.find("third", Begin, effect="delete")
        rules = log.find("third", Rules)
        log.forge([replace(one, soak=86_400.0) if one.seq == rules else one for one in log.records])
        assert first_finding(log.verified()) == (number, "I8")

    def test_an_unmanaged_key_is_removed_that_no_option_names(self, log: Log) -> None:
        number = log.find("retired", Begin, effect="delete")
        log.forge([replace(one, retire=()) if isinstance(one, Rules) else one for one in log.records])
        assert first_finding(log.verified()) == (number, "I7")

    def test_a_whole_run_is_removed_and_an_expected_hash_finds_it(self, log: Log) -> None:
        head = log.head
        log.forge([one for one in log.records if getattr(one, "run", "") != "third"])
        report = log.verified()
        assert report.good, "it may have run on another machine"
        assert report.elsewhere == (log.find("killed-after-create", Begin),)
        assert first_finding(log.verified(head)) == (len(log.lines), "head")

    def test_a_delivery_is_removed(self, log: Log) -> None:
        number = log.find("third", Begin, effect="deliver")
        log.forge([one for one in log.records if one.seq not in (number, number + 1)])
        report = log.verified()
        assert first_finding(report) == (number, "order")
        assert "I4" in {one.rule for one in report.findings}

    def test_a_deletion_is_removed(self, log: Log) -> None:
        number = log.find("third", Begin, effect="delete")
        log.forge([one for one in log.records if one.seq not in (number, number + 1)])
        assert first_finding(log.verified()) == (number, "order")

    def test_an_end_is_removed(self, log: Log) -> None:
        number = log.find("third", Begin, effect="create")
        log.forge([one for one in log.records if one.seq != number + 1])
        assert first_finding(log.verified()) == (number + 1, "order")

    def test_a_beginning_is_removed(self, log: Log) -> None:
        number = log.find("third", Begin, effect="delete")
        log.forge([one for one in log.records if one.seq != number])
        assert first_finding(log.verified()) == (number, "order")

    def test_a_failure_becomes_a_success(self, log: Log) -> None:
        number = log.find("not-delivered", Ended)
        log.forge([replace(one, outcome=Outcome.ROTATED) if one.seq == number else one for one in log.records])
        assert first_finding(log.verified()) == (number, "I4")

    def test_an_effect_is_invented_after_the_end_of_its_run(self, log: Log) -> None:
        number = log.find("third", Ended)
        end = log.records[number - 1]
        forged = Begin(**common(end), effect="deactivate", key=end.last)
        log.forge([*log.records[:number], forged, *log.records[number:]])
        report = log.verified()
        assert first_finding(report) == (number + 1, "order")
        assert "lease" in {one.rule for one in report.findings}

    def test_a_run_is_invented_without_a_lease(self, log: Log) -> None:
        end = log.records[-1]
        at = end.at + timedelta(hours=1)
        rules = replace(log.records[log.find("last", Rules) - 1], run="invented", at=at)
        run = replace(log.records[1], run="invented", at=at)
        delete = Begin(**{**common(rules), "at": at}, effect="delete", key=end.last)
        log.forge([*log.records, run, rules, delete])
        assert first_finding(log.verified()) == (len(log.lines), "lease")

    def test_a_line_is_dated_back(self, log: Log) -> None:
        number = log.find("retired", Observed)
        log.forge([replace(one, at=one.at - timedelta(hours=1)) if one.seq == number else one for one in log.records])
        assert first_finding(log.verified()) == (number, "order")

    def test_a_destination_of_another_user_gets_the_key(self, log: Log) -> None:
        number = log.find("third", Begin, effect="deliver")
        log.forge([replace(one, destination="ssm:/elsewhere") if one.seq == number else one for one in log.records])
        assert first_finding(log.verified()) == (number, "I1")

    def test_the_lease_is_another_runs(self, log: Log) -> None:
        number = log.find("third", Begin, effect="delete")
        kept = []
        for one in log.records:
            journal = getattr(one, "journal", None)
            if getattr(one, "run", "") == "third" and one.seq < number and journal and journal.lease:
                stolen = replace(journal, lease=replace(journal.lease, run="another-run"))
                kept.append(replace(one, journal=stolen))
            else:
                kept.append(one)
        log.forge(kept)
        assert "lease" in {one.rule for one in log.verified().findings if one.line <= number}


class TestAtTheEdges:
    """What each rule about interrupted runs, orphaned keys, grace and leases forbids; the chain is recomputed."""

    def test_last_is_removed_before_its_promised_grace_is_over(self, log: Log) -> None:
        """The soak shortens the grace that is configured; what the readers of LAST were promised is longer."""
        number = log.find("soak-begins", Begin, effect="deactivate")
        log.earlier("soak-begins", timedelta(days=1))
        assert first_finding(log.verified()) == (number, "I2")

    def test_a_commit_promises_nothing(self, log: Log) -> None:
        number = log.find("third", Begin, effect="journal", nth=-1)
        log.forge([_with(one, graces={}) if one.seq == number else one for one in log.records])
        report = log.verified()
        assert first_finding(report) == (number, "I2")
        assert "does not promise the readers of" in report.findings[0].message

    def test_a_promise_is_taken_back_between_two_commits(self, log: Log) -> None:
        number = log.find("soaked", Begin, effect="journal", nth=1)
        shorter = dict.fromkeys(log.records[number - 1].journal.graces, timedelta(hours=1))
        log.forge([_with(one, graces=shorter) if one.seq == number else one for one in log.records])
        assert first_finding(log.verified()) == (number, "I2")

    def test_a_destination_gets_a_key_before_the_journal_names_it(self, log: Log) -> None:
        number = log.find("first", Begin, effect="deliver")
        log.journals("first", lambda journal: replace(journal, delivered={}, delivering=()), until=number)
        report = log.verified()
        assert first_finding(report) == (number, "order")
        assert "before the journal names ssm:/machine-users/ci" in report.findings[0].message

    def test_an_announced_delivery_is_removed(self, log: Log) -> None:
        """The destination does not show what it holds, and the commit repeats what was announced."""
        number = log.find("first", Begin, effect="deliver")
        announced = log.records[log.find("first", Begin, effect="journal", nth=-2) - 1].journal.delivered
        commit = log.find("first", Begin, effect="journal", nth=-1)
        changed = [_with(one, delivered=announced) if one.seq == commit else one for one in log.records]
        changed = [
            replace(one, holds={}) if isinstance(one, Observed) and one.run == "first" else one for one in changed
        ]
        log.forge([one for one in changed if one.seq not in (number, number + 1)])
        report = log.verified()
        assert first_finding(report) == (number, "order")
        assert "the journal says that ssm:/machine-users/ci got" in report.findings[0].message

    @pytest.mark.parametrize("run", ["first", "third"])
    def test_a_destination_that_holds_a_key_is_forgotten(self, log: Log, run: str) -> None:
        number = log.find(run, Begin, effect="journal", nth=-1)
        log.forge([_with(one, delivered={}) if one.seq == number else one for one in log.records])
        assert first_finding(log.verified()) == (number, "I3")

    def test_a_delivery_to_a_destination_of_another_run_is_not_waited_for(self, log: Log) -> None:
        """It was taken out of the configuration while, by the journal, it holds LAST."""
        number = log.find("third", Begin, effect="delete")
        key = log.records[number - 1].key

        def still_holds(journal: Journal) -> Journal:
            return replace(journal, delivered={name: replace(one, key=key) for name, one in journal.delivered.items()})

        log.journals("third", still_holds, until=number)
        log.forge([replace(one, destinations=()) if isinstance(one, Rules) else one for one in log.records])
        assert (number, "I3") in [(one.line, one.rule) for one in log.verified().findings]

    def test_an_orphan_is_removed_that_a_job_uses(self, log: Log) -> None:
        number, created = _orphan(log)
        key = log.records[number - 1].key
        log.forge([_used(one, key, created + timedelta(minutes=9)) for one in log.records])
        report = log.verified()
        assert first_finding(report) == (number, "I7")
        assert "which was used at" in report.findings[0].message

    def test_an_orphan_that_only_its_own_run_used_may_be_removed(self, log: Log) -> None:
        number, created = _orphan(log)
        key = log.records[number - 1].key
        log.forge([_used(one, key, created + timedelta(minutes=5)) for one in log.records])
        assert log.verified().findings == ()

    def test_an_orphan_is_removed_whose_last_use_was_not_read(self, log: Log) -> None:
        number, _ = _orphan(log)
        log.forge([replace(one, last_used={}) if isinstance(one, Observed) else one for one in log.records])
        report = log.verified()
        assert first_finding(report) == (number, "I7")
        assert "without reading its last use" in report.findings[0].message

    def test_an_orphan_is_removed_that_a_destination_may_hold(self, log: Log) -> None:
        number, _ = _orphan(log)
        (name,) = log.records[log.find("repair-orphan", Rules) - 1].destinations
        log.journals("repair-orphan", lambda journal: replace(journal, delivering=(name,)), until=number)
        log.forge(
            [
                replace(one, holds=one.holds | {name: None})
                if isinstance(one, Observed) and one.run == "repair-orphan" and name in one.holds
                else one
                for one in log.records
            ]
        )
        report = log.verified()
        assert first_finding(report) == (number, "I3")
        assert f"which {name} holds or may hold" in report.findings[0].message

    def test_an_orphan_becomes_last_without_the_fence(self, restored: Log) -> None:
        assert restored.verified().findings == ()
        number = restored.find("run 1", Begin, effect="fence")
        restored.forge([one for one in restored.records if one.seq not in (number, number + 1)])
        report = restored.verified()
        assert first_finding(report) == (number, "I6")
        assert "becomes LAST without a fence" in report.findings[0].message

    def test_an_attempt_is_forgotten_whose_key_the_list_may_lack(self, log: Log) -> None:
        number = log.find("repair-orphan", Begin, effect="create") - 2
        done = log.find("killed-after-create", Done, nth=-1)
        at = log.records[number - 1].journal.intent.at
        lost = Failed(**common(log.records[done - 1]), of=done - 1, error="Ambiguous", ambiguous=True)
        log.forge([lost if one.seq == done else one for one in log.records])
        assert log.verified().findings == ()

        def forget(journal: Journal) -> Journal:
            intent = journal.intent
            return replace(journal, intent=replace(intent, earlier=())) if intent and intent.at == at else journal

        log.journals("repair-orphan", forget)
        report = log.verified()
        assert first_finding(report) == (number, "I6")
        assert "the journal forgets the creation of" in report.findings[0].message

    def test_a_key_is_created_later_than_its_intent_allows(self, log: Log) -> None:
        number = log.find("third", Done, nth=3)
        assert log.records[number - 1].key
        log.forge(
            [
                replace(one, created=one.created + timedelta(seconds=40)) if one.seq == number else one
                for one in log.records
            ]
        )
        assert first_finding(log.verified()) == (number, "I6")

    def test_a_lease_is_taken_for_longer_than_any_run_needs(self, log: Log) -> None:
        number = log.find("third", Begin)
        lease = log.records[number - 1].journal.lease
        lease = replace(lease, until=lease.until + timedelta(hours=1))
        log.forge([_with(one, lease=lease) if one.seq == number else one for one in log.records])
        report = log.verified()
        assert first_finding(report) == (number, "lease")
        assert "later than any lease lasts" in report.findings[0].message


def _with(record: Any, **changes: Any) -> Any:
    """Return a record with another journal."""
    return replace(record, journal=replace(record.journal, **changes))


def _orphan(log: Log) -> tuple[int, datetime]:
    """Return the line in which an orphaned key is removed, and when the key was created."""
    number = log.find("repair-orphan", Begin, effect="delete")
    made = log.records[log.find("killed-after-create", Done, key=log.records[number - 1].key) - 1]
    assert made.created
    return number, made.created


def _used(record: Any, key: str, at: datetime) -> Any:
    """Return a record in which the last use of a key was read as this."""
    if isinstance(record, Observed) and key in record.last_used:
        return replace(record, last_used=record.last_used | {key: at})
    return record


def test_there_are_more_than_fifteen() -> None:
    """The promise of the page is about these."""
    doctored: list[Callable[..., None]] = [
        test
        for group in (TestWithoutKnowingTheChain, TestWithARecomputedChain, TestAtTheEdges)
        for name, test in vars(group).items()
        if name.startswith("test_")
    ]
    assert len(doctored) - 2 >= 15
