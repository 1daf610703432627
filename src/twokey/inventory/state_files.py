"""Access keys in the state and plan files of Terraform and OpenTofu: their ids, and whether a secret is beside one.

A secret is never kept, nor shown: what remains of it is that it is there. Read are states (version 4, and what
``show -json`` prints), plans as JSON, and saved plan files, which are ZIP archives that contain a state. An older state
is searched as well, without addresses.

Sources: "State" and "JSON Output Format" (Terraform documentation); "State and Plan Encryption" (OpenTofu).
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LARGEST = 256 << 20
"""Bytes of a file that is read, unpacked."""
KEY_TYPE = "aws_iam_access_key"
_KEY_ID = re.compile(r"(?<![A-Za-z0-9])AKIA[A-Z0-9]{16}(?![A-Za-z0-9])")
_SECRET = re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
_HEX = re.compile(r"[0-9a-f]{40}|[0-9A-F]{40}")
"""What looks like a secret access key and is a SHA-1."""
_SECRETS = {"secret", "secret_access_key", "secretaccesskey", "ses_smtp_password_v4", "ses_smtp_password"}
_ARCHIVE = b"PK\x03\x04"
_IN_ARCHIVE = ("tfstate", "tfstate-prev")


@dataclass(frozen=True, slots=True)
class StateKey:
    """A key id in a file. ``address``: of the resource, or ``output.NAME``, ``var.NAME`` or ``provider.NAME``; or none.

    ``user``: the IAM user, if the resource names it; ``secret``: a secret is beside the id.
    """

    file: str
    address: str
    key_id: str
    user: str = ""
    secret: bool = False

    @property
    def where(self) -> str:
        """The file, and the address in it."""
        return f"{self.file}, {self.address}" if self.address else self.file

    @property
    def resource(self) -> str:
        """The address without instance keys, as a ``removed`` block takes it."""
        return re.sub(r"\[(?:\d+|\"(?:[^\"\\]|\\.)*\")\]", "", self.address)

    @property
    def in_state(self) -> bool:
        """Whether it belongs to a resource, which ``terraform state rm`` takes out."""
        return bool(self.address) and not self.address.startswith(("output.", "var.", "provider."))

    @property
    def managed(self) -> bool:
        """Whether Terraform manages the key itself: it would delete it with the resource."""
        parts = self.resource.split(".")
        return self.in_state and parts[-2:-1] == [KEY_TYPE] and "data" not in parts[-3:-2]


@dataclass(slots=True)
class _Scope:
    """What was found at one address. ``secrets`` are digests: they tell where the same secret is elsewhere."""

    ids: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)
    secret: bool = False
    user: str = ""


def find(file: str, content: bytes) -> list[StateKey]:
    """Return the keys in a file; raises ``UsageError`` for one that is neither a state nor a plan."""
    found: dict[str, _Scope] = {}
    for document in _documents(file, content):
        for address, node in _scopes(document):
            _collect(node, found.setdefault(address, _Scope()))
    known: dict[str, set[str]] = {}
    for scope in found.values():
        for secret in scope.secrets:
            known.setdefault(secret, set()).update(scope.ids)
    return [
        StateKey(file, address, key_id, scope.user, scope.secret)
        for address, scope in found.items()
        for key_id in sorted(scope.ids or {key_id for secret in scope.secrets for key_id in known[secret]})
    ]


def _documents(file: str, content: bytes) -> Iterator[Any]:
    if content.startswith(_ARCHIVE):
        yield from _archived(file, content)
        return
    yield _decoded(file, content)


def _archived(file: str, content: bytes) -> Iterator[Any]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in _IN_ARCHIVE if name in archive.namelist()]
            if not names or sum(archive.getinfo(name).file_size for name in names) > LARGEST:
                raise _no_state(file)
            for name in names:
                yield _decoded(file, archive.read(name))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError):
        raise _no_state(file) from None


def _decoded(file: str, content: bytes) -> Any:
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _no_state(file) from None
    if not isinstance(document, dict):
        raise _no_state(file)
    if "encrypted_data" in document:
        raise UsageError(
            f"--state: {file} is encrypted.",
            state="Nothing was called.",
            remedy="Print it where OpenTofu has the key: tofu show -json > state.json; delete that file afterwards.",
        )
    if not {"resources", "modules", "format_version", "outputs"} & document.keys():
        raise _no_state(file)
    return document


def _no_state(file: str) -> UsageError:
    return UsageError(
        f"--state: {file} is neither a state nor a plan of Terraform or OpenTofu.",
        state="Nothing was called.",
        remedy="Name a state file, a plan file, or what terraform show -json prints.",
    )


def _scopes(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each resource, output and variable of a document with its address; of an older state, all at once."""
    if document.get("version") == 4:
        yield from _of_state(document.get("resources"))
    elif "format_version" in document:
        yield from _of_json(document)
    else:
        yield "", document
    before = _member(document.get("prior_state"), "values")
    for section in (document, document.get("values"), document.get("planned_values"), before):
        yield from _named("output", _member(section, "outputs"))
    yield from _named("output", document.get("output_changes"))
    yield from _named("var", document.get("variables"))
    yield from _named("provider", _member(document.get("configuration"), "provider_config"))


def _member(node: Any, name: str) -> Any:
    return node.get(name) if isinstance(node, dict) else None


def _named(kind: str, values: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(values, dict):
        for name, value in values.items():
            yield f"{kind}.{name}", value


def _of_state(resources: Any) -> Iterator[tuple[str, Any]]:
    for resource in _dicts(resources):
        start = f"{resource['module']}." if resource.get("module") else ""
        start += "data." if resource.get("mode") == "data" else ""
        for instance in _dicts(resource.get("instances")):
            index = instance.get("index_key")
            key = "" if index is None else f"[{msgspec.json.encode(index).decode()}]"
            yield f"{start}{resource.get('type')}.{resource.get('name')}{key}", instance


def _of_json(node: Any) -> Iterator[tuple[str, Any]]:
    """Yield what has an address, wherever it is in what ``show -json`` prints."""
    if isinstance(node, dict):
        address = node.get("address")
        if isinstance(address, str) and ("type" in node or "change" in node):
            yield address, node
            return
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from _of_json(inner)


def _dicts(values: Any) -> Iterator[dict[str, Any]]:
    yield from (value for value in values if isinstance(value, dict)) if isinstance(values, list) else ()


def _collect(node: Any, scope: _Scope, name: str = "") -> None:
    """Note the ids in a node, and that there is a secret."""
    if isinstance(node, str):
        ids = _KEY_ID.findall(node)
        scope.ids.update(ids)
        named = name.lower() in _SECRETS and bool(node) and not ids
        secrets = [one for one in _SECRET.findall(node) if not _HEX.fullmatch(one)]
        scope.secrets.update(hashlib.sha256(one.encode()).hexdigest() for one in secrets)
        scope.secret |= named or bool(secrets)
    elif isinstance(node, dict):
        user = node.get("user")
        if isinstance(user, str) and not scope.user and "secret" in node:
            scope.user = user
        for key, value in node.items():
            _collect(value, scope, str(key))
    elif isinstance(node, list):
        for value in node:
            _collect(value, scope, name)
