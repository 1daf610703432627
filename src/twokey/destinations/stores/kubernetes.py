"""Kubernetes Secrets: ``kubernetes:NAMESPACE/NAME``.

The pair is two keys of one Secret, the journal is an annotation of it: each write is one conditional write of one
object. It carries the ``resourceVersion`` that was read; Kubernetes refuses it (409) if the object was written since.
If only something else changed, such as a label, twokey tries again: credential and journal must be unchanged.

Writes are server-side applies: each names all fields of one field manager, and no others. Other keys, labels and
annotations are not in the request and keep their owners. Kubernetes removes a field that its manager applied before and
applies no longer, so there is a manager for each set of fields (the credential, by its names; the journal; the fence),
which always applies the same ones. Applies are forced: ``resourceVersion`` ensures that the overwritten state was read,
and the request names only twokey's own fields. Other programs that apply these fields without force get a conflict.

A missing Secret is created by POST, the only request that fails if it exists. The ``uid`` in an apply prevents it from
creating a Secret that was deleted in the meantime, with only a part of its content.

Kubernetes reads the body of an apply as YAML. JSON is YAML except for some escapes: ``\\/`` and the halves of surrogate
pairs. None occur: values are base64; names, note and journal are ASCII.

Sources: "Server-Side Apply" (managers, conflicts, removal, serialization, permissions), "Kubernetes API Concepts"
(patches conditional on ``resourceVersion``, dry run), "Secrets" (types, immutable ones, sizes), "Object Names and IDs",
"Annotations", "Authorization" (SelfSubjectAccessReview), Kubernetes' documentation; the limit of 256 KiB for all
annotations is in apimachinery's ``ValidateAnnotationsSize``, that of 128 characters for a manager in its
``ValidateFieldManager``, the refusal of a missing ``uid`` in apiserver's ``patch.go``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from twokey.core.errors import AccessDenied, ServiceRejected
from twokey.core.secret import Hidden
from twokey.destinations.formats import options as formats
from twokey.destinations.kind import Kind, Permission, Resolved, phrase
from twokey.destinations.logins.kubernetes import CONNECTION, Cluster, missing
from twokey.destinations.stores.service_store import ServiceStore, Stored
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from twokey.destinations.address import Address
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext

JOURNAL = "twokey.io/journal"
NOTE = "twokey.io/access-key"
FENCE = "twokey.io/fence"
MANAGER = "twokey"
"""How the names of all field managers begin."""
ATTEMPTS = 5
"""How often a write is tried while other programs keep changing other parts of the object."""
LONGEST_JOURNAL = 192 << 10
"""Bytes; all annotations of an object together have 256 KiB, and some belong to others."""
NAMES = replace(
    formats.ENVIRONMENT,
    pattern=r"(?!\.\.)(?!\.$)[-._a-zA-Z0-9]+",
    allowed="letters, digits and the characters -._, and no two dots at the beginning",
    longest=253,
)
_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_TARGET = re.compile(rf"(?P<namespace>{_LABEL})/(?P<name>{_LABEL}(?:\.{_LABEL})*)", re.ASCII)
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_on_secrets = partial(Permission, service="Kubernetes", resource="Secret", type="verb")
PERMISSIONS = (
    _on_secrets(name="get", uses=("read", "write", "journal")),
    _on_secrets(name="create", uses=("create",)),
    _on_secrets(name="patch", uses=("write", "journal")),
)


@dataclass(frozen=True, slots=True)
class Applied:
    """All that one field manager applies. The same manager always names the same fields."""

    manager: str
    annotations: Mapping[str, str]
    data: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Revision:
    """The object's uid (empty if there is none), and a digest of credential, journal and fence."""

    uid: str = ""
    digest: str = field(default="", repr=False)


def check(address: Address) -> None:
    """Raise ``UsageError`` for names that a Secret or its keys cannot have."""
    address.allow(("connection", *formats.OPTIONS))
    found = _TARGET.fullmatch(address.plain)
    if not found:
        raise address.error("expected NAMESPACE/NAME: lowercase letters, digits and dashes; dots in NAME only.")
    if len(found["namespace"]) > 63 or len(found["name"]) > 253:
        raise address.error("expected at most 63 characters for the namespace, and at most 253 for the Secret's name.")
    _format(address)


def check_store(address: Address) -> None:
    """Raise ``UsageError`` for a format that cannot be read back."""
    formats.refuse_store(address, _format(address))


