"""What an audit log says of a user is added to what the journal says; each rotation is there once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from inventory.cases import LIMITS, NEW, NOW, OLD, REPORT, found, managed, rotated, user
from twokey.audit_log import records
from twokey.audit_log.log import AuditLog
from twokey.core.reasons import Outcome, Reason
from twokey.inventory import history, report
from twokey.inventory.credential_report import Report

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.reports.audit import Audit, Event

DAY = timedelta(days=1)


def result() -> Audit:
    one = user(found(NEW, 5.001, 1), found(OLD, 20, 5), of=managed(rotated()))
    other = user(found(None, 5, 1), user="other", arn="arn:aws:iam::123456789012:user/other")
    return report.result([one, other], LIMITS, Report(REPORT, (one.row, other.row)), [], complete=True)


def write(file: Path, *ended: tuple[timedelta, Outcome, Reason, str]) -> None:
    log = AuditLog.open(file)
    for ago, outcome, reason, current in ended:
        for name in ("ci", "other"):
            about: dict[str, Any] = {"at": NOW - ago, "run": "run", "account": "123456789012", "user": name}
            log.append(records.Ended(**about, outcome=outcome, reason=reason, current=current))
    log.close()


def events(audit: Audit, name: str = "ci") -> list[Event]:
    [one] = [one for one in audit.users if one.user == name]
    return one.events


def test_refusals_and_failures_have_their_reason_and_rotations_are_there_once(tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    write(
        file,
        (20 * DAY, Outcome.ROTATED, Reason.DUE, OLD),
        (6 * DAY, Outcome.REFUSED, Reason.UNREADABLE, OLD),
        (5 * DAY - timedelta(seconds=3), Outcome.ROTATED, Reason.DUE, NEW),
        (4 * DAY, Outcome.COMPLETED, Reason.DUE, NEW),
        (DAY, Outcome.FAILED, Reason.ERROR, NEW),
    )
    shown = [(event.kind, event.key_id, event.detail) for event in events(history.with_history(result(), file))]
    assert shown == [
        ("rotated", OLD, None),
        ("refused", OLD, "unreadable"),
        ("rotated", NEW, None),
        ("failed", NEW, "error"),
    ]
    assert events(history.with_history(result(), file), "other") == []


def test_the_latest_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    many = history.MOST + 20
    write(file, *((timedelta(hours=many - n), Outcome.REFUSED, Reason.UNREADABLE, "") for n in range(many)))
    shown = events(history.with_history(result(), file))
    assert len(shown) == history.MOST + 1
    assert shown[-1].at == NOW - timedelta(hours=1)


def test_a_line_that_is_no_record_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    file.write_bytes(b'{"what":"ended"}\n{"what":"ended",\xff\n"what":"ended"\n')
    assert history.with_history(result(), file) == result()


def test_a_log_that_is_not_there_yet_is_none_and_one_that_cannot_be_read_is_a_warning(tmp_path: Path) -> None:
    assert history.with_history(result(), tmp_path / "missing") == result()
    found_in = history.with_history(result(), tmp_path)
    assert f"The audit log {tmp_path} cannot be read (Is a directory)" in found_in.warnings[0]
    assert msgspec.structs.replace(found_in, warnings=[]) == result()
