"""AWS Systems Manager Parameter Store: ``ssm:/NAME``, and with ``?format=`` in another format than a JSON object.

The credential is one SecureString, and what else its value contains stays. The journal lies in the parameter
``NAME.twokey-journal``, a String without secrets.

The only conditional write of the service is "create, do not overwrite". So twokey reads before each write. The version
number in the response then shows whether another run or program wrote in between: it must be exactly the next one. If
it is not, twokey writes the other value back and raises ``Conflict``. Until then, readers see the value of this run.
Only the lease in the journal keeps two runs apart here.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from twokey.aws.pace import Pacer
from twokey.aws.sending import Sender
from twokey.core.destination import Receipt, Traits
from twokey.core.errors import AccessDenied, Ambiguous, Conflict, NotFound, ServiceError, ServiceRejected
from twokey.core.journal import Journal
from twokey.core.model import CannotTell, Held, Holding, NotHeld, Record
from twokey.core.secret import Credential, Hidden
from twokey.destinations import creation_options
from twokey.destinations.formats.format import SAMPLE
from twokey.destinations.formats.journals import decode_journal, encode_journal
from twokey.destinations.kind import Kind, Permission, Resolved
from twokey.destinations.stores.ssm_names import JOURNAL, check, check_store, format_of
from twokey.destinations.stores.ssm_versions import FULL, MOST_VERSIONS, History

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from twokey.aws.clients import Clients
    from twokey.destinations.address import Address
    from twokey.destinations.creation_options import CreationOptions
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import AwsScope, DestinationContext, Resources

LIMIT = 4096
"""Bytes of a standard parameter's value ("Managing parameter tiers", Systems Manager User Guide)."""
ADVANCED_LIMIT = 8192
"""Bytes of an advanced parameter's value."""
_STANDARD = "Standard"
_OWN_DESCRIPTION = re.compile(r"(Access key \w+)?", re.ASCII)
LOOKS = 4
TOGETHER = 5
"""How many stores one request reads: GetParameters takes ten names (Systems Manager API Reference)."""
ROOM = 3
"""How many versions of the credential a rotation may write: the pair, and what another writer wrote at that moment."""
JOURNAL_ROOM = 20
"""The same for the journal, with the deliveries that a run records and the renewals of its lease."""
_on_parameter = partial(Permission, service="AWS Systems Manager", resource="parameter", type="action")
_on_kms_key = partial(
    Permission, service="AWS KMS", resource="key", type="action", condition="a customer managed KMS key"
)
PERMISSIONS = (
    _on_parameter(name="ssm:GetParameter", uses=("read", "write")),
    _on_parameter(name="ssm:GetParameters", uses=("load", "journal")),
    _on_parameter(name="ssm:GetParameterHistory", uses=("write", "journal")),
    _on_parameter(name="ssm:PutParameter", uses=("write", "create", "journal")),
    _on_parameter(
        name="ssm:AddTagsToResource", uses=("create", "journal"), condition="tag.NAME= in the URL", option="tag.*"
    ),
    _on_kms_key(name="kms:Decrypt", uses=("load", "read", "write", "journal")),
    _on_kms_key(name="kms:Encrypt", uses=("write", "create")),
)


@dataclass(frozen=True, slots=True)
class Revision:
    """The version numbers of both parameters, None for a missing one, and the journal's text."""

    journal: int | None = None
    credential: int | None = None
    text: str = ""


def _open(address: Address, context: DestinationContext) -> ParameterStore:
    """Return the parameter as a store or destination."""
    name, new = address.without(creation_options.OF_PARAMETER_STORE), creation_options.of_aws(address)
    return ParameterStore(name, address.rest, format_of(address), context.clients, new)


def _resolve(address: Address, context: DestinationContext, account: str) -> Resolved:
    """Return which parameter this is: each region of each account has one of this name."""
    return Resolved(address.rest, f"{context.clients.region} {account}".strip())


