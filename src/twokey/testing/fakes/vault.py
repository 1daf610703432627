"""Vault's KV version 2 and logins: ``cas``, versions, soft deletes, policies by path, tokens that expire.

Vault responds with 403 both to a bad token and to a missing permission, and with 404 for what does not exist.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, ClassVar

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_DENIED = {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}


class Vault(FakeService):
    """Vault with a KV version 2 mount ``secret``, the token ``root-token``, and roles of every auth method."""

    not_found: ClassVar[Any] = {"errors": []}

    def __init__(self, monotonic: Callable[[], float] | None = None) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.tokens = {"root-token"}
        self.ttl, self.renewable = 3600, True
        self.logins: dict[str, Callable[[dict[str, Any]], bool]] = {
            "approle": lambda body: (body.get("role_id"), body.get("secret_id")) == ("twokey", "the-secret-id"),
            "jwt": lambda body: (body.get("role"), body.get("jwt")) == ("twokey", "ey.jwt"),
            "kubernetes": lambda body: (body.get("role"), body.get("jwt")) == ("twokey", "ey.pod"),
            "aws": _is_signed,
        }
        self.entries: dict[str, list[dict[str, str] | None]] = {}
        self.metadata: dict[str, dict[str, str]] = {}
        self.denied: set[str] = set()
        self.mounted = True
        self.options: dict[str, str] | None = {"version": "2"}
        self.hidden = False

    def data(self, path: str) -> dict[str, str] | None:
        """Return what the latest version of a secret holds."""
        versions = self.entries.get(path, [])
        return versions[-1] if versions else None

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token, then whether the policy denies the path."""
        if request.path.endswith("/login"):
            return
        if request.headers.get("X-Vault-Token") not in self.tokens:
            raise Refusal(403, {"errors": ["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]})
        writes = request.method != "GET" and "/sys/" not in request.path
        if writes and any(part in request.path for part in self.denied):
            raise Refusal(403, _DENIED)

    @route("POST", r"/v1/auth/([^/]+)/login")
    def login(self, request: ReceivedRequest, mount: str) -> Reply:
        """Answer a login of any method."""
        accepts = self.logins.get(mount)
        if accepts is None or not accepts(request.json() or {}):
            raise Refusal(400, {"errors": ["invalid role or secret ID"]})
        token = f"hvs.{self.tick()}"
        self.tokens.add(token)
        auth = {
            "client_token": token,
            "accessor": f"accessor-{token}",
            "policies": ["default", "twokey"],
            "token_policies": ["default", "twokey"],
            "metadata": {},
            "lease_duration": 3600,
            "renewable": True,
            "entity_id": "",
            "token_type": "service",
            "orphan": True,
        }
        return Reply(200, self._envelope(None, auth))

    @route("GET", r"/v1/auth/token/lookup-self")
    def lookup(self, _request: ReceivedRequest) -> Reply:
        """Answer ``Lookup a token (self)``."""
        found = {"policies": ["default", "twokey"], "type": "service", "ttl": self.ttl, "renewable": self.renewable}
        return Reply(200, self._envelope(found))

    @route("POST", r"/v1/auth/token/renew-self")
    def renew(self, _request: ReceivedRequest) -> Reply:
        """Answer ``Renew a token (self)``."""
        if not self.renewable:
            raise Refusal(400, {"errors": ["lease is not renewable"]})
        self.ttl = 3600
        return Reply(200, self._envelope(None, {"client_token": "", "lease_duration": self.ttl, "renewable": True}))

    @route("POST", r"/v1/sys/capabilities-self")
    def capabilities(self, request: ReceivedRequest) -> Reply:
        """Answer ``Query token capabilities``."""
        able = {
            path: ["read"] if any(part in path for part in self.denied) else ["create", "read", "update"]
            for path in (request.json() or {})["paths"]
        }
        if not self.mounted:
            able = {path: ["deny"] for path in able}
        return Reply(200, {**self._envelope(able), **able})

    @route("GET", r"/v1/sys/internal/ui/mounts/secret")
    def about(self, _request: ReceivedRequest) -> Reply:
        """Answer the CLI's request before it reads: what the mount is. Only a token that may use it gets a response."""
        if not self.mounted or self.hidden:
            raise Refusal(403, {"errors": ["preflight capability check returned 403, please ensure client's policies"]})
        return Reply(200, self._envelope({"type": "kv", "path": "secret/", "options": self.options}))

    @route("GET", r"/v1/secret/data/(.+)")
    def read(self, _request: ReceivedRequest, path: str) -> Reply:
        """Answer ``Read secret version``."""
        self._mount()
        versions = self.entries.get(path, [])
        if not versions:
            raise Refusal(404, {"errors": []})
        found = {"data": versions[-1], "metadata": self._version(path)}
        return Reply(200 if versions[-1] is not None else 404, self._envelope(found))

    @route("LIST", r"/v1/secret/metadata/(.+)")
    def list_secrets(self, _request: ReceivedRequest, path: str) -> Reply:
        """Answer ``List secrets``: the names below a path, those of folders with a slash."""
        self._mount()
        folder = path.rstrip("/") + "/"
        below = [one.removeprefix(folder) for one in self.entries if one.startswith(folder)]
        keys = sorted({name if not more else f"{name}/" for name, _, more in (one.partition("/") for one in below)})
        if not keys:
            raise Refusal(404, {"errors": []})
        return Reply(200, self._envelope({"keys": keys}))

    @route("DELETE", r"/v1/secret/metadata/(.+)")
    def delete(self, _request: ReceivedRequest, path: str) -> Reply:
        """Answer ``Delete metadata and all versions``."""
        self._mount()
        self.entries.pop(path, None)
        self.metadata.pop(path, None)
        return Reply(204)

    @route("POST", r"/v1/secret/data/(.+)")
    def write(self, request: ReceivedRequest, path: str) -> Reply:
        """Answer ``Create/update secret``."""
        self._mount()
        body = request.json() or {}
        versions = self.entries.setdefault(path, [])
        cas = body.get("options", {}).get("cas")
        if cas is not None and cas != len(versions):
            raise Refusal(400, {"errors": ["check-and-set parameter did not match the current version"]})
        if not isinstance(body.get("data"), dict):
            raise Refusal(400, {"errors": ["no data provided"]})
        versions.append(body["data"])
        return Reply(200, self._envelope(self._version(path)))

    @route("PATCH", r"/v1/secret/metadata/(.+)")
    def describe(self, request: ReceivedRequest, path: str) -> Reply:
        """Answer ``Patch metadata``."""
        self.metadata.setdefault(path, {}).update((request.json() or {})["custom_metadata"])
        return Reply(204)

    def _version(self, path: str) -> dict[str, Any]:
        """Return Vault's metadata of the latest version. Versions are a second apart."""
        versions = self.entries[path]
        minutes, seconds = divmod(len(versions), 60)
        time = f"2026-11-01T00:{minutes:02d}:{seconds:02d}.000000000Z"
        return {
            "created_time": time,
            "custom_metadata": self.metadata.get(path),
            "deletion_time": "" if versions[-1] is not None else time,
            "destroyed": False,
            "version": len(versions),
        }

    def _envelope(self, data: Any, auth: Any = None) -> dict[str, Any]:
        """Return the members around the data of every response."""
        return {
            "request_id": f"00000000-0000-0000-0000-{self.tick():012d}",
            "lease_id": "",
            "renewable": False,
            "lease_duration": 0,
            "data": data,
            "wrap_info": None,
            "warnings": None,
            "auth": auth,
        }

    def _mount(self) -> None:
        if not self.mounted:
            raise Refusal(404, {"errors": ["no handler for route 'secret/data/x'. route entry not found."]})


def _is_signed(login: dict[str, Any]) -> bool:
    """Return whether a login is a signed GetCallerIdentity for the right server; STS itself is not called."""
    if login.get("role") != "twokey" or login.get("iam_http_request_method") != "POST":
        return False
    headers = json.loads(base64.b64decode(login["iam_request_headers"]))
    signed = headers.get("Authorization", [""])[0]
    body = base64.b64decode(login["iam_request_body"]).decode()
    server = headers.get("X-Vault-AWS-IAM-Server-ID", [""])[0]
    return "Action=GetCallerIdentity" in body and server == "vault.example" and "x-vault-aws-iam-server-id" in signed
