"""Reads an audit log line by line and checks each line against the chain: numbers, hashes, incomplete lines."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from twokey.audit_log import records
from twokey.audit_log.log import LONGEST
from twokey.core.errors import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twokey.reports.documents import AuditRule

PATIENCE = 2.0
"""Seconds to wait for a writer to finish its line."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation in a line, and the rule that it violates."""

    line: int
    rule: AuditRule
    message: str


@dataclass(frozen=True, slots=True)
class Link:
    """A complete line; ``finding`` is the violation of the chain, if it does not follow the line before it."""

    line: int
    record: records.Record
    hash: str
    finding: Finding | None = None


def links(path: Path) -> Iterator[Link | Finding]:
    """Return each line as a link, or the finding if it is damaged; raises ``UsageError`` if the file cannot be read.

    A damaged line does not end the reading: the next line is checked against what this one should have been.
    """
    seq, head = 0, records.NO_HASH
    for number, line in _lines(path):
        link = _link(number, line, seq, head)
        yield link
        seq += 1
        if isinstance(link, Link):
            seq, head = link.record.seq, link.hash
        else:
            head = ""


def _link(number: int, line: bytes, seq: int, head: str) -> Link | Finding:
    if not line.endswith(b"\n"):
        return Finding(
            number,
            "chain",
            f"line {number} is incomplete. A crash leaves such a line, and the next run then adds a record of it; "
            "truncating the file also leaves one.",
        )
    torn, sealed = records.split(line[:-1])
    try:
        record, digest = records.unseal(sealed)
    except records.Damaged as damage:
        return Finding(number, "chain", f"line {number}: {damage}.")
    if isinstance(record, records.Torn) != bool(torn):
        return Finding(number, "chain", f"line {number}: its incomplete part does not match the record of it.")
    if isinstance(record, records.Torn) and (record.bytes, record.sha256) != (len(torn), records.digest_of(torn)):
        return Finding(number, "chain", f"line {number}: its incomplete part was changed.")
    return Link(number, record, digest, _out_of_chain(number, record, seq, head))


def _out_of_chain(number: int, record: records.Record, seq: int, head: str) -> Finding | None:
    """Return why a line does not follow the one before it. An empty ``head`` means that that line is damaged."""
    if record.seq != seq + 1:
        position = f"between lines {number - 1} and {number}" if number > 1 else "before line 1"
        if record.seq > seq + 1:
            missing = record.seq - seq - 1
            lines = "1 line is" if missing == 1 else f"{missing} lines are"
            return Finding(number, "chain", f"line {number}: {lines} missing {position}.")
        return Finding(
            number, "chain", f"line {number}: it was written as line {record.seq}, and was moved or inserted."
        )
    if head and record.prev != head:
        return Finding(number, "chain", f"line {number}: it was written after a different line than the one before it.")
    if isinstance(record, records.Opened) != (number == 1):
        return Finding(number, "chain", f"line {number}: a log has exactly one line `opened`, its first.")
    if isinstance(record, records.Opened) and record.format != records.FORMAT:
        return Finding(
            number,
            "chain",
            f"line 1: this version of twokey reads format {records.FORMAT}; the file has format {record.format}.",
        )
    return None


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Return the lines that the file has now, numbered from 1. Lines that are appended meanwhile are not read."""
    try:
        with path.open("rb") as file:
            remaining = _size(file)
            number = 0
            while remaining > 0:
                number += 1
                line = file.readline(min(remaining, 2 * LONGEST))
                if not line:
                    return
                remaining -= len(line)
                yield number, line
    except OSError as error:
        raise unreadable(path, error) from None


def _size(file: BinaryIO) -> int:
    """Return the file's size while no writer is within a line; wait only ``PATIENCE`` seconds for a writer."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
            continue
        except OSError:
            break  # some file systems have no locks
        size = os.fstat(file.fileno()).st_size
        fcntl.flock(file, fcntl.LOCK_UN)
        return size
    return os.fstat(file.fileno()).st_size
