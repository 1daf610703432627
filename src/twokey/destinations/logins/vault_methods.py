"""The auth methods of Vault and OpenBao besides tokens and JWTs, and the request that each logs in with.

Sources: "AppRole auth method (API)", "AWS auth method (API)", "TLS certificate auth method (API)", "Userpass auth
method (HTTP API)", "LDAP auth method (API)", Vault's documentation; OpenBao's are equal, without the AWS auth method.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import msgspec

from twokey.core.errors import UsageError
from twokey.core.secret import Hidden
from twokey.destinations.sources import Source
from twokey.http.messages import PART
from twokey.http.transport import Tls

if TYPE_CHECKING:
    from twokey.destinations.connections import ConnectionContext
    from twokey.http.messages import Response

_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}", re.ASCII)
_SERVER_ID = "X-Vault-AWS-IAM-Server-ID"
_SECRET_HEADERS = ("X-Amz-Security-Token",)


class AppRole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """AppRole: a role ID, and a secret ID from another source."""

    role_id: str
    secret_id: Source
    mount: str = "approle"


class Aws(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The AWS identity that twokey itself runs with. ``server_id`` goes into X-Vault-AWS-IAM-Server-ID.

    ``region`` and ``endpoint`` are those of ``sts_region`` and ``sts_endpoint`` of the auth method.
    """

    role: str
    mount: str = "aws"
    server_id: str = ""
    region: str = ""
    endpoint: str = ""


class Certificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The connection's client certificate. Without ``role``, Vault tries every role."""

    role: str = ""
    mount: str = "cert"


class UserPass(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user name and a password; with another ``mount``, also of LDAP, RADIUS or Okta."""

    username: str
    password: Source
    mount: str = "userpass"


@dataclass(frozen=True, slots=True)
class Login:
    """The request of a login. ``secrets`` is what no message may repeat of it."""

    mount: str
    body: dict[str, str]
    secrets: tuple[Hidden, ...] = ()
    user: str = ""

    @property
    def path(self) -> str:
        """The path of the request."""
        user = f"/{quote(self.user, safe='')}" if self.user else ""
        return f"/v1/auth/{self.mount}/login{user}"


def reason(response: Response, secrets: tuple[Hidden, ...]) -> str:
    """Return Vault's own words about a refused login; nothing if they repeat a part of a secret."""
    message = replace(response, sent=(*response.sent, *secrets)).quotable()
    return "" if any(len(one) < PART and one in message for one in secrets if one) else message


def check_aws(aws: Aws, at: str) -> None:
    """Raise ``UsageError`` for a region or an endpoint that STS cannot have."""
    if aws.region and not _REGION.fullmatch(aws.region):
        raise UsageError(
            f"{at}: `region` of aws is {aws.region!r}; expected an AWS region.",
            remedy="Write it as in sts_region of Vault's AWS auth method, such as us-gov-west-1.",
        )
    parts = urlsplit(aws.endpoint)
    if aws.endpoint and (parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment):
        raise UsageError(
            f"{at}: `endpoint` of aws is not the URL of an STS endpoint.",
            remedy="Write it as in sts_endpoint of Vault's AWS auth method: https://sts.us-gov-west-1.amazonaws.com.",
        )
    if aws.endpoint and not aws.region:
        raise UsageError(
            f"{at}: `endpoint` of aws needs `region`: the request is signed for both.",
            remedy="Set region to sts_region of Vault's AWS auth method.",
        )


def aws_login(aws: Aws, context: ConnectionContext) -> Login:
    """Sign a GetCallerIdentity that Vault will send to STS."""
    from twokey.aws.signed_identity import IdentityRequest

    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    if aws.server_id:
        headers[_SERVER_ID] = aws.server_id
    endpoint = f"{aws.endpoint.rstrip('/')}/" if aws.endpoint else ""
    signed = context.sign_identity(IdentityRequest(aws.region, endpoint, headers))
    listed = {name: [str(value)] for name, value in signed.headers.items()}
    signature = signed.headers["Authorization"].rpartition("=")[2]
    body = {
        "role": aws.role,
        "iam_http_request_method": signed.method,
        "iam_request_url": _encoded(signed.url),
        "iam_request_body": _encoded(signed.body),
        "iam_request_headers": Hidden(_encoded(json.dumps(listed))),
    }
    tokens = [value for name, value in signed.headers.items() if name in _SECRET_HEADERS]
    return Login(aws.mount, body, (Hidden(signature), *tokens))


def identity(certificate: str, key: str, at: str) -> Tls | None:
    """Read a client certificate and its key, in PEM; None without them. Raises ``UsageError``."""
    if not certificate and not key:
        return None
    if not (certificate and key):
        raise UsageError(f"{at}: expected both `client_certificate` and `client_key`, or neither.")
    return Tls(certificate=_pem(certificate, at), key=_pem(key, at))


def _pem(path: str, at: str) -> Hidden:
    try:
        return Hidden(Path(path).read_bytes().decode(errors="replace"))
    except OSError as error:
        raise UsageError(f"{at}: {path} cannot be read: {error.strerror}.") from None


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
