"""A 1Password Connect server: vaults and items by filter, whole items, ids that the server assigns.

A write is not conditional: the server counts the item's ``version``, whatever the request's is.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, ClassVar

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_ID = r"([\da-z]{26})"
_FILTER = re.compile(r'(name|title) eq "([^"\']+)"')
_TYPES = {"STRING", "EMAIL", "CONCEALED", "URL", "TOTP", "DATE", "MONTH_YEAR", "MENU"}
_CATEGORIES = {"LOGIN", "PASSWORD", "API_CREDENTIAL", "SECURE_NOTE", "SERVER", "DATABASE"}


class OnePassword(FakeService):
    """A Connect server with the vault ``ops`` in its token's scope."""

    not_found: ClassVar[Any] = {"status": 404, "message": "not found"}

    def __init__(self, monotonic: Callable[[], float] | None = None) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.tokens = {"connect-token"}
        self.vaults: dict[str, str] = {}
        self.items: dict[str, dict[str, Any]] = {}
        self.read_only = False
        self.before_write: list[Callable[[], None]] = []
        self.vault = self.add_vault("ops")

    def add_vault(self, name: str) -> str:
        """Create a vault and return its id."""
        vault = self._new_id("v")
        self.vaults[vault] = name
        return vault

    def add_item(self, title: str, fields: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Create an item as the operator does; return it as it is stored."""
        item = {"title": title, "category": "API_CREDENTIAL", "vault": {"id": self.vault}, "fields": fields, **more}
        return self._keep({**item, "id": self._new_id("i")}, 1)

    def edit(self, item: dict[str, Any], values: dict[str, str]) -> None:
        """Change or add fields as the operator does."""
        for label, value in values.items():
            there = [one for one in item["fields"] if one.get("label") == label]
            if there:
                there[0]["value"] = value
            else:
                item["fields"].append({"id": self._new_id("f"), "type": "STRING", "label": label, "value": value})
        item["version"] += 1

    def titled(self, title: str) -> dict[str, Any] | None:
        """Return the first item with this title."""
        return next((item for item in self.items.values() if item["title"] == title), None)

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token, and whether it may write."""
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            raise _refusal(401, "Invalid token signature")
        if request.method != "GET" and self.read_only:
            raise _refusal(403, f"token does not have write access to vault {self.vault}")

    @route("GET", r"/v1/vaults")
    def list_vaults(self, request: ReceivedRequest) -> Reply:
        """Answer ``Get all Vaults``; the filter is case-insensitive."""
        wanted = _wanted(request, "name")
        found = [{"id": key, "name": name} for key, name in self.vaults.items() if wanted in {None, name.lower()}]
        return Reply(200, found)

    @route("GET", rf"/v1/vaults/{_ID}/items")
    def list_items(self, request: ReceivedRequest, vault: str) -> Reply:
        """Answer ``Get all items``: without their fields."""
        self._see(vault)
        wanted = _wanted(request, "title")
        found = [item for item in self.items.values() if wanted in {None, item["title"].lower()}]
        return Reply(200, [{key: value for key, value in item.items() if key != "fields"} for item in found])

    @route("GET", rf"/v1/vaults/{_ID}/items/{_ID}")
    def read(self, _request: ReceivedRequest, vault: str, item: str) -> Reply:
        """Answer ``Get the details of an Item``; an empty field has no value."""
        found = copy.deepcopy(self._found(vault, item))
        for one in found["fields"]:
            if one.get("value") == "":
                del one["value"]
        return Reply(200, found)

    @route("POST", rf"/v1/vaults/{_ID}/items")
    def create(self, request: ReceivedRequest, vault: str) -> Reply:
        """Answer ``Create a new Item``, even if there is one with the same title."""
        self._see(vault)
        body = self._valid(request, vault)
        return Reply(200, self._keep({**body, "id": self._new_id("i")}, 1))

    @route("PUT", rf"/v1/vaults/{_ID}/items/{_ID}")
    def replace(self, request: ReceivedRequest, vault: str, item: str) -> Reply:
        """Answer ``Update an Item``: what the request leaves out is gone."""
        if self.before_write:
            self.before_write.pop(0)()
        found = self._found(vault, item)
        body = self._valid(request, vault)
        if body.get("id", item) != item:
            raise _refusal(400, "The item id in the body is not the one in the path")
        return Reply(200, self._keep({**body, "id": item}, found["version"] + 1))

    @route("DELETE", rf"/v1/vaults/{_ID}/items/{_ID}")
    def delete(self, _request: ReceivedRequest, vault: str, item: str) -> Reply:
        """Answer ``Delete an Item``."""
        self._found(vault, item)
        del self.items[item]
        return Reply(204)

    def _valid(self, request: ReceivedRequest, vault: str) -> dict[str, Any]:
        body: dict[str, Any] = request.json() or {}
        if body.get("vault", {}).get("id") != vault:
            raise _refusal(400, "The vault in the body is not the one in the path")
        if body.get("category") not in _CATEGORIES:
            raise _refusal(400, "Invalid item category")
        for one in body.get("fields", []):
            if one.get("type") not in _TYPES:
                raise _refusal(400, f"Invalid field type {one.get('type')}")
            one.setdefault("id", self._new_id("f"))
        return body

    def _keep(self, item: dict[str, Any], version: int) -> dict[str, Any]:
        now = self.stamp()
        kept = {**item, "version": version, "createdAt": item.get("createdAt", now), "updatedAt": now}
        self.items[item["id"]] = kept
        return kept

    def _see(self, vault: str) -> None:
        if vault not in self.vaults:
            raise _refusal(404, f"vault {vault} not found")

    def _found(self, vault: str, item: str) -> dict[str, Any]:
        self._see(vault)
        if item not in self.items:
            raise _refusal(404, f"item {item} not found")
        return self.items[item]

    def _new_id(self, kind: str) -> str:
        return f"{kind}{self.tick():025d}"


def _wanted(request: ReceivedRequest, attribute: str) -> str | None:
    if "filter" not in request.query:
        return None
    match = _FILTER.fullmatch(request.query.get("filter", ""))
    if not match or match[1] != attribute:
        raise _refusal(400, "Invalid filter")
    return match[2].lower()


def _refusal(status: int, message: str) -> Refusal:
    return Refusal(status, {"status": status, "message": message})
