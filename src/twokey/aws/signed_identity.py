"""A signed GetCallerIdentity request, by which Vault's AWS auth method identifies a caller.

Vault itself sends it to STS. It contains a signature that is valid for minutes, and no secret key ("AWS auth method
(API)", Vault's documentation: Login, IAM).
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from twokey.aws.credentials import CREDENTIAL_SOURCES
from twokey.core.errors import BadCredentials

if TYPE_CHECKING:
    from twokey.aws.clients import Clients

_URL = "https://sts.amazonaws.com/"
_BODY = "Action=GetCallerIdentity&Version=2011-06-15"


def signed_identity_request(clients: Clients, server_id: str = "") -> dict[str, str]:
    """Return the fields of a login with a signed GetCallerIdentity request; raises ``BadCredentials`` without a key."""
    credentials = clients.session.get_credentials()
    if credentials is None:
        raise BadCredentials(
            "No AWS credentials were found for the login to Vault.",
            state="Nothing was sent.",
            remedy=CREDENTIAL_SOURCES,
        )
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    if server_id:
        headers["X-Vault-AWS-IAM-Server-ID"] = server_id
    request = AWSRequest("POST", _URL, headers=headers, data=_BODY)
    SigV4Auth(credentials.get_frozen_credentials(), "sts", "us-east-1").add_auth(request)
    return {
        "iam_http_request_method": "POST",
        "iam_request_url": _encoded(_URL),
        "iam_request_body": _encoded(_BODY),
        "iam_request_headers": _encoded(json.dumps({name: [value] for name, value in request.headers.items()})),
    }


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
