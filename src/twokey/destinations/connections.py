"""How services are reached: ``connections:`` in twokey.yaml, apart from where things go.

A connection is made once for each run and shared by all destinations that go through it, so that hundreds of them are
paced to one service's limit. Its token comes from the environment, a file or another secrets store, is read when it is
first needed, and again when the service refuses it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec

from twokey.core.errors import UsageError
from twokey.destinations.address import CONNECTION, nearest
from twokey.destinations.sources import Secret, Source
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twokey.core.ports import Clock
    from twokey.core.secret import Hidden
    from twokey.destinations.address import Address


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every connection may say. Each service's own settings build on this."""

    url: Annotated[str, msgspec.Meta(description="The service's address; by default its public one.")] = ""
    ca: Annotated[str, msgspec.Meta(description="A file with the CA certificates to trust, instead of the usual.")] = ""

    @property
    def server(self) -> str:
        """What tells the server that is reached from others of its kind."""
        return self.url.rstrip("/").lower()


@dataclass(frozen=True, slots=True)
class Configured:
    """A connection as twokey.yaml names it. ``at`` is where, as an error begins."""

    kind: str
    settings: Settings
    at: str


@dataclass(frozen=True, slots=True)
class ConnectionContext:
    """What a service's module needs to make a connection: its name, time, a way to read secrets.

    ``sign_identity`` returns a signed question who twokey's own AWS identity is, for a service that asks AWS itself.
    """

    name: str
    at: str
    clock: Clock
    read_place: Callable[[str], Hidden]
    sign_identity: Callable[[str], dict[str, str]]

    def secret(self, source: Source, field_name: str = "token") -> Secret:
        """Return the secret of a field; raises ``UsageError`` where it is plain that it cannot be read."""
        called = f"{self.at}: `{field_name}`" if self.at else f"The connection {self.name}, {field_name}"
        source.check(called)
        return Secret(source, called, self.read_place)


@dataclass(slots=True)
class Connections:
    """The connections of one run, by name; each is made once, when it is first needed."""

    configured: Mapping[str, Configured] = field(default_factory=dict)
    _made: dict[str, Any] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def open(self, address: Address, module: Any, outside: Callable[[str, str], ConnectionContext]) -> Any:
        """Return the connection that an address goes through, made by its module's ``connect(settings, outside)``.

        Without ``connection=`` in the URL it is the one named like the service; where twokey.yaml has none of that
        name, it is made from the environment variables that the service's own tools read (``ENVIRONMENT`` of the
        module: field to names). Raises ``UsageError``.
        """
        name = address.options.get(CONNECTION, module.KIND)
        with self._lock:
            if name not in self._made:
                found = self._settings(name, address, module)
                self._made[name] = _connect(found, module, outside(name, found.at))
            return self._made[name]

    def server(self, address: Address, module: Any) -> str:
        """Return which server an address leads to; raises ``UsageError`` as ``open`` does."""
        return self._settings(address.options.get(CONNECTION, module.KIND), address, module).settings.server

    def _settings(self, name: str, address: Address, module: Any) -> Configured:
        found = self.configured.get(name)
        if found is not None and found.kind != module.KIND:
            raise address.wrong(f"the connection {name} leads to {found.kind}, not to {module.KIND}.")
        if found is not None:
            return found
        if name != module.KIND:
            hint = nearest(name, self.configured) if self.configured else "there are none in twokey.yaml."
            raise address.wrong(f"there is no connection {name!r}; {hint}")
        return Configured(module.KIND, from_environment(module), "")


def _connect(said: Configured, module: Any, outside: ConnectionContext) -> Any:
    """Make a connection; what is wrong with it is said with the place where twokey.yaml names it."""
    try:
        return module.connect(said.settings, outside)
    except UsageError as error:
        if not said.at or said.at in error.message:
            raise
        raise UsageError(f"{said.at}: {error.message}", state=error.state, remedy=error.remedy) from None


def from_environment(module: Any) -> Settings:
    """Return the settings that a service's own environment variables make; raises ``UsageError`` where one lacks."""
    said: dict[str, Any] = {}
    fields = {one.name: one for one in msgspec.structs.fields(module.Settings)}
    for name, variables in module.ENVIRONMENT.items():
        present = environment.first_set(variables)
        if present is not None:
            said[name] = {"env": present} if _is_source(fields[name].type) else environment.variable(present)
        elif fields[name].required:
            raise UsageError(
                f"Nothing says how to reach {module.KIND}: set {' or '.join(variables)}, or name it in twokey.yaml "
                f"under connections: {module.KIND}: {{{name}: …}}."
            )
    return cast("Settings", msgspec.convert(said, module.Settings))


def _is_source(kind: Any) -> bool:
    return kind is Source or Source in getattr(kind, "__args__", ())
