"""A signed question "who am I?" for others to ask in our name: how Vault's AWS auth method knows a caller.

Vault sends it to STS itself. It holds a signature that is good for minutes, and no secret key ("AWS auth method (API)",
Vault's documentation: Login, IAM).
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from twokey.core.errors import BadCredentials

if TYPE_CHECKING:
    from twokey.aws.clients import Clients

_URL = "https://sts.amazonaws.com/"
_BODY = "Action=GetCallerIdentity&Version=2011-06-15"


def signed_question(clients: Clients, server_id: str = "") -> dict[str, str]:
    """Return a signed GetCallerIdentity, as the fields of a login. Raises ``BadCredentials`` where there is no key."""
    credentials = clients.session.get_credentials()
    if credentials is None:
        raise BadCredentials(
            "There are no AWS credentials to log in to Vault with.", remedy="Set AWS_PROFILE, or run where a role is."
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
