"""Kubernetes Secrets: ``kubernetes:NAMESPACE/NAME``.

The pair are two keys of one Secret, the journal is an annotation of it: whatever twokey writes is one conditional
write of one object. Every write carries the ``resourceVersion`` that was seen; Kubernetes refuses it (409) where
anybody wrote since. Where that was about something else, such as a label, it is tried again: what counts is that
credential and journal are as they were.

Writes are server-side applies: each names all fields of one field manager, and no others. Other keys, labels and
annotations are not in the request and stay their owners'. What a manager applied before and applies no longer would be
removed, so there is a manager for each set of fields (the credential, by its names; the journal; the fence), which
always applies the same ones. Applies are forced: ``resourceVersion`` says that what is written over was seen, and only
fields of twokey's own are named. Others who apply these fields without force get the conflict, and are told.

A Secret that is not there is made by POST, the only request that says that there must be none. The ``uid`` in an apply
keeps it from making a Secret that was deleted meanwhile, with half of what it held.

An apply's body is read as YAML. JSON is YAML but for some escapes: ``\\/`` and the halves of surrogate pairs. None
occur: values are base64, names, note and journal are ASCII.

Sources: "Server-Side Apply" (managers, conflicts, removal, serialization, permissions), "Kubernetes API Concepts"
(patches conditional on ``resourceVersion``, dry run), "Secrets" (types, immutable ones, sizes), "Object Names and IDs",
"Annotations", "Authorization" (SelfSubjectAccessReview), Kubernetes' documentation; the limit of 256 KiB for all
annotations is in apimachinery's ``ValidateAnnotationsSize``, that of 128 characters for a manager in its
``ValidateFieldManager``, the refusal of a ``uid`` that is not there in apiserver's ``patch.go``.
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
from twokey.destinations.formats import format as formats
from twokey.destinations.kind import Kind, Permission, phrase
from twokey.destinations.logins.kubernetes import CONNECTION, Cluster, missing
from twokey.destinations.stores.service_store import Kept, ServiceStore
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twokey.destinations.address import Address
    from twokey.destinations.kind import DestinationContext

JOURNAL = "twokey.io/journal"
NOTE = "twokey.io/access-key"
FENCE = "twokey.io/fence"
MANAGER = "twokey"
"""How the names of all field managers begin."""
ATTEMPTS = 5
"""How often a write is tried while others keep changing what does not matter."""
LONGEST_JOURNAL = 192 << 10
"""Bytes; all annotations of an object have 256 KiB together, and people have theirs."""
NAMES = replace(
    formats.ENVIRONMENT,
    pattern=r"(?!\.\.)(?!\.$)[-._a-zA-Z0-9]+",
    allowed="letters, digits and the characters -._, and no two dots at its beginning",
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
    """Which object it is (empty where there is none), and a digest of credential, journal and fence."""

    uid: str = ""
    digest: str = field(default="", repr=False)


def check(address: Address) -> None:
    """Raise ``UsageError`` for what can be no Secret, and for names that no key of one can have."""
    address.allow(("connection", *formats.OPTIONS))
    found = _TARGET.fullmatch(address.plain)
    if not found:
        raise address.error("this is not NAMESPACE/NAME: small letters, digits and dashes; dots in the name only.")
    if len(found["namespace"]) > 63 or len(found["name"]) > 253:
        raise address.error("a namespace has at most 63 characters, a Secret's name at most 253.")
    _format(address)


def check_store(address: Address) -> None:
    """Raise ``UsageError`` for a format that cannot be read back."""
    formats.refuse_store(address, _format(address))


def _open(address: Address, context: DestinationContext) -> KubernetesSecret:
    """Return the Secret as a store or destination."""
    return KubernetesSecret(address, context.connection(address, CONNECTION))


def _format(address: Address) -> formats.Format:
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
        """Ask which verbs are allowed, then have Kubernetes try a write that it does not keep (a dry run)."""
        found = self._find()
        self._refuse_unsuitable(found)
        needed = ("patch",) if found else ("create", "patch")
        lacks = [verb for verb in needed if not self._may(verb)]
        if lacks:
            raise AccessDenied(" and ".join(lacks), self._target, remedy=self._role)
        request = self._change(found, _fence("preflight"), dry=True)
        response = self._http.send(request)
        # A cluster may have webhooks that cannot be tried; then the verbs are all that can be known.
        if not response.good and "does not support dry run" not in response.error_message():
            raise self._http.verdicts.error_of(request, response)

    def _may(self, verb: str) -> bool:
        """Ask whether a verb is allowed; where even asking is not, the dry run is left to tell."""
        # The name of what is created is not known when the right is checked ("Using RBAC Authorization").
        named = {} if verb == "create" else {"name": self._secret}
        about = {"namespace": self._namespace, "verb": verb, "resource": "secrets", **named}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": about},
        }
        response = self._http.send(Request("POST", _REVIEWS, "say what it allows", body=body, mutates=False))
        return not response.good or bool(((response.json() or {}).get("status") or {}).get("allowed"))

    def _find(self) -> dict[str, Any] | None:
        """Return the Secret, or None. Only Kubernetes' own word that there is none counts."""
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

    def _read(self) -> Kept:
        found = self._find()
        if found is None:
            return Kept(None, None, Revision())
        return Kept(_values(found), _annotations(found).get(JOURNAL), self._revision(found))

    def _write_credential(self, values: Mapping[str, Hidden], seen: object, note: str) -> None:
        data = {name: Hidden(base64.b64encode(value.encode()).decode()) for name, value in values.items()}
        self._write(seen, Applied(_manager_of(self.format.names), {NOTE: note}, data))

    def _write_journal(self, text: str, seen: object) -> None:
        self._write(seen, Applied(f"{MANAGER}-journal", {JOURNAL: text}))

    def _write_fence(self, kept: Kept) -> None:
        self._write(kept.revision, _fence(secrets.token_hex(8)))

    def _write(self, seen: object, applied: Applied) -> None:
        """Change the object if credential and journal are as they were seen."""
        for _ in range(ATTEMPTS):
            found = self._find()
            if self._revision(found) != seen:
                raise self._conflict()
            self._refuse_unsuitable(found)
            request = self._change(found, applied)
            response = self._http.send(request)
            if response.good:
                return
            if response.status != 409:
                raise self._http.verdicts.error_of(request, response)
        raise ServiceRejected(
            f"{self._target} was changed by others all the time, {ATTEMPTS} times in a row.",
            state="Nothing was written there.",
            remedy="See in its managedFields who writes so often.",
        )

    def _change(self, found: dict[str, Any] | None, applied: Applied, *, dry: bool = False) -> Request:
        """Return the request that makes the Secret or applies to it. An apply sent twice is refused the second time."""
        query = f"?{'dryRun=All&' if dry else ''}fieldManager={applied.manager}"
        metadata = {"name": self._secret, "annotations": dict(applied.annotations)}
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
        if applied.data:
            body["data"] = dict(applied.data)
        if found is None:
            request = Request("POST", f"{self._all}{query}", "", body={**body, "type": "Opaque"})
        else:
            # A dry run is about rights and rules; which object it finds does not matter to it.
            if not dry:
                metadata |= {name: found["metadata"][name] for name in ("uid", "resourceVersion")}
            apply = {"Content-Type": "application/apply-patch+yaml"}
            request = Request("PATCH", f"{self._all}/{self._secret}{query}&force=true", "", body=body, headers=apply)
        about = f"{'try to ' if dry else ''}write {self._target}"
        return replace(
            request, description=about, mutates=not dry, secret=bool(applied.data), permission=self._permission
        )

    def _refuse_unsuitable(self, found: dict[str, Any] | None) -> None:
        if found is None:
            return
        kind = found.get("type") or "Opaque"
        why, remedy = "", ""
        if kind != "Opaque":
            why, remedy = f"has the type {kind}, which belongs to something else", "Name an Opaque Secret."
        elif found.get("immutable"):
            why, remedy = "is immutable: nobody can change it", "Delete it and let twokey make it, or name another one."
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
        return f"Give twokey a Role with {self._permission}."


def _manager_of(names: Iterable[str]) -> str:
    """Return the manager of a credential under these names: others in the same Secret have another one."""
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
    permissions=PERMISSIONS,
)
