"""AWS Secrets Manager: ``secretsmanager:NAME`` or ``secretsmanager:ARN``.

The pair is one JSON value. Other members of it stay. The version ID of a value that is nothing but the credential is
derived from its key ID, so that DescribeSecret shows which key is held without permission to read the secret, and
writing it again creates no second version. Such an ID is a UUID of version 5, which twokey alone writes: without
permission to read, only such a value is replaced. The journal is a version of the same secret with its own label;
readers request AWSCURRENT and never see it.
"""

from __future__ import annotations

import hmac
import re
import uuid
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from twokey.core.destination import Receipt, Traits
from twokey.core.errors import AccessDenied, Conflict, NotFound, ServiceRejected, UsageError
from twokey.core.journal import Journal
from twokey.core.model import CannotTell, Held, Holding, NotHeld, Record
from twokey.core.secret import Credential, Hidden
from twokey.destinations import creation_options
from twokey.destinations.formats.format import SAMPLE
from twokey.destinations.formats.journals import decode_journal, encode_journal
from twokey.destinations.formats.options import refuse_store, text_format
from twokey.destinations.kind import AwsScope, Kind, Permission, Resolved
from twokey.destinations.stores.secretsmanager_list import listed
from twokey.destinations.stores.secretsmanager_versions import CURRENT, JOURNAL, JOURNAL_PENDING, PENDING, Versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from twokey.destinations.address import Address
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext, Resources
    from twokey.destinations.stores.secretsmanager_versions import Labels

LIMIT = 65_536
"""Bytes of a secret's value ("AWS Secrets Manager quotas", User Guide)."""
_NAMESPACE = uuid.UUID("6a7c3e2b-4a3f-5d0b-9c52-0c3b2f0f7e11")
"""Must never change: version IDs of credentials are derived from it."""
_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}", re.ASCII)
_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:(?P<region>[a-z0-9-]+):[0-9x]+:secret:(?P<name>.+)", re.ASCII)
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}$", re.ASCII)
_on_secret = partial(Permission, service="AWS Secrets Manager", resource="secret", type="action")
_on_kms_key = partial(
    Permission, service="AWS KMS", resource="key", type="action", condition="a customer managed KMS key"
)
PERMISSIONS = (
    _on_secret(name="secretsmanager:DescribeSecret", uses=("load", "read", "write", "journal")),
    _on_secret(
        name="secretsmanager:GetSecretValue",
        uses=("load", "read", "journal"),
        condition="a store, or a destination whose key twokey is to read, or that has other members beside the pair",
    ),
    Permission(
        service="AWS Secrets Manager",
        resource="any",
        type="action",
        name="secretsmanager:ListSecrets",
        uses=("load_many",),
        optional=True,
    ),
    _on_secret(name="secretsmanager:PutSecretValue", uses=("write", "journal")),
    _on_secret(name="secretsmanager:UpdateSecretVersionStage", uses=("write", "journal")),
    _on_secret(name="secretsmanager:CreateSecret", uses=("create",)),
    _on_secret(name="secretsmanager:TagResource", uses=("create",), condition="tag.NAME= in the URL", option="tag.*"),
    _on_secret(
        name="secretsmanager:ReplicateSecretToRegions",
        uses=("create",),
        condition="replica= in the URL",
        option="replica",
    ),
    _on_kms_key(name="kms:Decrypt", uses=("load", "read", "create", "journal")),
    _on_kms_key(name="kms:GenerateDataKey", uses=("write", "create", "journal")),
)


@dataclass(frozen=True, slots=True)
class Revision:
    """The versions with the journal's and the current label, on which a write is conditional."""

    exists: bool = True
    journal: str | None = None
    current: str | None = None


