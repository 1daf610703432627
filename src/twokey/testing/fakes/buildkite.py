"""Buildkite's REST API for the secrets of a cluster.

No value is shown. A value and a description are changed by calls of their own, and each changes ``updated_at``; what a
call leaves out stays. The response to a request over a limit says when the user's budget is renewed, without
Retry-After.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_SECRETS = r"/v2/organizations/([^/]+)/clusters/([^/]+)/secrets"
_KEY = re.compile(r"(?!buildkite|bk)[A-Za-z][A-Za-z0-9_]{0,254}", re.ASCII | re.IGNORECASE)
LONGEST = 8 * 1024


class Buildkite(FakeService):
    """Buildkite with one cluster of the organization ``acme``, and one token."""

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "bkua_" + "t" * 40) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.scopes = ["read_secret_details", "write_secrets"]
        self.maintainer = True
        self.cluster = str(uuid.UUID(int=0xC1))
        self.clusters: dict[str, list[dict[str, Any]]] = {f"acme/{self.cluster}": []}

    def delete(self, cluster: str) -> None:
        """Delete a cluster: ``acme/CLUSTER_ID``."""
        self.clusters.pop(cluster, None)

    def secret(self, key: str) -> dict[str, Any] | None:
        """Return a secret of the cluster, its value included."""
        found = self.clusters.get(f"acme/{self.cluster}", [])
        return next((one for one in found if one["key"] == key), None)

    def add_secret(self, key: str, value: str = "x", description: str | None = None, policy: str | None = None) -> None:
        """Create a secret as the operator does."""
        now = self.stamp()
        fields = {"description": description, "policy": policy, "created_at": now, "updated_at": now}
        made = {"id": str(uuid.UUID(int=self.tick())), "key": key, "value": value, **fields}
        self.clusters[f"acme/{self.cluster}"].append(made)

    def documented_limits(self) -> None:
        """Enforce "REST API rate limits": of one user, of the organization."""
        self.limit(lambda _: True, 50, 60)
        self.limit(lambda _: True, 200, 60)

    def too_many(self, seconds: float) -> Reply:
        """Answer as "Exceeding the rate limit" documents."""
        left = f"{seconds:.0f}"
        message = f"You have exceeded your API rate limit. Please wait {left} seconds before making more requests."
        user = {"RateLimit-User-Remaining": "0", "RateLimit-User-Reset": left}
        organization = {"RateLimit-Remaining": "80", "RateLimit-Reset": "1"}
        return Reply(429, {"message": message, "scope": "rest_user"}, {**organization, **user})

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token, its scopes, and whether its user maintains the cluster."""
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise Refusal(401, {"message": "Authentication required. Please supply a valid API Access Token"})
        if not request.path.startswith("/v2/organizations/"):
            return
        scope = "read_secret_details" if request.method == "GET" else "write_secrets"
        if scope not in self.scopes:
            raise Refusal(403, {"message": f"Your access token requires the {scope} scope"})
        if request.method != "GET" and not self.maintainer:
            raise Refusal(403, {"message": "Forbidden"})

    @route("GET", "/v2/access-token")
    def see_token(self, _request: ReceivedRequest) -> Reply:
        """Answer ``Get the current token``."""
        return Reply(200, {"uuid": str(uuid.UUID(int=1)), "scopes": self.scopes})

    @route("GET", _SECRETS)
    def list_secrets(self, request: ReceivedRequest, organization: str, cluster: str) -> Reply:
        """Answer ``List secrets``, in pages."""
        found = self._secrets(organization, cluster)
        size, page = min(int(request.query.get("per_page", 30)), 100), int(request.query.get("page", 1))
        return Reply(200, [_shown(one) for one in found[size * (page - 1) : size * page]])

    @route("POST", _SECRETS)
    def create(self, request: ReceivedRequest, organization: str, cluster: str) -> Reply:
        """Answer ``Create a secret``."""
        there = self._secrets(organization, cluster)
        body = request.json() or {}
        key = body.get("key", "")
        if not _KEY.fullmatch(key):
            raise _invalid("Key is invalid")
        if any(one["key"].lower() == key.lower() for one in there):
            raise _invalid("Key has already been taken")
        self.add_secret(key, _value(body), body.get("description"), body.get("policy"))
        return Reply(201, _shown(there[-1]))

    @route("PUT", _SECRETS + "/([^/]+)")
    def describe(self, request: ReceivedRequest, organization: str, cluster: str, identity: str) -> Reply:
        """Answer ``Update a secret's description and access policy``."""
        found = self._secret(organization, cluster, identity)
        body = request.json() or {}
        if "key" in body:
            raise Refusal(422, {"message": "The key parameter cannot be updated."})
        if "value" in body:
            raise Refusal(422, {"message": "The value parameter cannot be updated on this endpoint."})
        found.update({name: body[name] for name in ("description", "policy") if name in body})
        found["updated_at"] = self.stamp()
        return Reply(200, _shown(found))

    @route("PUT", _SECRETS + "/([^/]+)/value")
    def write(self, request: ReceivedRequest, organization: str, cluster: str, identity: str) -> Reply:
        """Answer ``Update a secret's value``."""
        found = self._secret(organization, cluster, identity)
        found["value"] = _value(request.json() or {})
        found["updated_at"] = self.stamp()
        return Reply(200, _shown(found))

    @route("DELETE", _SECRETS + "/([^/]+)")
    def remove(self, _request: ReceivedRequest, organization: str, cluster: str, identity: str) -> Reply:
        """Answer ``Delete a secret``."""
        self._secrets(organization, cluster).remove(self._secret(organization, cluster, identity))
        return Reply(204)

    def _secrets(self, organization: str, cluster: str) -> list[dict[str, Any]]:
        if f"{organization}/{cluster}" not in self.clusters:
            raise Refusal(404, {"message": "No cluster found"})
        return self.clusters[f"{organization}/{cluster}"]

    def _secret(self, organization: str, cluster: str, identity: str) -> dict[str, Any]:
        found = next((one for one in self._secrets(organization, cluster) if one["id"] == identity), None)
        if found is None:
            raise Refusal(404, {"message": "No secret found"})
        return found


def _value(body: dict[str, Any]) -> str:
    value = body.get("value")
    if not isinstance(value, str) or not value.strip():
        raise _invalid("Value can't be blank")
    if len(value.encode()) >= LONGEST:
        raise _invalid("Value is too long")
    return value


def _shown(secret: dict[str, Any]) -> dict[str, Any]:
    return {**{name: value for name, value in secret.items() if name != "value"}, "last_read_at": None}


def _invalid(why: str) -> Refusal:
    return Refusal(422, {"message": f"Validation failed: {why}"})
