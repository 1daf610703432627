"""How services are reached: ``connections:`` in twokey.yaml, separate from the destinations.

A connection is made once for each run and shared by all destinations that use it, so that hundreds of destinations
together stay within the limit of one service. Its token comes from the environment, a file or another secrets store. It
is read when it is first needed, and read again when the service refuses it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, cast, get_args, get_origin

import msgspec

from twokey.core.errors import UsageError
from twokey.core.fields import InvalidKind, named_fields, refuse
from twokey.core.sentences import nearest
from twokey.destinations.address import CONNECTION
from twokey.destinations.sources import Source, token_of
from twokey.system import environment

if TYPE_CHECKING:
    from twokey.aws.signed_identity import IdentityRequest, SignedRequest
    from twokey.core.ports import Clock
    from twokey.core.secret import Hidden
    from twokey.destinations.address import Address
    from twokey.http.renewable_token import RenewableToken

_NAME = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings that every connection has. The settings of each service extend this class."""

    url: Annotated[str, msgspec.Meta(description="The service's address; by default its public one.")] = ""
    ca: Annotated[str, msgspec.Meta(description="A file with the CA certificates to trust, instead of the usual.")] = ""
    insecure_http: Annotated[
        bool, msgspec.Meta(description="Allow plain http to a private address: others in that network can read along.")
    ] = False

    @property
    def server(self) -> str:
        """What distinguishes the server that is reached from other servers of its kind."""
        return self.url.rstrip("/").lower()

    @property
    def is_readable(self) -> bool:
        """Whether other machines can read the requests: the operator allows plain http, and the URL has it."""
        from twokey.http import transport

        return self.insecure_http and transport.is_readable_on_the_network(self.url)

    @property
    def secret_files(self) -> tuple[str, ...]:
        """The files that secrets are read from."""
        return tuple(secret_files(self))


SettingsT = TypeVar("SettingsT", bound=Settings)
ClientT = TypeVar("ClientT")


@named_fields
@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionKind(Generic[SettingsT, ClientT]):
    """One kind of service that connections reach.

    ``name``: what ``connections:`` in twokey.yaml calls it. ``settings``: what may be set there. ``environment``: the
    environment variables that set it if twokey.yaml does not define the connection; the first that is set counts.
    ``connect``: makes the connection and calls nothing; raises ``UsageError`` for settings that do not fit together.
    """

    name: str
    settings: type[SettingsT]
    connect: Callable[[SettingsT, ConnectionContext], ClientT]
    environment: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse(self, "name", str, filled=True)
        if not _NAME.fullmatch(self.name):
            raise InvalidKind("ConnectionKind", "name", f"is {self.name!r}; expected lowercase letters and dashes")
        refuse(self, "settings", type)
        if not issubclass(self.settings, Settings):
            raise InvalidKind(
                "ConnectionKind", "settings", f"is {self.settings.__name__}; expected a subclass of Settings"
            )
        refuse(self, "connect", Callable)
        refuse(self, "environment", Mapping, of=tuple)
        known = self.settings.__struct_fields__
        for name in self.environment:
            if name not in known:
                why = (
                    f"names the setting {name!r}, which {self.settings.__name__} does not have; {nearest(name, known)}"
                )
                raise InvalidKind("ConnectionKind", "environment", why)

    def from_environment(self) -> SettingsT:
        """Return the settings that the service's own variables make; raises ``UsageError`` if one is missing."""
        found: dict[str, Any] = {}
        settings = {one.name: (one, types) for one, types in settings_of(self.settings)}
        for name, variables in self.environment.items():
            setting, types = settings[name]
            present = environment.first_set(variables)
            if present is not None:
                found[name] = {"env": present} if Source in types else environment.variable(present)
            elif setting.required:
                raise UsageError(
                    f"The connection {self.name} is not configured.",
                    remedy=f"Set {' or '.join(variables)}, or add it to twokey.yaml under connections: "
                    f"{self.name}: {{{name}: …}}.",
                )
        return msgspec.convert(found, self.settings)


@dataclass(frozen=True, slots=True)
class Configured:
    """A connection that twokey.yaml defines. ``at`` is its position in that file, with which errors begin."""

    kind: str
    settings: Settings
    at: str


