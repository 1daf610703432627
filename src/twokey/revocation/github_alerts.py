"""What GitHub's secret scanning reports, as its webhooks send it: believed only with a signature that is verified.

Two schemes. Alerts for partners are signed with GitHub's own key (ECDSA on P-256 with SHA-256; GitHub publishes the
public keys). The webhooks of a repository or organization are signed with a secret that the two sides share (HMAC with
SHA-256). Alerts for partners have the key itself; the webhooks' alerts name the kind of secret and the alert, not the
key. A replayed request reports what is known already, so its time does not matter.

Sources: "Secret scanning partner program", "Validating webhook deliveries", "Webhook events and payloads"
(secret_scanning_alert, secret_scanning_alert_location), GitHub Docs; schema "secret-scanning-alert-webhook", GitHub's
OpenAPI description.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.core.errors import Failed, UsageError
from twokey.revocation.reported import Reported, Reports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

EXTRA = "github-app"
"""The extra with the package for signatures."""
KEY_ID, SIGNATURE, HMAC = "github-public-key-identifier", "github-public-key-signature", "x-hub-signature-256"
_ID = re.compile(r"A[KS]IA[A-Z0-9]{16}")
_HEADER = re.compile(rb"([A-Za-z0-9-]+):[ \t]*([^\r\n]*)\r?\n")
_REQUEST = re.compile(rb"POST [^\r\n]*\r?\n")
_SAFE_URL = re.compile(r"https://[!-~]{1,400}")
_ENDED = ("resolved",)


@dataclass(frozen=True, slots=True)
class Message:
    """A request of a webhook: its headers, with lowercase names, and exactly the bytes of its body."""

    name: str
    headers: Mapping[str, str]
    body: bytes


def message(name: str, content: bytes) -> Message | None:
    """Return the request in a file: as HTTP writes it, or as AWS Lambda passes it on. None if it is another document.

    An HTTP message may begin with its request line; a line break at the end of the file does not belong to the body.
    """
    if content[:1] in (b"{", b"["):
        return _of_lambda(name, content)
    start = _REQUEST.match(content)
    at = start.end() if start else 0
    headers = {}
    while header := _HEADER.match(content, at):
        headers[header[1].decode("ascii").lower()] = header[2].decode("latin-1").strip()
        at = header.end()
    if not headers:
        return None
    end = re.compile(rb"\r?\n").match(content, at)
    return Message(name, headers, content[end.end() if end else at :])


def _of_lambda(name: str, content: bytes) -> Message | None:
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    headers, body = document.get("headers"), document.get("body")
    if not isinstance(headers, dict) or not isinstance(body, str):
        return None
    try:
        data = base64.b64decode(body, validate=True) if document.get("isBase64Encoded") else body.encode()
    except binascii.Error:
        return None
    return Message(name, {str(key).lower(): str(value) for key, value in headers.items()}, data)


def read(request: Message, public_keys: Callable[[], Mapping[str, str]], secret: Callable[[], str]) -> Reports:
    """Return what a request reports, once its signature is verified.

    ``public_keys`` returns GitHub's keys as PEM, by their identifiers; ``secret`` is that of the webhook. Raises
    ``Failed`` for a request that is not signed, or not by GitHub, and ``UsageError`` for what is no alert.
    """
    if SIGNATURE in request.headers:
        _verify_partner(request, public_keys)
        return _partner(request)
    if HMAC in request.headers:
        _verify_hmac(request, secret())
        return _webhook(request)
    raise _refused(request, "it has no signature of GitHub")


def refuse_without_signatures() -> None:
    """Raise ``UsageError`` unless the package that verifies signatures is installed."""
    if find_spec("cryptography") is None:
        raise UsageError(
            "An alert of GitHub's partner program is signed, but the package cryptography is not installed.",
            state="The alert was not believed.",
            remedy=f"Install twokey with the extra `{EXTRA}`: from a checkout, pip install '.[{EXTRA}]'.",
        )


def _bodies(request: Message) -> tuple[bytes, ...]:
    """Return the body, and the body without the line break with which an editor ends a file."""
    shorter = request.body.removesuffix(b"\n").removesuffix(b"\r")
    return tuple(dict.fromkeys((request.body, shorter)))


def _verify_partner(request: Message, public_keys: Callable[[], Mapping[str, str]]) -> None:
    refuse_without_signatures()
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    name = request.headers.get(KEY_ID, "")
    pem = public_keys().get(name)
    if pem is None:
        raise _refused(request, "it is signed with a key that GitHub does not publish")
    try:
        key = load_pem_public_key(pem.encode())
        signature = base64.b64decode(request.headers[SIGNATURE], validate=True)
    except (ValueError, UnsupportedAlgorithm):
        raise _refused(request, "its signature, or the public key, is malformed") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _refused(request, "the public key is not one of the curve P-256")
    for body in _bodies(request):
        try:
            key.verify(signature, body, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            continue
        return
    raise _refused(request, "its signature does not fit its body")


def _verify_hmac(request: Message, secret: str) -> None:
    signature = request.headers[HMAC]
    for body in _bodies(request):
        expected = f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"
        if hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
            return
    raise _refused(request, "its signature does not fit its body and the secret of the webhook")


def _refused(request: Message, why: str) -> Failed:
    return Failed(
        f"--event: {request.name} is not believed: {why}.",
        state="Nothing in it counts: a leak may be unseen.",
        remedy="Give it the request as GitHub sent it, with all headers and exactly the bytes of its body.",
    )


def _partner(request: Message) -> Reports:
    document = _decoded(request)
    if not isinstance(document, list):
        raise _no_alert(request)
    found, notes = [], []
    for one in document:
        token, kind, url = (_text(one, name) for name in ("token", "type", "url"))
        named = _ID.fullmatch(token)
        if named:
            found.append(Reported("TK831", "GitHub's secret scanning", token, where=_url(url)))
        elif _is_aws(kind):
            found.append(Reported("TK832", f"GitHub's secret scanning reports {_kind(kind)}", where=_url(url)))
        else:
            notes.append(f"{request.name}: GitHub reports a secret of the kind {_kind(kind)}, not a key of AWS.")
    return Reports(tuple(found), tuple(notes))


def _webhook(request: Message) -> Reports:
    document = _decoded(request)
    alert = document.get("alert") if isinstance(document, dict) else None
    if not isinstance(alert, dict):
        raise _no_alert(request)
    kind, action = _text(alert, "secret_type"), _text(document, "action")
    if not _is_aws(kind):
        return Reports((), (f"{request.name}: GitHub's alert is about {_kind(kind)}, not about a key of AWS.",))
    if action in _ENDED:
        return Reports((), (f"{request.name}: GitHub's alert about {_kind(kind)} was resolved.",))
    where = ", ".join(filter(None, (_url(_text(alert, "html_url")), _location(document.get("location")))))
    ids = dict.fromkeys(_ids(alert))
    if ids:
        return Reports(tuple(Reported("TK831", "GitHub's secret scanning", key_id, where=where) for key_id in ids))
    public = " that is public" if alert.get("publicly_leaked") is True else ""
    return Reports((Reported("TK832", f"GitHub's secret scanning reports {_kind(kind)}{public}", where=where),))


def _ids(alert: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids that an alert names: GitHub's REST API returns the secret, the webhook today does not."""
    for name in ("secret", "token"):
        yield from _ID.findall(_text(alert, name))


