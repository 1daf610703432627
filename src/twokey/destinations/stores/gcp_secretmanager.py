"""Google Cloud Secret Manager: ``gcp-secretmanager:PROJECT/NAME``.

The credential is one secret version; the journal is an annotation of the secret. Annotations and aliases change by one
conditional request: it carries the ``etag`` that was read, and Google refuses it if the secret was written since.
Adding a version has no such condition, and readers of ``latest`` see it at once. So without an alias, a run first
claims the secret by its etag and then adds the version. Of two active runs only one gets this far, but a run that is
paused between the two requests could write later. With ``alias=NAME``, readers of ``versions/NAME`` see the added
version only after the alias is moved, which is conditional too.

twokey disables no version: a job may have pinned the number of the one that holds LAST, which must stay readable as
long as that key works. The keys in older versions are deleted in IAM.

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
from twokey.destinations import creation_options
from twokey.destinations.formats import options as formats
from twokey.destinations.kind import Kind, Permission, phrase
from twokey.destinations.logins.google import CONNECTION, Google, reasons_of
from twokey.destinations.stores.service_store import ServiceStore, Stored
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from twokey.core.model import Holding
    from twokey.core.secret import Credential
    from twokey.destinations.address import Address
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext

JOURNAL, NOTE, CLAIM, NEWEST = "twokey-journal", "twokey-access-key", "twokey-claim", "twokey-version"
LONGEST_JOURNAL = 14 << 10
"""Bytes; all annotations of a secret together have less than 16 KiB, and some belong to others."""
ATTEMPTS = 5
"""How often a write is tried while other programs keep changing other parts of the secret."""
LATEST = "latest"
_TARGET = re.compile(r"(?:[a-z0-9.-]+:)?[a-z0-9-]+/[A-Za-z0-9_-]{1,255}", re.ASCII)
_ALIAS = re.compile(r"(?!latest$)(?!NEW$)[A-Za-z][A-Za-z0-9_-]{0,62}", re.ASCII)
_on_secret = partial(Permission, service="Google Secret Manager", resource="secret")
_ALWAYS = (
    _on_secret(name="secretmanager.secrets.get", uses=("read", "write", "journal")),
    _on_secret(name="secretmanager.versions.access", uses=("read", "write")),
    _on_secret(name="secretmanager.versions.add", uses=("write",)),
)
_STATE = _on_secret(
    name="secretmanager.versions.get", uses=("read",), optional=True, condition="the version is disabled"
)
_UPDATE = _on_secret(name="secretmanager.secrets.update", uses=("write", "journal"), condition="a store, or alias=")
_CREATE = Permission(
    service="Google Secret Manager", name="secretmanager.secrets.create", resource="project", uses=("create",)
)
PERMISSIONS = (*_ALWAYS, _STATE, _UPDATE, _CREATE)


@dataclass(frozen=True, slots=True)
class Revision:
    """A digest of the journal, the claim, the version that readers see (0: none) and its state.

    A missing secret is equal to an empty one.
    """

    journal: str = field(default="", repr=False)
    claim: str = ""
    version: int = 0
    state: str = ""
    exists: bool = field(default=False, compare=False)


def check(address: Address) -> None:
    """Raise ``UsageError`` for a secret's name or an alias that Google does not allow."""
    _format(address)
    creation_options.of_google(address)
    if not _TARGET.fullmatch(address.plain):
        raise address.error("expected PROJECT/NAME: a project's ID, then letters, digits, dashes and underscores.")
    location = address.options.get("location")
    if location is not None and not creation_options.is_google_location(location):
        raise address.error(f"location={location}: expected a location of Google Cloud, such as europe-west3.")
    if location is not None and "replica" in address.options:
        raise address.error("location= names a regional secret, and replica= is for secrets without a location.")
    if "alias" in address.options and not _ALIAS.fullmatch(address.options["alias"]):
        raise address.error(
            "alias=: expected a letter, then letters, digits, - and _. Without alias=, readers use latest."
        )


def check_store(address: Address) -> None:
    """Raise ``UsageError`` for a format that cannot be read back."""
    formats.refuse_store(address, _format(address))


def _open(address: Address, context: DestinationContext) -> GoogleSecret:
    """Return the secret as a store or destination."""
    return GoogleSecret(address, context.connection(address, CONNECTION))


def _format(address: Address) -> Format:
    return formats.format_at(
        address,
        default="json",
        names=formats.MEMBERS,
        own=("connection", "alias", "location", *creation_options.OF_GOOGLE),
        only=formats.ONE_TEXT,
    )


