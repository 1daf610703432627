"""A signed GetCallerIdentity request, by which another service learns from STS who twokey is.

That service itself sends it to STS. It contains a signature that is valid for minutes, and no secret key. STS accepts
it only at the host and for the region that it is signed for, so both have to be those that the service will use.

Sources: "AWS auth method (API)", Vault's documentation (Login; ``sts_endpoint`` and ``sts_region`` of Configure
Client); "AWS STS Regions and endpoints", IAM User Guide (the global endpoint exists in one partition only).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twokey.core.errors import BadCredentials, TwokeyError
from twokey.core.secret import Hidden

if TYPE_CHECKING:
    from collections.abc import Mapping

    import botocore.session
    from botocore.credentials import ReadOnlyCredentials

    from twokey.aws.clients import Clients

ACTION = "Action=GetCallerIdentity&Version=2011-06-15"
_GLOBAL = ("https://sts.amazonaws.com/", "us-east-1")
REGION = "{region}"


@dataclass(frozen=True, slots=True)
class IdentityRequest:
    """What is to be signed.

    ``url`` is where the request will be sent; ``{region}`` in it stands for the region. Without ``url``, that is the
    endpoint of STS in ``region``; without ``region`` too, the global endpoint, or, in a partition that has none, the
    endpoint in twokey's own region.
    """

    region: str = ""
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ACTION


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """The signed request. Its headers contain the signature, and the token of a session."""

    method: str
    url: str
    headers: Mapping[str, Hidden]
    body: str


def sign(clients: Clients, wanted: IdentityRequest) -> SignedRequest:
    """Sign with the credentials that twokey runs with; raises ``BadCredentials`` if there are none."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    credentials = _own_credentials(clients)
    url, region = _target(clients, wanted)
    request = AWSRequest("POST", url, headers=dict(wanted.headers), data=wanted.body)
    SigV4Auth(credentials, "sts", region).add_auth(request)
    headers = {str(name): Hidden(value) for name, value in request.headers.items()}
    return SignedRequest("POST", url, headers, wanted.body)


def _own_credentials(clients: Clients) -> ReadOnlyCredentials:
    """Return the credentials that twokey runs with; an error says what needs them."""
    from twokey.aws.errors import translate

    try:
        own: Any = clients.session.get_credentials()
        frozen: ReadOnlyCredentials = own.get_frozen_credentials()
    except BadCredentials as error:
        needed = f"{error.message} The login is by twokey's AWS identity."
        raise type(error)(needed, state="Nothing was sent.", remedy=error.remedy) from None
    except TwokeyError:
        raise
    except Exception as error:  # noqa: BLE001  botocore raises many kinds, all about credentials
        raise translate(error, action="Getting AWS credentials", resource="", mutates=False) from None
    return frozen


def _target(clients: Clients, wanted: IdentityRequest) -> tuple[str, str]:
    """Return the URL and the region to sign for."""
    session = clients.session
    own = clients.region
    if wanted.url:
        region = wanted.region or own or _GLOBAL[1]
        return wanted.url.replace(REGION, region), region
    if wanted.region:
        return _endpoint(wanted.region, _partition(session, wanted.region)[1]), wanted.region
    partition, suffix = _partition(session, own)
    if partition not in {"", "aws"}:
        return _endpoint(own, suffix), own
    return _GLOBAL


def _endpoint(region: str, suffix: str) -> str:
    return f"https://sts.{region}.{suffix}/"


def _partition(session: botocore.session.Session, region: str) -> tuple[str, str]:
    """Return the partition of a region and the suffix of its host names; those of no partition are named as AWS's."""
    for partition in session.get_data("partitions")["partitions"]:
        if re.match(partition["regionRegex"], region):
            return partition["id"], partition["outputs"]["dnsSuffix"]
    return "", "amazonaws.com"
