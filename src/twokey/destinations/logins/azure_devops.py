"""How Azure DevOps is reached: with a personal access token, or a login to Microsoft Entra.

An older server does not know the newest version of the API. It says so with 400, which proves that nothing happened;
then the next older version is used for all that follows.

Sources: "REST API versioning" and "Rate and usage limits" (Azure DevOps), "Use service principals and managed
identities in Azure DevOps" (the resource of a token), Microsoft Learn.
"""

from __future__ import annotations

import base64
import threading
from collections import defaultdict
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import msgspec

from twokey.core.errors import ServiceRejected, UsageError
from twokey.destinations.kind import ConnectionKind, Permission, phrase
from twokey.destinations.logins import entra
from twokey.http.client import Http

if TYPE_CHECKING:
    from twokey.core.secret import Hidden
    from twokey.destinations.connections import ConnectionContext
    from twokey.http.messages import Request, Response
    from twokey.http.renewable_token import RenewableToken

PUBLIC = "https://dev.azure.com"
VERSIONS = ("7.1", "7.0", "6.0-preview.2")
"""Of the API: Azure DevOps Services and Server 2022.1, Server 2022, Server 2020."""
RESOURCE = "499b84ac-1321-427f-aa17-267ca6975798"
"""The ID of Azure DevOps, which a token of Entra is for."""
_OUT_OF_RANGE = {"VssVersionOutOfRangeException", "VssInvalidPreviewVersionException"}
_administrator = partial(
    Permission, service="Azure DevOps", name="Administrator", resource="variable group", type="role"
)
PERMISSIONS = (
    Permission(
        service="Azure DevOps",
        name="Variable Groups (read, create & manage)",
        resource="organization",
        type="scope",
        grant="personal access token",
    ),
    _administrator(grant="personal access token"),
    _administrator(grant="Microsoft Entra token or SYSTEM_ACCESSTOKEN"),
)
NEEDED = phrase(PERMISSIONS)


class Settings(entra.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Azure DevOps is reached: dev.azure.com, or your own server (``url: https://HOST/tfs``).

    ``token`` is a personal access token, or one of Microsoft Entra, which is recognized by its three parts. Without it,
    twokey logs in to Entra as an application, or with ``managed_identity`` as a managed identity.
    """

    managed_identity: Annotated[
        bool, msgspec.Meta(description="Log in as the managed identity of this machine, by default its own one.")
    ] = False


class AzureDevOps:
    """One Azure DevOps, as one token sees it. Its limits count load, not requests; its responses say when to wait."""

    def __init__(self, settings: Settings, context: ConnectionContext) -> None:
        token, source = _token(settings, context)
        self.http = Http(
            "Azure DevOps",
            settings.url or PUBLIC,
            context.clock,
            headers=lambda: {
                "Authorization": _authorization(token.value()),
                # Without it, the response to a token that is not accepted is a sign-in page.
                "X-TFS-FedAuthRedirect": "Suppress",
            },
            renew=token.renew,
            ca=settings.ca or None,
            insecure_http=settings.insecure_http,
            token=source,
        )
        self._versions: tuple[str, ...] = VERSIONS
        self._alone: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()

    def alone(self, organization: str, group: str) -> threading.Lock:
        """Return the lock of a delivery that reads and writes a group: two at once would undo each other."""
        with self._lock:
            return self._alone[organization.lower(), group]

    def request(self, request: Request) -> Response:
        """Send a request, in a version of the API that the server knows; raises as ``Http.request`` does."""
        mark = "&" if "?" in request.path else "?"
        versions = self._versions
        for at, version in enumerate(versions):
            response = self.http.send(replace(request, path=f"{request.path}{mark}api-version={version}"))
            if not _is_unknown_version(response):
                self._versions = versions[at:]
                break
        else:
            raise ServiceRejected(
                f"Azure DevOps cannot {request.description}: the server knows none of the versions "
                f"{', '.join(versions)} of the API.",
                state="Nothing was written there.",
                remedy="Update the server to Azure DevOps Server 2020 or later.",
            )
        if response.good:
            return response
        raise self.http.verdicts.error_of(request, response)


def _token(settings: Settings, context: ConnectionContext) -> tuple[RenewableToken, str]:
    """Return the token, and how messages name what is needed for it."""
    if settings.token is not None:
        secret = context.secret(settings.token)
        return secret, f"a valid token with {NEEDED} (in {secret})"
    if entra.is_application(settings) or settings.managed_identity:
        token, source = entra.token_for(RESOURCE, settings, context)
        return token, f"{source} that is a member of the organization, with {NEEDED}"
    raise UsageError(
        f"{context.at}: expected `token`, an application (`tenant`, `client` and its secret), or `managed_identity`."
        if context.at
        else f"The connection {context.name} is not configured.",
        remedy="Set AZURE_DEVOPS_EXT_PAT or SYSTEM_ACCESSTOKEN, or add it to twokey.yaml under connections: "
        "azure-devops: {token: …}.",
    )


def _is_unknown_version(response: Response) -> bool:
    found = response.json() if response.status == 400 else None
    return isinstance(found, dict) and found.get("typeKey") in _OUT_OF_RANGE


def _authorization(token: Hidden) -> str:
    """Return the header for a personal access token (Basic, without a user), or for a JSON Web Token (RFC 7519)."""
    if token.count(".") == 2:
        return f"Bearer {token}"
    return f"Basic {base64.b64encode(f':{token}'.encode()).decode()}"


CONNECTION = ConnectionKind(
    name="azure-devops",
    settings=Settings,
    connect=AzureDevOps,
    environment={"token": ("AZURE_DEVOPS_EXT_PAT", "SYSTEM_ACCESSTOKEN"), **entra.VARIABLES},
)
