"""Infisical secrets: ``infisical:PROJECT_ID/ENVIRONMENT`` or ``infisical:PROJECT_ID/ENVIRONMENT/FOLDER/…``.

Infisical shows values and versions. One request creates or updates several secrets of a folder (``mode: upsert``), so
id and secret change together; the others stay. A comment names the access key unless the operator wrote another text. A
value that refers to another secret, ``${…}``, is never overwritten: readers see the other secret's value.

Where a project has a policy for changes, a write makes a request for approval instead, and takes effect when a
reviewer approves it. So such a delivery is in doubt.

A machine identity logs in with Universal Auth, or has a token.

Sources: the published sources of Infisical/infisical (``backend/src/server/routes/v4/secret-router.ts``, from which its
API description is made: requests, responses, approvals); "Secrets", "Universal Auth", "Secret referencing", "API
errors", Infisical Docs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import msgspec

from twokey.core.errors import Ambiguous, ServiceRejected, UsageError
from twokey.core.secret import Hidden
from twokey.destinations import connections
from twokey.destinations.ci.merged_values import MergedValues
from twokey.destinations.ci.named_values import Shown
from twokey.destinations.formats import options as formats
from twokey.destinations.formats.notes import beside
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.destinations.logins.oauth import granted
from twokey.destinations.sources import Source
from twokey.http.client import Http
from twokey.http.messages import Request
from twokey.http.renewable_token import Grant, RenewableToken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.destinations.address import Address
    from twokey.destinations.connections import ConnectionContext
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext, Use

PUBLIC = "https://app.infisical.com"
_USES: dict[str, tuple[Use, ...]] = {
    "Read Value": ("read",),
    "Modify": ("write",),
    "Create": ("create",),
    "Remove": ("write",),
}
PERMISSIONS = tuple(
    Permission(service="Infisical", name=name, resource="secrets of the folder", uses=uses)
    for name, uses in _USES.items()
)
_NEEDED = phrase(PERMISSIONS)
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_TARGET = re.compile(rf"{_UUID}/[a-z0-9][a-z0-9_-]*(/[A-Za-z0-9_-]+)*", re.ASCII)
_REFERENCE = "${"
_SECRETS = "/api/v4/secrets"


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Infisical is reached. Either ``token``, or ``client_id`` and ``client_secret`` of Universal Auth."""

    token: Source | None = None
    client_id: Annotated[str, msgspec.Meta(description="The client ID of a machine identity.")] = ""
    client_secret: Source | None = None

    @property
    def base(self) -> str:
        """The address without the suffix that Infisical's own tools also take."""
        return (self.url or PUBLIC).rstrip("/").removesuffix("/api")

    @property
    def server(self) -> str:
        """What distinguishes the Infisical that is reached from others."""
        return self.base.lower()


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that Infisical allows no project, environment, folder or secret."""
    if not _TARGET.fullmatch(address.plain):
        raise address.error(
            "expected PROJECT_ID/ENVIRONMENT or PROJECT_ID/ENVIRONMENT/FOLDER.",
            "PROJECT_ID is a UUID, in the settings of the project; ENVIRONMENT is its slug.",
        )
    address.allow(("connection", *formats.OPTIONS))
    _format(address)


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=formats.ENVIRONMENT)


def connect(settings: Settings, context: ConnectionContext) -> Http:
    """Return the connection. It logs in when it needs a token, and again after a token was refused."""
    if (settings.token is None) == (settings.client_secret is None) or bool(settings.client_id) == (
        settings.client_secret is None
    ):
        label = context.at or "The connection infisical"
        raise UsageError(f"{label}: expected either token, or client_id and client_secret.")
    url, ca = settings.base, settings.ca or None
    if settings.token is not None:
        token = context.secret(settings.token)
        named = f"a valid access token (in {token})"
    else:
        assert settings.client_secret is not None
        secret = context.secret(settings.client_secret, "client_secret")
        named = f"a valid client ID and client secret (in {secret})"
        login = Http("Infisical", url, context.clock, ca=ca, insecure_http=settings.insecure_http, token=named)
        token = RenewableToken(lambda: _log_in(login, settings.client_id, secret, named), named, context.clock)
    return Http(
        "Infisical",
        url,
        context.clock,
        headers=lambda: {"Authorization": f"Bearer {token.value()}"},
        renew=token.renew,
        ca=ca,
        insecure_http=settings.insecure_http,
        token=named,
    )


def _log_in(http: Http, client_id: str, secret: RenewableToken, named: str) -> Grant:
    body = {"clientId": client_id, "clientSecret": secret.latest()}
    path = "/api/v1/auth/universal-auth/login"
    request = Request("POST", path, "log in", body=body, mutates=False, secret=True)
    return granted(http, request, named, token="accessToken")  # noqa: S106  a member


def _open(address: Address, context: DestinationContext) -> Secrets:
    """Return the secrets of a folder."""
    return Secrets(address, context.connection(address, CONNECTION))


class _Secret(msgspec.Struct, rename="camel"):
    secret_key: str
    secret_value: str = ""
    version: int = 0
    type: str = "shared"
    secret_comment: str = ""
    secret_value_hidden: bool = False


class _Listed(msgspec.Struct):
    secrets: list[_Secret]


class Secrets(MergedValues):
    """Secrets of one folder."""

    confirms = "value"

    def __init__(self, address: Address, http: Http) -> None:
        super().__init__(address.url, _format(address))
        self._http = http
        self.pace = http.pace
        self._target = address.rest
        project, environment, *folders = address.rest.split("/")
        self._folder = {"projectId": project, "environment": environment, "secretPath": f"/{'/'.join(folders)}"}

    def preflight(self) -> None:
        """Raise if the folder is missing, or a write would lose a reference or a value that is not twokey's."""
        self.check_content(self._look())

    def _look(self) -> Mapping[str, Shown]:
        query = urlencode({**self._folder, "viewSecretValue": "true", "expandSecretReferences": "false"})
        request = self._request("GET", f"?{query}", f"list the secrets of {self._target}")
        found = {
            one.secret_key: one
            for one in self._http.read(request, _Listed).secrets
            if one.secret_key in self.looked_for and one.type == "shared"
        }
        referring = [name for name, one in found.items() if _REFERENCE in one.secret_value]
        if referring:
            raise ServiceRejected(
                f"In {self._target}, the value of {' and '.join(referring)} is a reference to another secret.",
                state="Nothing was written there.",
                remedy="Deliver to the folder that it refers to, or delete the reference.",
            )
        return {
            name: Shown(
                value=None if one.secret_value_hidden else Hidden(one.secret_value),
                stamp=str(one.version),
                note=one.secret_comment,
            )
            for name, one in found.items()
        }

    def _merge(self, values: Mapping[str, Hidden | None], note: str, before: Mapping[str, Shown]) -> None:
        written = [
            {
                "secretKey": name,
                "secretValue": value,
                "secretComment": beside(note, before[name].note) if name in before else note,
            }
            for name, value in values.items()
            if value is not None
        ]
        if written:
            body = {**self._folder, "mode": "upsert", "secrets": written}
            self._send(self._request("PATCH", "/batch", f"write {' and '.join(values)} of {self._target}", body))
        for name in (name for name, value in values.items() if value is None):
            body = {**self._folder, "type": "shared"}
            self._send(self._request("DELETE", f"/{name}", f"remove {name} of {self._target}", body))

    def _send(self, request: Request) -> None:
        found = self._http.request(request).json()
        if isinstance(found, dict) and found.get("approval"):
            raise Ambiguous(
                f"Infisical was asked to {request.description}, and made a request for approval instead: a policy of "
                "the project protects these secrets.",
                state="It takes effect when a reviewer approves the request.",
                remedy="Reject the request in Infisical. Exclude the folder from the policy, or let it bypass the "
                "policy for twokey's identity, then run again.",
            )

    def _request(self, method: str, path: str, description: str, body: Any = None) -> Request:
        """Return a request. It is secret: the list holds the values of all secrets of the folder."""
        return Request(
            method,
            f"{_SECRETS}{path}",
            description,
            body=body,
            mutates=body is not None,
            secret=True,
            permission=_NEEDED,
        )


CONNECTION = ConnectionKind(
    name="infisical",
    settings=Settings,
    connect=connect,
    environment={
        "token": ("INFISICAL_TOKEN",),
        "client_id": ("INFISICAL_UNIVERSAL_AUTH_CLIENT_ID",),
        "client_secret": ("INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET",),
        "url": ("INFISICAL_API_URL", "INFISICAL_DOMAIN"),
    },
)
KIND = Kind(
    scheme="infisical",
    check=check,
    open=_open,
    connection=CONNECTION,
    permissions=PERMISSIONS,
)
