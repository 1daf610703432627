"""What a kind of destination is: its scheme, its checks, how it is opened, what it connects to, what it may do there.

A module describes each of its kinds by one ``Kind``, as ``KIND`` or, for several, in ``KINDS``. Everything that twokey
needs to know about a kind before it opens a destination is in this value. An invalid value is refused when
it is created (``InvalidKind``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar, get_args, runtime_checkable

from twokey.core.fields import InvalidKind, named_fields, refuse
from twokey.destinations.connections import ConnectionKind

if TYPE_CHECKING:
    from twokey.aws.clients import Clients
    from twokey.core.destination import Destination
    from twokey.core.model import Record
    from twokey.core.secret import Hidden
    from twokey.destinations.address import Address
    from twokey.destinations.claims import Claims
    from twokey.destinations.connections import Settings

__all__ = [
    "AwsScope",
    "ConnectionKind",
    "DestinationContext",
    "InvalidKind",
    "Kind",
    "LoadMany",
    "Permission",
    "Resolved",
    "Resources",
    "Use",
    "WritesNamedMembers",
    "WritesNamedValues",
    "phrase",
]

Use = Literal["load", "load_many", "read", "write", "create", "journal"]
"""What a permission is for: to load a store's credential and journal, to load many stores with fewer requests, to read
what a destination holds, to write to it, to create what is missing, to keep the journal."""
_USES: tuple[Use, ...] = get_args(Use)
_PLURALS = {"capability": "capabilities"}
_SCHEME = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)
SettingsT = TypeVar("SettingsT", bound="Settings")
ClientT = TypeVar("ClientT")


@named_fields
@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One permission that a kind needs at its service.

    ``service``: who grants it. ``type``: what the service calls such a permission. ``name``: the permission, as the
    service spells it. ``resource``: what it is granted on; for AWS, the resource type of the Service Authorization
    Reference. ``uses``: what twokey needs it for. ``grant``: the kind of token or policy that has it; permissions with
    different grants are alternatives: those of one grant are enough. ``optional``: the kind works without it.
    ``condition``: the options or circumstances without which it is not needed. ``option``: the option of the URL
    without which it is not needed.
    """

    service: str
    name: str
    resource: str
    type: str = "permission"
    uses: tuple[Use, ...] = ("read", "write", "create")
    grant: str = ""
    optional: bool = False
    condition: str = ""
    option: str = ""

    def __post_init__(self) -> None:
        for name in ("service", "name", "resource", "type"):
            refuse(self, name, str, filled=True)
        for name in ("grant", "condition", "option"):
            refuse(self, name, str)
        refuse(self, "optional", bool)
        refuse(self, "uses", tuple, of=str, filled=True)
        for use in self.uses:
            if use not in _USES:
                raise InvalidKind("Permission", "uses", f"holds {use!r}; expected some of {', '.join(_USES)}")


@dataclass(frozen=True, slots=True)
class AwsScope:
    """Where in AWS a URL means something: the partition, the region and the account of its ARN."""

    partition: str
    region: str
    account: str

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of a service in this region and account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


Resources = Mapping[str, tuple[str, ...]]
"""ARNs by the resource type of a kind's permissions."""


class DestinationContext(Protocol):
    """What ``Kind.open`` may use: the AWS clients of the run, and the connections of twokey.yaml."""

    @property
    def clients(self) -> Clients:
        """The AWS clients of the run; their clock is the run's."""
        ...

    @property
    def claims(self) -> Claims:
        """What the destinations of the run have turned out to be at their services."""
        ...

    def connection(self, address: Address, kind: ConnectionKind[SettingsT, ClientT]) -> ClientT:
        """Return the connection that a URL names, or the kind's default one; raises ``UsageError`` without one.

        It is made once for each run, by ``ConnectionKind.connect``, and shared by all destinations that use it.
        """
        ...


@runtime_checkable
class WritesNamedValues(Protocol):
    """A destination whose URL names a container of values, such as a repository: it writes some of them by name."""

    value_names: tuple[str, ...]
    """The names, in one spelling: two that the service treats as one name are equal."""


@runtime_checkable
class WritesNamedMembers(Protocol):
    """A destination with one value, whose pair has names within it: what else the value contains stays."""

    other_members: tuple[str, ...]
    """The names of the pair within the value; empty if they are the default ones of the format."""


LoadMany = Callable[["Sequence[Address]", DestinationContext], "Iterable[Callable[[], Mapping[str, Record]]]"]
"""See ``Kind.load_many``."""


class Resolved(NamedTuple):
    """What the rest of a URL means in this run: its full name, and where the thing of that name is.

    Both identify the thing. Messages show ``where``: such as a region and an account, a server, a directory.
    ``written``: where other kinds write the same things by other URLs, what this one writes, in the words of all.
    """

    name: str
    where: str
    written: frozenset[str] = frozenset()


