"""Google Cloud's Secret Manager, token endpoints, metadata server and IAM: etags, versions, aliases, permissions.

Errors have the shape of AIP-193. Adding a version changes no etag. ``latest`` may lag behind the versions. A regional
secret exists at the endpoint of its location only: at ``/LOCATION`` of this server.

Sources: "Workload identity federation with AWS" and AIP-4117 (the signed request as a subject token),
"Method: serviceAccounts.generateAccessToken", "Regional secrets" (Secret Manager), "System parameters" (the quota
project), Google Cloud's documentation.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

from twokey.testing.fakes.signed_identity import RefusedByAws, caller
from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_SECRETS = r"/v1/projects/([^/]+)/secrets"
_SECRET = _SECRETS + r"/([^/:]+)"
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
MOST_ANNOTATIONS, MOST_PAYLOAD = 16 << 10, 64 << 10
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
AWS_TYPE = "urn:ietf:params:aws:token-type:aws4_request"
AWS_KEY, AWS_SECRET = "AKIAIOSFODNN7EXAMPLE", "s" * 40
"""The access key that the workload identity pool trusts."""
_REGIONAL = re.compile(r"/([a-z0-9-]+)(/v1/projects/[^/]+)/locations/([^/]+)(/secrets.*)")
SERVICE_ACCOUNT = "twokey@site-prd.iam.gserviceaccount.com"


class Google(FakeService):
    """Google Cloud with the project ``site-prd`` and the token ``ya29.token``.

    ``logins``: what is accepted, by kind of login. ``before_patch``: what other clients do just before a patch arrives.
    """

    not_found: ClassVar[Any] = {"error": {"code": 404, "message": "Method not found.", "status": "NOT_FOUND"}}

    def __init__(self, monotonic: Callable[[], float] | None = None) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = "ya29.token"  # noqa: S105
        self.tokens = {self.token}
        self.lasts = 3599
        self.projects = {"site-prd"}
        self.enabled = True
        self.denied: set[str] = set()
        self.secrets: dict[str, dict[str, Any]] = {}
        self.lagging = False
        self.machine = True
        self.location = ""
        self.regional: dict[str, dict[str, dict[str, Any]]] = {}
        self.quota_projects: list[str] = []
        self.billed = {"site-prd"}
        self.aws_region = "us-east-1"
        self.delegates: list[str] = []
        self.before_patch: list[Callable[[], None]] = []
        self.logins: dict[str, Callable[[dict[str, str]], bool]] = {
            JWT_GRANT: lambda _form: False,
            EXCHANGE: self._is_trusted,
            "refresh_token": lambda form: form.get("refresh_token") == "1//refresh",
        }

    def put(self, target: str, text: str) -> None:
        """Add a version as ``gcloud secrets versions add`` does."""
        secret = self.secrets.setdefault(target, self._made())
        secret["versions"].append({"data": text.encode(), "state": "ENABLED"})

    def text(self, target: str, version: str = "latest") -> str | None:
        """Return what readers of a version get."""
        secret = self.secrets.get(target)
        number = self._number(secret, version) if secret else 0
        return secret["versions"][number - 1]["data"].decode() if secret and number else None

    def annotate(self, target: str, notes: dict[str, str]) -> None:
        """Set annotations as the operator does."""
        secret = self.secrets.setdefault(target, self._made())
        secret["annotations"] = {**secret["annotations"], **notes}
        secret["etag"] = self._etag()

    def handle(self, request: ReceivedRequest) -> Reply:
        """Answer a request; those for regional secrets at the endpoint of their location only."""
        found = _REGIONAL.fullmatch(request.raw_path)
        if found is None:
            return super().handle(request)
        endpoint, project, location, rest = found.groups()
        if endpoint != location:
            return _refusal(400, f"The endpoint of {endpoint} has no secrets of {location}.").reply
        everywhere, self.secrets = self.secrets, self.regional.setdefault(location, {})
        self.location = location
        try:
            return super().handle(replace(request, path=f"{project}{rest}", raw_path=f"{project}{rest}"))
        finally:
            self.secrets, self.location = everywhere, ""

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token, the project and the API; logins need none."""
        if not request.path.startswith("/v1/projects/") or "serviceAccounts" in request.path:
            return
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            raise _refusal(401, "Request had invalid authentication credentials.")
        project = request.path.split("/")[3]
        if project not in self.projects:
            raise _refusal(403, f"Permission denied on resource project {project} (or it may not exist).")
        payer = request.headers.get("X-Goog-User-Project", "")
        self.quota_projects.append(payer)
        if payer and payer not in self.billed:
            message = f"Caller does not have required permission to use project {payer}."
            raise _refusal(403, message, reason="USER_PROJECT_DENIED")
        if not self.enabled:
            message = f"Secret Manager API has not been used in project {project} before or it is disabled."
            raise _refusal(403, message, reason="SERVICE_DISABLED")

    def too_many(self, seconds: float) -> Reply:
        """Answer as Google does if a quota is exhausted."""
        body = {"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}
        return Reply(429, body, {"Retry-After": f"{max(seconds, 1):.0f}"})

    @route("POST", r"/token|/v1/token")
    def log_in(self, request: ReceivedRequest) -> Reply:
        """Answer a grant."""
        form = request.form()
        accepts = self.logins.get(form.get("grant_type", ""))
        if accepts is None or not accepts(form):
            raise Refusal(400, {"error": "invalid_grant", "error_description": f"Bad: {form}"})
        return self._granted()

    @route("GET", r"/computeMetadata/v1/instance/service-accounts/default/token")
    def metadata(self, request: ReceivedRequest) -> Reply:
        """Answer as the metadata server does."""
        if request.headers.get("Metadata-Flavor") != "Google":
            raise Refusal(403, b"Missing required header: Metadata-Flavor")
        if not self.machine:
            raise Refusal(404, b"no service account")
        return self._granted()

    @route("GET", r"/computeMetadata/v1/instance/service-accounts/default/")
    def about_account(self, request: ReceivedRequest) -> Reply:
        """Answer what Google's clients ask before they ask for a token: whose account it is."""
        if request.headers.get("Metadata-Flavor") != "Google" or request.query.get("recursive") != "true":
            raise Refusal(403, b"Missing required header: Metadata-Flavor")
        scopes = ["https://www.googleapis.com/auth/cloud-platform"]
        return Reply(200, {"email": SERVICE_ACCOUNT, "aliases": ["default"], "scopes": scopes})

    @route("POST", r"/v1/projects/-/serviceAccounts/([^/]+):generateAccessToken")
    def impersonate(self, request: ReceivedRequest, account: str) -> Reply:
        """Answer ``generateAccessToken``."""
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            raise _refusal(401, "Request had invalid authentication credentials.")
        if account != SERVICE_ACCOUNT or not (request.json() or {}).get("scope"):
            raise _refusal(403, "Permission 'iam.serviceAccounts.getAccessToken' denied")
        self.delegates = (request.json() or {}).get("delegates", [])
        token = self._granted().body["access_token"]
        return Reply(200, {"accessToken": token, "expireTime": "2026-11-21T13:00:00Z"})

    @route("GET", r"/subject")
    def subject(self, request: ReceivedRequest) -> Reply:
        """Answer as a platform that provides its jobs with tokens."""
        if request.headers.get("Authorization") != "bearer of-the-job" or "audience" not in request.query:
            raise Refusal(401)
        return Reply(200, {"value": "ey.subject"})

    @route("GET", _SECRET)
    def get(self, _request: ReceivedRequest, project: str, name: str) -> Reply:
        """Answer ``projects.secrets.get``."""
        self._may("secrets.get")
        return Reply(200, self._shown(f"{project}/{name}"))

    @route("GET", _SECRETS)
    def list_secrets(self, _request: ReceivedRequest, project: str) -> Reply:
        """Answer ``projects.secrets.list``."""
        self._may("secrets.list")
        shown = [self._shown(target) for target in self.secrets if target.startswith(f"{project}/")]
        return Reply(200, {"secrets": shown, "totalSize": len(shown)} if shown else {})

    @route("GET", _SECRET + "/versions")
    def list_versions(self, _request: ReceivedRequest, project: str, name: str) -> Reply:
        """Answer ``projects.secrets.versions.list``: the newest first."""
        self._may("versions.list")
        target = f"{project}/{name}"
        shown = [self._version(target, number) for number in range(len(self._secret(target)["versions"]), 0, -1)]
        return Reply(200, {"versions": shown, "totalSize": len(shown)} if shown else {})

    @route("DELETE", _SECRET)
    def delete(self, _request: ReceivedRequest, project: str, name: str) -> Reply:
        """Answer ``projects.secrets.delete``."""
        self._may("secrets.delete")
        self._secret(f"{project}/{name}")
        del self.secrets[f"{project}/{name}"]
        return Reply(200, {})

    @route("POST", _SECRETS)
    def create(self, request: ReceivedRequest, project: str) -> Reply:
        """Answer ``projects.secrets.create``."""
        self._may("secrets.create")
        body, name = request.json() or {}, request.query.get("secretId", "")
        target = f"{project}/{name}"
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", name) or ("replication" in body) == bool(self.location):
            raise _refusal(400, "Invalid secret id; or no replication, which a regional secret must not have.")
        if target in self.secrets:
            raise _refusal(409, f"Secret [{target}] already exists.", status="ALREADY_EXISTS")
        self._check_annotations(body.get("annotations") or {})
        options = {key: body[key] for key in ("annotations", "labels") if body.get(key)}
        own = {key: body[key] for key in ("replication", "customerManagedEncryption") if key in body}
        self.secrets[target] = {**self._made(), **options, **own}
        return Reply(200, self._shown(target))

    @route("PATCH", _SECRET)
    def patch(self, request: ReceivedRequest, project: str, name: str) -> Reply:
        """Answer ``projects.secrets.patch``: whole fields, named by ``updateMask``, on condition of ``etag``."""
        self._may("secrets.update")
        if self.before_patch:
            self.before_patch.pop(0)()
        secret, body = self._secret(f"{project}/{name}"), request.json() or {}
        if body.get("etag") not in {None, secret["etag"]}:
            raise _refusal(400, "The etag does not match.", status="FAILED_PRECONDITION")
        fields = request.query.get("updateMask", "").split(",")
        if not set(fields) <= {"annotations", "versionAliases"}:
            raise _refusal(400, f"Invalid update mask {fields}.")
        self._check_annotations(body.get("annotations") or {})
        for alias, number in (body.get("versionAliases") or {}).items():
            if not _ALIAS.fullmatch(alias) or alias in {"latest", "NEW"} or int(number) > len(secret["versions"]):
                raise _refusal(400, f"Invalid alias {alias}.")
        secret.update({one: body.get(one) or {} for one in fields}, etag=self._etag())
        return Reply(200, self._shown(f"{project}/{name}"))

    @route("POST", _SECRET + r":addVersion")
    def add_version(self, request: ReceivedRequest, project: str, name: str) -> Reply:
        """Answer ``projects.secrets.addVersion``."""
        self._may("versions.add")
        secret = self._secret(f"{project}/{name}")
        data = base64.b64decode((request.json() or {})["payload"]["data"], validate=True)
        if not 0 < len(data) <= MOST_PAYLOAD:
            raise _refusal(400, "The payload is empty or too large.")
        secret["versions"].append({"data": data, "state": "ENABLED"})
        return Reply(200, self._version(f"{project}/{name}", len(secret["versions"])))

    @route("POST", _SECRET + r":testIamPermissions")
    def permissions(self, request: ReceivedRequest, project: str, name: str) -> Reply:
        """Answer ``testIamPermissions``: nothing at all for a secret that does not exist."""
        requested = (request.json() or {}).get("permissions", [])
        there = f"{project}/{name}" in self.secrets
        held = [one for one in requested if one.removeprefix("secretmanager.") not in self.denied]
        return Reply(200, {"permissions": held} if there and held else {})

    @route("GET", _SECRET + r"/versions/([^/:]+)")
    def look(self, _request: ReceivedRequest, project: str, name: str, version: str) -> Reply:
        """Answer ``projects.secrets.versions.get``."""
        self._may("versions.get")
        target = f"{project}/{name}"
        return Reply(200, self._version(target, self._found(target, version)))

    @route("GET", _SECRET + r"/versions/([^/:]+):access")
    def access(self, _request: ReceivedRequest, project: str, name: str, version: str) -> Reply:
        """Answer ``projects.secrets.versions.access``."""
        self._may("versions.access")
        target = f"{project}/{name}"
        number = self._found(target, version)
        found = self.secrets[target]["versions"][number - 1]
        if found["state"] != "ENABLED":
            message = f"Secret Version [{number}] is in {found['state']} state."
            raise _refusal(400, message, status="FAILED_PRECONDITION")
        body = {"name": self._version(target, number)["name"], "payload": {"data": _base64(found["data"])}}
        return Reply(200, body)

    def _found(self, target: str, version: str) -> int:
        number = self._number(self._secret(target), version)
        if not number:
            raise _refusal(404, f"Secret [{target}] not found or has no versions.")
        return number

    def _number(self, secret: dict[str, Any], version: str) -> int:
        many = len(secret["versions"])
        if version == "latest":
            return many - 1 if self.lagging and many > 1 else many
        number = int(secret["versionAliases"].get(version, version if version.isdecimal() else 0))
        return number if number <= many else 0

    def _secret(self, target: str) -> dict[str, Any]:
        if target not in self.secrets:
            raise _refusal(404, f"Secret [{target}] not found.")
        return self.secrets[target]

    def _shown(self, target: str) -> dict[str, Any]:
        secret = self._secret(target)
        project, _, name = target.partition("/")
        shown = {key: secret[key] for key in ("annotations", "versionAliases", "labels") if secret[key]}
        return {"name": self._named(project, name), "etag": secret["etag"], **shown}

    def _named(self, project: str, name: str) -> str:
        return f"projects/{project}{f'/locations/{self.location}' if self.location else ''}/secrets/{name}"

    def _version(self, target: str, number: int) -> dict[str, Any]:
        project, _, name = target.partition("/")
        state = self.secrets[target]["versions"][number - 1]["state"]
        return {"name": f"{self._named(project, name)}/versions/{number}", "state": state}

    def _is_trusted(self, form: dict[str, str]) -> bool:
        """Return whether a subject token is one of the job's, or a request that STS says the trusted key signed."""
        if form.get("subject_token_type") != AWS_TYPE:
            return form.get("subject_token") == "ey.subject"
        request = json.loads(unquote(form["subject_token"]))
        headers = {one["key"]: one["value"] for one in request["headers"]}
        signed = headers.get("Authorization", "").partition("SignedHeaders=")[2].partition(",")[0].split(";")
        target = {name.lower(): value for name, value in headers.items()}.get("x-goog-cloud-target-resource")
        if target != form.get("audience") or "x-goog-cloud-target-resource" not in signed or "host" not in headers:
            return False
        try:
            caller(request["method"], request["url"], headers, b"", region=self.aws_region, keys={AWS_KEY: AWS_SECRET})
        except RefusedByAws:
            return False
        return (
            str(request["url"]).startswith(f"https://sts.{self.aws_region}.") and "GetCallerIdentity" in request["url"]
        )

    def _granted(self) -> Reply:
        token = f"ya29.{self.tick()}"
        self.tokens.add(token)
        return Reply(200, {"access_token": token, "expires_in": self.lasts, "token_type": "Bearer"})

    def _may(self, permission: str) -> None:
        if permission in self.denied:
            raise _refusal(403, f"Permission 'secretmanager.{permission}' denied on resource.")

    def _check_annotations(self, notes: dict[str, str]) -> None:
        bad = [key for key in notes if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", key)]
        if bad or sum(len(f"{key}{value}".encode()) for key, value in notes.items()) >= MOST_ANNOTATIONS:
            raise _refusal(400, f"Invalid annotations: {bad}, or too long.")

    def _made(self) -> dict[str, Any]:
        return {"annotations": {}, "versionAliases": {}, "labels": {}, "versions": [], "etag": self._etag()}

    def _etag(self) -> str:
        return f'"{self.tick():x}"'


def claims_of(assertion: str) -> dict[str, Any]:
    """Return the claims of a JWT; its signature is not checked."""
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(assertion.split(".")[1] + "=="))
    return found


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _refusal(code: int, message: str, *, status: str = "", reason: str = "") -> Refusal:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
    return Refusal(
        code, {"error": {"code": code, "message": message, "status": status or _STATUS[code], "details": details}}
    )