class GoogleSecret(ServiceStore):
    """A secret of a project."""

    longest_journal = LONGEST_JOURNAL

    def __init__(self, address: Address, google: Google) -> None:
        self._alias = address.options.get("alias", "")
        self.conditional = bool(self._alias)
        # The version is one text, whatever the format.
        name = address.without(creation_options.OF_GOOGLE)
        self._new = creation_options.of_google(address)
        super().__init__(name, replace(_format(address), names=("access key",)), google.clock)
        self._location = address.options.get("location", "")
        self._http = google.at(self._location)
        project, _, self._secret = address.rest.rpartition("/")
        self._all = f"/v1/projects/{project}{f'/locations/{self._location}' if self._location else ''}/secrets"
        self._path = f"{self._all}/{self._secret}"
        self._target = f"the secret {self._secret} of {project}{f' in {self._location}' if self._location else ''}"
        self._known = 0
        self._note = ""

    def preflight(self) -> None:
        """Read the secret and ask which permissions the token has on it. For a missing secret, nothing is known."""
        stored = self._read()
        seen = _own(stored.revision)
        if not seen.exists:
            return
        self.check_content(stored)
        needed = (*_ALWAYS, _UPDATE) if self._alias or seen.journal else _ALWAYS
        wanted = [one.name for one in needed]
        request = self._request(
            "POST", f"{self._path}:testIamPermissions", "report the permissions of the token", mutates=False
        )
        found = self._http.request(replace(request, body={"permissions": wanted})).json() or {}
        lacks = [one for one in wanted if one not in found.get("permissions", ())]
        if lacks:
            raise AccessDenied(
                " and ".join(lacks),
                self._target,
                remedy="Grant twokey's identity a role with these permissions on the secret.",
            )

    def put(self, credential: Credential, revision: object) -> object:
        """Write the pair if the secret is still at ``revision``; without an alias, claim the secret first."""
        seen = _own(revision)
        if seen.journal and not self._alias:
            claim = secrets.token_hex(8)
            self._written(
                lambda: self._patch(seen, {CLAIM: claim}),
                lambda stored: _own(stored.revision).claim == claim,
                seen,
                "a claim",
            )
            # A version that was added in the meantime changed no etag; reading before the write finds it.
            revision = replace(seen, claim=claim)
        return super().put(credential, revision)

    def _read(self) -> Stored:
        return self._look()[1]

    def _look(self) -> tuple[dict[str, Any] | None, Stored]:
        """Return the secret and its content; its etag belongs to exactly that state."""
        secret = self._find()
        if secret is None:
            return None, Stored(None, None, Revision())
        notes = _annotations(secret)
        number, state, text = self._version(secret)
        values = {self.format.names[0]: text} if number else None
        digest = hashlib.sha256(notes[JOURNAL].encode()).hexdigest() if JOURNAL in notes else ""
        revision = Revision(digest, notes.get(CLAIM, ""), number, state, exists=True)
        return secret, Stored(values, notes.get(JOURNAL), revision)

    def _find(self) -> dict[str, Any] | None:
        """Return the secret, or None. Only Google's own NOT_FOUND means that there is none."""
        request = self._request("GET", self._path, f"read {self._target}", mutates=False)
        response = self._http.send(request)
        if response.status == 404 and "NOT_FOUND" in reasons_of(response):
            return None
        found = response.json()
        if not response.good or not isinstance(found, dict) or "etag" not in found:
            raise self._http.verdicts.error_of(request, response)
        return found

    def _version(self, secret: dict[str, Any]) -> tuple[int, str, Hidden]:
        """Return the number, the state and the text of the version that readers see; 0 if there is none.

        ``latest`` may still show an older version; a version's own number is always exact.
        """
        if self._alias:
            number = int((secret.get("versionAliases") or {}).get(self._alias, 0))
            return self._access(str(number)) if number else (0, "", Hidden())
        found = self._access(LATEST)
        known = max(self._known, _number(_annotations(secret).get(NEWEST, "")))
        if found[0] < known:
            added = self._access(str(known))
            # The versions of a secret that was created again begin at 1.
            found = added if added[0] else found
        self._known = found[0]
        return found

    def _access(self, which: str) -> tuple[int, str, Hidden]:
        where = f"{self._path}/versions/{which}"
        request = self._request("GET", f"{where}:access", f"read {self._target}", mutates=False, secret=True)
        response = self._http.send(request)
        if response.status == 404 and "NOT_FOUND" in reasons_of(response):
            return 0, "", Hidden()
        if response.status == 400 and "FAILED_PRECONDITION" in reasons_of(response):
            look = self._request("GET", where, f"read the state of the version of {self._target}", mutates=False)
            look = replace(look, permission=phrase((replace(_STATE, optional=False),)))
            found_version = self._http.request(look).json() or {}
            return self._number_in(found_version), str(found_version.get("state", "UNKNOWN")), Hidden()
        if not response.good:
            raise self._http.verdicts.error_of(request, response)
        found = response.json() or {}
        number = self._number_in(found)
        data = Hidden((found.get("payload") or {}).get("data", ""))
        # Bytes that are not UTF-8 stay distinguishable, so that they are never taken for text and replaced.
        return number, "ENABLED", Hidden(base64.b64decode(data).decode(errors="surrogateescape"))

    def _number_in(self, found: dict[str, Any]) -> int:
        number = _number(str(found.get("name", "")).rpartition("/")[2])
        if not number:
            raise Ambiguous(f"Google Secret Manager returned no version number of {self._target}.", remedy="Run again.")
        return number

    def _holding(self, stored: Stored) -> Holding:
        seen = _own(stored.revision)
        if stored.values and seen.state != "ENABLED":
            return CannotTell(f"version {seen.version}, which readers request, is {seen.state.lower()}")
        return super()._holding(stored)

    def _write_credential(
        self,
        values: Mapping[str, Hidden],
        seen: object,
        note: str,
        without: Collection[str] = (),  # noqa: ARG002  nothing lies beside one text: its own merge removes it
    ) -> None:
        if self._now(seen) is None:
            self._patch(seen, {})
        number = self._add(next(iter(values.values())))
        self._note = note
        if self._alias:
            self._patch(seen, {}, {self._alias: str(number)})

    def _write_journal(self, text: str, seen: object) -> None:
        self._patch(seen, {JOURNAL: text})

    def _write_fence(self, stored: Stored) -> None:
        self._patch(stored.revision, {CLAIM: secrets.token_hex(8)})

    def _now(self, seen: object) -> dict[str, Any] | None:
        """Return the secret if what twokey stores there is unchanged since ``seen``; otherwise raise ``Conflict``."""
        secret, stored = self._look()
        if stored.revision != seen:
            raise self._conflict()
        return secret

    def _add(self, text: Hidden) -> int:
        request = self._request(
            "POST", f"{self._path}:addVersion", f"write {self._target}", secret=True, idempotent=False
        )
        payload = {"payload": {"data": Hidden(base64.b64encode(text.encode()).decode())}}
        self._known = self._number_in(self._http.request(replace(request, body=payload)).json() or {})
        return self._known

    def _patch(self, seen: object, notes: dict[str, str], aliases: Mapping[str, str] | None = None) -> None:
        """Change annotations and aliases of the secret if it is unchanged since ``seen``; create a missing one."""
        for attempt in range(1, ATTEMPTS + 1):
            secret = self._now(seen)
            request = self._creation(notes) if secret is None else self._change(secret, notes, aliases or {})
            response = self._http.send(request)
            if response.good:
                return
            if attempt == ATTEMPTS or not reasons_of(response) & {"FAILED_PRECONDITION", "ALREADY_EXISTS"}:
                raise self._http.verdicts.error_of(request, response)

    def _creation(self, notes: dict[str, str]) -> Request:
        request = self._request("POST", f"{self._all}?secretId={self._secret}", f"create {self._target}")
        key = {"customerManagedEncryption": {"kmsKeyName": self._new.kms}} if self._new.kms else {}
        replicas = [{"location": location, **key} for location in self._new.replicas]
        replication = {"userManaged": {"replicas": replicas}} if replicas else {"automatic": key}
        labels = {"labels": dict(self._new.tags)} if self._new.tags else {}
        # A regional secret has no replicas, and its key of its own.
        where = key if self._location else {"replication": replication}
        return replace(request, body={**where, **labels, "annotations": notes})

    def _change(self, secret: dict[str, Any], notes: dict[str, str], aliases: Mapping[str, str]) -> Request:
        """Return the request, which keeps other annotations and aliases. Google refuses it if it is sent twice."""
        own = {NOTE: self._note} if self._note else {}
        if self._known and not self._alias:
            own[NEWEST] = str(self._known)
        body = {"etag": secret["etag"], "annotations": {**_annotations(secret), **own, **notes}}
        if aliases:
            body["versionAliases"] = {**(secret.get("versionAliases") or {}), **aliases}
        mask = ",".join(sorted(body.keys() - {"etag"}))
        return replace(self._request("PATCH", f"{self._path}?updateMask={mask}", f"change {self._target}"), body=body)

    def _request(
        self,
        method: str,
        path: str,
        description: str,
        *,
        mutates: bool = True,
        secret: bool = False,
        idempotent: bool = True,
    ) -> Request:
        needed = (_UPDATE,) if method == "PATCH" else (_CREATE,) if "secretId=" in path else _ALWAYS
        return Request(
            method,
            path,
            description,
            mutates=mutates,
            secret=secret,
            idempotent=idempotent,
            permission=phrase(needed),
        )

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
    non_identifying_options=creation_options.OF_GOOGLE,
    permissions=PERMISSIONS,
)
