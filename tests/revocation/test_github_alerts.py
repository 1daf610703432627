"""An alert of GitHub counts only with GitHub's signature: made here with a key and a secret of the test's own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from support.github_alerts import partner, pem
from twokey.core.errors import Failed, UsageError
from twokey.revocation import github_alerts
from twokey.revocation.reported import Reported, Reports

KEY = "AKIARZPUZDIKDS4GJPMX"
URL = "https://github.com/acme/site/blob/12345600b9cbe38a219f39a9941c9319b600c002/foo/bar.txt"
SECRET = "a-secret-of-the-webhook"
PEM = pem()


def webhook(body: bytes, secret: str = SECRET) -> bytes:
    """The request as a webhook of a repository sends it."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return f"X-GitHub-Event: secret_scanning_alert\nX-Hub-Signature-256: sha256={digest}\n\n".encode() + body


def read(content: bytes, key: str = PEM) -> Reports:
    message = github_alerts.message("alert", content)
    assert message is not None
    return github_alerts.read(message, lambda: {"k1": key}, lambda: SECRET)


def alert(**fields: Any) -> bytes:
    document = {"action": "created", "alert": {"secret_type": "aws_access_key_id", "html_url": URL}, **fields}
    return json.dumps(document).encode()


TOKENS = json.dumps(
    [{"token": KEY, "type": "aws_access_key_id", "url": URL}, {"token": "x" * 40, "type": "aws_secret", "url": URL}]
).encode()


class TestAnAlertForPartners:
    @pytest.mark.parametrize("end", ["\r\n", "\n"])
    def test_names_the_key_and_where_it_is_and_never_shows_a_secret(self, end: str) -> None:
        found = read(partner(TOKENS, end=end))
        assert found.reported == (
            Reported("TK831", "GitHub's secret scanning", KEY, where=URL),
            Reported("TK832", "GitHub's secret scanning reports aws_secret", where=URL),
        )
        assert "x" * 40 not in str(found)

    def test_counts_also_from_a_file_that_an_editor_ended_with_a_line_break(self) -> None:
        assert len(read(partner(TOKENS) + b"\n").reported) == 2

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (partner(TOKENS).replace(KEY.encode(), b"AKIARZPUZDIKDS4GJPMY"), "does not fit its body"),
            (partner(TOKENS, signer=ec.derive_private_key(4712, ec.SECP256R1())), "does not fit its body"),
            (partner(TOKENS, name="k2"), "a key that GitHub does not publish"),
            (b"Github-Public-Key-Identifier: k1\nGithub-Public-Key-Signature: !\n\n[]", "malformed"),
            (b"Content-Type: application/json\n\n" + TOKENS, "it has no signature of GitHub"),
        ],
    )
    def test_with_another_signature_or_none_is_not_believed(self, content: bytes, why: str) -> None:
        with pytest.raises(Failed, match="is not believed") as refused:
            read(content)
        assert why in refused.value.message

    def test_is_not_believed_on_another_curve(self) -> None:
        other = ec.derive_private_key(4711, ec.SECP384R1())
        with pytest.raises(Failed, match="not one of the curve P-256"):
            read(partner(TOKENS, signer=other), pem(other))


class TestAnAlertOfAWebhook:
    def test_says_where_a_key_is_that_it_does_not_name(self) -> None:
        details = {"path": "deploy/.env", "start_line": 7, "commit_sha": "f14d7debf9775f957cf4f1e8176da0786431f72b"}
        [one] = read(webhook(alert(location={"type": "commit", "details": details}))).reported
        assert one.rule == "TK832"
        assert one.where == f"{URL}, deploy/.env:7 in commit f14d7debf977"

    def test_names_the_key_where_it_has_it(self) -> None:
        found = read(webhook(alert(alert={"secret_type": "aws_access_key_id", "secret": KEY}))).reported
        assert found == (Reported("TK831", "GitHub's secret scanning", KEY),)

    def test_that_was_resolved_or_is_about_another_secret_is_said(self) -> None:
        assert "was resolved" in read(webhook(alert(action="resolved"))).notes[0]
        assert "not about a key of AWS" in read(webhook(alert(alert={"secret_type": "slack_token"}))).notes[0]

    def test_with_another_signature_is_not_believed(self) -> None:
        with pytest.raises(Failed, match="the secret of the webhook"):
            read(webhook(alert(), "another"))
        with pytest.raises(Failed, match="the secret of the webhook"):
            read(webhook(alert()).replace(b"created", b"deleted"))

    def test_that_is_none_is_a_mistake(self) -> None:
        for body in (b'{"zen": "x"}', b"[]", b"nonsense"):
            with pytest.raises(UsageError, match="expected an alert of GitHub's secret scanning, got another message"):
                read(webhook(body))


def test_a_request_that_lambda_passes_on_is_read_with_its_headers() -> None:
    body = alert()
    headers = {"x-hub-signature-256": f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}"}
    encoded = {"headers": headers, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    for document in ({"headers": headers, "body": body.decode()}, encoded):
        assert len(read(json.dumps(document).encode()).reported) == 1


@pytest.mark.parametrize("content", [b"", b"{}", b'{"headers": 1}', b"nothing", b"\n\n"])
def test_another_document_is_no_request(content: bytes) -> None:
    assert github_alerts.message("x", content) is None