def _location(node: Any) -> str:
    details = node.get("details") if isinstance(node, dict) else None
    path, commit = _text(details, "path"), _text(details, "commit_sha")
    line = details.get("start_line") if isinstance(details, dict) else None
    if not path:
        return ""
    return f"{path}{f':{line}' if isinstance(line, int) else ''}{f' in commit {commit[:12]}' if commit else ''}"


def _decoded(request: Message) -> Any:
    try:
        return msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _no_alert(request) from None


def _no_alert(request: Message) -> UsageError:
    return UsageError(
        f"--event: {request.name}: expected an alert of GitHub's secret scanning, got another message of GitHub.",
        state="Nothing was called.",
        remedy="Let the webhook send the events secret_scanning_alert and secret_scanning_alert_location, as JSON.",
    )


def _is_aws(kind: str) -> bool:
    return "aws" in kind.lower() or "amazon" in kind.lower()


def _kind(kind: str) -> str:
    return kind if re.fullmatch(r"[\w.-]{1,80}", kind, re.ASCII) else "an unknown kind"


def _url(text: str) -> str:
    return text if _SAFE_URL.fullmatch(text) else ""


def _text(node: Any, name: str) -> str:
    value = node.get(name) if isinstance(node, dict) else None
    return value if isinstance(value, str) else ""
