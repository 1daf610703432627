"""Octopus Deploy's API for the accounts of a space.

A secret is shown as whether there is one. An update replaces the whole document, except a secret without a new value.
Lists come in pages, and a name is looked for by a part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_ACCOUNTS = r"/api/(Spaces-\d+)/accounts"
TYPES = {"AmazonWebServicesAccount", "UsernamePassword", "Token"}


class Octopus(FakeService):
    """Octopus Deploy with the space ``Spaces-1``, and one API key."""

    not_found = {"ErrorMessage": "The resource you requested was not found."}  # noqa: RUF012

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "API-" + "T" * 32) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.may_write = True
        self.most = 100
        self.spaces: dict[str, list[dict[str, Any]]] = {"Spaces-1": []}

    def account(self, name: str) -> dict[str, Any] | None:
        """Return an account, its secret included."""
        return next((one for one in self.spaces.get("Spaces-1", []) if one["Name"] == name), None)

    def add_account(self, name: str, **fields: Any) -> None:
        """Create an account as the operator does."""
        made = {"AccountType": "AmazonWebServicesAccount", "AccessKey": "", "secret": "", "Description": ""}
        number = self.tick()
        self.spaces["Spaces-1"].append({"Id": f"Accounts-{number}", "Name": name, **made, **fields})

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the API key, and what its user may do."""
        if request.headers.get("X-Octopus-Apikey") != self.token:
            raise Refusal(401, {"ErrorMessage": "The API key you provided was not valid."})
        if request.method != "GET" and not self.may_write:
            raise Refusal(403, {"ErrorMessage": "You do not have permission to perform this action."})

    @route("GET", _ACCOUNTS)
    def list_accounts(self, request: ReceivedRequest, space: str) -> Reply:
        """Answer the accounts query."""
        part = request.query.get("partialName", "").lower()
        found = [one for one in self._space(space) if part in one["Name"].lower()]
        skip, take = int(request.query.get("skip", 0)), min(int(request.query.get("take", 30)), self.most)
        return Reply(200, {"Items": [_shown(one) for one in found[skip : skip + take]], "TotalResults": len(found)})

    @route("POST", _ACCOUNTS)
    def create(self, request: ReceivedRequest, space: str) -> Reply:
        """Answer the creation of an account."""
        body = request.json() or {}
        _check(body)
        if any(one["Name"].lower() == body["Name"].lower() for one in self._space(space)):
            raise Refusal(400, {"ErrorMessage": "An account with this name already exists.", "Errors": []})
        secret = body.pop("SecretKey", {}).get("NewValue") or ""
        self.add_account(body.pop("Name"), **body, secret=secret)
        return Reply(201, _shown(self.spaces[space][-1]))

    @route("PUT", _ACCOUNTS + "/([^/]+)")
    def update(self, request: ReceivedRequest, space: str, identity: str) -> Reply:
        """Answer the update of an account."""
        found = next((one for one in self._space(space) if one["Id"] == identity), None)
        if found is None:
            raise Refusal(404, self.not_found)
        body = request.json() or {}
        _check(body)
        secret = body.pop("SecretKey", {}).get("NewValue") or found["secret"]
        found.clear()
        found.update({**body, "Id": identity, "secret": secret})
        return Reply(200, _shown(found))

    def _space(self, space: str) -> list[dict[str, Any]]:
        if space not in self.spaces:
            raise Refusal(404, self.not_found)
        return self.spaces[space]


def _check(account: dict[str, Any]) -> None:
    if not account.get("Name") or account.get("AccountType") not in TYPES:
        raise Refusal(400, {"ErrorMessage": "There was a problem with your request.", "Errors": ["Name or type"]})


def _shown(account: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in account.items() if name != "secret"}
    return {**shown, "SecretKey": {"HasValue": bool(account["secret"]), "Hint": None, "NewValue": None}}
