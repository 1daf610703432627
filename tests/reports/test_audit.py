"""The result of an audit as a document: it is read back as it was, or refused with a reason."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from twokey.reports import audit

NOW = datetime(2026, 11, 29, 8, 30, tzinfo=UTC)
KEY = "AKIAQLJXKJ3B7CURRENT"


def result(**changes: Any) -> audit.Audit:
    """Return a result with one key, and a finding whose message names it."""
    key = audit.Key(
        "123456789012", "ci", "/", KEY, "Active", NOW, None, False, "current", "kept", NOW, ["file:keys/ci.json"]
    )
    finding = audit.Finding("TK701", "high", "123456789012", "ci", "arn", f"{KEY} is old.", "", KEY, ["CIS-1.14"])
    values: dict[str, Any] = {
        "version": audit.VERSION,
        "account": "123456789012",
        "generated": NOW,
        "report_generated": None,
        "complete": True,
        "users": [],
        "keys": [key],
        "findings": [finding],
        "summary": audit.summary([finding]),
        "warnings": [],
    }
    return audit.Audit(**(values | changes))


def test_a_document_is_read_back_as_it_was_written() -> None:
    assert audit.decode(msgspec.json.encode(result())) == result()


@pytest.mark.parametrize("absurd", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize("field", ["generated", "created", "breaks_at"])
def test_a_moment_beyond_every_calendar_is_no_result(field: str, absurd: str) -> None:
    text = re.sub(rf'"{field}":"[^"]*"', f'"{field}":"{absurd}"', msgspec.json.encode(result()).decode())
    with pytest.raises(ValueError, match=r"^expected moments in the years 1970 to 9899, got one in the year (1|9999)$"):
        audit.decode(text)


def test_a_later_version_of_the_format_is_refused_and_named() -> None:
    later = msgspec.json.encode(result(version=2)).replace(b'"keys"', b'"something"')
    with pytest.raises(ValueError, match="it has version 2 of the format, and this twokey reads version 1: update"):
        audit.decode(later)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}', b"\xff"])
def test_what_is_no_result_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"^expected a result of twokey audit --json: "):
        audit.decode(text)


def test_a_redacted_document_has_no_whole_key_id_in_messages_either() -> None:
    redacted = audit.redact(result())
    assert KEY not in msgspec.json.encode(redacted).decode()
    assert redacted.keys[0].key_id == "AKIA...RENT"
    assert redacted.findings[0].message == "AKIA...RENT is old."


@pytest.mark.parametrize("text", ["file:ci_{}", "line\n{}", "x{}x", "\x1b{}", "é{}_"])
def test_a_key_id_is_redacted_whatever_is_beside_it(text: str) -> None:
    warned = msgspec.structs.replace(result(), warnings=[text.format(KEY)])
    assert audit.redact(warned).warnings == [text.format("AKIA...RENT")]


def test_the_summary_names_every_severity_the_most_severe_first() -> None:
    assert list(audit.summary(result().findings).items()) == [("critical", 0), ("high", 1), ("medium", 0), ("low", 0)]
