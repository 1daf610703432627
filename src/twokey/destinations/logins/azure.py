"""How Azure Key Vaults are reached: with a token, or a login to Microsoft Entra as an application or managed identity.

Sources: "Azure Key Vault service limits", "Azure Key Vault REST API error codes", Microsoft Learn.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from twokey.core.errors import BadCredentials, Failed, ServiceRejected
from twokey.destinations.connections import ConnectionKind
from twokey.destinations.logins import entra
from twokey.http.client import Http
from twokey.http.rate_limits import Limit

if TYPE_CHECKING:
    from twokey.destinations.connections import ConnectionContext
    from twokey.http.messages import Request, Response
    from twokey.http.renewable_token import RenewableToken

PUBLIC = "https://{vault}.vault.azure.net"
LIMITS = (Limit(300, 10),)
"""Secrets that are set in one vault ("Azure Key Vault service limits")."""
_VAULT = "{vault}"
_AUDIENCE = "https://vault.azure.net"
_PATIENCE = 120.0


class Settings(entra.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How vaults are reached: ``token``, else as an application, else as a managed identity.

    In ``url``, ``{vault}`` stands for the vault's name.
    """


class Azure:
    """All vaults, accessed with one identity."""

    def __init__(self, settings: Settings, context: ConnectionContext) -> None:
        self.clock = context.clock
        self._url = settings.url or PUBLIC
        self._ca = settings.ca or None
        self._insecure_http = settings.insecure_http
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
                    insecure_http=self._insecure_http,
                    explain=_explain,
                    token=self._source,
                    patience=_PATIENCE,
                )
            return self._vaults[name]

    def _token_of(self, settings: Settings, context: ConnectionContext) -> tuple[RenewableToken, str]:
        if settings.token is not None:
            secret = context.secret(settings.token)
            return secret, f"a valid access token (in {secret})"
        return entra.token_for(_audience(self._url), settings, context)


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
    environment=entra.VARIABLES,
)
