"""Each rule of the checker, violated by a log with a recomputed chain, is reported with its own message."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from audit_log.doctor import FORGED, Log, common, replace
from twokey.audit_log import records
from twokey.audit_log.records import Began, Begin, Done, Ended, Evidence, Failed, Observed, Opened, Proved, Rules, Torn

if TYPE_CHECKING:
    from collections.abc import Callable


def message_at(log: Log, line: int) -> str:
    """Verify the log; return all that is found in this line, which must be the first in which anything is."""
    report = log.verified()
    assert report.findings
    assert report.findings[0].line == line
    return " ".join(one.message for one in report.findings if one.line == line)


def changed(log: Log, run: str, kind: type, change: Callable[[Any], Any]) -> None:
    """Forge a log in which all lines of a kind of one run are changed."""
    log.forge([change(o) if isinstance(o, kind) and getattr(o, "run", "") == run else o for o in log.records])


class TestACreation:
    def test_needs_a_look_at_the_keys_under_the_lease(self, log: Log) -> None:
        number = log.find("third", Begin, effect="create")
        changed(log, "third", Observed, lambda one: replace(one, keys=None))
        assert "did not list the keys under its lease" in message_at(log, number)

    def test_needs_an_intent(self, log: Log) -> None:
        number = log.find("third", Begin, effect="create")
        changed(
            log,
            "third",
            Begin,
            lambda one: replace(one, journal=replace(one.journal, intent=None)) if one.journal else one,
        )
        assert "without an intent of the run" in message_at(log, number)

    def test_needs_an_intent_that_knows_the_other_keys(self, log: Log) -> None:
        number = log.find("third", Begin, effect="create")

        def forget(one: Any) -> Any:
            journal = one.journal
            if journal is None or journal.intent is None:
                return one
            return replace(one, journal=replace(journal, intent=replace(journal.intent, known=())))

        changed(log, "third", Begin, forget)
        assert "after an intent that does not name" in message_at(log, number)

    def test_needs_certainty_about_the_one_before(self, log: Log) -> None:
        number = log.find("third", Begin, effect="create")
        create = log.records[number - 1]
        lost = [create, Failed(**common(create), of=number, error="Ambiguous", ambiguous=True)]
        log.forge(
            [*log.records[: number - 1], *lost, *(replace(one, seq=0) for one in log.records[number - 1 : number])]
        )
        assert "may have created one, and the keys were not listed since" in message_at(log, number + 2)

    def test_needs_the_stray_to_be_gone(self, log: Log) -> None:
        number = log.find("repair-orphan", Begin, effect="delete")
        kept = [one for one in log.records if one.seq not in (number, number + 1)]
        log.forge(
            [replace(o, journal=replace(o.journal, removed={})) if getattr(o, "journal", None) else o for o in kept]
        )
        create = log.find("repair-orphan", Begin, effect="create")
        assert "although an orphaned key exists" in message_at(log, create)

    def test_makes_a_key(self, log: Log) -> None:
        number = log.find("third", Begin, effect="create") + 1
        log.forge([replace(one, key="") if one.seq == number else one for one in log.records])
        assert "a creation returned no key" in message_at(log, number)


class TestAPublication:
    def test_is_of_a_key_that_exists(self, log: Log) -> None:
        number = log.find("third", Begin, effect="store")
        changed(log, "third", Proved, lambda one: replace(one, key=FORGED))
        log.forge([replace(one, key=FORGED) if one.seq == number else one for one in log.records])
        assert "which does not exist" in message_at(log, number)

    def test_is_of_a_key_that_is_active(self, log: Log) -> None:
        number = log.find("repair-stored", Begin, effect="deliver")

        def off(one: Observed) -> Observed:
            keys = one.keys or ()
            return replace(one, keys=tuple(replace(key, active=False) for key in keys)) if keys else one

        changed(log, "repair-stored", Observed, off)
        assert "which is Inactive" in message_at(log, number)

    def test_is_of_the_key_that_the_store_holds(self, log: Log) -> None:
        number = log.find("third", Begin, effect="deliver")
        old = log.records[log.find("second", Ended) - 1].current
        log.forge([replace(one, key=old) if one.seq == number else one for one in log.records])
        assert "which the store does not hold" in message_at(log, number)


class TestAJournal:
    def test_names_no_deletion_that_no_line_tells(self, log: Log) -> None:
        number = log.find("third", Begin, effect="delete")
        gone = log.records[number - 1].key
        log.forge([one for one in log.records if one.seq not in (number, number + 1)])
        assert f"the journal says that {gone} was deleted, but no line of the log does" in message_at(log, number)

    def test_names_no_delivery_that_no_line_tells(self, log: Log) -> None:
        number = log.find("third", Begin, effect="deliver")
        log.forge([one for one in log.records if one.seq not in (number, number + 1)])
        assert "the journal says that ssm:/machine-users/ci got" in message_at(log, number)


class TestARun:
    def test_begins_once(self, log: Log) -> None:
        number = log.find("third", Began)
        log.forge([*log.records[:number], log.records[number - 1], *log.records[number:]])
        assert "begins a second time" in message_at(log, number + 1)

    def test_begins_before_it_does_anything(self, log: Log) -> None:
        number = log.find("third", Began)
        log.forge([one for one in log.records if one.seq != number])
        assert "was never begun" in message_at(log, number)

    def test_begins_before_it_writes_evidence(self, log: Log) -> None:
        log.forge([*log.records, Evidence(at=log.records[-1].at, run="another", files={})])
        assert "was never begun" in message_at(log, len(log.lines))

    def test_tells_its_rules_once(self, log: Log) -> None:
        number = log.find("third", Rules)
        log.forge([*log.records[:number], log.records[number - 1], *log.records[number:]])
        assert "the settings of this run appear a second time" in message_at(log, number + 1)

    def test_tells_its_rules_before_its_first_effect(self, log: Log) -> None:
        number = log.find("third", Rules)
        log.forge([one for one in log.records if one.seq != number])
        first = log.find("third", Begin)
        assert "before the settings of the run appear" in message_at(log, first)

    def test_ends_as_something_only_where_something_was_done(self, log: Log) -> None:
        number = log.find("third", Ended)
        log.forge([replace(one, user="another") if one.seq == number else one for one in log.records])
        assert "but it began no effect" in message_at(log, number)

    def test_takes_a_lease_in_its_own_name(self, log: Log) -> None:
        number = log.find("third", Begin)
        lease = replace(log.records[number - 1].journal.lease, run="another-run")
        log.forge(
            [
                replace(one, journal=replace(one.journal, lease=lease)) if one.seq == number else one
                for one in log.records
            ]
        )
        assert "journal took place without the lease" in message_at(log, number + 1)

    def test_does_nothing_when_its_lease_is_over(self, log: Log) -> None:
        number = log.find("third", Begin, effect="delete")
        log.forge([replace(one, at=one.at + timedelta(minutes=4)) if one.seq >= number else one for one in log.records])
        assert "begins without the lease" in message_at(log, number)


class TestAnEnd:
    def test_in_peace_leaves_no_delivery_open(self, log: Log) -> None:
        number = log.find("third", Ended)
        (destination,) = log.records[log.find("third", Rules) - 1].destinations

        def open_again(one: Any) -> Any:
            return replace(one, journal=replace(one.journal, delivering=(destination,))) if one.journal else one

        changed(log, "third", Begin, open_again)
        assert f"it ends as rotated, but {destination} may hold a torn pair" in message_at(log, number)


class TestAFile:
    def test_that_ends_within_a_line_is_torn(self, log: Log) -> None:
        log.lines[-1] = log.lines[-1][:40]
        assert "is incomplete" in message_at(log, len(log.lines))

    def test_tears_nothing_where_nothing_is_torn(self, log: Log) -> None:
        torn = Torn(at=log.records[49].at, bytes=0, sha256=records.digest_of(b""))
        log.forge([*log.records[:50], torn, *log.records[50:]])
        assert "does not match the record of it" in message_at(log, 51)

    def test_does_not_repeat_a_line(self, log: Log) -> None:
        log.lines.insert(50, log.lines[30])
        assert "it was written as line 31" in message_at(log, 51)

    def test_begins_with_the_line_that_opens_it(self, log: Log) -> None:
        log.forge(log.records[1:])
        assert "has exactly one line `opened`" in message_at(log, 1)

    def test_is_opened_once(self, log: Log) -> None:
        log.forge([*log.records[:50], log.records[0], *log.records[50:]])
        assert "has exactly one line `opened`" in message_at(log, 51)

    def test_of_a_later_format_is_not_judged(self, log: Log) -> None:
        log.forge([replace(one, format=2) if isinstance(one, Opened) else one for one in log.records])
        assert "reads format 1; the file has format 2" in message_at(log, 1)


def test_a_late_end_does_not_turn_back_what_another_run_did(log: Log) -> None:
    """A run whose release of the lease is reported after another run took it is no violation."""
    number = log.find("third", Ended) - 1
    assert isinstance(log.records[number - 1], Done)
    late = [one for one in log.records if one.seq in (number, number + 1)]
    first = log.find("killed-after-create", Begin) + 1
    rest = [one for one in log.records if one.seq not in (number, number + 1)]
    position = next(index for index, one in enumerate(rest) if one.seq == first) + 1
    log.forge([*rest[:position], *late, *rest[position:]])
    findings = [one for one in log.verified().findings if "earlier than a line before it" not in one.message]
    assert findings == []


class TestANewJournal:
    """The store's secret was deleted and created again, or the user has another store: no violation."""

    def test_in_the_same_store(self, log: Log) -> None:
        first = min(log.of_run("third"))
        number = log.find("third", Begin)
        gap = log.records[number - 1].journal.epoch - 1

        def earlier(one: Any) -> Any:
            journal = getattr(one, "journal", None)
            return replace(one, journal=replace(journal, epoch=journal.epoch - gap)) if journal else one

        log.forge([earlier(one) if one.seq >= first else one for one in log.records])
        report = log.verified()
        assert report.findings == ()
        assert number in report.elsewhere

    def test_in_another_store(self, log: Log) -> None:
        first = min(log.of_run("third"))
        gap = log.records[log.find("third", Begin) - 1].journal.epoch - 1

        def moved(one: Any) -> Any:
            journal, changes = getattr(one, "journal", None), {}
            if journal:
                changes["journal"] = replace(journal, epoch=journal.epoch - gap)
            for field in ("destination", "store"):
                if getattr(one, field, "").startswith("secretsmanager:"):
                    changes[field] = "ssm:/new"
            if getattr(one, "holds", None):
                changes["holds"] = {
                    "ssm:/new" if name.startswith("secretsmanager:") else name: key for name, key in one.holds.items()
                }
            return replace(one, **changes)

        log.forge([moved(one) if one.seq >= first else one for one in log.records])
        report = log.verified()
        assert report.findings == ()
        assert report.elsewhere == ()
