"""Doppler: ``doppler:PROJECT/CONFIG``.

The pair are two secrets of a config, the journal is a third (``TWOKEY_JOURNAL_…``). Whatever is written is one
request, and each of its changes carries ``originalValue``, what was seen: Doppler refuses what is stale. The journal
goes along as a change that changes nothing, so that a run that lost its lease cannot write the pair either.

A value may refer to another secret, ``${…}``; readers see what comes of it. twokey tells which key is held by what
readers see, and never writes over a reference.

Sources: "Secrets: Update" and "Secrets: List" (Doppler API Reference), "Secrets" (names), "Secret Visibility", "Secrets
Referencing", "Doppler API: Rate Limits", Doppler Docs; for the shape of answers also Doppler's own command line.
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
from twokey.destinations.formats import format as formats
from twokey.destinations.formats.journals import decode_journal, encode_journal
from twokey.destinations.kind import ConnectionKind, Kind, Permission
from twokey.destinations.sources import Source
from twokey.destinations.stores.service_store import Kept, ServiceStore
from twokey.http.client import Http
from twokey.http.messages import Request
from twokey.http.rate_limits import Limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.destinations.address import Address
    from twokey.destinations.connections import ConnectionContext
    from twokey.destinations.kind import DestinationContext

PUBLIC = "https://api.doppler.com"
LIMITS = (Limit(240, 60, writes_only=False),)
"""Requests of one token ("Doppler API: Rate Limits")."""
JOURNAL = "TWOKEY_JOURNAL_"
LONGEST_JOURNAL = 32 << 10
"""Bytes. ``doppler run`` hands all secrets of a config to programs as environment variables, which Linux limits."""
NAMES = replace(
    formats.ENVIRONMENT,
    pattern=r"[A-Z_][A-Z0-9_]*",
    allowed="capitals, digits and underscores, and no digit at its beginning",
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
        name="read and write access",
        resource="config",
        uses=("read", "write", "create", "journal"),
        grant="service token, or token of a service account",
    ),
)


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Doppler is reached: a service token of the config, or a service account's."""

    token: Source


@dataclass(frozen=True, slots=True)
class Revision:
    """A digest of the pair and the journal as they are kept."""

    digest: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Secret:
    """A secret that is there: as it is kept, and what readers see."""

    raw: Hidden
    computed: Hidden


def check(address: Address) -> None:
    """Raise ``UsageError`` for what can be no config, and for names that Doppler does not take."""
    address.allow(("connection", *formats.OPTIONS))
    if not _TARGET.fullmatch(address.plain):
        raise address.error("this is not PROJECT/CONFIG: letters, digits and the characters _.-")
    _format(address)


def check_store(address: Address) -> None:
    """Raise ``UsageError`` for a format that cannot be read back."""
    formats.refuse_store(address, _format(address))


def _open(address: Address, context: DestinationContext) -> DopplerSecrets:
    """Return the secrets of a config as a store or destination."""
    return DopplerSecrets(address, context.connection(address, CONNECTION))


def _format(address: Address) -> formats.Format:
    return formats.format_of(address.options, default="pair", names=NAMES)


class Doppler:
    """Doppler, as one token sees it."""

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
        self._permission = f"read and write access to the config {address.rest}"

    def preflight(self) -> None:
        """Read the config, and raise for references. Whether the token may write, Doppler says only to a write."""
        self._refuse_references(self._find())

    def _find(self) -> dict[str, _Secret]:
        """Return those of the secrets that exist; Doppler leaves out the others."""
        where = {"project": self._project, "config": self._config, "secrets": ",".join(self._names)}
        request = Request("GET", f"{_SECRETS}?{urlencode(where)}", self._about("read"), mutates=False, secret=True)
        request = replace(request, permission=self._permission)
        response = self._http.request(request)
        listed = (response.json() or {}).get("secrets")
        if not isinstance(listed, dict):
            raise ServiceRejected(
                f"Doppler gave no secrets when asked to {request.description}.", remedy="Check the connection's url."
            )
        found = {name: self._shown(name, listed[name]) for name in self._names if name in listed}
        return {name: secret for name, secret in found.items() if secret is not None}

    def _shown(self, name: str, secret: Mapping[str, Any]) -> _Secret | None:
        """Take one secret apart. A restricted one is hidden from people's tokens: that is not the same as missing."""
        raw, computed = secret.get("raw"), secret.get("computed")
        if isinstance(raw, str):
            return _Secret(Hidden(raw), Hidden(computed if isinstance(computed, str) else raw))
        if "restricted" in {secret.get("rawVisibility"), secret.get("computedVisibility")}:
            raise AccessDenied(
                f"read the restricted secret {name}",
                f"{self._project}/{self._config}",
                remedy="Doppler shows restricted secrets to service tokens only: give it one.",
            )
        return None

    def _read(self) -> Kept:
        found = self._find()
        values = {name: found[name].computed for name in self.format.names if name in found}
        journal = _plain(found[self._journal].raw) if self._journal in found else None
        return Kept(values or None, journal, self._revision(found))

    def _write_credential(self, values: Mapping[str, Hidden], seen: object, note: str) -> None:  # noqa: ARG002  see below
        # A note would be the same in all configs of the project: no place for the key of one of them.
        for name, value in values.items():
            if _REFERENCE in value:
                raise ServiceRejected(
                    f"{name} would hold ${{…}}, which Doppler takes for a reference to another secret."
                )
        self._write(values, seen)

    def _write_journal(self, text: str, seen: object) -> None:
        self._write({self._journal: _escaped(text)}, seen)

    def _write_fence(self, kept: Kept) -> None:
        journal = decode_journal(kept.journal, self.name) if kept.journal is not None else Journal()
        self._write_journal(encode_journal(journal, marked=True), kept.revision)

    def _write(self, values: Mapping[str, str], seen: object) -> None:
        """Write values if all that twokey keeps there is as it was seen; otherwise raise ``Conflict``."""
        found = self._find()
        if self._revision(found) != seen:
            raise self._conflict()
        self._refuse_references(found)
        changes = [self._change(name, values.get(name), found.get(name)) for name in self._names]
        body = {"project": self._project, "config": self._config, "change_requests": [one for one in changes if one]}
        request = Request("POST", _SECRETS, self._about("write"), body=body, secret=True, permission=self._permission)
        response = self._http.send(request)
        if response.status in _REFUSALS and self._revision(self._find()) != seen:
            raise self._conflict()
        if not response.good:
            raise self._http.verdicts.error_of(request, response)

    def _change(self, name: str, value: str | None, found: _Secret | None) -> dict[str, Any] | None:
        """Return the change of one secret; None leaves it, and makes its value a condition only."""
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
                f"In {self._project}/{self._config}, {' and '.join(referring)} refers to another secret.",
                state="Nothing was written there.",
                remedy="Name the config that it refers to, or delete the reference.",
            )

    def _revision(self, found: Mapping[str, _Secret]) -> Revision:
        kept = [found[name].raw if name in found else None for name in self._names]
        return Revision(hashlib.sha256(json.dumps(kept).encode()).hexdigest())

    def _own(self, revision: object) -> None:
        if not isinstance(revision, Revision):
            raise TypeError("the revision must come from this store")

    def _about(self, act: str) -> str:
        return f"{act} the secrets {' and '.join(self.format.names)} of {self._project}/{self._config}"


def _escaped(text: str) -> str:
    """Return JSON without a dollar sign, so that no URL in a journal is taken for a reference."""
    return text.replace("$", "\\u0024")


def _plain(text: Hidden) -> str:
    """Return what ``_escaped`` was given; a backslash that is itself escaped escapes nothing."""
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
