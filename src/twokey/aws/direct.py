"""The requests of a rotation, made of botocore's own parts without what botocore does around them.

For each request, botocore interprets the rules for endpoints, calls dozens of handlers, and prepares retries: a third
of a request's CPU. The first request of a client is botocore's. It shows where the client's requests go and for what
they are signed, which depends on the client alone for these operations. The others are serialised, signed, sent and
parsed by the same parts of botocore, and raise the same errors. What twokey checks in each request and response is
checked here, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest
from botocore.endpoint import convert_to_response_dict
from botocore.exceptions import ClientError
from botocore.hooks import first_non_none_response
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from twokey.aws import origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OPERATIONS = {
    "iam": {
        "GetUser",
        "ListUsers",
        "ListAccessKeys",
        "GetAccessKeyLastUsed",
        "CreateAccessKey",
        "UpdateAccessKey",
        "DeleteAccessKey",
    },
    "sts": {"GetCallerIdentity"},
    "secretsmanager": {"DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"},
    "ssm": {"GetParameter", "GetParameters", "GetParameterHistory", "PutParameter"},
}
"""The operations of a rotation and the lookups before it: botocore has no handler that changes their parameters or
responses."""
_SIGNATURE = "v4"
_PROTOCOLS = ("query", "json")
"""The protocols whose requests name their operation inside, and all go to one URL. In others, such as Smithy RPC v2
CBOR, the URL names it: the URL of the first request would send every other one to the first one's operation."""


@dataclass(frozen=True, slots=True)
class _Target:
    """Where the requests of a client go, and for what they are signed."""

    url: str
    service: str
    region: str


@dataclass(slots=True)
class _Unsigned:
    """A request as botocore's signer reads and completes it."""

    url: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"
    params: dict[str, str] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Edge:
    """What the requests of all clients have in common: the user agent, and what is done for each of them.

    ``credentials`` returns those that sign the request. ``received`` gets each response, and ``failed`` each failure
    of the connection; it may raise another error.
    """

    agent: str
    credentials: Callable[[], Any]
    received: Callable[..., None]
    failed: Callable[..., None]


class Direct:
    """Sends the operations in ``OPERATIONS``, by the connections of a client that sends each request exactly once."""

    def __init__(self, client: Any, edge: Edge) -> None:
        self._client = client
        self._edge = edge
        self._target: _Target | None = None
        self._model = model = client.meta.service_model
        protocol = model.resolved_protocol
        self._operations = OPERATIONS.get(model.service_name, set()) if protocol in _PROTOCOLS else set()
        if self._operations:
            self._serializer = create_serializer(protocol)
            self._parser = create_parser(protocol)
            client.meta.events.register("before-sign", self._learn)

    def can(self, operation: str) -> bool:
        """Say whether it is one of the operations, and the client has shown where its requests go."""
        return self._target is not None and operation in self._operations

    def _learn(
        self, request: Any, operation_name: str, signing_name: str, region_name: str, signature_version: Any, **_: Any
    ) -> None:
        if self._target is None and operation_name in self._operations and signature_version == _SIGNATURE:
            signing = request.context.get("signing", {})
            self._target = _Target(
                request.url, signing.get("signing_name") or signing_name, signing.get("region") or region_name
            )

    def send(self, operation: str, parameters: Mapping[str, Any]) -> Any:
        """Send a request and return the response, parsed; raises what botocore raises."""
        model = self._model.operation_model(operation)
        received = self._exchange(operation, self._signed(self._serializer.serialize_to_request(parameters, model)))
        raw = convert_to_response_dict(received, model)
        origin.refuse_page(raw)
        parsed = self._parser.parse(raw, model.output_shape)
        self._edge.received(response_dict=raw, parsed_response=parsed)
        if received.status_code >= 300:
            raise ClientError(parsed, operation)
        return parsed

    def _signed(self, written: Mapping[str, Any]) -> AWSPreparedRequest:
        if self._target is None:
            raise RuntimeError("the client has not shown yet where its requests go")
        url, body = self._target.url, written["body"]
        if isinstance(body, dict):
            body = urlencode(body).encode()
        unsigned = _Unsigned(url, {**written["headers"], "User-Agent": self._edge.agent}, body)
        signer: Any = SigV4Auth(self._edge.credentials(), self._target.service, self._target.region)
        signer.add_auth(unsigned)
        headers: Any = {**unsigned.headers, "Content-Length": str(len(body))}
        return AWSPreparedRequest(unsigned.method, url, headers, body, stream_output=False)

    def _exchange(self, operation: str, request: AWSPreparedRequest) -> Any:
        name = f"before-send.{self._model.service_id.hyphenize()}.{operation}"
        # A handler may respond itself, as that of a rehearsal: then nothing is sent.
        response = first_non_none_response(self._client.meta.events.emit(name, request=request))
        if response is not None:
            return response
        try:
            return self._client._endpoint.http_session.send(request)  # noqa: SLF001  botocore has no public way
        except Exception as error:
            self._edge.failed(caught_exception=error)
            raise
