"""What stands for 1Password below its SDK: the SDK's core, which speaks JSON, with one vault in memory.

Source: the package onepassword-sdk 0.4.2: the names and parameters of its invocations, its types, its errors.
"""

from __future__ import annotations

import itertools
import json
from typing import Any


class CoreError(Exception):
    """An error as the core raises it: its message is JSON."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.msg = json.dumps({"name": name, "message": message})


class Core:
    """The core, with the vault ``ops`` and the token ``ops_token``. ``fails`` are errors of the next calls by name.

    A failure that begins with ``after:`` happens after the effect.
    """

    def __init__(self) -> None:
        self.tokens = {"ops_token"}
        self.items: dict[str, dict[str, Any]] = {}
        self.fails: dict[str, list[tuple[str, str]]] = {}
        self.calls: list[str] = []
        self._numbers = itertools.count(1)
        self.vault = self._id("v")

    async def init_client(self, config: dict[str, Any]) -> str:
        """Answer a login."""
        if config["serviceAccountToken"] not in self.tokens:
            raise Exception("invalid service account token, please make sure you provide a valid one")  # noqa: TRY002
        return "1"

    async def invoke(self, config: dict[str, Any]) -> str:
        """Answer an invocation."""
        wanted = config["invocation"]["parameters"]
        name, parameters = wanted["name"], wanted["parameters"]
        json.dumps(parameters)  # as the SDK does
        self.calls.append(name)
        failures = self.fails.get(name, [])
        kind, message = failures.pop(0) if failures else ("", "")
        if kind and not kind.startswith("after:"):
            self._fail(kind, message)
        found = getattr(self, f"_{name}")(**parameters)
        if kind:
            self._fail(kind, message)
        return json.dumps(found)

    def release_client(self, client_id: int) -> None:
        """Forget a client."""

    def titled(self, title: str) -> dict[str, Any] | None:
        """Return the item with this title."""
        return next((item for item in self.items.values() if item["title"] == title), None)

    def add(self, title: str, values: dict[str, str], **more: Any) -> dict[str, Any]:
        """Create an item as the operator does."""
        fields = [self._field(label, value) for label, value in values.items()]
        made: dict[str, Any] = self._ItemsCreate({"title": title, "vaultId": self.vault, "fields": fields, **more})
        return self.items[made["id"]]

    def edit(self, item: dict[str, Any], values: dict[str, str]) -> None:
        """Change or add fields as the operator does."""
        for label, value in values.items():
            there = [one for one in item["fields"] if one["title"] == label]
            if there:
                there[0]["value"] = value
            else:
                item["fields"].append(self._field(label, value))
        item["version"] += 1

    def _VaultsList(self, params: Any = None) -> list[dict[str, Any]]:  # noqa: N802  a name of the SDK
        stamp = "2026-11-21T12:00:00Z"
        return [
            {
                "id": self.vault,
                "title": "ops",
                "description": "",
                "vaultType": "userCreated",
                "activeItemCount": len(self.items),
                "contentVersion": 1,
                "attributeVersion": 1,
                "createdAt": stamp,
                "updatedAt": stamp,
            }
        ]

    def _ItemsList(self, vault_id: str, filters: Any = None) -> list[dict[str, Any]]:  # noqa: N802
        names = ("id", "title", "category", "vaultId", "websites", "tags", "createdAt", "updatedAt")
        return [{**{name: item[name] for name in names}, "state": "active"} for item in self.items.values()]

    def _ItemsGet(self, vault_id: str, item_id: str) -> dict[str, Any]:  # noqa: N802
        if item_id not in self.items:
            raise CoreError("", f"item {item_id} not found")
        return self.items[item_id]

    def _ItemsCreate(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        stamp = "2026-11-21T12:00:00Z"
        item = {
            "id": self._id("i"),
            "category": "ApiCredentials",
            "sections": [],
            "notes": "",
            "tags": [],
            "files": [],
            "websites": [],
            "version": 1,
            "document": None,
            "createdAt": stamp,
            "updatedAt": stamp,
            **{name: value for name, value in params.items() if value is not None},
        }
        self._refuse_twins(item)
        self.items[item["id"]] = item
        return item

    def _ItemsPut(self, item: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        before = self._ItemsGet(item["vaultId"], item["id"])
        if before["version"] != item["version"]:
            raise CoreError("", "incorrect item version")
        self._refuse_twins(item)
        self.items[item["id"]] = {**item, "version": item["version"] + 1}
        return self.items[item["id"]]

    def _refuse_twins(self, item: dict[str, Any]) -> None:
        ids = [(one.get("sectionId"), one["id"]) for one in item["fields"]]
        if len(set(ids)) != len(ids):
            raise CoreError("", "two fields have the same id")

    def _field(self, label: str, value: str) -> dict[str, Any]:
        own = {"id": self._id("f"), "title": label, "fieldType": "Text", "value": value}
        return {**own, "sectionId": None, "details": None}

    def _fail(self, kind: str, message: str) -> None:
        raise CoreError(kind.removeprefix("after:"), message)

    def _id(self, kind: str) -> str:
        return f"{kind}{next(self._numbers):025d}"
