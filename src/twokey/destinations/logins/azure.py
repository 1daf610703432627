"""How Azure Key Vaults are reached: with a token, or a login to Microsoft Entra as an application or managed identity.

Sources: "OAuth 2.0 client credentials flow" (a shared secret, a federated credential), "Use managed identities on an
Azure VM to acquire an access token", "REST endpoint reference" in "How to use managed identities for App Service",
"Azure Key Vault service limits", "Azure Key Vault REST API error codes", Microsoft Learn.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode, urlsplit

import msgspec

from twokey.core.errors import BadCredentials, Failed, ServiceRejected, UsageError
from twokey.core.secret import Hidden
from twokey.destinations import connections
from twokey.destinations.connections import ConnectionKind
from twokey.destinations.logins.oauth import granted
from twokey.destinations.sources import Source
from twokey.http.client import Http
from twokey.http.messages import Request, Response
from twokey.http.rate_limits import Limit
from twokey.http.renewable_token import RenewableToken
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.destinations.connections import ConnectionContext
    from twokey.http.renewable_token import Grant

PUBLIC = "https://{vault}.vault.azure.net"
AUTHORITY = "https://login.microsoftonline.com"
METADATA = "http://169.254.169.254"
LIMITS = (Limit(300, 10),)
"""Secrets that are set in one vault ("Azure Key Vault service limits")."""
_VAULT = "{vault}"
_AUDIENCE = "https://vault.azure.net"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_PATIENCE = 120.0


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How vaults are reached: ``token``, else ``client_secret``, ``federated_token_file``, a managed identity.

    In ``url``, ``{vault}`` stands for the vault's name.
    """

    token: Annotated[Source | None, msgspec.Meta(description="An access token for Key Vault.")] = None
    tenant: Annotated[str, msgspec.Meta(description="The ID of the Entra tenant.")] = ""
    client: Annotated[str, msgspec.Meta(description="The ID of the application or the managed identity.")] = ""
    client_secret: Annotated[Source | None, msgspec.Meta(description="The application's secret.")] = None
    federated_token_file: Annotated[
        str, msgspec.Meta(description="A file with a token of another identity provider.")
    ] = ""
    authority: Annotated[str, msgspec.Meta(description="Entra's address; by default the public one.")] = ""
    identity: Annotated[str, msgspec.Meta(description="The metadata service's URL; by default the standard one.")] = ""


class Azure:
    """All vaults, accessed with one identity."""

    def __init__(self, settings: Settings, context: ConnectionContext) -> None:
        self.clock = context.clock
        self._url = settings.url or PUBLIC
        self._ca = settings.ca or None
        self._token, self._source = self._token_of(settings, context)
        self._vaults: dict[str, Http] = {}
        self._lock = threading.Lock()

    def vault(self, name: str) -> Http:
        """Return the connection to a vault, which all its secrets share."""
        with self._lock:
            if name not in self._vaults:
                self._vaults[name] = Http(
                    f"Key Vault {name}",
                    self._url.replace(_VAULT, name),
                    self.clock,
                    headers=lambda: {"Authorization": f"Bearer {self._token.value()}"},
                    renew=self._token.renew,
                    limits=LIMITS,
                    ca=self._ca,
                    explain=_explain,
                    token=self._source,
                    patience=_PATIENCE,
                )
            return self._vaults[name]

    def _token_of(self, settings: Settings, context: ConnectionContext) -> tuple[RenewableToken, str]:
        if settings.token is not None:
            secret = context.secret(settings.token)
            return secret, f"a valid access token (in {secret})"
        audience = _audience(self._url)
        if settings.client_secret is None and not settings.federated_token_file:
            managed = "a managed identity for this machine"
            return RenewableToken(self._managed(settings, audience), managed, self.clock), managed
        if not (settings.tenant and settings.client):
            at = context.at or f"The connection {context.name}"
            raise UsageError(
                f"{at}: a login as an application needs `tenant` and `client`.",
                remedy="Set them, or AZURE_TENANT_ID and AZURE_CLIENT_ID.",
            )
        if settings.client_secret is not None:
            secret = context.secret(settings.client_secret, "client_secret")
            field_name = "client_secret"
        else:
            secret = context.secret(Source(file=settings.federated_token_file), "federated_token_file")
            field_name = "client_assertion"
        log_in = self._application(settings, audience, secret, field_name)
        source = f"a valid secret (in {secret}) of the application {settings.client}"
        return RenewableToken(log_in, source, self.clock), source

    def _application(
        self, settings: Settings, audience: str, secret: RenewableToken, field_name: str
    ) -> Callable[[], Grant]:
        http = Http("Entra", settings.authority or AUTHORITY, self.clock, ca=self._ca, patience=_PATIENCE)
        source = f"{secret}, the tenant, and that the application {settings.client} accepts it"

        def log_in() -> Grant:
            form = {"grant_type": "client_credentials", "client_id": settings.client, "scope": f"{audience}/.default"}
            form[field_name] = secret.latest()
            if field_name == "client_assertion":
                form["client_assertion_type"] = _ASSERTION
            path = f"/{settings.tenant}/oauth2/v2.0/token"
            return granted(http, Request("POST", path, "grant a token", form=form, mutates=False, secret=True), source)

        return log_in

    def _managed(self, settings: Settings, audience: str) -> Callable[[], Grant]:
        """Return a login at the metadata service, or at the endpoint that App Service and others name."""
        url, header = environment.variable("IDENTITY_ENDPOINT"), environment.variable("IDENTITY_HEADER")
        if settings.identity or not (url and header):
            url = f"{settings.identity or METADATA}/metadata/identity/oauth2/token"
            version, headers = "2018-02-01", {"Metadata": "true"}
        else:
            version, headers = "2019-08-01", {"X-IDENTITY-HEADER": Hidden(header)}
        query = {"api-version": version, "resource": audience}
        if settings.client:
            query["client_id"] = settings.client
        parts = urlsplit(url)
        http = Http("The metadata service", f"{parts.scheme}://{parts.netloc}", self.clock, patience=_PATIENCE)
        where = f"{parts.path}?{urlencode(query)}"
        request = Request("GET", where, "grant a token", headers=headers, mutates=False, secret=True)
        return lambda: granted(http, request, "that this machine has the managed identity, or configure another login")


