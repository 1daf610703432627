"""Doppler: ``doppler:PROJECT/CONFIG``.

The pair is two secrets of a config, the journal is a third (``TWOKEY_JOURNAL_…``). Each write is one request, and each
of its changes carries ``originalValue``, the value that was read: Doppler refuses a stale one. A write of the pair also
contains the unchanged journal, so that a run that lost its lease cannot write the pair.

A value may refer to another secret, ``${…}``; readers see the resolved value. twokey reads the key from the resolved
value, and never overwrites a reference.

Sources: "Secrets: Update" and "Secrets: List" (Doppler API Reference), "Secrets" (names), "Secret Visibility", "Secrets
Referencing", "Doppler API: Rate Limits", Doppler Docs; for the format of responses also Doppler's own command line.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from twokey.core.errors import AccessDenied, ServiceRejected
from twokey.core.journal import Journal
from twokey.core.secret import Hidden
from twokey.destinations import connections
from twokey.destinations.formats import options as formats
from twokey.destinations.formats.journals import decode_journal, encode_journal
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.destinations.sources import Source
from twokey.destinations.stores.service_store import ServiceStore, Stored
from twokey.http.client import Http
from twokey.http.messages import Request
from twokey.http.rate_limits import Limit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from twokey.destinations.address import Address
    from twokey.destinations.connections import ConnectionContext
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext

PUBLIC = "https://api.doppler.com"
LIMITS = (Limit(240, 60, writes_only=False),)
"""Requests of one token ("Doppler API: Rate Limits")."""
JOURNAL = "TWOKEY_JOURNAL_"
LONGEST_JOURNAL = 32 << 10
"""Bytes. ``doppler run`` passes all secrets of a config to programs as environment variables, which Linux limits."""
NAMES = replace(
    formats.ENVIRONMENT,
    pattern=r"[A-Z_][A-Z0-9_]*",
    allowed="uppercase letters, digits and underscores, and no digit at the beginning",
    forbidden=("DOPPLER_", JOURNAL),
)
_TARGET = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", re.ASCII)
_SECRETS = "/v3/configs/config/secrets"
_REFERENCE = "${"
_ESCAPED = re.compile(r"(?<!\\)((?:\\\\)*)\\u0024")
_REFUSALS = {400, 409, 412, 422}
PERMISSIONS = (
    Permission(
        service="Doppler",
        name="read and write",
        resource="config",
        type="access",
        uses=("read", "write", "create", "journal"),
        grant="service token, or token of a service account",
    ),
)


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Doppler is reached: a service token of the config, or a service account's."""

    token: Source


@dataclass(frozen=True, slots=True)
class Revision:
    """A digest of the pair and the journal as they are stored."""

    digest: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Secret:
    """An existing secret: as it is stored, and as readers see it."""

    raw: Hidden
    computed: Hidden


def check(address: Address) -> None:
    """Raise ``UsageError`` for a config or names that Doppler cannot have."""
    address.allow(("connection", *formats.OPTIONS))
    if not _TARGET.fullmatch(address.plain):
        raise address.error("expected PROJECT/CONFIG: each of letters, digits and the characters _.-")
    _format(address)


def check_store(address: Address) -> None:
    """Raise ``UsageError`` for a format that cannot be read back."""
    formats.refuse_store(address, _format(address))


def _open(address: Address, context: DestinationContext) -> DopplerSecrets:
    """Return the secrets of a config as a store or destination."""
    return DopplerSecrets(address, context.connection(address, CONNECTION))


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=NAMES)


class Doppler:
    """Doppler, accessed with one token."""

    def __init__(self, settings: Settings, context: ConnectionContext) -> None:
        secret = context.secret(settings.token)
        self.clock = context.clock
        self.http = Http(
            "Doppler",
            settings.url or PUBLIC,
            context.clock,
            headers=lambda: {"Authorization": f"Bearer {secret.value()}"},
            renew=secret.renew,
            limits=LIMITS,
            ca=settings.ca or None,
            insecure_http=settings.insecure_http,
            token=f"a valid token (in {secret})",
            patience=120,
        )