def _resources(address: Address, scope: AwsScope, store: bool) -> Resources:
    """Return the ARNs of the parameter and, for a store, of the one beside it with the journal."""
    parameter = scope.arn("ssm", f"parameter/{address.rest.lstrip('/')}")
    names = (parameter, parameter + JOURNAL) if store and not parameter.endswith("*") else (parameter,)
    return {"parameter": names, **creation_options.keys(address, scope)}


def _read_secret(address: Address, context: DestinationContext) -> Hidden:
    """Return the value of a parameter, for ``from:``."""
    return _open(address, context).text()


def _load_many(addresses: Sequence[Address], context: DestinationContext) -> Iterator[partial[Mapping[str, Record]]]:
    """Read the parameters of several stores with each request, at the rate that AWS allows: 40 a second by default.

    "AWS Systems Manager endpoints and quotas" (AWS General Reference).
    """
    sender = Sender(context.clients, "ssm", pacer=Pacer(context.clients.clock))
    stores = [(address.url, _open(address, context)) for address in addresses]
    for start in range(0, len(stores), TOGETHER):
        yield partial(_load_some, sender, stores[start : start + TOGETHER])


def _load_some(sender: Sender, stores: Sequence[tuple[str, ParameterStore]]) -> Mapping[str, Record]:
    """Return what the stores hold, except those with content that is not twokey's; raises a ``ServiceError``."""
    names = [name for _, store in stores for name in store.names]
    response = sender.send("GetParameters", names[0], mutates=False, Names=names, WithDecryption=True)
    found = _by_name(response)
    records = {}
    for url, store in stores:
        with suppress(ServiceError):
            records[url] = replace(store.record(*map(found.get, store.names)), revision=None)
    return records


