"""A Key Vault, Entra's token endpoint, the endpoints of managed identities: versions, tags, soft deletes, permissions.

Names are case-insensitive. A deleted secret keeps its name until it is purged.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, ClassVar

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_CODES = {400: "BadParameter", 401: "Unauthorized", 403: "Forbidden", 404: "SecretNotFound", 409: "Conflict"}
_PERMISSIONS = {"GET": "get", "PUT": "set", "DELETE": "delete"}
MOST_VALUE, MOST_TAGS, MOST_TAG, MOST_TYPE = 25 << 10, 15, 256, 255
TENANT, CLIENT = "0d3bbd40-0000-4000-8000-00000000000a", "9f1c0000-0000-4000-8000-00000000000b"
AUDIENCE = "https://vault.azure.net"


class KeyVault(FakeService):
    """The vault ``site-prd`` with the token ``ey.vault``; an application and a machine's identity may log in."""

    not_found: ClassVar[Any] = {"error": {"code": "NotFound", "message": "No such path."}}

    def __init__(self, monotonic: Callable[[], float] | None = None) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = "ey.vault"  # noqa: S105
        self.tokens = {self.token}
        self.secrets: dict[str, list[dict[str, Any]]] = {}
        self.deleted: set[str] = set()
        self.forbidden = ""
        self.denied: set[str] = set()
        self.client_secret = "s-of-the-application"  # noqa: S105
        self.assertions = {"ey.federated"}
        self.machine = True
        self.lasts: Any = 3599

    def put(self, name: str, value: str, **more: Any) -> None:
        """Set a secret as ``az keyvault secret set`` does."""
        version = {"value": value, "id": f"{self.tick():032x}", "attributes": {"enabled": True}, **more}
        self.secrets.setdefault(name.lower(), []).append(version)

    def text(self, name: str) -> str | None:
        """Return what readers of a secret get."""
        versions = self.secrets.get(name.lower())
        return str(versions[-1]["value"]) if versions else None

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token, the network and the permissions; logins need none."""
        if "secrets" not in request.path:
            return
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            where = f'Bearer authorization="{self.url}/{TENANT}", resource="{AUDIENCE}"'
            message = "AKV10000: Request is missing a Bearer or PoP token."
            raise _refusal(401, message, headers={"WWW-Authenticate": where})
        if self.forbidden:
            raise _refusal(403, "Access is not allowed.", self.forbidden)
        if _PERMISSIONS[request.method] in self.denied:
            raise _refusal(403, "Caller is not authorized to perform action on resource.", "ForbiddenByRbac")
        if not re.fullmatch(r"7\.[4-6]|20\d\d-\d\d-\d\d", request.query.get("api-version", "")):
            raise _refusal(400, "The api-version is missing or not known.")

    @route("GET", r"/secrets")
    def list_secrets(self, _request: ReceivedRequest) -> Reply:
        """Answer ``Get Secrets``: without their values."""
        listed = [self._shown(name) for name in self.secrets if name not in self.deleted]
        for one in listed:
            one["id"] = one["id"].rpartition("/")[0]
            del one["value"]
        return Reply(200, {"value": listed, "nextLink": None})

    @route("DELETE", r"/secrets/([^/]+)")
    def delete(self, _request: ReceivedRequest, name: str) -> Reply:
        """Answer ``Delete Secret``: it can be recovered, and its name is taken, until it is purged."""
        self.get(_request, name)
        self.deleted.add(name.lower())
        reply: Reply = self.get_deleted(_request, name)
        return reply

    @route("DELETE", r"/deletedsecrets/([^/]+)")
    def purge(self, _request: ReceivedRequest, name: str) -> Reply:
        """Answer ``Purge Deleted Secret``."""
        self.get_deleted(_request, name)
        self.deleted.remove(name.lower())
        del self.secrets[name.lower()]
        return Reply(204)

    @route("GET", r"/secrets/([^/]+)/?")
    def get(self, _request: ReceivedRequest, name: str) -> Reply:
        """Answer ``Get Secret``."""
        versions = self.secrets.get(name.lower())
        if not versions or name.lower() in self.deleted:
            raise _refusal(404, f"A secret with (name/id) {name} was not found in this key vault.")
        if not versions[-1]["attributes"]["enabled"]:
            raise _refusal(403, "Operation get is not allowed on a disabled secret.", "SecretDisabled")
        return Reply(200, self._shown(name))

    @route("PUT", r"/secrets/([^/]+)")
    def set(self, request: ReceivedRequest, name: str) -> Reply:
        """Answer ``Set Secret``."""
        if not re.fullmatch(r"[0-9a-zA-Z-]{1,127}", name):
            raise _refusal(400, f"The request URI contains an invalid name: {name}")
        if name.lower() in self.deleted:
            kept = f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused."
            raise _refusal(409, kept, "ObjectIsDeletedButRecoverable")
        body = request.json() or {}
        tags = body.get("tags") or {}
        long = [tag for tag, value in tags.items() if max(len(tag), len(value)) > MOST_TAG]
        if len(tags) > MOST_TAGS or long or len(body.get("contentType", "")) > MOST_TYPE:
            raise _refusal(400, "The tags or the content type are too long.")
        if not isinstance(body.get("value"), str) or len(body["value"].encode()) > MOST_VALUE:
            raise _refusal(400, "The value is missing or too long.")
        attributes = {"enabled": True, **(body.get("attributes") or {})}
        options = {key: body[key] for key in ("contentType", "tags") if body.get(key)}
        self.put(name, body["value"], attributes=attributes, **options)
        return Reply(200, self._shown(name))

    @route("GET", r"/deletedsecrets/([^/]+)")
    def get_deleted(self, _request: ReceivedRequest, name: str) -> Reply:
        """Answer ``Get Deleted Secret``."""
        if name.lower() not in self.deleted:
            raise _refusal(404, f"Deleted Secret not found: {name}")
        known = self._shown(name) if name.lower() in self.secrets else {}
        shown = {one: value for one, value in known.items() if one != "value"}
        return Reply(200, {**shown, "recoveryId": f"{self.url}/deletedsecrets/{name}", "deletedDate": 1795262400})

    @route("GET", r"/([^/]+)/v2.0/.well-known/openid-configuration")
    def about_logins(self, _request: ReceivedRequest, tenant: str) -> Reply:
        """Answer where a tenant's logins are (OpenID Connect Discovery)."""
        base = f"{self.url}/{tenant}"
        endpoints = {f"{one}_endpoint": f"{base}/oauth2/v2.0/{one}" for one in ("authorization", "token")}
        return Reply(200, {"issuer": f"{base}/v2.0", **endpoints})

    @route("POST", r"/([^/]+)/oauth2/v2.0/token")
    def log_in(self, request: ReceivedRequest, tenant: str) -> Reply:
        """Answer the client credentials flow of Entra."""
        form = request.form()
        if (tenant, form.get("scope")) != (TENANT, f"{AUDIENCE}/.default"):
            raise Refusal(400, {"error": "invalid_request", "error_description": f"AADSTS90002: {form}"})
        if "client_assertion" in form:
            kind = form.get("client_assertion_type")
            good = kind == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            good = good and form["client_assertion"] in self.assertions
        else:
            good = form.get("client_secret") == self.client_secret
        if not good or form.get("client_id") != CLIENT or form.get("grant_type") != "client_credentials":
            message = f"AADSTS7000215: Invalid client secret provided: {form}"
            raise Refusal(401, {"error": "invalid_client", "error_description": message})
        return self._granted()

    @route("GET", r"/metadata/identity/oauth2/token")
    def metadata(self, request: ReceivedRequest) -> Reply:
        """Answer as the Instance Metadata Service does."""
        return self._identity(request, request.headers.get("Metadata") == "true", "2018-02-01")

    @route("GET", r"/msi/token")
    def app_service(self, request: ReceivedRequest) -> Reply:
        """Answer as App Service, Functions and Container Apps do: with the second at which the token expires.

        "How to use managed identities for App Service and Azure Functions"; Microsoft's clients expect no other field.
        """
        found = self._identity(request, request.headers.get("X-Identity-Header") == "h-of-the-app", "2019-08-01").body
        until = str(int(time.time()) + int(found.pop("expires_in")))
        return Reply(200, {**found, "expires_on": until, "resource": AUDIENCE, "client_id": CLIENT})

    def _identity(self, request: ReceivedRequest, allowed: bool, version: str) -> Reply:
        requested = request.query.get("api-version"), request.query.get("resource")
        if not allowed or requested != (version, AUDIENCE):
            raise Refusal(400, {"error": "invalid_request", "error_description": "Required metadata header missing"})
        if not self.machine or request.query.get("client_id", CLIENT) != CLIENT:
            raise Refusal(400, {"error": "invalid_request", "error_description": "Identity not found"})
        return self._granted()

    def _granted(self) -> Reply:
        token = f"ey.{self.tick()}"
        self.tokens.add(token)
        return Reply(200, {"access_token": token, "expires_in": self.lasts, "token_type": "Bearer"})

    def _shown(self, name: str) -> dict[str, Any]:
        version = self.secrets[name.lower()][-1]
        return {**version, "id": f"https://site-prd.vault.azure.net/secrets/{name}/{version['id']}"}


def _refusal(status: int, message: str, inner: str = "", headers: dict[str, str] | None = None) -> Refusal:
    error = {"code": _CODES[status], "message": message}
    return Refusal(status, {"error": {**error, "innererror": {"code": inner}} if inner else error}, headers)
