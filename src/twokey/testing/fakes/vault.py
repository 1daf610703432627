"""Vault's KV version 2 and logins: ``cas``, versions, soft deletes, policies by path, tokens that expire.

Vault responds with 403 both to a bad token and to a missing permission, and with 404 for what does not exist. Behind a
load balancer, a standby that lags may answer what only reads.

Sources: "AWS auth method (API)" (Login, Configure Client), "Vault Enterprise Eventual Consistency", Vault's
documentation; "Eventual consistency", OpenBao's.
"""

from __future__ import annotations

import base64
import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar

from twokey.testing.fakes.signed_identity import RefusedByAws, caller
from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

AWS_KEY, AWS_SECRET = "AKIAIOSFODNN7EXAMPLE", "s" * 40
"""The access key that the role of the AWS auth method is bound to."""
_DENIED = {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}


class Vault(FakeService):
    """Vault with a KV version 2 mount ``secret``, the token ``root-token``, and roles of every auth method.

    ``sts`` are ``sts_endpoint`` and ``sts_region`` of the AWS auth method. ``lag``: after each write, a standby answers
    so many reads from the state before it; a read that names a later state (X-Vault-Index) gets ``lag_status`` instead,
    if ``indexed``: 412 from Vault, 429 from OpenBao.
    """

    not_found: ClassVar[Any] = {"errors": []}

    def __init__(self, monotonic: Callable[[], float] | None = None) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.tokens = {"root-token"}
        self.ttl, self.renewable = 3600, True
        self.logins: dict[str, Callable[[dict[str, Any]], bool]] = {
            "approle": lambda body: (body.get("role_id"), body.get("secret_id")) == ("twokey", "the-secret-id"),
            "jwt": lambda body: (body.get("role"), body.get("jwt")) == ("twokey", "ey.jwt"),
            "kubernetes": lambda body: (body.get("role"), body.get("jwt")) == ("twokey", "ey.pod"),
            "aws": self._is_signed,
            "userpass": lambda body: (body.get("user"), body.get("password")) == ("twokey", "the-password"),
            "cert": lambda body: self.tls is not None and body.get("name") == "twokey",
        }
        self.refusal, self.aws_words = "invalid role or secret ID", ""
        self.sts = ("https://sts.amazonaws.com", "us-east-1")
        self.lag, self.indexed, self.lag_status = 0, True, 412
        self.namespaces: list[tuple[str, str]] = []
        self._index = 0
        self._lagging: tuple[int, int, dict[str, Any]] = (0, 0, {})
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

    def handle(self, request: ReceivedRequest) -> Reply:
        """Answer one request: a standby that lags does, if the request only reads."""
        self.namespaces.append((request.path, request.headers.get("X-Vault-Namespace", "")))
        if not self.lag:
            return super().handle(request)
        reads, index, older = self._lagging
        if request.method == "GET" and reads:
            self._lagging = (reads - 1, index, older)
            return self._by_the_standby(request, index, older)
        before = deepcopy(self._state())
        reply = super().handle(request)
        if self._state() == before:
            return reply
        self._lagging = (self.lag, index, older) if reads else (self.lag, self._index, before)
        self._index += 1
        shown = {"X-Vault-Index": self._shown(self._index)} if self.indexed else {}
        return Reply(reply.status, reply.body, {**reply.headers, **shown})

    def _by_the_standby(self, request: ReceivedRequest, index: int, older: dict[str, Any]) -> Reply:
        """Answer from the older state, unless the request requires a later one.

        Then a header has OpenBao pass it on to the active node. Vault refuses that header unless it is configured.
        """
        openbao = self.lag_status == 429
        if self.indexed and _state_of(request.headers.get("X-Vault-Index", "")) > index:
            if request.headers.get("X-Vault-Inconsistent") != "forward-active-node":
                message = [] if openbao else ["required index state not present"]
                return Reply(self.lag_status, {"errors": message}, {"Retry-After": "1"} if openbao else {})
            if openbao:
                return super().handle(request)
            return Reply(400, {"errors": ["forwarding via header X-Vault-Inconsistent disabled in configuration"]})
        now = self._state()
        self._restore(older)
        try:
            return super().handle(request)
        finally:
            self._restore(now)

    def _shown(self, index: int) -> str:
        """Return a state as the header shows it: OpenBao's is JSON in Base64, Vault's another text."""
        openbao, vault = json.dumps({"cluster": "c", "value": str(index)}), f"v1:c:0:{index}:mac"
        return base64.b64encode((openbao if self.lag_status == 429 else vault).encode()).decode()

    def _state(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "entries": self.entries, "metadata": self.metadata}

    def _restore(self, state: dict[str, Any]) -> None:
        self.tokens, self.entries, self.metadata = state["tokens"], state["entries"], state["metadata"]

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token, then whether the policy denies the path."""
        if request.path.startswith("/v1/auth/") and "/login" in request.path:
            return
        if request.headers.get("X-Vault-Token") not in self.tokens:
            raise Refusal(403, {"errors": ["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]})
        writes = request.method != "GET" and "/sys/" not in request.path
        if writes and any(part in request.path for part in self.denied):
            raise Refusal(403, _DENIED)

    @route("POST", r"/v1/auth/([^/]+)/login")
    @route("POST", r"/v1/auth/([^/]+)/login/([^/]+)")
    def login(self, request: ReceivedRequest, mount: str, user: str = "") -> Reply:
        """Answer a login of any method."""
        accepts = self.logins.get(mount)
        if accepts is None or not accepts({**(request.json() or {}), **({"user": user} if user else {})}):
            raise Refusal(400, {"errors": [self.refusal]})
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

    def _is_signed(self, login: dict[str, Any]) -> bool:
        """Return whether a login is a GetCallerIdentity for the right server that STS accepts where Vault sends it."""
        if login.get("role") != "twokey" or login.get("iam_http_request_method") != "POST":
            return False
        listed = json.loads(base64.b64decode(login["iam_request_headers"]))
        headers = {name: values[0] for name, values in listed.items()}
        body = base64.b64decode(login["iam_request_body"])
        if headers.get("X-Vault-AWS-IAM-Server-ID") != "vault.example":
            raise Refusal(400, {"errors": ["error validating X-Vault-AWS-IAM-Server-ID header: missing header"]})
        if "x-vault-aws-iam-server-id" not in headers.get("Authorization", ""):
            raise Refusal(400, {"errors": ["error validating X-Vault-AWS-IAM-Server-ID header: not signed"]})
        endpoint, region = self.sts
        try:
            caller("POST", f"{endpoint}/", headers, body, region=region, keys={AWS_KEY: AWS_SECRET})
        except RefusedByAws as refused:
            message = f"error making upstream request: received error code 403 from STS: {self.aws_words or refused}"
            raise Refusal(400, {"errors": [message]}) from None
        return b"Action=GetCallerIdentity" in body


def _state_of(shown: str) -> int:
    """Return the state that a request's header names; 0 without one."""
    text = base64.b64decode(shown).decode()
    return int(json.loads(text)["value"] if text.startswith("{") else text.split(":")[3]) if text else 0
