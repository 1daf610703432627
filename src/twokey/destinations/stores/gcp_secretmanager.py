"""Google Cloud Secret Manager: ``gcp-secretmanager:PROJECT/NAME``.

The credential is one secret version; the journal is an annotation of the secret. Annotations and aliases change by one
conditional request: it carries the ``etag`` that was seen, and Google refuses it where anybody wrote since. Adding a
version has no such condition, and readers of ``latest`` see it at once. So there, a run first claims the secret by its
etag and then adds: two runs at work never both get as far, but one that stands still between the two could write late.
With ``alias=NAME``, readers of ``versions/NAME`` see the added version only once the alias is moved, which is
conditional like the rest.

No version is disabled: one that holds LAST must stay readable as long as that key works, for whoever pinned its
number, and what lies behind an older one is deleted in IAM.

Sources: "Use entity tags for optimistic concurrency control", "Resource consistency", "Assign an alias to a secret
version", "Quotas and limits" and the REST pages of projects.secrets and projects.secrets.versions, Secret Manager.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from twokey.core.errors import AccessDenied, Ambiguous
from twokey.core.model import CannotTell
from twokey.core.secret import Hidden
from twokey.destinations.formats import format as formats
from twokey.destinations.kind import Kind, Permission
from twokey.destinations.logins.google import CONNECTION, Google, reasons_of
from twokey.destinations.stores.service_store import Kept, ServiceStore
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.model import Holding
    from twokey.core.secret import Credential
    from twokey.destinations.address import Address
    from twokey.destinations.kind import DestinationContext

JOURNAL, NOTE, CLAIM, NEWEST = "twokey-journal", "twokey-access-key", "twokey-claim", "twokey-version"
LONGEST_JOURNAL = 14 << 10
"""Bytes; all annotations of a secret have less than 16 KiB together, and people have theirs."""
ATTEMPTS = 5
"""How often a write is tried while others keep changing what does not matter."""
LATEST = "latest"
_TARGET = re.compile(r"(?:[a-z0-9.-]+:)?[a-z0-9-]+/[A-Za-z0-9_-]{1,255}", re.ASCII)
_ALIAS = re.compile(r"(?!latest$)(?!NEW$)[A-Za-z][A-Za-z0-9_-]{0,62}", re.ASCII)
_on_secret = partial(Permission, service="Google Secret Manager", resource="secret")
PERMISSIONS = (
    _on_secret(name="secretmanager.secrets.get", uses=("read", "write", "journal")),
    _on_secret(name="secretmanager.versions.access", uses=("read", "write")),
    _on_secret(name="secretmanager.versions.add", uses=("write",)),
    _on_secret(name="secretmanager.versions.get", uses=("read",), optional=True, condition="the version is disabled"),
    _on_secret(name="secretmanager.secrets.update", uses=("write", "journal"), condition="a store, or alias="),
    Permission(
        service="Google Secret Manager", name="secretmanager.secrets.create", resource="project", uses=("create",)
    ),
)


@dataclass(frozen=True, slots=True)
class Revision:
    """A digest of the journal, the claim, the version that readers see (0: none) and its state.

    A secret that is not there is the same as one that is empty.
    """

    journal: str = field(default="", repr=False)
    claim: str = ""
    version: int = 0
    state: str = ""
    exists: bool = field(default=False, compare=False)


def check(address: Address) -> None:
    """Raise ``UsageError`` for what can be no secret of a project, and for aliases that Google does not take."""
    _format(address)
    if not _TARGET.fullmatch(address.plain):
        raise address.error("this is not PROJECT/NAME: a project's id, then letters, digits, dashes and underscores.")
    if "alias" in address.options and not _ALIAS.fullmatch(address.options["alias"]):
        raise address.error("an alias begins with a letter; letters, digits, - and _ follow. latest needs no alias.")


def check_store(address: Address) -> None:
    """Raise ``UsageError`` for a format that cannot be read back."""
    formats.refuse_store(address, _format(address))


def _open(address: Address, context: DestinationContext) -> GoogleSecret:
    """Return the secret as a store or destination."""
    return GoogleSecret(address, context.connection(address, CONNECTION))


def _format(address: Address) -> formats.Format:
    return formats.format_at(
        address, default="json", names=formats.MEMBERS, own=("connection", "alias"), only=formats.ONE_TEXT
    )


class GoogleSecret(ServiceStore):
    """A secret of a project."""

    longest_journal = LONGEST_JOURNAL

    def __init__(self, address: Address, google: Google) -> None:
        self._alias = address.options.get("alias", "")
        self.conditional = bool(self._alias)
        # The version is one text, whatever the format.
        super().__init__(address.url, replace(_format(address), names=("access key",)), google.clock)
        self._http = google.http
        project, _, self._secret = address.rest.rpartition("/")
        self._all = f"/v1/projects/{project}/secrets"
        self._path = f"{self._all}/{self._secret}"
        self._target = f"the secret {self._secret} of {project}"
        self._known = 0
        self._note = ""

    def preflight(self) -> None:
        """Read the secret and ask which permissions the token has on it; of one that is missing nothing is known."""
        kept = self._read()
        seen = _own(kept.revision)
        if not seen.exists:
            return
        also = ["secretmanager.secrets.update"] if self._alias or seen.journal else []
        wanted = ["secretmanager.secrets.get", "secretmanager.versions.access", "secretmanager.versions.add", *also]
        request = self._ask("POST", f"{self._path}:testIamPermissions", "say what it allows", effect=False)
        found = self._http.request(replace(request, body={"permissions": wanted})).json() or {}
        lacks = [one for one in wanted if one not in found.get("permissions", ())]
        if lacks:
            raise AccessDenied(" and ".join(lacks), self._target, remedy="Grant a role with it on the secret.")

    def put(self, credential: Credential, revision: object) -> object:
        """Write the pair if the secret is still at ``revision``; without an alias, claim the secret before."""
        seen = _own(revision)
        if seen.journal and not self._alias:
            claim = secrets.token_hex(8)
            self._written(
                lambda: self._patch(seen, {CLAIM: claim}),
                lambda kept: _own(kept.revision).claim == claim,
                seen,
                "a claim",
            )
            # A version that somebody added meanwhile changed no etag; it is found by the look before the write.
            revision = replace(seen, claim=claim)
        return super().put(credential, revision)

    def _read(self) -> Kept:
        return self._look()[1]

    def _look(self) -> tuple[dict[str, Any] | None, Kept]:
        """Return the secret, and what it keeps; its etag belongs to just that state."""
        secret = self._find()
        if secret is None:
            return None, Kept(None, None, Revision())
        notes = _annotations(secret)
        number, state, text = self._version(secret)
        values = {self.format.names[0]: text} if number else None
        digest = hashlib.sha256(notes[JOURNAL].encode()).hexdigest() if JOURNAL in notes else ""
        revision = Revision(digest, notes.get(CLAIM, ""), number, state, exists=True)
        return secret, Kept(values, notes.get(JOURNAL), revision)

    def _find(self) -> dict[str, Any] | None:
        """Return the secret, or None. Only Google's own word that there is none counts."""
        request = self._ask("GET", self._path, f"read {self._target}", effect=False)
        response = self._http.send(request)
        if response.status == 404 and "NOT_FOUND" in reasons_of(response):
            return None
        found = response.json()
        if not response.good or not isinstance(found, dict) or "etag" not in found:
            raise self._http.verdicts.error_of(request, response)
        return found

    def _version(self, secret: dict[str, Any]) -> tuple[int, str, Hidden]:
        """Return the number, the state and the text of what readers see; 0 where there is no version.

        ``latest`` may lag behind what was added; a version's own number does not.
        """
        if self._alias:
            number = int((secret.get("versionAliases") or {}).get(self._alias, 0))
            return self._access(str(number)) if number else (0, "", Hidden())
        found = self._access(LATEST)
        known = max(self._known, _number(_annotations(secret).get(NEWEST, "")))
        if found[0] < known:
            added = self._access(str(known))
            # A secret that was made anew counts from the beginning.
            found = added if added[0] else found
        self._known = found[0]
        return found

    def _access(self, which: str) -> tuple[int, str, Hidden]:
        where = f"{self._path}/versions/{which}"
        request = self._ask("GET", f"{where}:access", f"read {self._target}", effect=False, secret=True)
        response = self._http.send(request)
        if response.status == 404 and "NOT_FOUND" in reasons_of(response):
            return 0, "", Hidden()
        if response.status == 400 and "FAILED_PRECONDITION" in reasons_of(response):
            look = self._ask("GET", where, f"look at the version of {self._target}", effect=False)
            found_version = (
                self._http.request(replace(look, permission="the permission secretmanager.versions.get")).json() or {}
            )
            return self._number_in(found_version), str(found_version.get("state", "UNKNOWN")), Hidden()
        if not response.good:
            raise self._http.verdicts.error_of(request, response)
        found = response.json() or {}
        number = self._number_in(found)
        data = Hidden((found.get("payload") or {}).get("data", ""))
        return number, "ENABLED", Hidden(base64.b64decode(data).decode(errors="replace"))

    def _number_in(self, found: dict[str, Any]) -> int:
        number = _number(str(found.get("name", "")).rpartition("/")[2])
        if not number:
            raise Ambiguous(f"Google Secret Manager gave no version of {self._target}.", remedy="Run again.")
        return number

    def _holding(self, kept: Kept) -> Holding:
        seen = _own(kept.revision)
        if kept.values and seen.state != "ENABLED":
            return CannotTell(f"version {seen.version}, which readers are given, is {seen.state.lower()}")
        return super()._holding(kept)

    def _write_credential(self, values: Mapping[str, Hidden], seen: object, note: str) -> None:
        if self._now(seen) is None:
            self._patch(seen, {})
        number = self._add(next(iter(values.values())))
        self._note = note
        if self._alias:
            self._patch(seen, {}, {self._alias: str(number)})

    def _write_journal(self, text: str, seen: object) -> None:
        self._patch(seen, {JOURNAL: text})

    def _write_fence(self, kept: Kept) -> None:
        self._patch(kept.revision, {CLAIM: secrets.token_hex(8)})

    def _now(self, seen: object) -> dict[str, Any] | None:
        """Return the secret if all that twokey keeps there is as it was seen; otherwise raise ``Conflict``."""
        secret, kept = self._look()
        if kept.revision != seen:
            raise self._conflict()
        return secret

    def _add(self, text: Hidden) -> int:
        request = self._ask("POST", f"{self._path}:addVersion", f"write {self._target}", secret=True, again=False)
        payload = {"payload": {"data": Hidden(base64.b64encode(text.encode()).decode())}}
        self._known = self._number_in(self._http.request(replace(request, body=payload)).json() or {})
        return self._known

    def _patch(self, seen: object, notes: dict[str, str], aliases: Mapping[str, str] | None = None) -> None:
        """Change annotations and aliases of the secret if it is as it was seen; make it where there is none."""
        for attempt in range(1, ATTEMPTS + 1):
            secret = self._now(seen)
            request = self._creation(notes) if secret is None else self._change(secret, notes, aliases or {})
            response = self._http.send(request)
            if response.good:
                return
            if attempt == ATTEMPTS or not reasons_of(response) & {"FAILED_PRECONDITION", "ALREADY_EXISTS"}:
                raise self._http.verdicts.error_of(request, response)

    def _creation(self, notes: dict[str, str]) -> Request:
        request = self._ask("POST", f"{self._all}?secretId={self._secret}", f"make {self._target}")
        return replace(request, body={"replication": {"automatic": {}}, "annotations": notes})

    def _change(self, secret: dict[str, Any], notes: dict[str, str], aliases: Mapping[str, str]) -> Request:
        """Return the request; what others keep in the secret stays. Sent twice, it is refused the second time."""
        own = {NOTE: self._note} if self._note else {}
        if self._known and not self._alias:
            own[NEWEST] = str(self._known)
        body = {"etag": secret["etag"], "annotations": {**_annotations(secret), **own, **notes}}
        if aliases:
            body["versionAliases"] = {**(secret.get("versionAliases") or {}), **aliases}
        mask = ",".join(sorted(body.keys() - {"etag"}))
        return replace(self._ask("PATCH", f"{self._path}?updateMask={mask}", f"change {self._target}"), body=body)

    def _ask(
        self, method: str, path: str, about: str, *, effect: bool = True, secret: bool = False, again: bool = True
    ) -> Request:
        permission = "the roles secretmanager.secretAccessor, secretVersionAdder and viewer on the secret"
        if method == "PATCH" or "secretId=" in path:
            permission = f"the permission secretmanager.secrets.{'update' if method == 'PATCH' else 'create'}"
        return Request(method, path, about, mutates=effect, secret=secret, idempotent=again, permission=permission)

    def _own(self, revision: object) -> None:
        _own(revision)


def _own(revision: object) -> Revision:
    if not isinstance(revision, Revision):
        raise TypeError("the revision must come from this store")
    return revision


def _annotations(secret: dict[str, Any]) -> dict[str, str]:
    return secret.get("annotations") or {}


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


KIND = Kind(
    scheme="gcp-secretmanager",
    check=check,
    open=_open,
    store=True,
    check_store=check_store,
    connection=CONNECTION,
    permissions=PERMISSIONS,
)
