"""Responses and errors in the format of each AWS protocol."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from twokey.core.timestamps import utc, zoned
from twokey.emulator.wire import Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.emulator.wire import Call

_NAMESPACES = {
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}


@dataclass(frozen=True)
class Response:
    """An HTTP response, without the headers that the server adds: length, date, request id."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    error_code: str | None = None


class ServiceError(Exception):
    """An error that AWS would return: its code, its message, its HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        """Create it from what a client sees."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def query_response(call: Call, result: Mapping[str, Any] | None = None) -> Response:
    """A successful response of the query protocol (IAM and STS)."""
    namespace = _NAMESPACES.get(call.service, "")
    inner = f"<{call.operation}Result>{_xml(result)}</{call.operation}Result>" if result is not None else ""
    body = (
        f'<{call.operation}Response xmlns="{namespace}">{inner}'
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{call.operation}Response>"
    )
    return Response(200, (("Content-Type", "text/xml"),), body.encode())


def json_response(result: Mapping[str, Any]) -> Response:
    """A successful response of the JSON protocol."""
    return Response(200, (("Content-Type", "application/x-amz-json-1.1"),), json.dumps(result).encode())


def error_response(call: Call, error: ServiceError) -> Response:
    """An error in the protocol of the call."""
    if call.dialect in (Dialect.JSON, Dialect.REST_JSON):
        return _json_error(call.dialect, error)
    code, message, request = escape(error.code), escape(error.message), uuid.uuid4()
    inner = f"<Code>{code}</Code><Message>{message}</Message>"
    kind = "Sender" if error.status < 500 else "Receiver"
    if call.dialect is Dialect.EC2:
        body = f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>{request}</RequestID></Response>"
    elif call.dialect is Dialect.S3:
        body = f"<Error>{inner}<RequestId>{request}</RequestId></Error>"
    else:
        space = f' xmlns="{_NAMESPACES[call.service]}"' if call.service in _NAMESPACES else ""
        body = (
            f"<ErrorResponse{space}><Error><Type>{kind}</Type>{inner}</Error>"
            f"<RequestId>{request}</RequestId></ErrorResponse>"
        )
    return Response(error.status, (("Content-Type", "text/xml"),), body.encode(), error.code)


def _json_error(dialect: Dialect, error: ServiceError) -> Response:
    kind = "application/x-amz-json-1.1" if dialect is Dialect.JSON else "application/json"
    headers = (("Content-Type", kind), ("x-amzn-errortype", error.code))
    body = json.dumps({"__type": error.code, "message": error.message, "Message": error.message})
    return Response(error.status, headers, body.encode(), error.code)


def html_response(status: int) -> Response:
    """The HTML page that a proxy returns when it cannot reach AWS; it has no AWS error code."""
    reason = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Time-out"}.get(status, "Error")
    body = f"<html><head><title>{status} {reason}</title></head><body><h1>{status} {reason}</h1></body></html>"
    return Response(status, (("Content-Type", "text/html"),), body.encode(), "html")


def timestamp(value: datetime) -> str:
    """ISO 8601 in UTC to the second, as IAM and STS write it. A naive value is in UTC, as moto's are."""
    return utc(zoned(value))


def _xml(value: object) -> str:
    if isinstance(value, dict):
        return "".join(f"<{key}>{_xml(item)}</{key}>" for key, item in value.items() if item is not None)
    if isinstance(value, list):
        return "".join(f"<member>{_xml(item)}</member>" for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return timestamp(value)
    return escape(str(value))