class DopplerSecrets(ServiceStore):
    """Secrets of one config."""

    longest_journal = LONGEST_JOURNAL

    def __init__(self, address: Address, doppler: Doppler) -> None:
        super().__init__(address.url, _format(address), doppler.clock)
        self._http = doppler.http
        self._project, _, self._config = address.rest.partition("/")
        self._journal = f"{JOURNAL}{self.format.names[0]}"
        self._names = (*self.format.names, self._journal)
        self._permission = phrase(PERMISSIONS, on=f"the config {address.rest}")

    def preflight(self) -> None:
        """Read the config, and raise for references. Only a write shows whether the token may write."""
        self._refuse_references(self._find())
        self.check_content()

    def _find(self) -> dict[str, _Secret]:
        """Return those of the secrets that exist; Doppler leaves out the others."""
        names = (*self._names, *self.format.names_beside)
        where = {"project": self._project, "config": self._config, "secrets": ",".join(names)}
        request = Request(
            "GET", f"{_SECRETS}?{urlencode(where)}", self._description("read"), mutates=False, secret=True
        )
        request = replace(request, permission=self._permission)
        response = self._http.request(request)
        listed = (response.json() or {}).get("secrets")
        if not isinstance(listed, dict):
            raise ServiceRejected(
                f"Doppler returned no list of secrets for the request to {request.description}.",
                remedy="Check `url` of the connection.",
            )
        found = {name: self._secret(name, listed[name]) for name in names if name in listed}
        return {name: secret for name, secret in found.items() if secret is not None}

    def _secret(self, name: str, secret: Mapping[str, Any]) -> _Secret | None:
        """Decode one secret. Doppler hides restricted ones from personal tokens: they are not missing."""
        raw, computed = secret.get("raw"), secret.get("computed")
        if isinstance(raw, str):
            return _Secret(Hidden(raw), Hidden(computed if isinstance(computed, str) else raw))
        if "restricted" in {secret.get("rawVisibility"), secret.get("computedVisibility")}:
            raise AccessDenied(
                f"read the restricted secret {name}",
                f"{self._project}/{self._config}",
                remedy="Doppler shows restricted secrets to service tokens only: use one for the connection.",
            )
        return None

    def _read(self) -> Stored:
        found = self._find()
        beside = (*self.format.names, *self.format.names_beside)
        values = {name: found[name].computed for name in beside if name in found}
        journal = _plain(found[self._journal].raw) if self._journal in found else None
        return Stored(values or None, journal, self._revision(found))

    def _write_credential(
        self,
        values: Mapping[str, Hidden],
        seen: object,
        note: str,  # noqa: ARG002  see below
        without: Collection[str] = (),
    ) -> None:
        # Doppler has one note for all configs of the project, so it cannot name the key of one config.
        for name, value in values.items():
            if _REFERENCE in value:
                raise ServiceRejected(
                    f"The value of {name} would contain ${{…}}, which Doppler resolves as a reference to another "
                    "secret.",
                    state="Nothing was written there.",
                    remedy="Change the option of the destination that sets it.",
                )
        self._write(values, seen, without)

    def _write_journal(self, text: str, seen: object) -> None:
        self._write({self._journal: _escaped(text)}, seen)

    def _write_fence(self, stored: Stored) -> None:
        journal = decode_journal(stored.journal, self.name) if stored.journal is not None else Journal()
        self._write_journal(encode_journal(journal, marked=True), stored.revision)

    def _write(self, values: Mapping[str, str], seen: object, without: Collection[str] = ()) -> None:
        """Write values if all that twokey stores there is unchanged since ``seen``; otherwise raise ``Conflict``."""
        found = self._find()
        if self._revision(found) != seen:
            raise self._conflict()
        self._refuse_references(found)
        changes = [self._change(name, values.get(name), found.get(name)) for name in self._names]
        changes += [_removal(name, found[name]) for name in without if name in found]
        body = {"project": self._project, "config": self._config, "change_requests": [one for one in changes if one]}
        request = Request(
            "POST", _SECRETS, self._description("write"), body=body, secret=True, permission=self._permission
        )
        response = self._http.send(request)
        if response.status in _REFUSALS and self._revision(self._find()) != seen:
            raise self._conflict()
        if not response.good:
            raise self._http.verdicts.error_of(request, response)

    def _change(self, name: str, value: str | None, found: _Secret | None) -> dict[str, Any] | None:
        """Return the change of one secret; with a ``value`` of None, its present value is only a condition."""
        if found is not None:
            return {"name": name, "originalName": name, "value": value, "originalValue": found.raw}
        if value is None:
            return None
        visibility = "unmasked" if name == self._journal else "masked"
        return {"name": name, "originalName": None, "value": value, "visibility": visibility}

    def _refuse_references(self, found: Mapping[str, _Secret]) -> None:
        referring = [name for name in self.format.names if name in found and _REFERENCE in found[name].raw]
        if referring:
            raise ServiceRejected(
                f"In {self._project}/{self._config}, the value of {' and '.join(referring)} is a reference to "
                "another secret.",
                state="Nothing was written there.",
                remedy="Deliver to the config that it refers to, or delete the reference.",
            )

    def _revision(self, found: Mapping[str, _Secret]) -> Revision:
        stored = [found[name].raw if name in found else None for name in self._names]
        return Revision(hashlib.sha256(json.dumps(stored).encode()).hexdigest())

    def _own(self, revision: object) -> None:
        if not isinstance(revision, Revision):
            raise TypeError("the revision must come from this store")

    def _description(self, act: str) -> str:
        return f"{act} the secrets {' and '.join(self.format.names)} of {self._project}/{self._config}"


def _removal(name: str, found: _Secret) -> dict[str, Any]:
    return {
        "name": name,
        "originalName": name,
        "value": found.raw,
        "originalValue": found.raw,
        "shouldDelete": True,
    }


def _escaped(text: str) -> str:
    """Return JSON without a dollar sign, so that Doppler does not resolve a URL in a journal as a reference."""
    return text.replace("$", "\\u0024")


def _plain(text: Hidden) -> str:
    """Return the text that was passed to ``_escaped``; a backslash that is itself escaped escapes nothing."""
    return _ESCAPED.sub(r"\1$", text)


CONNECTION = ConnectionKind(
    name="doppler",
    settings=Settings,
    connect=Doppler,
    environment={"token": ("DOPPLER_TOKEN",), "url": ("DOPPLER_API_HOST",)},
)
KIND = Kind(
    scheme="doppler",
    check=check,
    open=_open,
    store=True,
    check_store=check_store,
    connection=CONNECTION,
    permissions=PERMISSIONS,
)
