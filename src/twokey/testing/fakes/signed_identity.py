"""What STS does with a signed GetCallerIdentity that another service sends to it: it checks host, region and signature.

Sources: "Signature Version 4 for API requests" and "AWS STS Regions and endpoints", IAM User Guide.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

from twokey.aws.sigv4 import SignedPart, signature

if TYPE_CHECKING:
    from collections.abc import Mapping

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/sts/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)"
)


class RefusedByAws(Exception):
    """STS refuses the request, with these words."""


def caller(
    method: str, url: str, headers: Mapping[str, str], body: bytes, *, region: str, keys: Mapping[str, str]
) -> str:
    """Return the key that signed a request to STS in ``region``; raises ``RefusedByAws``.

    ``url`` is where STS gets it, whatever its sender wrote; ``keys`` are the secrets by the key's ID.
    """
    received = {name.lower(): value for name, value in headers.items()}
    found = _AUTHORIZATION.fullmatch(received.get("authorization", ""))
    if found is None:
        raise RefusedByAws("MissingAuthenticationToken: Request is missing Authentication Token")
    key, scope, signed, written = found.groups()
    if scope != region:
        raise RefusedByAws(f"SignatureDoesNotMatch: Credential should be scoped to a valid region, not '{scope}'.")
    if key not in keys:
        raise RefusedByAws("InvalidClientTokenId: The security token included in the request is invalid.")
    host = url.partition("://")[2].partition("/")[0].partition("?")[0]
    covered = {name: {**received, "host": host}.get(name, "") for name in signed.split(";")}
    part = SignedPart(method, url, covered, sha256(body).hexdigest(), received.get("x-amz-date", ""), body=body)
    if signature(part, key_id=key, secret=keys[key], region=region, service="sts") != written:
        raise RefusedByAws(
            "SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided."
        )
    return key