def codes_of(response: Response) -> set[str]:
    """Return an error's code and the finer one within it, such as SecretDisabled."""
    found = response.json()
    error = found.get("error") if isinstance(found, dict) and not response.good else None
    codes: set[str] = set()
    while isinstance(error, dict):
        codes.add(str(error.get("code", "")))
        error = error.get("innererror")
    return codes


_REFUSALS = {
    "ObjectIsDeletedButRecoverable": (
        "it was deleted, and Key Vault reserves its name as long as it can be recovered",
        "Recover it (az keyvault secret recover), purge it, or name another secret.",
    ),
    "ObjectIsBeingDeleted": (
        "it is being deleted",
        "Wait until that is done, then recover it, or name another secret.",
    ),
    "ObjectIsBeingRecovered": ("it is being recovered", "Wait until that is done, and run again."),
    "ForbiddenByFirewall": (
        "the vault's firewall blocks this machine",
        "Allow this machine's address in the vault's firewall, or run twokey in an allowed network.",
    ),
    "ForbiddenByConnection": (
        "the vault accepts no connections from public networks",
        "Run twokey in a network with the vault's private endpoint.",
    ),
    "SecretDisabled": ("its current version is disabled", "Enable the version, or add a new one yourself."),
}


def _explain(request: Request, response: Response) -> Failed | None:
    """Distinguish errors that Key Vault reports with the same status."""
    state = "Nothing was written there." if request.mutates else ""
    for code in sorted(codes_of(response) & _REFUSALS.keys()):
        return refusal(request.description, code, state)
    if response.status == 401 and "AKV10032" in response.error_message():
        return BadCredentials(
            "Key Vault does not accept the token: it belongs to another tenant than the vault.",
            state=state,
            remedy="Set the connection's `tenant` to the vault's tenant.",
        )
    return None


def refusal(description: str, code: str, state: str) -> ServiceRejected:
    """Return the error for one of Key Vault's own codes."""
    why, remedy = _REFUSALS[code]
    return ServiceRejected(f"Key Vault cannot {description}: {why}.", state=state, remedy=remedy)


def _audience(url: str) -> str:
    """Return the audience of a token: https://vault.azure.net, or that of another cloud if the URL points there."""
    host: Any = urlsplit(url).netloc
    return f"https://{host.removeprefix(f'{_VAULT}.')}" if host.startswith(f"{_VAULT}.") else _AUDIENCE


CONNECTION = ConnectionKind(
    name="azure-keyvault",
    settings=Settings,
    connect=Azure,
    environment={
        "tenant": ("AZURE_TENANT_ID",),
        "client": ("AZURE_CLIENT_ID",),
        "client_secret": ("AZURE_CLIENT_SECRET",),
        "federated_token_file": ("AZURE_FEDERATED_TOKEN_FILE",),
        "authority": ("AZURE_AUTHORITY_HOST",),
    },
)
