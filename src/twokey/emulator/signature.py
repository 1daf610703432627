"""Checks SigV4 signatures with botocore's own signer, so that what a real client signs is what is expected."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from twokey.emulator import refusals
from twokey.emulator.wire import Dialect

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from botocore.compat import HTTPHeaders

    from twokey.emulator.wire import Call, Scope

_TIMESTAMP = "%Y%m%dT%H%M%SZ"


def check_time(call: Call, now: datetime) -> None:
    """Raise unless the request was signed within 5 minutes (S3: 15) of `now`, or its presigned URL still holds.

    The limits: "Signature Version 4 for API requests", IAM User Guide; RequestTimeTooSkewed of S3.
    """
    scope = call.scope
    if scope is None:
        raise refusals.unsigned(call)
    signed = _parse(scope.timestamp)
    if signed is None or scope.timestamp[:8] != scope.date:
        raise refusals.wrong_signature(
            call, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date"
        )
    limit = timedelta(minutes=15 if call.dialect is Dialect.S3 else 5)
    oldest = now - (timedelta(seconds=scope.expires) if scope.expires is not None else limit)
    if signed < oldest:
        raise refusals.wrong_time(call, _sentence("Signature expired", signed, "earlier", oldest, now, "-"))
    if signed > now + limit:
        raise refusals.wrong_time(call, _sentence("Signature not yet current", signed, "later", now + limit, now, "+"))


def _parse(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, _TIMESTAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def _sentence(what: str, signed: datetime, how: str, limit: datetime, now: datetime, sign: str) -> str:
    stamp = (f"{moment:%Y%m%dT%H%M%SZ}" for moment in (signed, limit, now))
    first, second, third = stamp
    return f"{what}: {first} is now {how} than {second} ({third} {sign} 5 min.)"


def check_signature(call: Call, secret: str) -> None:
    """Raise unless the request is signed with `secret`, body included."""
    scope = call.scope
    if scope is None:
        raise refusals.unsigned(call)
    request = _signed_part(call, scope)
    signer = _signer(scope, secret, plain_path=call.dialect is Dialect.S3)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    if not hmac.compare_digest(signer.signature(text, request), scope.signature):
        raise refusals.wrong_signature(call)
    _check_body(call)


def _signed_part(call: Call, scope: Scope) -> AWSRequest:
    """The request reduced to the headers that the client signed."""
    from botocore.awsrequest import AWSRequest

    headers = {name: call.incoming.headers.get(name, "") for name in scope.signed_headers}
    if scope.expires is not None:
        headers.pop("x-amz-content-sha256", None)
    url = f"http://{call.incoming.headers.get('host', '')}{_unsigned_target(call, scope)}"
    request = AWSRequest(method=call.incoming.method, url=url, headers=headers, data=call.incoming.body)
    request.context["timestamp"] = scope.timestamp
    declared = call.incoming.headers.get("x-amz-content-sha256")
    request.context["payload"] = declared or _payload(call, presigned=scope.expires is not None)
    return request


def _payload(call: Call, *, presigned: bool) -> str:
    if presigned and call.dialect is Dialect.S3:
        return "UNSIGNED-PAYLOAD"
    return sha256(call.incoming.body).hexdigest()


def _unsigned_target(call: Call, scope: Scope) -> str:
    """The path and query without a presigned URL's own signature."""
    if scope.expires is None:
        return call.incoming.target
    parts = urlsplit(call.incoming.target)
    kept = [(key, value) for key, value in parse_qsl(parts.query, True) if key != "X-Amz-Signature"]
    return f"{parts.path}?{urlencode(kept).replace('+', '%20')}"


def _check_body(call: Call) -> None:
    declared = call.incoming.headers.get("x-amz-content-sha256", "")
    if len(declared) == 64 and declared != sha256(call.incoming.body).hexdigest():
        raise refusals.wrong_signature(call)


def _signer(scope: Scope, secret: str, *, plain_path: bool) -> Any:
    from botocore.credentials import Credentials

    kind = _verifier_class()
    return kind(Credentials(scope.access_key_id, secret), scope.service, scope.region, plain_path=plain_path)


_classes: list[Any] = []


def _verifier_class() -> Any:
    """botocore's signer, told to sign exactly what the client says it signed (made late: botocore is slow to load)."""
    if _classes:
        return _classes[0]
    from botocore.auth import SigV4Auth
    from botocore.compat import HTTPHeaders as Headers

    class Verifier(SigV4Auth):
        def __init__(self, credentials: object, service: str, region: str, *, plain_path: bool) -> None:
            super().__init__(credentials, service, region)  # type: ignore[arg-type]
            self._plain_path = plain_path

        def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
            headers = Headers()
            for name, value in request.headers.items():
                headers[name.lower()] = value
            return headers

        def payload(self, request: AWSRequest) -> str:
            return str(request.context["payload"])

        def _normalize_url_path(self, path: str) -> str:
            return path if self._plain_path else str(super()._normalize_url_path(path))  # type: ignore[misc]

    _classes.append(Verifier)
    return Verifier
