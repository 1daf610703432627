"""The evidence: complete, the same in both files, and no text in it can pretend to be another part of the page."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import jsonschema
import msgspec

from twokey.revocation import evidence
from twokey.revocation.evidence import Change, Delivery, EvidenceDocument, LeakedKey, Left, Session, UserRecord

AT = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
LATER = datetime(2026, 6, 1, 12, 0, 9, tzinfo=UTC)
ROLE = "arn:aws:iam::123456789012:role/deploy"


def user(name: str = "ci", **fields: Any) -> UserRecord:
    given = {
        "account": "123456789012",
        "user": name,
        "path": "/machine-users/",
        "power": "an administrator",
        "leaked": [LeakedKey("AKIALEAKED", AT, "request-1")],
        "outcome": "revoked",
        "message": "Done.",
        "current": "AKIANEW",
        "removed": [],
        "destinations": [Delivery("github:acme/site", "delivered")],
        "sessions": [Session(ROLE, "ended", "twokey-revoked")],
    }
    return UserRecord(**{**given, **fields})


def document(*users: UserRecord, left: tuple[Left, ...] = ()) -> EvidenceDocument:
    return EvidenceDocument(
        1,
        "twokey revoke ci",
        "run1",
        "1.0",
        "123456789012",
        "arn:aws:iam::123456789012:user/responder",
        AT,
        LATER,
        list(users),
        list(left),
        [Change(AT, "iam:UpdateAccessKey", "ci AKIALEAKED Inactive", "request-1", "")],
    )


def page(found: EvidenceDocument) -> str:
    return evidence.as_markdown(found, "revoke.json", evidence.digest(evidence.as_json(found)))


def test_the_page_says_what_was_done_when_by_which_identity_and_with_which_requests() -> None:
    text = page(document(user()))
    row = "| ci | an administrator | `AKIALEAKED` | 2026-06-01T12:00:00Z | `request-1` | `AKIANEW` | revoked |"
    assert row in text.splitlines()
    assert "- By: `arn:aws:iam::123456789012:user/responder`, account `123456789012`" in text
    assert "- Leaked keys: 1; Inactive: 1, the last of them since 2026-06-01T12:00:00Z" in text
    assert "- Left to do now: nothing" in text
    assert (
        "| 2026-06-01T12:00:00Z | `iam:UpdateAccessKey` | `ci AKIALEAKED Inactive` | `request-1` | ok |"
        in text.splitlines()
    )
    assert f"| ci | `{ROLE}` | ended |" in text.splitlines()


def test_what_follows_the_incident_is_named_with_its_commands() -> None:
    lines = page(document(user(), user(leaked=[LeakedKey("AKIAGONE", AT)], removed=["AKIAGONE"]))).splitlines()
    later = lines[lines.index("## Later") + 2 :]
    assert "Once it is not needed as evidence: `twokey revoke AKIALEAKED --delete`" in later[0]
    assert "36 hours later at most: `twokey revoke --lift`" in later[1]
    assert "AKIAGONE --delete" not in "\n".join(lines)


def test_nothing_follows_where_no_key_is_kept_and_no_session_was_ended() -> None:
    assert "## Later" not in page(document(user(removed=["AKIALEAKED"], sessions=[])))


def test_what_is_left_comes_first_with_the_command_that_continues() -> None:
    failed = user(leaked=[LeakedKey("AKIALEAKED", None, message="AWS denied it.")], outcome="failed", current="")
    text = page(document(failed, left=(Left("ci", "AKIALEAKED still works.", "twokey revoke AKIALEAKED"),)))
    assert "- **ci**: AKIALEAKED still works. Next: `twokey revoke AKIALEAKED`" in text.splitlines()
    assert text.index("## Left to do now") < text.index("## Keys")
    assert "not Inactive: AWS denied it." in text
    assert "- Leaked keys: 1; Inactive: 0\n" in text


def test_a_policy_that_is_to_be_put_on_roles_is_there_once_with_all_of_them() -> None:
    policy = '{"Statement": []}'
    denied = [Session(f"{ROLE}-{number}", "denied", policy, "AWS denied it.") for number in range(2)]
    lines = page(document(user(sessions=denied), user("other", sessions=denied[:1]))).splitlines()
    assert lines.count(policy) == 1
    begin = lines.index("## Policies to put on roles")
    assert lines[begin + 2 : begin + 7] == [f"- `{ROLE}-0`", f"- `{ROLE}-1`", "", "```json", policy]


def test_the_page_names_the_json_file_by_its_digest() -> None:
    found = document(user())
    assert f"`{hashlib.sha256(evidence.as_json(found).encode()).hexdigest()}`" in page(found)


def test_text_of_a_service_cannot_add_a_row_or_a_heading_or_html() -> None:
    hostile = "no\u202e\n\n# Fine | `x` | <script>alert(1)</script> [a](b)"
    text = page(document(user(destinations=[Delivery("github:acme/site", "failed", hostile)])))
    assert "\n# Fine" not in text
    assert "\ufffd" in text
    assert r" \# Fine \| \`x\` \| \<script\>alert(1)\</script\> \[a\](b) |" in text


def test_the_document_keeps_to_its_schema_and_reads_back_the_same() -> None:
    found = document(user(), user("other", sessions=[]), left=(Left("ci", "x", ""),))
    text = evidence.as_json(found)
    jsonschema.Draft202012Validator(evidence.schema()).validate(json.loads(text))
    assert msgspec.json.decode(text, type=EvidenceDocument) == found
