"""The keys of an audit as CSV (RFC 4180), one line for each, for a spreadsheet.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, and a user's name may begin so:
such a cell gets an apostrophe in front ("CSV Injection", OWASP).
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from twokey.core import timestamps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from twokey.reports.audit import Audit, Key

COLUMNS = (
    *("account", "user", "path", "key_id", "status", "created", "last_used", "last_used_service", "last_used_region"),
    *("last_use_known", "role", "window", "breaks_at", "held_by", "findings"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def render(result: Audit) -> str:
    """Return the CSV text. The findings of a key are its own and those about its user."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    by_user: dict[tuple[str, str], list[tuple[datetime | None, str | None, str]]] = {}
    for one in result.findings:
        by_user.setdefault((one.account, one.user), []).append((one.key_created, one.key_id, one.id))
    for key in result.keys:
        mine = [rule for made, id_, rule in by_user.get((key.account, key.user), []) if _is_about(key, made, id_)]
        writer.writerow(map(_safe, (*_cells(key), " ".join(dict.fromkeys(mine)))))
    return text.getvalue()


def _is_about(key: Key, created: datetime | None, key_id: str | None) -> bool:
    """Return whether a finding with this key is about a key; one without a key is about all keys of its user."""
    if created is None and key_id is None:
        return True
    return created == key.created if created else key_id == key.key_id


def _cells(key: Key) -> Iterator[str]:
    use = key.last_used
    yield from (key.account, key.user, key.path, key.key_id or "", key.status, _time(key.created))
    yield from (_time(use.at), use.service or "", use.region or "") if use else ("", "", "")
    yield from ("true" if key.last_use_known else "false", key.role, key.window, _time(key.breaks_at))
    yield " ".join(key.held_by)


def _time(moment: datetime | None) -> str:
    return timestamps.utc(moment) if moment else ""


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
