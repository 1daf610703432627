"""The SigV4 signature that a request must have, computed with botocore's own signer.

A server that checks signatures with it expects exactly what real clients sign ("Signature Version 4 for API requests",
IAM User Guide).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.auth import SigV4Auth
from botocore.credentials import Credentials

from twokey.http.messages import Shy

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class SignedPart:
    """The part of a request that its signature covers.

    ``headers`` are the signed ones. ``payload`` is the hash of the body as the request declares it. ``timestamp`` is
    the time of the signature, as the request states it. ``normalize_path`` is false for S3, which signs the path as
    it is.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    payload: str
    timestamp: str
    normalize_path: bool = True
    body: bytes = field(default=b"", repr=False)


def signature(part: SignedPart, *, key_id: str, secret: str, region: str, service: str) -> str:
    """Return the signature of the request with this key, for this region and service."""
    signer: Any = _Signer(Credentials(key_id, secret), service, region, part)
    request = _Request(part.method, part.url, part.headers, part.body, context={"timestamp": part.timestamp})
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return str(signer.signature(text, request))


@dataclass(slots=True, repr=False)
class _Request:
    """A request as botocore's signer reads it: botocore's own class costs more than the signature.

    It shows nothing of itself: the body may hold a secret, and a header a token.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    params: dict[str, str] = field(default_factory=dict)
    context: dict[str, str] = field(default_factory=dict)


class _Headers(Shy):
    """Headers as botocore's signer reads them; each has one value."""

    def get_all(self, name: str) -> list[str]:
        """Return the values of a header."""
        return [self[name]]


class _Signer(SigV4Auth):
    """botocore's signer, which signs what the request declares as signed, and adds nothing."""

    def __init__(self, credentials: Credentials, service: str, region: str, part: SignedPart) -> None:
        super().__init__(credentials, service, region)
        self._part = part

    def headers_to_sign(self, request: Any) -> Any:
        return _Headers((name.lower(), value) for name, value in request.headers.items())

    def payload(self, request: Any) -> str:  # noqa: ARG002  the base class names it
        return self._part.payload

    def _normalize_url_path(self, path: str) -> str:
        return str(super()._normalize_url_path(path)) if self._part.normalize_path else path  # type: ignore[misc]
