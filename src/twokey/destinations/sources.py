"""Where secrets such as tokens come from: an environment variable, a file, another secrets store."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from twokey.core.errors import BadCredentials, ServiceError, UsageError
from twokey.core.secret import Hidden
from twokey.destinations.formats.journals import json_object, json_text
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Callable


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
