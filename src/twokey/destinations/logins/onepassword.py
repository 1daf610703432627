"""The requests to a 1Password Connect server: vaults and items by name, items whole.

Source: 1Password Connect's OpenAPI description (1Password/connect, docs/openapi/spec.yaml): ids, filters, errors.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import msgspec

from twokey.core.errors import Failed, NotFound, ServiceRejected, UsageError
from twokey.destinations import connections
from twokey.destinations.connections import ConnectionKind
from twokey.destinations.logins.onepassword_service import ServiceAccount, permission, require_sdk
from twokey.destinations.sources import Source
from twokey.http.client import Http
from twokey.http.messages import Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.destinations.connections import ConnectionContext

_ID = re.compile(r"[\da-z]{26}", re.ASCII)
_PATIENCE = 40.0
"""Seconds that a request waits if the server asks for it: less than a lease, which alone protects a write here."""
_GONE = {"ARCHIVED", "DELETED"}


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How 1Password is reached: a Connect server (``url``, ``token``), or itself (``service_account_token``)."""

    url: Annotated[str, msgspec.Meta(description="The Connect server's address, without /v1.")] = ""
    token: Source | None = None
    service_account_token: Source | None = None


class Connect:
    """One Connect server, accessed with one token."""

    def __init__(self, settings: Settings, token: Source, context: ConnectionContext) -> None:
        secret = context.secret(token)
        self.clock = context.clock
        self._http = Http(
            "1Password Connect",
            settings.url,
            context.clock,
            headers=lambda: {"Authorization": f"Bearer {secret.value()}"},
            renew=secret.renew,
            ca=settings.ca or None,
            insecure_http=settings.insecure_http,
            token=f"a valid token (in {secret})",
            patience=_PATIENCE,
        )
        self._vaults: dict[str, str] = {}
        self._lock = threading.Lock()

    def item(self, vault: str, item: str) -> dict[str, Any] | None:
        """Return a whole item, or None; raises ``ServiceRejected`` if the vault has two of that title."""
        items = f"{self._of(vault)}/items"
        if _ID.fullmatch(item):
            return self._whole(f"{items}/{item}", item, vault)
        found = self._listed(items, "title", item, f"list the items {item} of the vault {vault}", vault)
        existing = [one for one in found if one.get("state") not in _GONE]
        if len(existing) > 1:
            raise ServiceRejected(
                f"The vault {vault} has {len(existing)} items {item!r}: which one is meant is unclear.",
                state="Nothing was written there.",
                remedy="Delete or rename all but one, or name the item by its ID.",
            )
        if not existing:
            return None
        return self._whole(f"{items}/{existing[0]['id']}", item, vault)

    def replace_item(self, vault: str, item_id: str, item: Mapping[str, Any], target: str) -> Response:
        """Write a whole item and return the response. The request is sent once: read the item before you repeat it."""
        return self._http.send(self._write("PUT", f"{self._of(vault)}/items/{item_id}", item, vault, target))

    def add_item(self, vault: str, item: Mapping[str, Any], target: str) -> Response:
        """Create an item and return the response. The request is sent once: a second one would create a second item."""
        path = self._of(vault)
        whole = {**item, "vault": {"id": path.rpartition("/")[2]}}
        return self._http.send(self._write("POST", f"{path}/items", whole, vault, target))

    def error_of_write(self, response: Response, vault: str, target: str) -> Failed:
        """Return the error for the response to a write that was refused."""
        return self._http.verdicts.error_of(self._write("PUT", "", {}, vault, target), response)

    def _write(self, method: str, path: str, body: Mapping[str, Any], vault: str, target: str) -> Request:
        return Request(
            method,
            path,
            f"write {target}",
            body=dict(body),
            secret=True,
            idempotent=False,
            permission=permission(vault),
        )

    def _of(self, vault: str) -> str:
        """Return the path of a vault; its ID is requested once in a run."""
        if _ID.fullmatch(vault):
            return f"/v1/vaults/{vault}"
        with self._lock:
            known = self._vaults.get(vault)
        if known is None:
            found = self._listed("/v1/vaults", "name", vault, f"list the vaults {vault}", vault)
            if len(found) != 1:
                raise _not_one_vault(vault, len(found))
            known = str(found[0]["id"])
            with self._lock:
                self._vaults[vault] = known
        return f"/v1/vaults/{known}"

    def _listed(self, path: str, attribute: str, name: str, description: str, vault: str) -> list[dict[str, Any]]:
        """Return the entries with exactly this name; the filter may be less exact."""
        where = quote(f'{attribute} eq "{name}"', safe="")
        request = Request("GET", f"{path}?filter={where}", description, mutates=False, permission=permission(vault))
        listed = self._http.request(request).json()
        if not isinstance(listed, list):
            raise ServiceRejected(
                f"1Password Connect returned no list for the request to {description}.",
                remedy="Check `url` of the connection.",
            )
        return [one for one in listed if one.get(attribute) == name]

    def _whole(self, path: str, item: str, vault: str) -> dict[str, Any]:
        """Return one item with its fields; their values are secrets."""
        request = Request(
            "GET", path, f"read the item {item}", mutates=False, secret=True, permission=permission(vault)
        )
        found = self._http.request(request).json()
        if not isinstance(found, dict) or "id" not in found:
            raise ServiceRejected(
                f"1Password Connect returned no item for the request to {request.description}.",
                remedy="Check `url` of the connection.",
            )
        return found


def _not_one_vault(vault: str, found: int) -> Failed:
    if found:
        return ServiceRejected(
            f"1Password has {found} vaults {vault!r}: which one is meant is unclear.",
            remedy="Name the vault by its ID.",
        )
    return NotFound(
        f"1Password Connect lists no vault {vault!r}: it does not exist, or the token has no access to it.",
        remedy=f"Check its name, and that the token has {permission(vault)}.",
    )


def connect(settings: Settings, context: ConnectionContext) -> Connect | ServiceAccount:
    """Return the connection to a Connect server, or to 1Password's own service.

    If the environment names both, the Connect server counts, as for 1Password's own tools.
    """
    label = context.at or "The connection onepassword"
    by_connect = bool(settings.url) and settings.token is not None
    if settings.service_account_token is not None and not (by_connect and not context.at):
        if settings.url or settings.token is not None:
            raise UsageError(f"{label}: expected either `url` and `token`, or `service_account_token`.")
        require_sdk()
        return ServiceAccount(context.secret(settings.service_account_token, "service_account_token"), context.clock)
    if not settings.url or settings.token is None:
        raise UsageError(
            f"{label} is not configured: expected `url` and `token` of a Connect server, or `service_account_token`.",
            remedy="Set OP_CONNECT_HOST and OP_CONNECT_TOKEN, or OP_SERVICE_ACCOUNT_TOKEN; or add them to twokey.yaml "
            "under connections: onepassword:.",
        )
    return Connect(settings, settings.token, context)


CONNECTION = ConnectionKind(
    name="onepassword",
    settings=Settings,
    connect=connect,
    environment={
        "url": ("OP_CONNECT_HOST",),
        "token": ("OP_CONNECT_TOKEN",),
        "service_account_token": ("OP_SERVICE_ACCOUNT_TOKEN",),
    },
)