class ParameterStore:
    """A SecureString parameter, as store and as destination. Its writes are not conditional: see the module."""

    traits = Traits(atomic=True, conditional=False, confirms="value")

    def __init__(self, name: str, parameter: str, value_format: Format, clients: Clients, new: CreationOptions) -> None:
        self.name = name
        self._new = new
        self._format = value_format
        self.other_members = value_format.other_members
        self._parameter = parameter
        self._journal = parameter + JOURNAL
        self._sender = Sender(clients, "ssm")
        self._clock = clients.clock
        self._settings_of: tuple[int, dict[str, Any]] = (0, {})  # a version of the credential, and its settings
        self._journals: int | None = None  # the number of the journal's latest version; 0 without one

    def held(self) -> Holding:
        """Return which key is here; reads the value, because nothing else shows it."""
        return self._holding(self._get(self._parameter))

    def credential(self) -> Credential | None:
        """Read the credential."""
        found = self._get(self._parameter)
        return self._format.credential_of_text(found["Value"], self.name) if found else None

    def text(self) -> Hidden:
        """Read the text of the parameter; raises ``NotFound`` if it is missing."""
        found = self._get(self._parameter)
        if found is None:
            raise NotFound(f"{self.name} does not exist.", remedy="Create the parameter, or correct its name.")
        return Hidden(found["Value"])

    def load(self) -> Record:
        """Read both parameters, with one call."""
        return self.record(*self._both(decrypt=True))

    def record(self, credential: Any, stored: Any) -> Record:
        """Return what both parameters hold, None for a missing one; raises ``ServiceRejected`` for another journal."""
        holding = self._holding(credential)
        journal = decode_journal(stored["Value"], self.name) if stored else Journal()
        self._journals = _version(stored) or 0
        text = stored["Value"] if stored else ""
        return Record(holding, journal, Revision(_version(stored), _version(credential), text))

    def room_for(self, journal: Journal) -> None:
        """Raise ``ServiceRejected`` if the journal is too long, or a label keeps AWS from making room for versions.

        AWS has no more versions to remove than their latest number says, so a journal of few versions has room.
        """
        self._refuse_long_journal(journal)
        if self._journals is not None and self._journals <= MOST_VERSIONS - JOURNAL_ROOM:
            return
        with suppress(NotFound):
            self._history(self._journal).refuse_without_room(JOURNAL_ROOM)

    def _refuse_long_journal(self, journal: Journal) -> None:
        length = len(encode_journal(journal).encode())
        if length > LIMIT:
            raise ServiceRejected(
                f"The journal for {self.name} would have {length} bytes; a standard parameter holds {LIMIT}.",
                remedy="Deliver to fewer destinations, or use a store without that limit, such as secretsmanager:.",
            )

    def save_journal(self, journal: Journal, revision: object) -> object:
        """Write the journal if the parameters are still at ``revision``; see the module for what this guarantees."""
        self._refuse_long_journal(journal)
        text = encode_journal(journal)
        seen, _ = self._check(_own(revision))
        self._journals = version = self._write(self._journal, text, seen.journal, Type="String")
        return replace(seen, journal=version, text=text)

    def put(self, credential: Credential, revision: object) -> object:
        """Write the pair if the parameters are still at ``revision``, and read it back."""
        seen, found = self._check(_own(revision), decrypt=True)
        return replace(seen, credential=self._put(credential, found))

    def fence(self, revision: object) -> object:
        """Do nothing: there is no conditional write here that could be made to fail."""
        return _own(revision)

    def deliver(self, credential: Credential) -> Receipt:
        """Write the pair unless it is here already; a missing parameter is created."""
        found = self._get(self._parameter)
        if found and found["Value"] == self._text(found, credential):
            return Receipt(credential.access_key_id, written=False, stamp=f"{found['Version']}")
        return Receipt(credential.access_key_id, written=True, stamp=f"{self._put(credential, found)}")

    def preflight(self) -> None:
        """Ask AWS to create the existing parameter, which it refuses; for a missing one, nothing can be known."""
        found = self._get(self._parameter)
        if found is None:
            return
        self._refuse_plain(found)
        history = self._history(self._parameter)
        settings = _settings(history.newest)
        self._refuse_long(self._text(found, SAMPLE), settings)
        history.refuse_without_room(ROOM)
        self._settings_of = int(history.newest.get("Version", 0)), settings
        try:
            # If it is deleted at this moment, the request creates it with an empty journal, which holds no key.
            self._send(
                "PutParameter",
                self._parameter,
                mutates=False,
                Name=self._parameter,
                Value=encode_journal(Journal()),
                Type="SecureString",
                Overwrite=False,
            )
        except ServiceRejected as error:
            if "ParameterAlreadyExists" not in error.message:
                raise

    def _put(self, credential: Credential, found: Any) -> int:
        text = self._text(found, credential)
        settings: dict[str, Any] = {"Type": "SecureString", **_described(Held(credential.access_key_id))}
        if found:
            self._refuse_plain(found)
            version, kept = self._settings_of  # a version never changes, so neither do its settings
            settings |= kept if version == _version(found) else _settings(self._history(self._parameter).newest)
            self._refuse_long(text, settings)
        version = self._write(self._parameter, text, _version(found), **settings)
        return self._confirm(text, version)

    def _text(self, found: Any, credential: Credential) -> Hidden:
        """Return the value with the pair; what it contains besides stays."""
        return self._format.text_beside(found["Value"] if found else None, credential, self.name)

    def _refuse_long(self, text: Hidden, settings: dict[str, Any]) -> None:
        """Raise ``ServiceRejected`` for a value that is too long; AWS itself moves Intelligent-Tiering to Advanced."""
        longest = LIMIT if settings.get("Tier", _STANDARD) == _STANDARD else ADVANCED_LIMIT
        length = len(text.encode())
        if length > longest:
            raise ServiceRejected(
                f"The value of {self.name} would have {length} bytes with the access key; the parameter holds "
                f"{longest}.",
                state="Nothing was written.",
                remedy="Remove what no job needs from the value, change the parameter to the advanced tier, or name "
                "another parameter.",
            )

    def _refuse_plain(self, found: Any) -> None:
        if found["Type"] != "SecureString":
            raise ServiceRejected(
                f"{self.name} is a {found['Type']}, which AWS stores unencrypted.",
                state="Nothing was changed.",
                remedy="Delete it, or name another parameter: twokey creates it as a SecureString.",
            )

    def _check(self, seen: Revision, *, decrypt: bool = False) -> tuple[Revision, Any]:
        """Raise ``Conflict`` unless both parameters are unchanged since ``seen``."""
        for look in range(LOOKS):
            self._clock.sleep(0.2 * look)
            credential, stored = self._both(decrypt=decrypt)
            now = replace(seen, journal=_version(stored), credential=_version(credential))
            if not _lags(now.journal, seen.journal) and not _lags(now.credential, seen.credential):
                break
        # Another run that overwrote our journal and wrote it back gave it another number.
        same_journal = now.journal == seen.journal or (stored is not None and stored["Value"] == seen.text)
        if not same_journal or now.credential != seen.credential:
            raise self._conflict("Nothing was changed by this run.")
        return now, credential

    def _write(self, name: str, text: str, expected: int | None, **settings: Any) -> int:
        """Write the version after ``expected``, and return its number."""
        created = self._creation(settings) if expected is None else {}
        try:
            response = self._send(
                "PutParameter", name, Name=name, Value=text, Overwrite=expected is not None, **settings, **created
            )
        except AccessDenied as error:
            raise self._denied(error, name) if expected is None else error from None
        except (ServiceRejected, Ambiguous) as error:
            found = self._look_again(name, error)
            if found is None or found["Value"] != text or found["Version"] == expected:
                if isinstance(error, ServiceRejected) and _version(found) != expected:
                    raise self._conflict("Nothing was changed by this run.") from None
                raise self._explained(name, error) from None
            version = int(found["Version"])
        else:
            version = int(response["Version"])
        self._check_overtaken(name, text, expected or 0, version, settings)
        return version

    def _history(self, name: str) -> History:
        return History.of(name, self._send)

    def _explained(self, name: str, error: ServiceError) -> ServiceError:
        """Return the error with the label that made AWS refuse a write, if that is what it is about."""
        if FULL not in error.message:
            return error
        try:
            return self._history(name).without_room(1) or error
        except ServiceError:
            return error

    def _creation(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return what the URL wants of a new parameter. AWS encrypts a SecureString only, so the journal has no key."""
        key = {"KeyId": self._new.kms} if self._new.kms and settings.get("Type") == "SecureString" else {}
        return {**key, **({"Tags": self._new.aws_tags} if self._new.tags else {})}

    def _denied(self, error: AccessDenied, name: str) -> AccessDenied:
        kind = "String" if name == self._journal else "SecureString"
        beforehand = f"aws ssm put-parameter --name {name} --type {kind} --value '{encode_journal(Journal())}'"
        return creation_options.denied(error, "tag.NAME=VALUE, kms=alias/NAME", beforehand)

    def _look_again(self, name: str, error: ServiceError) -> Any:
        try:
            return self._get(name)
        except ServiceError:
            raise error from None

    def _check_overtaken(self, name: str, text: str, expected: int, version: int, settings: dict[str, Any]) -> None:
        """Raise ``Conflict`` if versions of another writer lie between; write the newest of them back first."""
        if version <= expected:
            raise Ambiguous(
                f"Another run or program deleted {name} and created it again during this run.",
                state="It may hold what this run wrote.",
                remedy="Run again: the next run finds out and continues.",
            )
        try:
            for number in range(version - 1, expected, -1):
                between = self._between(name, number)
                if between["Value"] != text:
                    theirs = {**settings, **self._described_as(between, settings)}
                    self._send("PutParameter", name, Name=name, Value=between["Value"], Overwrite=True, **theirs)
                    raise self._conflict("This run overwrote the other value for a moment, and wrote it back.")
        except ServiceError as error:
            raise Ambiguous(
                f"Another run or program wrote to {name} at the same time, and its value could not be read or written "
                f"back: {error}",
                state="The parameter may hold what this run wrote.",
                remedy="Run again: the next run finds out and continues.",
            ) from None

    def _between(self, name: str, number: int) -> Any:
        """Return a version that another writer has just written; raises ``NotFound`` where no read shows it yet.

        Reads are eventually consistent, so a version that cannot be read is not one that was never written.
        """
        for look in range(LOOKS):
            self._clock.sleep(0.2 * look)
            between = self._get(f"{name}:{number}")
            if between is not None:
                return between
        raise NotFound(f"its version {number} cannot be read yet.")

    def _described_as(self, found: Any, settings: dict[str, Any]) -> dict[str, str]:
        """Return the description of a value that is written back; one that is not twokey's stays."""
        own = _OWN_DESCRIPTION.fullmatch(settings.get("Description", ""))
        return _described(self._holding(found)) if own else {}

    def _confirm(self, text: str, version: int) -> int:
        """Return the version's number when readers see it; a value that was written back has another number."""
        try:
            for look in range(LOOKS):
                self._clock.sleep(0.2 * look)
                found = self._get(self._parameter)
                if found and found["Value"] == text:
                    return max(version, int(found["Version"]))
        except ServiceError as error:
            raise Ambiguous(
                f"{self.name} was written, but reading it back failed: {error}",
                state="It very probably holds the new value.",
                remedy="Run again: the next run finds out and continues.",
            ) from None
        raise Ambiguous(
            f"{self.name} was written, but now holds another value.",
            state="Another run or program may have written after this run.",
            remedy="Run again: the next run finds out and continues.",
        )

    def _holding(self, found: Any) -> Holding:
        if not found:
            return NotHeld()
        holding = self._format.holding_text(found["Value"])
        return replace(holding, stamp=f"{found['Version']}") if isinstance(holding, CannotTell) else holding

    def _both(self, *, decrypt: bool) -> tuple[Any, Any]:
        names = self.names
        found = _by_name(self._send("GetParameters", names[0], mutates=False, Names=names, WithDecryption=decrypt))
        return found.get(self._parameter), found.get(self._journal)

    @property
    def names(self) -> list[str]:
        """The names of the parameter and of its journal."""
        return [self._parameter, self._journal]

    def _get(self, name: str, *, decrypt: bool = True) -> Any:
        try:
            return self._send("GetParameter", name, mutates=False, Name=name, WithDecryption=decrypt)["Parameter"]
        except NotFound:
            return None

    def _send(self, operation: str, resource: str, *, mutates: bool = True, **parameters: Any) -> Any:
        return self._sender.send(operation, resource, mutates=mutates, **parameters)

    def _conflict(self, state: str) -> Conflict:
        return Conflict(
            f"Another run or program wrote to {self.name} in the meantime.", state=state, remedy="Run again."
        )


def _settings(newest: Any) -> dict[str, Any]:
    """Return the settings that a parameter has now, which a write that leaves them out would lose.

    Without a KMS key, AWS uses the account's default; an Advanced parameter is refused without its tier. A
    description that is not twokey's stays, too.
    """
    kept = {name: newest[name] for name in ("KeyId", "Tier", "AllowedPattern", "DataType") if newest.get(name)}
    if not _OWN_DESCRIPTION.fullmatch(newest.get("Description", "")):
        kept["Description"] = newest["Description"]
    policies = [policy["PolicyText"] for policy in newest.get("Policies") or ()]
    return {**kept, "Policies": f"[{','.join(policies)}]"} if policies else kept


def _described(holding: Holding) -> dict[str, str]:
    """Return the description of a parameter, which is not secret: the key that it holds."""
    return {"Description": f"Access key {holding.key_id}"} if isinstance(holding, Held) else {}


def _by_name(response: Any) -> dict[str, Any]:
    return {parameter["Name"]: parameter for parameter in response["Parameters"]}


def _version(parameter: Any) -> int | None:
    return int(parameter["Version"]) if parameter else None


def _lags(now: int | None, seen: int | None) -> bool:
    """Say whether a read shows less than was seen already: it came from a replica that is out of date."""
    return seen is not None and (now is None or now < seen)


def _own(revision: object) -> Revision:
    if not isinstance(revision, Revision):
        raise TypeError("the revision must come from this store")
    return revision


KIND = Kind(
    scheme="ssm",
    check=check,
    open=_open,
    store=True,
    check_store=check_store,
    read_secret=_read_secret,
    load_many=_load_many,
    resolve=_resolve,
    non_identifying_options=creation_options.OF_PARAMETER_STORE,
    permissions=PERMISSIONS,
    resources=_resources,
)
