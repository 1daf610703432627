"""Woodpecker's API for the secrets of repositories and organizations.

They are found by name and then reached by their ID. Names are told apart by case. No value is shown. What a change
leaves out stays. Who may not push to a repository does not see its secrets. Errors are text, not JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_SECRETS = r"/api/((?:repos|orgs)/\d+)/secrets"
EVENTS = {
    *("push", "tag", "release", "deployment", "cron", "manual"),
    *("pull_request", "pull_request_closed", "pull_request_metadata"),
}
MOST = 50


class Woodpecker(FakeService):
    """Woodpecker with the repository ``acme/site`` and the organization ``acme``, and one token."""

    not_found = b""

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "eyJ" + "w" * 40) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.pushes = True
        self.names = {"repos/acme/site": "repos/7", "orgs/acme": "orgs/3"}
        self.secrets: dict[str, dict[str, dict[str, Any]]] = {"repos/7": {}, "orgs/3": {}}

    def delete(self, name: str) -> None:
        """Delete a repository or an organization, such as ``repos/acme/site``."""
        self.secrets.pop(self.names.pop(name), None)

    def add_secret(self, owner: str, name: str, value: str, **fields: Any) -> None:
        """Create a secret as the operator does."""
        made = {"id": self.tick(), "name": name, "value": value, "note": "", "events": ["push"], "images": []}
        self.secrets[owner][name] = {**made, **fields}

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token."""
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise Refusal(401, b"User not authorized", _TEXT)

    @route("GET", r"/api/(repos|orgs)/lookup/(.+)")
    def look_up(self, _request: ReceivedRequest, kind: str, name: str) -> Reply:
        """Answer ``LookupRepo`` and ``LookupOrg``."""
        found = self.names.get(f"{kind}/{name}")
        if found is None:
            raise Refusal(404)
        return Reply(200, {"id": int(found.rpartition("/")[2]), "full_name": name})

    @route("GET", _SECRETS)
    def list_secrets(self, request: ReceivedRequest, owner: str) -> Reply:
        """Answer ``GetSecretList``, in pages."""
        found = sorted(self._owner(owner).values(), key=lambda one: str(one["name"]))
        size, page = min(int(request.query.get("perPage", MOST)), MOST), int(request.query.get("page", 1))
        return Reply(200, [_shown(one) for one in found[size * (page - 1) : size * page]])

    @route("POST", _SECRETS)
    def create(self, request: ReceivedRequest, owner: str) -> Reply:
        """Answer ``PostSecret``."""
        there = self._owner(owner)
        body = request.json() or {}
        _check(body)
        if body["name"] in there:
            raise Refusal(500, b"Error inserting secret: UNIQUE constraint failed", _TEXT)
        self.add_secret(owner, body["name"], body["value"], **{name: body[name] for name in _FIELDS if name in body})
        return Reply(200, _shown(there[body["name"]]))

    @route("PATCH", _SECRETS + "/([^/]+)")
    def change(self, request: ReceivedRequest, owner: str, name: str) -> Reply:
        """Answer ``PatchSecret``."""
        there = self._owner(owner)
        if name not in there:
            raise Refusal(404)
        body = {key: value for key, value in (request.json() or {}).items() if value not in (None, "")}
        changed = {**there[name], **{key: body[key] for key in ("value", *_FIELDS) if key in body}}
        _check(changed)
        there[name] = changed
        return Reply(200, _shown(changed))

    @route("DELETE", _SECRETS + "/([^/]+)")
    def remove(self, _request: ReceivedRequest, owner: str, name: str) -> Reply:
        """Answer ``DeleteSecret``."""
        if self._owner(owner).pop(name, None) is None:
            raise Refusal(404)
        return Reply(204)

    def _owner(self, owner: str) -> dict[str, dict[str, Any]]:
        if owner not in self.secrets or not self.pushes:
            raise Refusal(404)
        return self.secrets[owner]


_FIELDS = ("events", "images", "note")
_TEXT = {"Content-Type": "text/plain; charset=utf-8"}


def _check(secret: dict[str, Any]) -> None:
    events = secret.get("events") or []
    if not secret.get("name") or not secret.get("value") or not events or not {*events} <= EVENTS:
        raise Refusal(422, b"Error inserting secret: invalid", _TEXT)


def _shown(secret: dict[str, Any]) -> dict[str, Any]:
    return {**{name: value for name, value in secret.items() if name != "value"}, "org_id": 0, "repo_id": 7}
