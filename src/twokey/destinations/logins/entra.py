"""Logins to Microsoft Entra: as an application, with a secret or another provider's token, or as a managed identity.

Sources: "OAuth 2.0 client credentials flow" (a shared secret, a federated credential), "Use managed identities on an
Azure VM to acquire an access token", "REST endpoint reference" in "How to use managed identities for App Service",
Microsoft Learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode, urlsplit

import msgspec

from twokey.core.errors import UsageError
from twokey.core.secret import Hidden
from twokey.destinations import connections
from twokey.destinations.logins.oauth import granted
from twokey.destinations.sources import Source
from twokey.http.client import Http
from twokey.http.messages import Request
from twokey.http.renewable_token import RenewableToken
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.destinations.connections import ConnectionContext
    from twokey.http.renewable_token import Grant

AUTHORITY = "https://login.microsoftonline.com"
METADATA = "http://169.254.169.254"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_PATIENCE = 120.0
VARIABLES = {
    "tenant": ("AZURE_TENANT_ID",),
    "client": ("AZURE_CLIENT_ID",),
    "client_secret": ("AZURE_CLIENT_SECRET",),
    "federated_token_file": ("AZURE_FEDERATED_TOKEN_FILE",),
    "authority": ("AZURE_AUTHORITY_HOST",),
}
"""The environment variables of Azure's own libraries."""


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a login; the first of the ways that is set counts."""

    token: Annotated[Source | None, msgspec.Meta(description="An access token.")] = None
    tenant: Annotated[str, msgspec.Meta(description="The ID of the Entra tenant.")] = ""
    client: Annotated[str, msgspec.Meta(description="The ID of the application or the managed identity.")] = ""
    client_secret: Annotated[Source | None, msgspec.Meta(description="The application's secret.")] = None
    federated_token: Annotated[
        Source | None,
        msgspec.Meta(description="A token of another identity provider: {oidc: api://AzureADTokenExchange}."),
    ] = None
    federated_token_file: Annotated[
        str, msgspec.Meta(description="A file with a token of another identity provider.")
    ] = ""
    authority: Annotated[str, msgspec.Meta(description="Entra's address; by default the public one.")] = ""
    identity: Annotated[str, msgspec.Meta(description="The metadata service's URL; by default the standard one.")] = ""


def is_application(settings: Settings) -> bool:
    """Return whether the settings are those of an application, which has a secret or another provider's token."""
    return bool(settings.client_secret or settings.federated_token or settings.federated_token_file)


def token_for(audience: str, settings: Settings, context: ConnectionContext) -> tuple[RenewableToken, str]:
    """Return a token for an audience, by a login, and how messages name what is needed for it; nothing is called."""
    if not is_application(settings):
        managed = "a managed identity for this machine"
        return RenewableToken(_managed(settings, context, audience), managed, context.clock), managed
    if not (settings.tenant and settings.client):
        raise UsageError(
            f"{context.at or f'The connection {context.name}'}: a login as an application needs `tenant` and `client`.",
            remedy="Set them, or AZURE_TENANT_ID and AZURE_CLIENT_ID.",
        )
    if settings.client_secret is not None:
        secret = context.secret(settings.client_secret, "client_secret")
        form_field, what = "client_secret", "a valid secret"
    elif settings.federated_token is not None:
        secret = context.secret(settings.federated_token, "federated_token")
        form_field, what = "client_assertion", "a valid token"
    else:
        secret = context.secret(Source(file=settings.federated_token_file), "federated_token_file")
        form_field, what = "client_assertion", "a valid secret"
    log_in = _application(settings, context, audience, secret, form_field)
    source = f"{what} (in {secret}) of the application {settings.client}"
    return RenewableToken(log_in, source, context.clock), source


def _application(
    settings: Settings, context: ConnectionContext, audience: str, secret: RenewableToken, form_field: str
) -> Callable[[], Grant]:
    http = Http(
        "Entra",
        settings.authority or AUTHORITY,
        context.clock,
        ca=settings.ca or None,
        patience=_PATIENCE,
    )
    source = f"{secret}, the tenant, and that the application {settings.client} accepts it"

    def log_in() -> Grant:
        form = {"grant_type": "client_credentials", "client_id": settings.client, "scope": f"{audience}/.default"}
        form[form_field] = secret.latest()
        if form_field == "client_assertion":
            form["client_assertion_type"] = _ASSERTION
        path = f"/{settings.tenant}/oauth2/v2.0/token"
        return granted(http, Request("POST", path, "grant a token", form=form, mutates=False, secret=True), source)

    return log_in


def _managed(settings: Settings, context: ConnectionContext, audience: str) -> Callable[[], Grant]:
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
    http = Http("The metadata service", f"{parts.scheme}://{parts.netloc}", context.clock, patience=_PATIENCE)
    where = f"{parts.path}?{urlencode(query)}"
    request = Request("GET", where, "grant a token", headers=headers, mutates=False, secret=True)
    return lambda: granted(http, request, "that this machine has the managed identity, or configure another login")
