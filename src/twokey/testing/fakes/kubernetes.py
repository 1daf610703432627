"""Kubernetes' API for Secrets: resource versions, merge patches, dry runs, admission, RBAC, quotas.

It answers with status objects as the API server does: 403 for missing rights, quotas and policies alike.
"""

from __future__ import annotations

import base64
import binascii
import copy
import re
from typing import TYPE_CHECKING, Any, ClassVar

from twokey.testing.server import FakeService, Refusal, Reply, Request, route

if TYPE_CHECKING:
    from collections.abc import Callable

_SECRETS = r"/api/v1/namespaces/([^/]+)/secrets"
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    415: "UnsupportedMediaType",
    422: "Invalid",
}
MOST_DATA, MOST_ANNOTATIONS = 1 << 20, 256 << 10


class Kubernetes(FakeService):
    """A cluster with the namespace ``apps`` and the token ``sa-token``, whose every right tests may take away.

    ``before_patch`` and ``after_patch``: what others do, one at a time, just before a patch arrives, or right after it.
    """

    not_found: ClassVar[Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the server could not find the requested resource",
        "reason": "NotFound",
        "details": {},
        "code": 404,
    }

    def __init__(self, monotonic: Callable[[], float] | None = None) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.tokens = {"sa-token"}
        self.certificates = False
        self.namespaces = {"apps"}
        self.terminating: set[str] = set()
        self.secrets: dict[str, dict[str, Any]] = {}
        self.denied: set[str] = set()
        self.quota = 100
        self.policy = ""
        self.tries = True
        self.before_patch: list[Callable[[], None]] = []
        self.after_patch: list[Callable[[], None]] = []

    def data(self, place: str) -> dict[str, str]:
        """Return what readers of a Secret get, decoded."""
        found = (self.secrets.get(place) or {}).get("data") or {}
        return {name: base64.b64decode(value).decode() for name, value in found.items()}

    def annotations(self, place: str) -> dict[str, str]:
        """Return a Secret's annotations."""
        found: dict[str, str] = self.secrets[place]["metadata"].get("annotations", {})
        return found

    def apply(self, place: str, data: dict[str, str], **more: Any) -> None:
        """Do what a person does with kubectl: make a Secret, or change keys and other fields of one."""
        namespace, _, name = place.partition("/")
        found = copy.deepcopy(self.secrets.get(place)) or _made(namespace, name)
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        found = {**found, **more, "data": {**found.get("data", {}), **encoded}}
        self._keep(place, found)

    def annotate(self, place: str, annotations: dict[str, str]) -> None:
        """Do what ``kubectl annotate`` does."""
        found = copy.deepcopy(self.secrets[place])
        found["metadata"].setdefault("annotations", {}).update(annotations)
        self._keep(place, found)

    def authorise(self, request: Request) -> None:
        """Check who asks, then whether the verb is allowed."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not self.certificates and token not in self.tokens:
            raise _refusal(401, "Unauthorized")
        verb = {"GET": "get", "POST": "create", "PATCH": "patch"}.get(request.method, "")
        if "/secrets" in request.path and verb in self.denied:
            user = 'User "system:serviceaccount:ops:twokey"'
            raise _refusal(403, f'secrets is forbidden: {user} cannot {verb} resource "secrets" in API group ""')
        if "selfsubjectaccessreviews" in request.path and "review" in self.denied:
            raise _refusal(403, "selfsubjectaccessreviews.authorization.k8s.io is forbidden")

    @route("POST", r"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
    def review(self, request: Request) -> Reply:
        """Answer a SelfSubjectAccessReview."""
        said = request.json() or {}
        about = said["spec"]["resourceAttributes"]
        if about["resource"] != "secrets" or (about["verb"] == "create" and "name" in about):
            return Reply(201, {**said, "status": {"allowed": False}})
        return Reply(201, {**said, "status": {"allowed": about["verb"] not in self.denied}})

    @route("GET", _SECRETS + r"/([^/]+)")
    def read(self, _request: Request, namespace: str, name: str) -> Reply:
        """Read a Secret. One in a namespace that is not there is answered like any that is not there."""
        return Reply(200, self._found(namespace, name))

    @route("POST", _SECRETS)
    def create(self, request: Request, namespace: str) -> Reply:
        """Create a Secret."""
        said = request.json() or {}
        if namespace not in self.namespaces:
            raise _refusal(404, f'namespaces "{namespace}" not found', "namespaces", namespace)
        name = said["metadata"]["name"]
        if namespace in self.terminating:
            raise _refusal(403, f'secrets "{name}" is forbidden: unable to create: namespace is being terminated')
        if f"{namespace}/{name}" in self.secrets:
            raise _refusal(409, f'secrets "{name}" already exists', "secrets", name)
        if sum(place.startswith(f"{namespace}/") for place in self.secrets) >= self.quota:
            raise _refusal(
                403, f'secrets "{name}" is forbidden: exceeded quota: secrets, limited: secrets={self.quota}'
            )
        made = _made(namespace, name)
        made.update({key: value for key, value in said.items() if key in {"type", "data", "immutable"}})
        made["metadata"]["annotations"] = said["metadata"].get("annotations", {})
        return self._admit(request, f"{namespace}/{name}", made, 201)

    @route("PATCH", _SECRETS + r"/([^/]+)")
    def patch(self, request: Request, namespace: str, name: str) -> Reply:
        """Change a Secret by a merge patch (RFC 7386), on condition of its ``resourceVersion`` where that is given."""
        if request.headers.get("Content-Type") != "application/merge-patch+json":
            raise _refusal(415, "the body of the request was in an unknown format")
        if self.before_patch:
            self.before_patch.pop(0)()
        found, said = self._found(namespace, name), request.json() or {}
        wanted = said.get("metadata", {}).get("resourceVersion")
        if wanted is not None and wanted != found["metadata"]["resourceVersion"]:
            said = f'Operation cannot be fulfilled on secrets "{name}": the object has been modified'
            raise _refusal(409, said, "secrets", name)
        changed = _merged(found, said)
        if found.get("immutable") and changed.get("data") != found.get("data"):
            raise _refusal(422, f'Secret "{name}" is invalid: data: Forbidden: field is immutable when set')
        if changed.get("type") != found.get("type"):
            raise _refusal(422, f'Secret "{name}" is invalid: type: Invalid value: field is immutable')
        reply = self._admit(request, f"{namespace}/{name}", changed, 200)
        if self.after_patch:
            self.after_patch.pop(0)()
        return reply

    def _admit(self, request: Request, place: str, wanted: dict[str, Any], status: int) -> Reply:
        if request.query.get("dryRun") and not self.tries:
            raise _refusal(400, 'admission webhook "policy.example" does not support dry run')
        if self.policy:
            raise _refusal(403, f'admission webhook "policy.example" denied the request: {self.policy}')
        self._validate(wanted)
        if request.query.get("dryRun"):
            return Reply(status, wanted)
        self._keep(place, wanted, request.query.get("fieldManager", ""))
        return Reply(status, self.secrets[place])

    def _validate(self, wanted: dict[str, Any]) -> None:
        size = 0
        for key, value in (wanted.get("data") or {}).items():
            if not _KEY.fullmatch(key) or key.startswith("..") or key == ".":
                raise _refusal(422, f"data[{key}]: Invalid value: a valid config key must consist of …")
            try:
                size += len(base64.b64decode(value, validate=True))
            except binascii.Error:
                raise _refusal(400, "Secret in version v1 cannot be handled: illegal base64 data") from None
        if size > MOST_DATA:
            raise _refusal(422, f"data: Too long: may not be more than {MOST_DATA} bytes")
        annotations = wanted["metadata"].get("annotations") or {}
        if sum(len(f"{key}{value}".encode()) for key, value in annotations.items()) > MOST_ANNOTATIONS:
            raise _refusal(422, f"metadata.annotations: Too long: may not be more than {MOST_ANNOTATIONS} bytes")

    def _keep(self, place: str, wanted: dict[str, Any], manager: str = "kubectl") -> None:
        before = self.secrets.get(place)
        if before is not None and before == wanted:
            return
        metadata = wanted["metadata"]
        metadata["resourceVersion"] = str(self.tick())
        metadata.setdefault("uid", f"uid-{metadata['resourceVersion']}")
        metadata["managedFields"] = [{"manager": manager, "operation": "Update"}]
        self.secrets[place] = wanted

    def _found(self, namespace: str, name: str) -> dict[str, Any]:
        found = self.secrets.get(f"{namespace}/{name}") if namespace in self.namespaces else None
        if found is None:
            raise _refusal(404, f'secrets "{name}" not found', "secrets", name)
        return found


def _made(namespace: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "type": "Opaque"}


def _merged(found: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(found) if isinstance(found, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def _refusal(status: int, message: str, kind: str = "", name: str = "") -> Refusal:
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    reason = "AlreadyExists" if "already exists" in message else _REASONS[status]
    details = {"details": {"name": name, "kind": kind}} if kind else {}
    return Refusal(status, {**body, "reason": reason, **details, "code": status})