def _no_check(_address: Address) -> None:
    return None


@named_fields
@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of destination.

    ``scheme``: how its URLs begin.
    ``check``: raises ``UsageError`` for a name or an option that the service could not take. Fields that are not
    filled in yet are allowed in them. Calls nothing.
    ``open``: returns the destination of a URL whose fields are filled in. Calls nothing.
    ``store``: whether it can be a store; then ``open`` returns a ``Store``.
    ``check_store``: raises ``UsageError`` for a URL that cannot be a store although its kind can.
    ``read_secret``: returns the text that is stored there, for ``from:`` in a connection. Only for stores of secrets.
    ``connection``: how its service is reached. None for a kind without a service, and for AWS.
    ``load_many``: for stores whose service returns several at once: returns calls, each of which loads some of the
    stores, by URL, and which may be made at the same time. What no call returns is loaded by itself, with its errors.
    The records are for reading: they have no revision.
    ``resolve``: returns what a URL means in this run, for a kind whose URLs mean other things elsewhere (in another
    region, account or directory) and whose ``connection`` does not say it. The third argument is the machine user's AWS
    account. Calls nothing.
    ``resources``: returns the ARNs that a URL means, for a kind of AWS, as a policy lists them. Fields of the URL are
    filled in, or ``*`` stands for them. The third argument is whether the URL is that of a store. Calls nothing.
    ``case_insensitive``: whether two names that differ only in case name the same thing.
    ``non_identifying_options``: options that say how something is written or created, not which thing it is.
    ``default_options``: the values that options have if the URL does not give them.
    ``permissions``: what it needs at its service.
    """

    scheme: str
    check: Callable[[Address], None]
    open: Callable[[Address, DestinationContext], Destination]
    store: bool = False
    check_store: Callable[[Address], None] = _no_check
    read_secret: Callable[[Address, DestinationContext], Hidden] | None = None
    connection: ConnectionKind[Any, Any] | None = None
    load_many: LoadMany | None = None
    resolve: Callable[[Address, DestinationContext, str], Resolved] | None = None
    resources: Callable[[Address, AwsScope, bool], Resources] | None = None
    case_insensitive: bool = False
    non_identifying_options: tuple[str, ...] = ()
    default_options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    permissions: tuple[Permission, ...] = ()

    def __post_init__(self) -> None:
        refuse(self, "scheme", str, filled=True)
        if not _SCHEME.fullmatch(self.scheme):
            why = f"is {self.scheme!r}; expected lowercase letters, digits and dashes, beginning with a letter"
            raise InvalidKind("Kind", "scheme", why)
        for name in ("check", "open", "check_store"):
            refuse(self, name, Callable)
        if self.read_secret is not None:
            refuse(self, "read_secret", Callable)
        for name in ("resolve", "resources", "load_many"):
            if getattr(self, name) is not None:
                refuse(self, name, Callable)
        if self.connection is not None:
            refuse(self, "connection", ConnectionKind)
        for name in ("store", "case_insensitive"):
            refuse(self, name, bool)
        refuse(self, "non_identifying_options", tuple, of=str)
        refuse(self, "default_options", Mapping, of=str)
        refuse(self, "permissions", tuple, of=Permission)


def phrase(permissions: tuple[Permission, ...], on: str = "") -> str:
    """Return permissions as a part of a sentence: "the scope repo on the repository (classic token), or …".

    Permissions of one grant are joined by "and", those of different grants by "or". Optional ones are left out. ``on``
    stands for the resource, such as its name.
    """
    grants: dict[str, list[Permission]] = {}
    for permission in permissions:
        if not permission.optional:
            grants.setdefault(permission.grant, []).append(permission)
    return ", or ".join(
        f"{_of_one_grant(needed, on)}{f' ({grant})' if grant else ''}" for grant, needed in grants.items()
    )


def _of_one_grant(permissions: list[Permission], on: str) -> str:
    """Return the permissions of one grant, by resource."""
    resources: dict[str, dict[str, list[str]]] = {}
    for permission in permissions:
        types = resources.setdefault(permission.resource, {})
        types.setdefault(permission.type, []).append(permission.name)
    return " and ".join(
        f"{' and '.join(_of_one_type(*named) for named in types.items())} "
        f"{'to' if 'access' in types else 'on'} {on or f'the {resource}'}"
        for resource, types in resources.items()
    )


def _of_one_type(word: str, names: list[str]) -> str:
    if word == "access":
        return f"{' and '.join(names)} access"
    if len(names) == 1:
        return f"the {word} {names[0]}"
    return f"the {_PLURALS.get(word, f'{word}s')} {', '.join(names[:-1])} and {names[-1]}"
