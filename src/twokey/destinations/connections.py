"""How services are reached: ``connections:`` in twokey.yaml, apart from where things go.

A connection is made once for each run and shared by all destinations that go through it, so that hundreds of them are
paced to one service's limit. Its token comes from the environment, a file or another secrets store, is read when it is
first needed, and again when the service refuses it.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec

from twokey.core.errors import BadCredentials, ServiceError, UsageError
from twokey.core.model import Hidden
from twokey.destinations.address import CONNECTION, nearest
from twokey.destinations.formats.journals import json_object, json_text
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twokey.core.ports import Clock
    from twokey.destinations.address import Address

LONGEST_SECRET = 64 << 10
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}", re.ASCII)
"""What variables are called by custom; tokens have small letters too."""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a secret comes from; never the secret itself. Exactly one of ``env``, ``file`` and ``from``.

    ``key`` takes one member of a JSON object.
    """

    env: Annotated[str, msgspec.Meta(description="The name of an environment variable.")] = ""
    file: Annotated[str, msgspec.Meta(description="The path of a file that holds nothing else.")] = ""
    place: Annotated[str, msgspec.Meta(description="Another secrets store, such as secretsmanager:ops/github.")] = (
        msgspec.field(name="from", default="")
    )
    key: Annotated[str, msgspec.Meta(description="The member to take, where it holds a JSON object.")] = ""

    def __str__(self) -> str:
        what = (
            f"the environment variable {self.env}" if self.env else f"the file {self.file}" if self.file else self.place
        )
        return f"{what} ({self.key})" if self.key else what

    def check(self, called: str) -> None:
        """Raise ``UsageError`` unless it names one place, and one that is there as far as this machine knows."""
        if sum(map(bool, (self.env, self.file, self.place))) != 1:
            raise UsageError(f"{called}: give exactly one of `env`, `file` and `from`.")
        if self.env and not environment.variable(self.env):
            # Somebody may have put the secret where its variable's name belongs.
            named = self.env if _VARIABLE.fullmatch(self.env) else "that it names (not shown: it may be a secret)"
            raise UsageError(
                f"{called}: the environment variable {named} is not set.", remedy="Set it, or name another."
            )
        if self.file and not Path(self.file).is_file():
            raise UsageError(f"{called}: there is no file {self.file}.")
        if self.place:
            self._check_place(called)

    def _check_place(self, called: str) -> None:
        from twokey.destinations import registry

        try:
            registry.readable(self.place)
        except UsageError as error:
            raise UsageError(f"{called}: {error.message}", remedy=error.remedy) from None


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every connection may say. Each service's own settings build on this."""

    url: Annotated[str, msgspec.Meta(description="The service's address; by default its public one.")] = ""
    ca: Annotated[str, msgspec.Meta(description="A file with the CA certificates to trust, instead of the usual.")] = ""

    @property
    def server(self) -> str:
        """What tells the server that is reached from others of its kind."""
        return self.url.rstrip("/").lower()


class Secret:
    """A secret that is read when it is needed, kept for the run, and read again on request. Thread-safe."""

    def __init__(self, source: Source, called: str, read_place: Callable[[str], Hidden]) -> None:
        self._source = source
        self._called = called
        self._read_place = read_place
        self._lock = threading.Lock()
        self._value: Hidden | None = None

    def __str__(self) -> str:
        return str(self._source)

    def value(self) -> Hidden:
        """Return the secret. Raises ``BadCredentials`` where it cannot be read."""
        with self._lock:
            if self._value is None:
                self._value = self._read()
            return self._value

    def renew(self) -> bool:
        """Read it again; say whether it is another one now."""
        with self._lock:
            before, self._value = self._value, None
            try:
                self._value = self._read()
            except BadCredentials:
                self._value = before
            return self._value != before

    def _read(self) -> Hidden:
        text = self._text()
        if self._source.key:
            text = self._member(text)
        text = Hidden(text.strip())
        if not text or any(ord(character) < 32 or ord(character) > 126 for character in text):
            raise self._unreadable("it is empty" if not text else "it holds what no token does: a line end, say")
        return text

    def _text(self) -> Hidden:
        """Read the source. What a library raises never leaves here, not even as a context: it may hold the bytes."""
        try:
            return self._read_source()
        except OSError as error:
            why = error.strerror or "it cannot be read"
        except UnicodeDecodeError:
            why = "it is not text"
        except ServiceError as error:
            why = error.message
        raise self._unreadable(why)

    def _read_source(self) -> Hidden:
        source = self._source
        if source.env:
            return Hidden(environment.variable(source.env))
        if source.file:
            with Path(source.file).open(encoding="utf-8") as stream:
                return Hidden(stream.read(LONGEST_SECRET))
        return Hidden(self._read_place(source.place))

    def _member(self, text: Hidden) -> Hidden:
        found = json_object(text)
        if found is None:
            raise self._unreadable("it is not a JSON object")
        member = json_text(found, self._source.key)
        if not member:
            raise self._unreadable(f"it has no {self._source.key}")
        return member

    def _unreadable(self, why: str) -> BadCredentials:
        return BadCredentials(
            f"{self._called}: {self._source} cannot be used: {why}.", state="Nothing was sent.", remedy="Mend it."
        )


@dataclass(frozen=True, slots=True)
class Configured:
    """A connection as twokey.yaml names it. ``at`` is where, as an error begins."""

    kind: str
    settings: Settings
    at: str


@dataclass(frozen=True, slots=True)
class Outside:
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

    def open(self, address: Address, module: Any, outside: Callable[[str, str], Outside]) -> Any:
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


def _connect(said: Configured, module: Any, outside: Outside) -> Any:
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
