"""Kubernetes' API for Secrets: resource versions, server-side apply, dry runs, admission, RBAC, quotas.

It responds with status objects as the API server does: 403 for missing permissions, quotas and policies alike. The only
kind of patch is server-side apply (``kubernetes_apply``).
"""

from __future__ import annotations

import base64
import binascii
import copy
import json
import re
from typing import TYPE_CHECKING, Any, ClassVar

from twokey.testing.fakes.kubernetes_apply import ApplyConflict, applied, updated
from twokey.testing.fakes.kubernetes_bodies import check_same, invalid, manifest, refusal
from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_SECRETS = r"/api/v1/namespaces/([^/]+)/secrets"
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_USER = 'User "system:serviceaccount:ops:twokey"'
MOST_DATA, MOST_ANNOTATIONS = 1 << 20, 256 << 10
LONGEST_MANAGER = 128
_NO_MANAGER = "Required value: is required for apply patch"


class Kubernetes(FakeService):
    """A cluster with the namespace ``apps`` and the token ``sa-token``, whose permissions a test may remove.

    ``before_patch`` and ``after_patch``: what other clients do, one at a time, just before a patch, or right after it.
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

    def data(self, target: str) -> dict[str, str]:
        """Return what readers of a Secret get, decoded."""
        found = (self.secrets.get(target) or {}).get("data") or {}
        return {name: base64.b64decode(value).decode() for name, value in found.items()}

    def annotations(self, target: str) -> dict[str, str]:
        """Return a Secret's annotations."""
        found: dict[str, str] = self.secrets[target]["metadata"].get("annotations", {})
        return found

    def apply(self, target: str, data: dict[str, str], **more: Any) -> None:
        """Do what the operator does with kubectl: create a Secret, or change keys and other fields of one."""
        namespace, _, name = target.partition("/")
        found = copy.deepcopy(self.secrets.get(target)) or _made(namespace, name)
        found = {**found, **more, "data": {**found.get("data", {}), **_encoded(data)}}
        self._keep(target, found)

    def annotate(self, target: str, annotations: dict[str, str]) -> None:
        """Do what ``kubectl annotate`` does."""
        found = copy.deepcopy(self.secrets[target])
        found["metadata"].setdefault("annotations", {}).update(annotations)
        self._keep(target, found)

    def server_side(self, target: str, manager: str, data: dict[str, str], *, force: bool = False) -> Reply:
        """Do what ``kubectl apply --server-side --field-manager`` or a GitOps tool does with a manifest."""
        namespace, _, name = target.partition("/")
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": _encoded(data)}
        query = {"fieldManager": manager, "force": str(force).lower()}
        path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        request = ReceivedRequest("PATCH", path, path, query, {"Content-Type": _APPLY}, json.dumps(body).encode())
        try:
            return self._apply(request, namespace, name)
        except Refusal as refused:
            return refused.reply

    def authorize(self, request: ReceivedRequest) -> None:
        """Authenticate the client, then check whether the verb is allowed."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not self.certificates and token not in self.tokens:
            raise refusal(401, "Unauthorized")
        verb = {"GET": "get", "POST": "create", "PATCH": "patch", "DELETE": "delete"}.get(request.method, "")
        if "/secrets" in request.path and verb in self.denied:
            raise refusal(403, f'secrets is forbidden: {_USER} cannot {verb} resource "secrets" in API group ""')
        if "selfsubjectaccessreviews" in request.path and "review" in self.denied:
            raise refusal(403, "selfsubjectaccessreviews.authorization.k8s.io is forbidden")

    @route("POST", r"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
    def review(self, request: ReceivedRequest) -> Reply:
        """Answer a SelfSubjectAccessReview."""
        body = request.json() or {}
        attributes = body["spec"]["resourceAttributes"]
        if attributes["resource"] != "secrets" or (attributes["verb"] == "create" and "name" in attributes):
            return Reply(201, {**body, "status": {"allowed": False}})
        return Reply(201, {**body, "status": {"allowed": attributes["verb"] not in self.denied}})

    @route("GET", _SECRETS)
    def list_secrets(self, _request: ReceivedRequest, namespace: str) -> Reply:
        """List the Secrets of a namespace. The items do not repeat their kind."""
        items = [
            {field: value for field, value in one.items() if field not in {"kind", "apiVersion"}}
            for target, one in self.secrets.items()
            if target.startswith(f"{namespace}/")
        ]
        metadata = {"resourceVersion": str(self.tick())}
        return Reply(200, {"kind": "SecretList", "apiVersion": "v1", "metadata": metadata, "items": items})

    @route("DELETE", _SECRETS + r"/([^/]+)")
    def delete(self, _request: ReceivedRequest, namespace: str, name: str) -> Reply:
        """Delete a Secret."""
        uid = self._found(namespace, name)["metadata"]["uid"]
        del self.secrets[f"{namespace}/{name}"]
        details = {"name": name, "kind": "secrets", "uid": uid}
        return Reply(
            200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        )

    @route("GET", _SECRETS + r"/([^/]+)")
    def read(self, _request: ReceivedRequest, namespace: str, name: str) -> Reply:
        """Read a Secret. One in a namespace that does not exist is not found like any other."""
        return Reply(200, self._found(namespace, name))

    @route("POST", _SECRETS)
    def create(self, request: ReceivedRequest, namespace: str) -> Reply:
        """Create a Secret."""
        body = request.json() or {}
        name = body["metadata"]["name"]
        self._check_room(namespace, name)
        if f"{namespace}/{name}" in self.secrets:
            raise refusal(409, f'secrets "{name}" already exists', "secrets", name)
        made = _made(namespace, name)
        made.update({key: value for key, value in body.items() if key in {"type", "data", "immutable"}})
        if body["metadata"].get("annotations"):
            made["metadata"]["annotations"] = body["metadata"]["annotations"]
        wanted = updated({}, made, request.query.get("fieldManager", ""), self.stamp())
        return self._admit(request, f"{namespace}/{name}", wanted, 201)

    @route("PATCH", _SECRETS + r"/([^/]+)")
    def patch(self, request: ReceivedRequest, namespace: str, name: str) -> Reply:
        """Apply a part of a Secret, on condition of its ``resourceVersion`` and ``uid`` if the body has them."""
        if request.headers.get("Content-Type") == _MERGE:
            return self._merge(request, namespace, name)
        if request.headers.get("Content-Type") != _APPLY:
            message = "the body of the request was in an unknown format - accepted media types include:"
            raise refusal(415, f"{message} {_APPLY}")
        if self.before_patch:
            self.before_patch.pop(0)()
        reply = self._apply(request, namespace, name)
        if self.after_patch:
            self.after_patch.pop(0)()
        return reply

    def _apply(self, request: ReceivedRequest, namespace: str, name: str) -> Reply:
        manager = request.query.get("fieldManager", "")
        if not 0 < len(manager) <= LONGEST_MANAGER:
            why = f"Too long: may not be more than {LONGEST_MANAGER} bytes" if manager else _NO_MANAGER
            raise invalid("PatchOptions.meta.k8s.io", "", f"fieldManager: {why}")
        target = f"{namespace}/{name}"
        live = self.secrets.get(target) if namespace in self.namespaces else None
        body = manifest(request, name)
        if live is None:
            self._check_may_make(body, namespace, name)
        force = request.query.get("force") == "true"
        try:
            wanted = applied(live or {}, body, manager, self.stamp(), force=force)
        except ApplyConflict as conflict:
            raise refusal(409, conflict.message, causes=conflict.causes) from None
        if live is None:
            made = _made(namespace, name)
            return self._admit(
                request, target, made | wanted | {"metadata": made["metadata"] | wanted["metadata"]}, 201
            )
        check_same(live, body, wanted)
        return self._admit(request, target, wanted, 200)

    def _merge(self, request: ReceivedRequest, namespace: str, name: str) -> Reply:
        """Merge a patch into a Secret, as RFC 7396 says: a null removes."""
        body, live = request.json() or {}, self._found(namespace, name)
        for field in ("uid", "resourceVersion"):
            if body.get("metadata", {}).get(field, live["metadata"][field]) != live["metadata"][field]:
                why = "the object has been modified"
                raise refusal(409, f'Operation cannot be fulfilled on secrets "{name}": {why}', "secrets", name)
        wanted = copy.deepcopy(live)
        merged = {**wanted.get("data", {}), **body.get("data", {})}
        wanted["data"] = {key: value for key, value in merged.items() if value is not None}
        manager = request.query.get("fieldManager", "")
        return self._admit(request, f"{namespace}/{name}", updated(live, wanted, manager, self.stamp()), 200)

    def _check_may_make(self, body: dict[str, Any], namespace: str, name: str) -> None:
        """Refuse an apply to a Secret that does not exist if the apply may not create it."""
        uid = body["metadata"].get("uid")
        if uid:
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise refusal(409, f'Operation cannot be fulfilled on secrets "{name}": {why}', "secrets", name)
        if "create" in self.denied:
            raise refusal(403, f'secrets "{name}" is forbidden: {_USER} cannot create resource "secrets"')
        self._check_room(namespace, name)

    def _check_room(self, namespace: str, name: str) -> None:
        """Refuse a Secret for which there is no namespace or no quota."""
        if namespace not in self.namespaces:
            raise refusal(404, f'namespaces "{namespace}" not found', "namespaces", namespace)
        if namespace in self.terminating:
            raise refusal(403, f'secrets "{name}" is forbidden: unable to create: namespace is being terminated')
        if sum(target.startswith(f"{namespace}/") for target in self.secrets) >= self.quota:
            raise refusal(403, f'secrets "{name}" is forbidden: exceeded quota: secrets, limited: secrets={self.quota}')

    def _admit(self, request: ReceivedRequest, target: str, wanted: dict[str, Any], status: int) -> Reply:
        if request.query.get("dryRun") and not self.tries:
            raise refusal(400, 'admission webhook "policy.example" does not support dry run')
        if self.policy:
            raise refusal(403, f'admission webhook "policy.example" denied the request: {self.policy}')
        self._validate(wanted)
        if request.query.get("dryRun"):
            return Reply(status, wanted)
        self._store(target, wanted)
        return Reply(status, self.secrets[target])

    def _validate(self, wanted: dict[str, Any]) -> None:
        size = 0
        for key, value in (wanted.get("data") or {}).items():
            if not _KEY.fullmatch(key) or key.startswith("..") or key == ".":
                raise refusal(422, f"data[{key}]: Invalid value: a valid config key must consist of …")
            try:
                size += len(base64.b64decode(value, validate=True))
            except binascii.Error:
                raise refusal(400, "Secret in version v1 cannot be handled: illegal base64 data") from None
        if size > MOST_DATA:
            raise refusal(422, f"data: Too long: may not be more than {MOST_DATA} bytes")
        annotations = wanted["metadata"].get("annotations") or {}
        if sum(len(f"{key}{value}".encode()) for key, value in annotations.items()) > MOST_ANNOTATIONS:
            raise refusal(422, f"metadata.annotations: Too long: may not be more than {MOST_ANNOTATIONS} bytes")

    def _keep(self, target: str, wanted: dict[str, Any]) -> None:
        """Store what the operator's kubectl wrote."""
        self._store(target, updated(self.secrets.get(target) or {}, wanted, "kubectl", self.stamp()))

    def _store(self, target: str, wanted: dict[str, Any]) -> None:
        if self.secrets.get(target) == wanted:
            return
        metadata = wanted["metadata"]
        metadata["resourceVersion"] = str(self.tick())
        metadata.setdefault("uid", f"uid-{metadata['resourceVersion']}")
        self.secrets[target] = wanted

    def _found(self, namespace: str, name: str) -> dict[str, Any]:
        found = self.secrets.get(f"{namespace}/{name}") if namespace in self.namespaces else None
        if found is None:
            raise refusal(404, f'secrets "{name}" not found', "secrets", name)
        return found


def _made(namespace: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "type": "Opaque"}


def _encoded(data: dict[str, str]) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
