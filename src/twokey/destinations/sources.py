"""Where secrets such as tokens come from: an environment variable, a file, another secrets store, the CI system."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from twokey.core.errors import BadCredentials, ServiceError, UsageError
from twokey.core.secret import Hidden
from twokey.destinations.formats.journals import json_object, json_text
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.ports import Clock
    from twokey.http.renewable_token import RenewableToken

LONGEST_SECRET = 64 << 10
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}", re.ASCII)
"""How variables are named by custom; a token has lowercase letters too."""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a secret comes from; never the secret itself. Exactly one of ``env``, ``file``, ``from`` and ``oidc``.

    ``key`` selects one member of a JSON object. ``oidc`` is the audience of an identity token. It comes from the CI
    system, or from ``env`` or ``file`` if one of them is set too.
    """

    env: Annotated[str, msgspec.Meta(description="The name of an environment variable.")] = ""
    file: Annotated[str, msgspec.Meta(description="The path of a file that contains only the secret.")] = ""
    url: Annotated[str, msgspec.Meta(description="Another secrets store, such as secretsmanager:ops/github.")] = (
        msgspec.field(name="from", default="")
    )
    key: Annotated[str, msgspec.Meta(description="The member to read, if the source is a JSON object.")] = ""
    oidc: Annotated[
        str, msgspec.Meta(description="The audience of an identity token (OpenID Connect) of the CI system.")
    ] = ""

    def __str__(self) -> str:
        text = self.url or f"an identity token for {self.oidc}"
        if self.env:
            text = f"the environment variable {self.env}"
        elif self.file:
            text = f"the file {self.file}"
        return f"{text} ({self.key})" if self.key else text

    def check(self, label: str, check_url: Callable[[str], object]) -> None:
        """Raise ``UsageError`` unless it names exactly one source that exists, as far as this machine can tell.

        ``label`` begins the message. ``check_url`` raises ``UsageError`` for a URL that no secret can be read from.
        """
        if self.oidc:
            self._check_oidc(label)
            return
        if sum(map(bool, (self.env, self.file, self.url))) != 1:
            raise UsageError(f"{label}: expected exactly one of `env`, `file`, `from` and `oidc`.")
        if self.env and not environment.variable(self.env):
            # The operator may have written the secret instead of the variable's name.
            name = self.env if _VARIABLE.fullmatch(self.env) else "that it names (not shown: it may be a secret)"
            raise UsageError(
                f"{label}: the environment variable {name} is not set.", remedy="Set it, or name another variable."
            )
        if self.file and not Path(self.file).is_file():
            raise UsageError(f"{label}: there is no file {self.file}.", remedy="Create it, or name another file.")
        if self.url:
            try:
                check_url(self.url)
            except UsageError as error:
                raise UsageError(f"{label}: {error.message}", remedy=error.remedy) from None

    def _check_oidc(self, label: str) -> None:
        from twokey.oidc import sources as identity

        if self.url or self.key or (self.env and self.file):
            raise UsageError(f"{label}: beside `oidc`, only one of `env` and `file` can be set.")
        try:
            identity.find(self.oidc, variable=self.env, file=self.file)
        except UsageError as error:
            raise UsageError(f"{label}: {error.message}", remedy=error.remedy) from None


def token_of(
    source: Source, label: str, read_url: Callable[[str], Hidden], clock: Clock, *, lines: bool = False
) -> RenewableToken:
    """Return the secret of a source as a token, read when it is first needed. Reading raises ``BadCredentials``.

    ``lines``: it may have several lines, as a private key has. In a variable, they may be separated by ``\\n``.
    """
    from twokey.http.renewable_token import Grant, RenewableToken

    if source.oidc:
        return RenewableToken(lambda: Grant(_identity_token(source, label, clock)), str(source))
    reader = _Reader(source, label, read_url, lines=lines)
    return RenewableToken(lambda: Grant(reader.read()), str(source), keep_unreadable=True)


def _identity_token(source: Source, label: str, clock: Clock) -> Hidden:
    """Get an identity token; raises a ``ServiceError`` that begins with ``label``."""
    from twokey.oidc import sources as identity

    try:
        return identity.token(source.oidc, clock, variable=source.env, file=source.file)
    except (UsageError, BadCredentials) as error:
        failure = error
    raise BadCredentials(f"{label}: {failure.message}", state="Nothing was sent.", remedy=failure.remedy)


class _Reader:
    """Reads one source. A library's exception does not leave it, not even as a context: it may contain the secret."""

    def __init__(self, source: Source, label: str, read_url: Callable[[str], Hidden], *, lines: bool) -> None:
        self._source = source
        self._lines = lines
        self._label = label
        self._read_url = read_url

    def read(self) -> Hidden:
        """Return the secret; raises ``BadCredentials`` if there is none."""
        text = self._text()
        if self._source.key:
            text = self._member(text)
        text = Hidden(text.strip())
        if not text:
            raise self._unreadable("it is empty")
        if self._lines:
            return Hidden(text.replace("\\n", "\n"))
        if any(ord(character) < 32 or ord(character) > 126 for character in text):
            raise self._unreadable("it contains a character that a token cannot have, such as a line break")
        return text

    def _text(self) -> Hidden:
        try:
            return self._source_text()
        except OSError as error:
            why = error.strerror or "it cannot be read"
        except UnicodeDecodeError:
            why = "it is not text"
        except ServiceError as error:
            why = error.message
        raise self._unreadable(why)

    def _source_text(self) -> Hidden:
        if self._source.env:
            return Hidden(environment.variable(self._source.env))
        if self._source.file:
            with Path(self._source.file).open(encoding="utf-8") as stream:
                return Hidden(stream.read(LONGEST_SECRET))
        return Hidden(self._read_url(self._source.url))

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
            f"{self._label}: {self._source} cannot be used: {why.rstrip('.')}.",
            state="Nothing was sent.",
            remedy=f"Put a valid token into {self._source}, or name another source.",
        )
