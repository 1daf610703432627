"""Checks the time and the SigV4 signature of a request, and that its body is the one that was signed."""

from __future__ import annotations

import hmac
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from twokey.core.timestamps import compact, of_compact
from twokey.emulator import errors
from twokey.emulator.wire import Dialect

if TYPE_CHECKING:
    from datetime import datetime

    from twokey.aws.sigv4 import SignedPart
    from twokey.emulator.wire import Call, Scope


def check_time(call: Call, now: datetime) -> None:
    """Raise unless the request was signed within 5 minutes (S3: 15) of `now`, or its presigned URL has not expired.

    The limits: "Signature Version 4 for API requests", IAM User Guide; RequestTimeTooSkewed of S3.
    """
    scope = call.scope
    if scope is None:
        raise errors.unsigned(call)
    signed = of_compact(scope.timestamp)
    if signed is None or scope.timestamp[:8] != scope.date:
        raise errors.wrong_signature(
            call, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date"
        )
    limit = timedelta(minutes=15 if call.dialect is Dialect.S3 else 5)
    oldest = now - (timedelta(seconds=scope.expires) if scope.expires is not None else limit)
    if signed < oldest:
        raise errors.wrong_time(call, _message("Signature expired", signed, "earlier", oldest, now, "-"))
    if signed > now + limit:
        raise errors.wrong_time(call, _message("Signature not yet current", signed, "later", now + limit, now, "+"))


def _message(problem: str, signed: datetime, relation: str, limit: datetime, now: datetime, sign: str) -> str:
    first, second, third = (compact(moment) for moment in (signed, limit, now))
    return f"{problem}: {first} is now {relation} than {second} ({third} {sign} 5 min.)"


def check_signature(call: Call, secret: str) -> None:
    """Raise unless the request, body included, is signed with `secret`."""
    from twokey.aws.sigv4 import signature

    scope = call.scope
    if scope is None:
        raise errors.unsigned(call)
    expected = signature(
        _signed_part(call, scope),
        key_id=scope.access_key_id,
        secret=secret,
        region=scope.region,
        service=scope.service,
    )
    if not hmac.compare_digest(expected, scope.signature):
        raise errors.wrong_signature(call)
    _check_body(call)


def _signed_part(call: Call, scope: Scope) -> SignedPart:
    """The request with only the headers that the client signed."""
    from twokey.aws.sigv4 import SignedPart

    incoming = call.incoming
    headers = {name: incoming.headers.get(name, "") for name in scope.signed_headers}
    if scope.expires is not None:
        headers.pop("x-amz-content-sha256", None)
    declared = incoming.headers.get("x-amz-content-sha256")
    return SignedPart(
        method=incoming.method,
        url=f"http://{incoming.headers.get('host', '')}{_unsigned_target(call, scope)}",
        headers=headers,
        payload=declared or _payload(call, presigned=scope.expires is not None),
        timestamp=scope.timestamp,
        normalize_path=call.dialect is not Dialect.S3,
        body=incoming.body,
    )


def _payload(call: Call, *, presigned: bool) -> str:
    if presigned and call.dialect is Dialect.S3:
        return "UNSIGNED-PAYLOAD"
    return sha256(call.incoming.body).hexdigest()


def _unsigned_target(call: Call, scope: Scope) -> str:
    """The path and query, without the signature that a presigned URL contains."""
    if scope.expires is None:
        return call.incoming.target
    parts = urlsplit(call.incoming.target)
    kept = [(key, value) for key, value in parse_qsl(parts.query, True) if key != "X-Amz-Signature"]
    return f"{parts.path}?{urlencode(kept).replace('+', '%20')}"


def _check_body(call: Call) -> None:
    declared = call.incoming.headers.get("x-amz-content-sha256", "")
    if len(declared) == 64 and declared != sha256(call.incoming.body).hexdigest():
        raise errors.wrong_signature(call)