def _open(address: Address, context: DestinationContext) -> KubernetesSecret:
    """Return the Secret as a store or destination."""
    return KubernetesSecret(address, context.connection(address, CONNECTION))


def _resolve(address: Address, context: DestinationContext, _account: str) -> Resolved:
    """Return which Secret this is: each cluster has one of this name."""
    return Resolved(address.rest, context.connection(address, CONNECTION).server)


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=NAMES)


class KubernetesSecret(ServiceStore):
    """A Secret of a namespace."""

    longest_journal = LONGEST_JOURNAL

    def __init__(self, address: Address, cluster: Cluster) -> None:
        super().__init__(address.url, _format(address), cluster.clock)
        self._http = cluster.http
        self._namespace, _, self._secret = address.rest.partition("/")
        self._target = f"the Secret {address.rest}"
        self._all = f"/api/v1/namespaces/{self._namespace}/secrets"

    def preflight(self) -> None:
        """Ask which verbs are allowed, then send a write as a dry run, which Kubernetes does not store."""
        found = self._find()
        self._refuse_unsuitable(found)
        self.check_content()
        needed = ("patch",) if found else ("create", "patch")
        lacks = [verb for verb in needed if not self._may(verb)]
        if lacks:
            raise AccessDenied(" and ".join(lacks), self._target, remedy=self._role)
        request = self._change(found, _fence("preflight"), dry=True)
        response = self._http.send(request)
        # A cluster may have webhooks without support for dry runs; then the verbs are all that can be checked.
        if not response.good and "does not support dry run" not in response.error_message():
            raise self._http.verdicts.error_of(request, response)

    def _may(self, verb: str) -> bool:
        """Ask whether a verb is allowed; if asking itself is not allowed, only the dry run shows it."""
        # The name of a new object is not known when the permission is checked ("Using RBAC Authorization").
        named = {} if verb == "create" else {"name": self._secret}
        attributes = {"namespace": self._namespace, "verb": verb, "resource": "secrets", **named}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        response = self._http.send(
            Request("POST", _REVIEWS, "report the permissions of the token", body=body, mutates=False)
        )
        return not response.good or bool(((response.json() or {}).get("status") or {}).get("allowed"))

    def _find(self) -> dict[str, Any] | None:
        """Return the Secret, or None. Only Kubernetes' own NotFound for secrets means that there is none."""
        request = Request(
            "GET",
            f"{self._all}/{self._secret}",
            f"read {self._target}",
            mutates=False,
            secret=True,
            permission=self._permission,
        )
        response = self._http.send(request)
        if response.status == 404 and missing(response) == "secrets":
            return None
        found = response.json()
        if not response.good or not isinstance(found, dict) or found.get("kind") != "Secret":
            raise self._http.verdicts.error_of(request, response)
        return found

    def _read(self) -> Stored:
        found = self._find()
        if found is None:
            return Stored(None, None, Revision())
        return Stored(_values(found), _annotations(found).get(JOURNAL), self._revision(found))

    def _write_credential(
        self,
        values: Mapping[str, Hidden],
        seen: object,
        note: str,
        without: Collection[str] = (),
    ) -> None:
        data = {name: Hidden(base64.b64encode(value.encode()).decode()) for name, value in values.items()}
        if without:
            self._change_if(seen, lambda found: self._removal(found, without))
        self._write(seen, Applied(_manager_of(self.format.names), {NOTE: note}, data))

    def _write_journal(self, text: str, seen: object) -> None:
        self._write(seen, Applied(f"{MANAGER}-journal", {JOURNAL: text}))

    def _write_fence(self, stored: Stored) -> None:
        self._write(stored.revision, _fence(secrets.token_hex(8)))

    def _write(self, seen: object, applied: Applied) -> None:
        """Apply to the object if credential and journal are unchanged since ``seen``."""
        self._change_if(seen, lambda found: self._change(found, applied))

    def _change_if(self, seen: object, change: Callable[[dict[str, Any] | None], Request]) -> None:
        """Change the object if credential and journal are unchanged since ``seen``."""
        for _ in range(ATTEMPTS):
            found = self._find()
            if self._revision(found) != seen:
                raise self._conflict()
            self._refuse_unsuitable(found)
            request = change(found)
            response = self._http.send(request)
            if response.good:
                return
            if response.status != 409:
                raise self._http.verdicts.error_of(request, response)
        raise ServiceRejected(
            f"Other programs changed {self._target} during each of {ATTEMPTS} attempts to write it.",
            state="Nothing was written there.",
            remedy="Its managedFields show which program writes so often: stop or pause that program, and run again.",
        )

    def _change(self, found: dict[str, Any] | None, applied: Applied, *, dry: bool = False) -> Request:
        """Return the request that creates or changes the Secret. Kubernetes refuses an apply that is sent twice."""
        query = f"?{'dryRun=All&' if dry else ''}fieldManager={applied.manager}"
        metadata = {"name": self._secret, "annotations": dict(applied.annotations)}
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
        if applied.data:
            body["data"] = dict(applied.data)
        if found is None:
            request = Request("POST", f"{self._all}{query}", "", body={**body, "type": "Opaque"})
        else:
            # A dry run checks permissions and policies; it does not depend on the object's state.
            if not dry:
                metadata |= {name: found["metadata"][name] for name in ("uid", "resourceVersion")}
            apply = {"Content-Type": "application/apply-patch+yaml"}
            request = Request("PATCH", f"{self._all}/{self._secret}{query}&force=true", "", body=body, headers=apply)
        description = f"{'try to ' if dry else ''}write {self._target}"
        return replace(
            request, description=description, mutates=not dry, secret=bool(applied.data), permission=self._permission
        )

    def _removal(self, found: dict[str, Any] | None, names: Collection[str]) -> Request:
        """Return the request that removes keys. An apply cannot remove those of another field manager."""
        metadata = {name: found["metadata"][name] for name in ("uid", "resourceVersion")} if found else {}
        body = {"metadata": metadata, "data": dict.fromkeys(names)}
        return Request(
            "PATCH",
            f"{self._all}/{self._secret}?fieldManager={MANAGER}-cleanup",
            f"remove {' and '.join(names)} from {self._target}",
            body=body,
            headers={"Content-Type": "application/merge-patch+json"},
            permission=self._permission,
        )

    def _refuse_unsuitable(self, found: dict[str, Any] | None) -> None:
        if found is None:
            return
        kind = found.get("type") or "Opaque"
        why, remedy = "", ""
        if kind != "Opaque":
            why, remedy = f"has the type {kind}; expected Opaque", "Name an Opaque Secret."
        elif found.get("immutable"):
            why, remedy = (
                "is immutable, so it cannot be changed",
                "Delete it, so that twokey creates it again, or name another one.",
            )
        elif found["metadata"].get("deletionTimestamp"):
            why, remedy = "is being deleted", "Wait until it is gone, or name another one."
        if why:
            raise ServiceRejected(f"{self._target} {why}.", state="Nothing was written there.", remedy=remedy)

    def _revision(self, found: dict[str, Any] | None) -> Revision:
        if found is None:
            return Revision()
        values, annotations = found.get("data") or {}, _annotations(found)
        parts = [values.get(name) for name in self.format.names] + [annotations.get(JOURNAL), annotations.get(FENCE)]
        return Revision(str(found["metadata"]["uid"]), hashlib.sha256(json.dumps(parts).encode()).hexdigest())

    def _own(self, revision: object) -> None:
        if not isinstance(revision, Revision):
            raise TypeError("the revision must come from this store")

    @property
    def _permission(self) -> str:
        return phrase(PERMISSIONS, on=f"secrets in the namespace {self._namespace}")

    @property
    def _role(self) -> str:
        return f"Bind twokey's identity to a Role with {self._permission}."


def _manager_of(names: Iterable[str]) -> str:
    """Return the field manager of a credential with these names: each credential in a Secret has its own."""
    digest = hashlib.sha256(json.dumps(sorted(names)).encode()).hexdigest()
    return f"{MANAGER}-credential-{digest[:16]}"


def _fence(text: str) -> Applied:
    return Applied(f"{MANAGER}-fence", {FENCE: text})


def _annotations(found: dict[str, Any]) -> dict[str, str]:
    return found["metadata"].get("annotations") or {}


def _values(found: dict[str, Any]) -> dict[str, Hidden]:
    """Return the keys' values as text."""
    decoded = {name: base64.b64decode(value) for name, value in (found.get("data") or {}).items()}
    return {name: Hidden(value.decode(errors="replace")) for name, value in decoded.items()}


KIND = Kind(
    scheme="kubernetes",
    check=check,
    open=_open,
    store=True,
    check_store=check_store,
    connection=CONNECTION,
    resolve=_resolve,
    permissions=PERMISSIONS,
)
