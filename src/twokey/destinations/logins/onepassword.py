"""The requests to a 1Password Connect server: vaults and items by name, items whole.

Source: 1Password Connect's OpenAPI description (1Password/connect, docs/openapi/spec.yaml): ids, filters, errors.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import msgspec

from twokey.core.errors import Failed, NotFound, ServiceRejected
from twokey.destinations import connections
from twokey.destinations.connections import ConnectionKind
from twokey.destinations.sources import Source
from twokey.http.client import Http
from twokey.http.messages import Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.destinations.connections import ConnectionContext

_ID = re.compile(r"[\da-z]{26}", re.ASCII)
_PATIENCE = 40.0
"""Seconds that a request waits where it is asked to: less than a lease, which alone guards a write here."""
_GONE = {"ARCHIVED", "DELETED"}


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the Connect server is reached."""

    url: Annotated[str, msgspec.Meta(description="The Connect server's address, without /v1.")]
    token: Source


class Connect:
    """One Connect server, as one token sees it."""

    def __init__(self, settings: Settings, context: ConnectionContext) -> None:
        secret = context.secret(settings.token)
        self.clock = context.clock
        self._http = Http(
            "1Password Connect",
            settings.url,
            context.clock,
            headers=lambda: {"Authorization": f"Bearer {secret.value()}"},
            renew=secret.renew,
            ca=settings.ca or None,
            token=f"a valid token (in {secret})",
            patience=_PATIENCE,
        )
        self._vaults: dict[str, str] = {}
        self._lock = threading.Lock()

    def item(self, vault: str, item: str) -> dict[str, Any] | None:
        """Return a whole item, or None; raises ``ServiceRejected`` where the vault has two of that title."""
        items = f"{self._of(vault)}/items"
        if _ID.fullmatch(item):
            return self._whole(f"{items}/{item}", item, vault)
        found = self._listed(items, "title", item, f"list the items {item} of the vault {vault}", vault)
        there = [one for one in found if one.get("state") not in _GONE]
        if len(there) > 1:
            raise ServiceRejected(
                f"The vault {vault} has {len(there)} items {item!r}: nobody can tell which one is meant.",
                state="Nothing was written there.",
                remedy="Delete or rename all but one, or name one by its id.",
            )
        if not there:
            return None
        return self._whole(f"{items}/{there[0]['id']}", item, vault)

    def replace_item(self, vault: str, item_id: str, item: Mapping[str, Any], target: str) -> Response:
        """Write an item whole and return the answer. It is sent once: who repeats it must look first."""
        return self._http.send(self._write("PUT", f"{self._of(vault)}/items/{item_id}", item, vault, target))

    def add_item(self, vault: str, item: Mapping[str, Any], target: str) -> Response:
        """Make an item and return the answer. It is sent once: a second one would make a second item."""
        path = self._of(vault)
        whole = {**item, "vault": {"id": path.rpartition("/")[2]}}
        return self._http.send(self._write("POST", f"{path}/items", whole, vault, target))

    def error_of_write(self, response: Response, vault: str, target: str) -> Failed:
        """Translate the answer to a write that was refused."""
        return self._http.verdicts.error_of(self._write("PUT", "", {}, vault, target), response)

    def _write(self, method: str, path: str, body: Mapping[str, Any], vault: str, target: str) -> Request:
        return Request(
            method, path, f"write {target}", body=dict(body), secret=True, idempotent=False, permission=_right(vault)
        )

    def _of(self, vault: str) -> str:
        """Return the path of a vault; its id is asked for once in a run."""
        if _ID.fullmatch(vault):
            return f"/v1/vaults/{vault}"
        with self._lock:
            known = self._vaults.get(vault)
        if known is None:
            found = self._listed("/v1/vaults", "name", vault, f"list the vaults {vault}", vault)
            if len(found) != 1:
                raise _no_one_vault(vault, len(found))
            known = str(found[0]["id"])
            with self._lock:
                self._vaults[vault] = known
        return f"/v1/vaults/{known}"

    def _listed(self, path: str, attribute: str, name: str, about: str, vault: str) -> list[dict[str, Any]]:
        """Return what has exactly this name; the filter may be less exact."""
        where = quote(f'{attribute} eq "{name}"', safe="")
        request = Request("GET", f"{path}?filter={where}", about, mutates=False, permission=_right(vault))
        listed = self._http.request(request).json()
        if not isinstance(listed, list):
            raise ServiceRejected(
                f"1Password Connect gave no list when asked to {about}.", remedy="Check the connection's url."
            )
        return [one for one in listed if one.get(attribute) == name]

    def _whole(self, path: str, item: str, vault: str) -> dict[str, Any]:
        """Return one item with its fields; their values are secrets."""
        request = Request("GET", path, f"read the item {item}", mutates=False, secret=True, permission=_right(vault))
        found = self._http.request(request).json()
        if not isinstance(found, dict) or "id" not in found:
            raise ServiceRejected(
                f"1Password Connect gave no item when asked to {request.description}.", remedy="Check the url."
            )
        return found


def _right(vault: str) -> str:
    return f"read and write access to the vault {vault}"


def _no_one_vault(vault: str, found: int) -> Failed:
    if found:
        return ServiceRejected(f"1Password has {found} vaults {vault!r}.", remedy="Name one by its id.")
    return NotFound(
        f"1Password Connect shows no vault {vault!r}: it is not there, or the token may not see it.",
        remedy=f"Check the name, and that the token has {_right(vault)}.",
    )


CONNECTION = ConnectionKind(
    name="onepassword",
    settings=Settings,
    connect=Connect,
    environment={"url": ("OP_CONNECT_HOST",), "token": ("OP_CONNECT_TOKEN",)},
)
