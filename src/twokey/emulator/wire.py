"""Reads an HTTP request as AWS does: who signed it, for which service, which operation and parameters."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Dialect(Enum):
    """The protocols of AWS services, as far as their responses differ."""

    QUERY = "query"
    EC2 = "ec2"
    JSON = "json"
    REST_JSON = "rest-json"
    REST_XML = "rest-xml"
    S3 = "s3"


@dataclass(frozen=True)
class Incoming:
    """An HTTP request as it arrived. `headers` has lowercase names; `target` is the raw path and query."""

    method: str
    target: str
    headers: Mapping[str, str]
    raw_headers: Sequence[tuple[str, str]]
    body: bytes = field(repr=False)
    client_ip: str = "127.0.0.1"


@dataclass(frozen=True)
class Scope:
    """The fields of a SigV4 signature ("Signature Version 4 for API requests", IAM User Guide)."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str = field(repr=False)
    timestamp: str
    token: str | None = field(repr=False)
    expires: int | None = None  # seconds; only a presigned URL has it


@dataclass(frozen=True)
class Call:
    """A parsed request: `params` is the JSON object, or the flat form fields of the query protocol."""

    incoming: Incoming
    scope: Scope | None
    service: str
    operation: str
    dialect: Dialect
    region: str
    params: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Service and operation: `iam:CreateAccessKey`."""
        return f"{self.service}:{self.operation}"

    def members(self, name: str) -> list[str]:
        """The values of a list parameter of the query protocol (`ActionNames.member.1` and so on)."""
        members = ((key, value) for key, value in self.params.items() if key.startswith(f"{name}.member."))
        return [value for _, value in sorted(members, key=lambda pair: int(pair[0].rsplit(".", 1)[1]))]

    @property
    def source_ip(self) -> str:
        """The address of the client; tests override it with a header."""
        return self.incoming.headers.get("x-emulator-source-ip", self.incoming.client_ip)


_CREDENTIAL = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[^/,]+)/(?P<service>[^/,]+)/aws4_request"
    r"\s*,\s*SignedHeaders=(?P<headers>[^,\s]+)\s*,\s*Signature=(?P<signature>[0-9a-f]+)"
)
_REST_XML = frozenset({"route53", "cloudfront"})
_SIGNED_AS = {"ses": "sesv2"}
"""The services with REST that sign under another name than their model has."""
_BY_VERSION = {"2010-05-08": "iam", "2011-06-15": "sts"}
_BY_TARGET = {
    "secretsmanager": "secretsmanager",
    "AmazonSSM": "ssm",
    "TrentService": "kms",
    "DynamoDB_20120810": "dynamodb",
}


def read(incoming: Incoming) -> Call:
    """Parse a request; the service of one that is not signed is the most likely one."""
    scope = _header_scope(incoming) or _query_scope(incoming)
    form = _form(incoming)
    service = scope.service if scope else _guess_service(incoming, form)
    dialect = _dialect(incoming, service, form)
    params, operation = _params_and_operation(incoming, dialect, form, service)
    return Call(
        incoming=incoming,
        scope=scope,
        service=service,
        operation=operation,
        dialect=dialect,
        region=scope.region if scope else "us-east-1",
        params=params,
    )


def _header_scope(incoming: Incoming) -> Scope | None:
    match = _CREDENTIAL.match(incoming.headers.get("authorization", ""))
    if match is None:
        return None
    return Scope(
        access_key_id=match["key"],
        date=match["date"],
        region=match["region"],
        service=match["service"],
        signed_headers=tuple(match["headers"].split(";")),
        signature=match["signature"],
        timestamp=incoming.headers.get("x-amz-date", ""),
        token=incoming.headers.get("x-amz-security-token"),
    )


def _query_scope(incoming: Incoming) -> Scope | None:
    fields = dict(parse_qsl(urlsplit(incoming.target).query, keep_blank_values=True))
    parts = fields.get("X-Amz-Credential", "").split("/")
    if len(parts) != 5 or "X-Amz-Signature" not in fields:
        return None
    expires = fields.get("X-Amz-Expires", "900")
    return Scope(
        access_key_id=parts[0],
        date=parts[1],
        region=parts[2],
        service=parts[3],
        signed_headers=tuple(fields.get("X-Amz-SignedHeaders", "host").split(";")),
        signature=fields["X-Amz-Signature"],
        timestamp=fields.get("X-Amz-Date", ""),
        token=fields.get("X-Amz-Security-Token"),
        expires=int(expires) if expires.isdigit() else 0,
    )


def _form(incoming: Incoming) -> dict[str, str]:
    """The fields of the query protocol, from the body or (a presigned GET) from the URL."""
    if incoming.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(incoming.body.decode(errors="replace"), keep_blank_values=True))
    fields = dict(parse_qsl(urlsplit(incoming.target).query, keep_blank_values=True))
    return fields if "Action" in fields else {}


def _guess_service(incoming: Incoming, form: Mapping[str, str]) -> str:
    prefix = incoming.headers.get("x-amz-target", "").split(".")[0]
    return _BY_TARGET.get(prefix) or _BY_VERSION.get(form.get("Version", "")) or "s3"


def _dialect(incoming: Incoming, service: str, form: Mapping[str, str]) -> Dialect:
    if "x-amz-target" in incoming.headers:
        return Dialect.JSON
    if "Action" in form:
        return Dialect.EC2 if service == "ec2" else Dialect.QUERY
    if service == "s3":
        return Dialect.S3
    return Dialect.REST_XML if service in _REST_XML else Dialect.REST_JSON


def _params_and_operation(
    incoming: Incoming, dialect: Dialect, form: Mapping[str, str], service: str
) -> tuple[Mapping[str, Any], str]:
    if dialect in (Dialect.QUERY, Dialect.EC2):
        return form, form.get("Action", "")
    if dialect is Dialect.JSON:
        return _json_object(incoming.body), incoming.headers["x-amz-target"].rsplit(".", 1)[-1]
    return _json_object(incoming.body), _rest_operation(incoming, service)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _rest_operation(incoming: Incoming, service: str) -> str:
    """The operation of a service that encodes it in method and path, by moto's router; empty if unknown."""
    from moto.core.request import Request as MotoRequest
    from moto.core.routing import get_service_router
    from werkzeug.exceptions import NotFound

    from twokey.aws.isolated import UnknownServiceError

    url = f"http://{incoming.headers.get('host', 'localhost')}{incoming.target}"
    request = MotoRequest.from_primitives(incoming.method, url, dict(incoming.headers), b"")
    try:
        operation, _ = get_service_router(_SIGNED_AS.get(service, service)).match(request)
    except (NotFound, NotImplementedError, UnknownServiceError):
        return ""
    return str(operation.name)


def bucket_and_key(call: Call) -> tuple[str, str]:
    """The bucket and the object's key of a path-style S3 request; either may be empty."""
    path = unquote(urlsplit(call.incoming.target).path).lstrip("/")
    bucket, _, key = path.partition("/")
    return bucket, key