def version_of(key_id: str) -> str:
    """Return the version ID with which the credential with this key ID is written."""
    return str(uuid.uuid5(_NAMESPACE, key_id))


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that a secret cannot have ("CreateSecret", API reference, parameter Name)."""
    _format(address)
    creation_options.of_aws(address)
    rest, plain = address.rest, address.plain
    arn = _ARN.fullmatch(plain)
    if plain.startswith("arn:") and not arn:
        raise UsageError(f"{rest!r}: expected the ARN of a secret, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME.")
    if not _NAME.fullmatch(arn["name"] if arn else plain):
        raise UsageError(
            f"{rest!r} cannot be a secret's name: expected 1 to 512 letters, digits and characters /_+=.@-."
        )


def check_store(address: Address) -> None:
    """Raise ``UsageError`` for a format that cannot be read back."""
    refuse_store(address, _format(address))


def _open(address: Address, context: DestinationContext) -> SecretsManager:
    """Return the secret as a store or destination."""
    name = address.without(creation_options.OF_SECRETS_MANAGER)
    return SecretsManager(name, _versions(address, context), _format(address))


def _versions(address: Address, context: DestinationContext) -> Versions:
    arn = _ARN.fullmatch(address.rest)
    region = arn["region"] if arn else None
    return Versions(context.clients, address.rest, region, creation_options.of_aws(address))


def _format(address: Address) -> Format:
    return text_format(address, own=creation_options.OF_SECRETS_MANAGER)


def _resolve(address: Address, context: DestinationContext, account: str) -> Resolved:
    """Return which secret this is: each region of each account has one of this name; an ARN names both."""
    arn = _ARN.fullmatch(address.rest)
    if arn:
        return Resolved(address.rest, f"{arn['region']} {address.rest.split(':')[4]}")
    return Resolved(address.rest, f"{context.clients.region} {account}".strip())


def _resources(address: Address, scope: AwsScope, _store: bool) -> Resources:
    """Return the secret's ARN, which ends with six random characters, and the name by which it is created.

    A request for a secret that does not exist is authorized for its ARN without them ("Permissions policy examples for
    AWS Secrets Manager", AWS Secrets Manager User Guide).
    """
    arn, named = _ARN.fullmatch(address.rest), address.rest
    if arn:
        scope = AwsScope(named.split(":")[1], arn["region"], named.split(":")[4])
        named = _SUFFIX.sub("", arn["name"])
    start = scope.arn("secretsmanager", f"secret:{named}")
    secrets = (start,) if start.endswith("*") else (start, f"{start}-??????")
    return {"secret": secrets, "any": ("*",), **creation_options.keys(address, scope)}


def _read_secret(address: Address, context: DestinationContext) -> Hidden:
    """Return the text of a secret, for ``from:``; needs only the permission secretsmanager:GetSecretValue."""
    text = _versions(address, context).text()
    if text is None:
        raise NotFound(f"{address.url} holds a binary value.", remedy="Store the secret as text.")
    return Hidden(text)


def _load_many(addresses: Sequence[Address], context: DestinationContext) -> Iterator[partial[Mapping[str, Record]]]:
    """List the secrets with their labels; then only the journal of each is left to be read."""
    regions: dict[str | None, list[Address]] = {}
    for address in addresses:
        arn = _ARN.fullmatch(address.rest)
        regions.setdefault(arn["region"] if arn else None, []).append(address)
    for region, there in regions.items():
        labels = listed(context.clients, region, [address.rest for address in there])
        for address in there:
            if address.rest in labels:
                yield partial(_load_listed, address.url, _open(address, context), labels[address.rest])


def _load_listed(url: str, store: SecretsManager, labels: Labels) -> Mapping[str, Record]:
    record = store.load_listed(labels)
    return {url: record} if record else {}


class SecretsManager:
    """A secret in Secrets Manager, as store and as destination.

    ``put`` and ``fence`` are conditional on AWSCURRENT, ``save_journal`` on the journal's label: one call can move
    one label only. If a run lost only the journal, its ``put`` succeeds, and its next ``save_journal`` fails.

    A version never changes. So one that this object wrote, or that is known to be nothing but a credential, is not
    read: its label says all. The labels that ``load`` read are those that ``preflight`` looks at, until a write.
    """

    traits = Traits(atomic=True, conditional=True, confirms="value")

    def __init__(self, name: str, versions: Versions, value_format: Format) -> None:
        self.name = name
        self._format = value_format
        self.other_members = value_format.other_members
        self._versions = versions
        self._has_written = False
        self._labels: Labels | None = None
        self._journals: dict[str, str] = {}  # the latest that it wrote, by its version
        self._whole: set[str] = set()  # versions that are nothing but a credential

    def held(self) -> Holding:
        """Return which key is here. Without permission to read the secret, it may be unable to tell."""
        current = self._versions.labels().holder(CURRENT)
        try:
            return self._holding(current, Journal())
        except AccessDenied as error:
            return CannotTell(error.message, stamp=current or "")

    def load(self) -> Record:
        """Read the labels, the journal unless this object wrote it, and the value only if its version is not twokey's.

        That is two calls, one, or three.
        """
        self._labels = labels = self._versions.labels()
        if not labels.exists:
            return Record(NotHeld(), Journal(), Revision(exists=False))
        stored, current = labels.holder(JOURNAL), labels.holder(CURRENT)
        journal = decode_journal(self._journal_text(stored), self.name) if stored else Journal()
        holding = NotHeld() if current == stored else self._holding(current, journal)
        return Record(holding, journal, Revision(True, stored, current))

    def _journal_text(self, version: str) -> str | None:
        return self._journals.get(version) or self._versions.value(version)

    def load_listed(self, labels: Labels) -> Record | None:
        """Read the journal, with one call, where the labels of a list are known; None where they may be outdated.

        A list may lack the changes of the last minutes. A run of twokey writes the journal before it moves AWSCURRENT,
        to take its lease, and afterwards: if the journal is the one of the list and has no lease, so is AWSCURRENT.
        """
        version, text = self._versions.labelled(JOURNAL)
        journal = decode_journal(text, self.name)
        if version != labels.holder(JOURNAL) or journal.lease:
            return None
        current = labels.holder(CURRENT)
        return Record(NotHeld() if current == version else self._holding(current, journal), journal)

    def _holding(self, current: str | None, journal: Journal) -> Holding:
        if current is None:
            return NotHeld()
        for key_id in _ids(journal):
            if self._version_of(key_id) == current:
                self._whole.add(current)
                return Held(key_id)
        text = self._versions.value(current)
        holding = CannotTell("its content is binary") if text is None else self._format.holding_text(text)
        return replace(holding, stamp=current) if isinstance(holding, CannotTell) else holding

    def credential(self) -> Credential | None:
        """Read the credential that AWSCURRENT points at."""
        current = self._versions.labels().holder(CURRENT)
        return self._format.credential_of_text(self._versions.value(current) or "", self.name) if current else None

    def _version_of(self, key_id: str) -> str:
        return version_of(self._format.version(key_id))

    def room_for(self, journal: Journal) -> None:
        """Raise ``ServiceRejected`` if the journal is longer than a secret's value may be."""
        length = len(encode_journal(journal).encode())
        if length > LIMIT:
            raise ServiceRejected(
                f"The journal for {self.name} would have {length} bytes; a secret's value holds {LIMIT}.",
                remedy="Deliver to fewer destinations.",
            )

    def save_journal(self, journal: Journal, revision: object) -> object:
        """Write the journal as a new version and move its label to it, if the label is still at ``revision``."""
        seen = _own(revision)
        version, text = str(uuid.uuid4()), encode_journal(journal)
        first = self._add(seen, version, text, JOURNAL_PENDING)
        try:
            self._versions.move(JOURNAL, to=version, source=seen.journal)
        except (AccessDenied, ServiceRejected) as error:
            if not seen.exists:
                error.state = f"No key was changed. The secret {self._versions.secret_id} was created; it holds no key."
            raise
        self._has_written = True
        self._journals = {version: text}
        return Revision(True, version, version if first else seen.current)

    def put(self, credential: Credential, revision: object) -> object:
        """Write the pair as a pending version, move AWSCURRENT to it if still at ``revision``, and read it back."""
        seen = _own(revision)
        version = self._version_of(credential.access_key_id)
        if version != seen.current:
            version = self._put(credential, seen)
        self._versions.confirm(CURRENT, version)
        return Revision(True, seen.journal, version)

    def _put(self, credential: Credential, seen: Revision) -> str:
        """Write the value that follows ``seen`` unless it is there already; return its version."""
        present = self._present(seen.current)
        text = self._format.text_beside(present, credential, self.name)
        if seen.current and text == present:
            return seen.current
        version = self._version_for(text, credential)
        _refuse_long(text, self.name)
        first = self._add(seen, version, text, PENDING)
        if not first:
            self._versions.move(CURRENT, to=version, source=seen.current)
        return version

    def _present(self, current: str | None) -> Hidden | None:
        """Return the value that readers see; None if there is none, or none that a write could lose."""
        if current is None or current in self._whole:
            return None
        try:
            text = self._versions.value(current)
        except AccessDenied as error:
            if _is_derived(current):
                return None
            raise AccessDenied(
                "secretsmanager:GetSecretValue",
                self._versions.secret_id,
                remedy="twokey did not write the secret's present value, or wrote it with other members beside the "
                "pair. It has to read them to keep them: allow secretsmanager:GetSecretValue, or name another secret.",
            ) from error
        except NotFound:
            # AWS removes a version without a label: another program has moved AWSCURRENT away from it.
            raise self._conflict() from None
        if text is None:
            raise self._binary()
        return Hidden(text)

    def _version_for(self, text: Hidden, credential: Credential) -> str:
        """Return the ID of the version with this text; it tells nothing about other members that the text has."""
        if text == self._format.text(credential):
            return self._version_of(credential.access_key_id)
        digest = hmac.digest(memoryview(credential.reveal().encode()), memoryview(text.encode()), "sha256")
        return str(uuid.UUID(bytes=digest[:16], version=4))

    def _conflict(self) -> Conflict:
        return Conflict(
            f"Another run or program wrote to the secret {self._versions.secret_id} in the meantime.",
            state="Nothing that readers see was changed by this run.",
            remedy="Run again.",
        )

    def _binary(self) -> ServiceRejected:
        return ServiceRejected(
            f"{self.name} holds a binary value, which twokey does not write.",
            state="Nothing was changed.",
            remedy="Store a text as the current version, or name another secret.",
        )

    def fence(self, revision: object) -> object:
        """Move AWSCURRENT to another version of the same content, so that a prepared move away from the old one fails.

        In a secret without a current version, an empty journal gets the label: a move that names no version to remove
        the label from fails if any version has it.
        """
        seen = _own(revision)
        version = str(uuid.uuid4())
        if seen.current is None:
            if not self._add(seen, version, encode_journal(Journal()), JOURNAL_PENDING):
                raise self._conflict()
            return replace(seen, exists=True, current=version)
        text = self._versions.value(seen.current)
        if text is None:
            raise self._binary()
        self._add(seen, version, text, PENDING)
        self._versions.move(CURRENT, to=version, source=seen.current)
        return replace(seen, current=version)

    def _add(self, seen: Revision, version: str, text: str, label: str) -> bool:
        """Add a version; return whether AWS made it current by itself, as it does with a secret's first version."""
        self._labels = None
        if seen.exists:
            return CURRENT in self._versions.add(version, text, label)
        self._refuse_to_create_by_arn()
        self._versions.create(version, text)
        return True

    def deliver(self, credential: Credential) -> Receipt:
        """Write the pair unless AWSCURRENT is at its version already; a missing secret is created."""
        labels = self._versions.labels()
        seen = Revision(labels.exists, None, labels.holder(CURRENT))
        version = self._version_of(credential.access_key_id)
        if seen.current != version:
            version = self._put(credential, seen)
        if seen.current != version:
            self._versions.confirm(CURRENT, version)
        return Receipt(credential.access_key_id, written=seen.current != version, stamp=version)

    def preflight(self) -> None:
        """Raise what a delivery would raise, as far as that can be known. Whether a secret can be created is unknown.

        Writing a journal needs the same permissions as writing a credential: after one, nothing needs to be tried.
        """
        labels = self._labels or self._versions.labels()
        if not labels.exists:
            self._refuse_to_create_by_arn()
        if labels.rotates:
            raise ServiceRejected(
                f"Secrets Manager rotates the secret {self._versions.secret_id} itself.",
                state="Nothing was changed.",
                remedy="Two rotators undo each other's work: end its rotation (aws secretsmanager "
                "cancel-rotate-secret), or name another secret.",
            )
        current = labels.holder(CURRENT)
        _refuse_long(self._format.text_beside(self._present(current), SAMPLE, self.name), self.name)
        if current and not self._has_written:
            self._versions.would_be_refused(current)

    def _refuse_to_create_by_arn(self) -> None:
        if self._versions.secret_id.startswith("arn:"):
            raise NotFound(
                f"There is no secret {self._versions.secret_id}.",
                state="Nothing was changed.",
                remedy="Create the secret, or name it by its name instead of its ARN: then twokey creates it.",
            )


def _is_derived(version: str) -> bool:
    """Say whether twokey wrote a version whose value is nothing but a credential: it alone derives such IDs."""
    try:
        return uuid.UUID(version).version == 5
    except ValueError:
        return False


def _refuse_long(text: Hidden, name: str) -> None:
    length = len(text.encode())
    if length > LIMIT:
        raise ServiceRejected(
            f"The value of {name} would have {length} bytes with the access key; a secret's value holds {LIMIT}.",
            state="Nothing was written.",
            remedy="Remove what no job needs from the value, or name another secret.",
        )


def _own(revision: object) -> Revision:
    if not isinstance(revision, Revision):
        raise TypeError("the revision must come from this store")
    return revision


def _ids(journal: Journal) -> Iterator[str]:
    yield from filter(None, (journal.current, journal.last))
    yield from (delivery.key for delivery in journal.delivered.values())
    yield from journal.intent.known if journal.intent else ()


KIND = Kind(
    scheme="secretsmanager",
    check=check,
    open=_open,
    store=True,
    check_store=check_store,
    read_secret=_read_secret,
    load_many=_load_many,
    resolve=_resolve,
    non_identifying_options=creation_options.OF_SECRETS_MANAGER,
    permissions=PERMISSIONS,
    resources=_resources,
)
