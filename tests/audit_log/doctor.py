"""A log that can be doctored, with an editor or with knowledge of the format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.audit_log import records
from twokey.audit_log.records import Done, Failed, OfUser
from twokey.audit_log.verification import Report, verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from pathlib import Path

    from twokey.core.journal import Journal

FORGED = "AKIAFORGEDFORGEDFORG"
replace = msgspec.structs.replace


@dataclass
class Log:
    """A log that can be doctored. Lines count from one."""

    file: Path
    lines: list[bytes]

    @property
    def records(self) -> list[Any]:
        """The records of the lines."""
        return [records.unseal(line[:-1])[0] for line in self.lines]

    @property
    def head(self) -> str:
        """The hash of the last line."""
        return records.unseal(self.lines[-1][:-1])[1]

    def find(self, run: str, kind: type, nth: int = 0, **fields: Any) -> int:
        """Return the number of a line: the nth of its kind in a run, with these fields."""
        numbers = [
            number
            for number, one in enumerate(self.records, 1)
            if isinstance(one, kind)
            and getattr(one, "run", "") == run
            and all(getattr(one, name) == value for name, value in fields.items())
        ]
        return numbers[nth]

    def of_run(self, run: str) -> list[int]:
        """Return the numbers of a run's lines."""
        return [number for number, one in enumerate(self.records, 1) if getattr(one, "run", "") == run]

    def text(self, number: int, before: str, after: str) -> None:
        """Change a line with an editor."""
        assert before.encode() in self.lines[number - 1]
        self.lines[number - 1] = self.lines[number - 1].replace(before.encode(), after.encode())

    def forge(self, forged: list[Any]) -> None:
        """Write these records with a recomputed chain; references to lines follow their lines."""
        moved = {one.seq: number for number, one in enumerate(forged, 1) if one.seq}
        self.lines, head = [], records.NO_HASH
        for number, one in enumerate(forged, 1):
            record = replace(one, of=moved.get(one.of, one.of)) if isinstance(one, Done | Failed) else one
            line, head = records.seal(record, number, head)
            self.lines.append(line)

    def earlier(self, run: str, by: timedelta) -> None:
        """Date everything from this run on that much earlier, its leases too."""
        first = min(self.of_run(run))
        self.forge([dated_back(one, by) if number >= first else one for number, one in enumerate(self.records, 1)])

    def journals(self, run: str, change: Callable[[Journal], Journal], until: int | None = None) -> None:
        """Change the journals that a run reads and writes, up to a line."""
        self.forge(
            [
                replace(one, journal=change(one.journal))
                if getattr(one, "run", "") == run and getattr(one, "journal", None) and (not until or one.seq <= until)
                else one
                for one in self.records
            ]
        )

    def verified(self, *heads: str) -> Report:
        """Write the file and verify it."""
        self.file.write_bytes(b"".join(self.lines))
        return verify(self.file, heads)


def dated_back(one: Any, by: timedelta) -> Any:
    """Return a record of an earlier time."""
    journal = getattr(one, "journal", None)
    if journal and journal.lease:
        journal = replace(journal, lease=replace(journal.lease, until=journal.lease.until - by))
        return replace(one, at=one.at - by, journal=journal)
    return replace(one, at=one.at - by)


def first_finding(report: Report) -> tuple[int, str]:
    """Return the first finding's line and rule."""
    assert report.findings, "nothing was found"
    return report.findings[0].line, report.findings[0].rule


def common(record: OfUser) -> dict[str, Any]:
    """Return the members that an invented line shares with another."""
    return {"at": record.at, "run": record.run, "account": record.account, "user": record.user}
