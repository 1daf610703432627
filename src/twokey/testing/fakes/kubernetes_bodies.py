"""The fake Kubernetes' bodies: status objects in its responses, and the manifests of an apply in its requests.

Sources: "Kubernetes API Concepts", "Server-Side Apply" (which escapes of JSON are not understood), Kubernetes'
documentation; apiserver's ``patch.go`` and ``store.go``, apimachinery's ``objectmeta.go``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from twokey.testing.server import Refusal

if TYPE_CHECKING:
    from twokey.testing.server import ReceivedRequest

_NO_YAML = re.compile(r"(?<!\\)(?:\\\\)*\\(?:u[dD][89a-fA-F]|/)")
"""Escapes of JSON that Kubernetes' YAML parser does not accept: halves of surrogate pairs, and a slash."""
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    415: "UnsupportedMediaType",
    422: "Invalid",
}


def manifest(request: ReceivedRequest, name: str) -> dict[str, Any]:
    """Return the body of an apply; refuses one that cannot be an apply to this Secret."""
    body = request.json()
    if not isinstance(body, dict) or _NO_YAML.search(request.data.decode()):
        raise refusal(400, "error decoding YAML: error converting YAML to JSON: yaml: found unknown escape character")
    if body.get("apiVersion") != "v1":
        why = f"Specified patch version: {body.get('apiVersion') or '/'}, expected: v1"
        raise refusal(400, f"Incorrect version specified in apply patch. {why}")
    if body.get("kind") != "Secret":
        raise refusal(400, f"invalid object type: /v1, Kind={body.get('kind', '')}")
    metadata = body.setdefault("metadata", {})
    if metadata.get("managedFields") is not None:
        raise refusal(400, "metadata.managedFields must be nil")
    if metadata.setdefault("name", name) != name:
        why = f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
        raise refusal(400, why)
    return body


def check_same(live: dict[str, Any], body: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse a change of another object or version than the body names, and a change of an immutable field."""
    name, there, meant = live["metadata"]["name"], live["metadata"], body["metadata"]
    if meant.get("resourceVersion", there["resourceVersion"]) != there["resourceVersion"]:
        why = "the object has been modified; please apply your changes to the latest version and try again"
        raise refusal(409, f'Operation cannot be fulfilled on secrets "{name}": {why}', "secrets", name)
    if meant.get("uid", there["uid"]) != there["uid"]:
        raise invalid("Secret", name, f'metadata.uid: Invalid value: "{meant["uid"]}": field is immutable')
    if live.get("immutable") and wanted.get("data") != live.get("data"):
        raise invalid("Secret", name, "data: Forbidden: field is immutable when `immutable` is set")
    if wanted.get("type") != live.get("type"):
        raise invalid("Secret", name, f'type: Invalid value: "{wanted.get("type")}": field is immutable')


def invalid(kind: str, name: str, why: str) -> Refusal:
    """Return the refusal of an object or of options that break a rule."""
    return refusal(422, f'{kind} "{name}" is invalid: {why}')


def refusal(
    status: int, message: str, kind: str = "", name: str = "", causes: list[dict[str, str]] | None = None
) -> Refusal:
    """Return a refusal with a status object; ``kind`` and ``name`` are those of the object concerned."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    reason = "AlreadyExists" if "already exists" in message else _REASONS[status]
    subject = {"name": name, "kind": kind} if kind else {"causes": causes} if causes else None
    details = {"details": subject} if subject else {}
    return Refusal(status, {**body, "reason": reason, **details, "code": status})
