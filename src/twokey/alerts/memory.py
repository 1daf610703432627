"""What was sent, and when: a small text of its own, in Parameter Store, S3 or a file.

It holds marks (``decision.Alert.mark``) and times, neither names nor secrets. It is written without a condition: of two
runs at the same moment both may send an alert, which is better than neither. A memory that cannot be read is empty.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import msgspec

from twokey.alerts.decision import MARK
from twokey.core.decoding import decoder
from twokey.core.errors import NotFound, ServiceRejected, UsageError
from twokey.destinations.kind import AwsScope, Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from twokey.aws.clients import Clients

LONGEST = 4096
"""Characters of a parameter in the standard tier ("Managing parameter tiers", Systems Manager User Guide)."""
VERSION = 1
_TIME = 16
"""Characters that a second takes, with all that is around it."""
_PARAMETER = re.compile(r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", re.ASCII)
_OBJECT = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.{1,1024}", re.ASCII)
Sent = dict[str, datetime]


class _Content(msgspec.Struct, frozen=True):
    """The text: for each second (of the epoch), the marks of what was sent then, one after the other."""

    version: int
    sent: dict[str, Annotated[str, msgspec.Meta(max_length=1 << 20)]]


def encode(sent: Mapping[str, datetime], longest: int = LONGEST) -> str:
    """Return the memory as text; what there is no room for is forgotten, the oldest first."""
    left = sorted(sent.items(), key=lambda pair: pair[1], reverse=True)
    while True:
        by_time: dict[str, str] = {}
        for mark, at in left:
            second = str(int(at.timestamp()))
            by_time[second] = by_time.get(second, "") + mark
        text = msgspec.json.encode(_Content(VERSION, by_time)).decode()
        if len(text) <= longest:
            return text
        left = left[: -max(1, (len(text) - longest) // (MARK + _TIME))]


def decode(data: bytes, name: str) -> Sent:
    """Read a memory; raises ``ServiceRejected`` for anything else."""
    try:
        content = decoder(_Content).decode(data)
        found = {
            mark: datetime.fromtimestamp(int(at), UTC) for at, marks in content.sent.items() for mark in _cut(marks)
        }
    except (msgspec.DecodeError, ValueError, OverflowError, OSError):
        content, found = None, {}
    if content is None or content.version != VERSION:
        raise ServiceRejected(
            f"{name} does not hold what twokey remembers of alerts.",
            remedy="Name one that no other program writes, in `remember`.",
        )
    return found


def _cut(marks: str) -> Iterator[str]:
    return (marks[at : at + MARK] for at in range(0, len(marks), MARK))


class Memory(Protocol):
    """Where twokey remembers what was sent."""

    def read(self) -> Sent:
        """Return what was sent; raises a ``ServiceError``."""
        ...

    def write(self, sent: Mapping[str, datetime]) -> None:
        """Replace what is remembered; raises a ``ServiceError``."""
        ...


class _Parameter:
    def __init__(self, clients: Clients, name: str) -> None:
        from twokey.aws.sending import Sender

        self._sender, self._name = Sender(clients, "ssm"), name

    def read(self) -> Sent:
        try:
            found = self._sender.send("GetParameter", self._name, mutates=False, Name=self._name)
        except NotFound:
            return {}
        return decode(found["Parameter"]["Value"].encode(), f"ssm:{self._name}")

    def write(self, sent: Mapping[str, datetime]) -> None:
        self._sender.send(
            "PutParameter", self._name, Name=self._name, Value=encode(sent), Type="String", Overwrite=True
        )


class _Object:
    def __init__(self, clients: Clients, name: str) -> None:
        from twokey.aws.sending import Sender

        bucket, _, key = name.partition("/")
        self._sender, self._name = Sender(clients, "s3"), name
        self._names: dict[str, Any] = {"Bucket": bucket, "Key": key}

    def read(self) -> Sent:
        try:
            found = self._sender.send("GetObject", self._name, mutates=False, **self._names)
        except NotFound as error:
            if "NoSuchBucket" in error.message:
                raise
            return {}
        return decode(found["Body"], f"s3:{self._name}")

    def write(self, sent: Mapping[str, datetime]) -> None:
        self._sender.send(
            "PutObject",
            self._name,
            **self._names,
            Body=encode(sent, 1 << 20).encode(),
            ContentType="application/json",
        )


class _File:
    def __init__(self, clients: Clients, name: str) -> None:
        self._path, self._clock = Path(name).absolute(), clients.clock

    def read(self) -> Sent:
        from twokey.system.safe_files import Directory

        with suppress(FileNotFoundError), Directory(self._path.parent) as directory:
            found = directory.read(self._path.name)
            return decode(bytes(found.data), str(self._path)) if found else {}
        return {}

    def write(self, sent: Mapping[str, datetime]) -> None:
        from twokey.system.safe_files import Directory, make_directory

        make_directory(self._path.parent)
        with Directory(self._path.parent) as directory, directory.locked(self._clock):
            directory.replace(self._path.name, memoryview(encode(sent, 1 << 20).encode()))


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of memory: what its name looks like, how it is opened, and what twokey needs there."""

    name: re.Pattern[str]
    example: str
    open: Callable[[Clients, str], Memory]
    permissions: tuple[Permission, ...] = ()
    resources: Callable[[str, AwsScope], dict[str, str]] = lambda _name, _scope: {}


_KINDS = {
    "ssm": _Kind(
        _PARAMETER,
        "ssm:/twokey/alerts",
        _Parameter,
        (
            Permission(service="AWS Systems Manager", type="action", resource="parameter", name="ssm:GetParameter"),
            Permission(service="AWS Systems Manager", type="action", resource="parameter", name="ssm:PutParameter"),
        ),
        lambda name, scope: {"parameter": scope.arn("ssm", f"parameter/{name.removeprefix('/')}")},
    ),
    "s3": _Kind(
        _OBJECT,
        "s3:my-bucket/twokey-alerts.json",
        _Object,
        (
            Permission(service="Amazon S3", type="action", resource="object", name="s3:GetObject"),
            Permission(service="Amazon S3", type="action", resource="object", name="s3:PutObject"),
            Permission(service="Amazon S3", type="action", resource="bucket", name="s3:ListBucket"),
        ),
        lambda name, scope: {
            "object": f"arn:{scope.partition}:s3:::{name}",
            "bucket": f"arn:{scope.partition}:s3:::{name.partition('/')[0]}",
        },
    ),
    "file": _Kind(re.compile(r".+"), "file:/var/lib/twokey/alerts.json", _File),
}


def check(url: str) -> None:
    """Raise ``UsageError`` for what cannot be a memory."""
    scheme, _, name = url.partition(":")
    kind = _KINDS.get(scheme)
    if kind is None or not kind.name.fullmatch(name):
        examples = ", ".join(one.example for one in _KINDS.values())
        raise UsageError(
            f"expected a parameter, an object or a file, got {url!r}.", remedy=f"Write it like one of {examples}."
        )


def open_memory(url: str, clients: Clients) -> Memory:
    """Return the memory of a URL that is checked. Nothing is called."""
    scheme, _, name = url.partition(":")
    return _KINDS[scheme].open(clients, name)


def permissions(url: str, scope: AwsScope) -> list[tuple[Permission, str]]:
    """Return what twokey needs for a memory, each permission with the ARN of its resource."""
    scheme, _, name = url.partition(":")
    kind = _KINDS[scheme]
    resources = kind.resources(name, scope)
    return [(one, resources[one.resource]) for one in kind.permissions]