@dataclass(frozen=True, slots=True)
class ConnectionContext:
    """What ``ConnectionKind.connect`` may use: the connection's name, the clock, secrets.

    ``check_secret`` and ``read_secret`` check and read the URL of a secrets store. ``sign_identity`` returns a signed
    request to STS for twokey's own AWS identity, for a service that asks AWS who sent it.
    """

    name: str
    at: str
    clock: Clock
    check_secret: Callable[[str], object]
    read_secret: Callable[[str], Hidden]
    sign_identity: Callable[[IdentityRequest], SignedRequest]

    def secret(self, source: Source, field_name: str = "token", *, lines: bool = False) -> RenewableToken:
        """Return the secret of a setting; raises ``UsageError`` if twokey can tell now that reading fails.

        ``lines``: it may have several lines, as a private key has.
        """
        label = f"{self.at}: `{field_name}`" if self.at else f"The connection {self.name}, {field_name}"
        source.check(label, self.check_secret)
        return token_of(source, label, self.read_secret, self.clock, lines=lines)


@dataclass(slots=True)
class Connections:
    """The connections of one run, by name; each is made once, when it is first needed."""

    configured: Mapping[str, Configured] = field(default_factory=dict)
    _clients: dict[str, object] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def open(
        self,
        address: Address,
        kind: ConnectionKind[SettingsT, ClientT],
        context: Callable[[str, str], ConnectionContext],
    ) -> ClientT:
        """Return the connection that an address names with ``connection=``, by default the one of its kind's name.

        If twokey.yaml defines none of that name, it is made from the environment variables that the service's own tools
        read. ``context`` makes what ``connect`` gets from the connection's name and its position in twokey.yaml.
        Raises ``UsageError``.
        """
        name = address.options.get(CONNECTION, kind.name)
        with self._lock:
            if name not in self._clients:
                found = self._settings(name, address, kind)
                self._clients[name] = _connect(found, kind, context(name, found.at))
            return cast("ClientT", self._clients[name])

    def server(self, address: Address, kind: ConnectionKind[SettingsT, ClientT]) -> str:
        """Return which server an address means; raises ``UsageError`` as ``open`` does."""
        return self._settings(address.options.get(CONNECTION, kind.name), address, kind).settings.server

    def _settings(self, name: str, address: Address, kind: ConnectionKind[SettingsT, ClientT]) -> Configured:
        found = self.configured.get(name)
        if found is not None and found.kind != kind.name:
            raise address.error(
                f"the connection {name} is of the kind {found.kind}; expected {kind.name}.",
                f"Name a connection of the kind {kind.name}: connection=NAME.",
            )
        if found is not None:
            return found
        if name != kind.name:
            hint = nearest(name, self.configured) if self.configured else "twokey.yaml defines none."
            raise address.error(
                f"there is no connection {name!r}; {hint}", "Name a connection of twokey.yaml: connection=NAME."
            )
        return Configured(kind.name, kind.from_environment(), "")


def _connect(configured: Configured, kind: ConnectionKind[SettingsT, ClientT], context: ConnectionContext) -> ClientT:
    """Make a connection. An error begins with the connection's position in twokey.yaml."""
    try:
        return kind.connect(cast("SettingsT", configured.settings), context)
    except UsageError as error:
        if not configured.at or configured.at in error.message:
            raise
        raise UsageError(f"{configured.at}: {error.message}", state=error.state, remedy=error.remedy) from None


def secret_files(settings: msgspec.Struct) -> Iterator[str]:
    """Return the files of all sources in the settings, also of those within a login."""
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if isinstance(value, Source):
            yield from (value.file,) if value.file else ()
        elif isinstance(value, msgspec.Struct):
            yield from secret_files(value)


@cache
def settings_of(struct: type[msgspec.Struct]) -> tuple[tuple[msgspec.structs.FieldInfo, set[Any]], ...]:
    """Return the fields of settings, with the types of each; msgspec would evaluate the annotations each time."""
    return tuple((one, types_in(one.type)) for one in msgspec.structs.fields(struct))


def types_in(annotation: Any) -> set[Any]:
    """Return the types that a setting may have: those of a union, also of one that is annotated."""
    if get_origin(annotation) is Annotated:
        return types_in(get_args(annotation)[0])
    return set().union(*map(types_in, get_args(annotation))) if get_args(annotation) else {annotation}
