"""Reads an audit log line by line and holds each against the chain: numbers, hashes, torn ends."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from twokey.audit_log import records
from twokey.audit_log.log import LONGEST
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twokey.reports.documents import AuditRule

PATIENCE = 2.0
"""Seconds to wait for a writer to finish its line."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a line. ``rule`` is ``chain``, ``order``, ``head`` or one of ``I1`` to ``I8``."""

    line: int
    rule: AuditRule
    message: str


@dataclass(frozen=True, slots=True)
class Link:
    """A line that is whole in itself; ``finding`` says what is wrong with its place in the chain, if anything is."""

    line: int
    record: records.Record
    hash: str
    finding: Finding | None = None


def links(path: Path) -> Iterator[Link | Finding]:
    """Return each line as a link, or what is wrong with it; raises ``UsageError`` where the file cannot be read.

    What is found at a line does not end the reading: the next line is held against what this one should have been.
    """
    seq, head = 0, records.NO_HASH
    for number, line in _lines(path):
        found = _link(number, line, seq, head)
        yield found
        seq += 1
        if isinstance(found, Link):
            seq, head = found.record.seq, found.hash
        else:
            head = ""


def _link(number: int, line: bytes, seq: int, head: str) -> Link | Finding:
    if not line.endswith(b"\n"):
        return Finding(
            number,
            "chain",
            f"line {number} is torn: it has no end. A crash leaves such a line, and the next run says so behind it; "
            "cutting the file off leaves one too.",
        )
    torn, sealed = records.split(line[:-1])
    try:
        record, digest = records.unseal(sealed)
    except records.Damaged as damage:
        return Finding(number, "chain", f"line {number}: {damage}.")
    if isinstance(record, records.Torn) != bool(torn):
        return Finding(number, "chain", f"line {number}: what is torn and the record of it do not belong together.")
    if isinstance(record, records.Torn) and (record.bytes, record.sha256) != (len(torn), records.digest_of(torn)):
        return Finding(number, "chain", f"line {number}: the part that is torn was changed.")
    return Link(number, record, digest, _misplaced(number, record, seq, head))


def _misplaced(number: int, record: records.Record, seq: int, head: str) -> Finding | None:
    """Say why a line does not follow the one before it. An empty ``head`` means that one cannot be trusted."""
    if record.seq != seq + 1:
        which = f"between lines {number - 1} and {number}" if number > 1 else "before line 1"
        if record.seq > seq + 1:
            missing = record.seq - seq - 1
            said = "1 line is" if missing == 1 else f"{missing} lines are"
            return Finding(number, "chain", f"line {number}: {said} missing {which}.")
        return Finding(number, "chain", f"line {number}: it was written as line {record.seq}: moved, or put in again.")
    if head and record.prev != head:
        return Finding(number, "chain", f"line {number}: it was written behind another line than the one before it.")
    if isinstance(record, records.Opened) != (number == 1):
        return Finding(number, "chain", f"line {number}: a log begins with one line that opens it, and has no other.")
    if isinstance(record, records.Opened) and record.format != records.FORMAT:
        return Finding(number, "chain", f"line 1: this twokey knows format {records.FORMAT}, not {record.format}.")
    return None


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Return the lines that are there now, with their numbers from one; later ones are left for the next time."""
    try:
        with path.open("rb") as file:
            left = _size(file)
            number = 0
            while left > 0:
                number += 1
                line = file.readline(min(left, 2 * LONGEST))
                if not line:
                    return
                left -= len(line)
                yield number, line
    except OSError as error:
        raise UsageError(f"{path}: it cannot be read: {error.strerror}.") from None


def _size(file: BinaryIO) -> int:
    """Return the file's size between two lines of whoever writes it; without patience for a writer that hangs."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
            continue
        except OSError:
            break  # some file systems know no locks
        size = os.fstat(file.fileno()).st_size
        fcntl.flock(file, fcntl.LOCK_UN)
        return size
    return os.fstat(file.fileno()).st_size
