"""A destination's URL: ``scheme:rest?option=value&…``, with fields such as ``{user}`` to be filled in.

The URL alone says where a credential goes and in what form: two URLs that differ are two places, and the journal knows
a place by its URL.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FIELDS = ("user", "USER", "path", "account")
"""``{USER}`` is the user's name as an environment variable may be called: ``ci-site`` is ``CI_SITE``."""
CONNECTION = "connection"
"""The option that every destination of a service has: which of ``connections:`` leads there."""
_FIELD = re.compile(r"(?<!\$)\{([^{}]*)\}")
_PLACEHOLDER = re.compile(r"\$\{\w*\}")
"""A placeholder of a template, which is filled in when the credential is written."""
_USER = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_NOT_IN_VARIABLES = re.compile(r"[^A-Z0-9_]")
_SAFE = "/:+=,.@-_$*[]()!'; "
"""What stands in an option's value as it is, besides a word in braces: that is a field, or meant to be one."""
_ESCAPED_WORD = re.compile(r"%7B(\w+)%7D", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """A URL taken apart. ``rest`` and the options' values may still hold fields to be filled in."""

    url: str
    scheme: str
    rest: str
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __str__(self) -> str:
        return self.url

    @property
    def plain(self) -> str:
        """Return the rest with each field replaced by a letter, for checks of what is around them."""
        return without_fields(self.rest)

    def wrong(self, message: str, remedy: str = "") -> UsageError:
        """Return the error that says what is wrong with this URL."""
        return UsageError(f"{self.url!r}: {message}", remedy=remedy)

    def allow(self, options: Iterable[str]) -> None:
        """Raise ``UsageError`` for an option that this kind of destination does not have, or that is empty.

        ``x.*`` stands for many; those may be empty.
        """
        known = tuple(options)
        for name in self.options:
            family = f"{name.partition('.')[0]}.*"
            if name not in known and not ("." in name and family in known):
                raise self.wrong(
                    f"there is no option {name!r} here; {nearest(name, known) if known else 'none at all.'}"
                )
            if not self.options[name] and "." not in name:
                raise self.wrong(f"the option {name} has no value.", "Give it one, or leave it out.")

    def where(self, manner: Iterable[str] = (), *, caseless: bool = False, **usual: str) -> str:
        """Return what is the same for all URLs that lead to one place.

        ``manner`` names options that say how it is written, ``usual`` the values of options that need not be given.
        ``caseless``: capitals and small letters make no difference in the rest of the URL.
        """
        of_manner = {*manner}
        told = {
            name: value
            for name, value in self.options.items()
            if name not in of_manner and f"{name.partition('.')[0]}.*" not in of_manner and usual.get(name) != value
        }
        return with_options(f"{self.scheme}:{self.rest.casefold() if caseless else self.rest}", told)

    def one_of(self, option: str, values: tuple[str, ...]) -> str:
        """Return an option's value, the first of ``values`` where it is not given; raises ``UsageError`` for others."""
        value = self.options.get(option, values[0])
        if value not in values:
            raise self.wrong(f"{option}={value} is not known; {nearest(value, values)}")
        return value


def take_apart(url: str) -> Address:
    """Split a URL; raises ``UsageError`` for what is wrong with it whatever the destination."""
    scheme, _, rest = url.partition(":")
    if any(ord(character) < 32 or ord(character) == 127 for character in rest):
        raise UsageError(f"{url!r} holds a control character.")
    for name in _FIELD.findall(rest):
        if name not in FIELDS:
            raise UsageError(f"{url!r}: there is no field {{{name}}}; {nearest(name, FIELDS, '{', '}')}")
    if set("{}") & set(_PLACEHOLDER.sub("", _FIELD.sub("", rest))):
        raise UsageError(f"{url!r} has a brace without its partner.")
    place, mark, written = rest.partition("?")
    if not place:
        raise UsageError(f"{url!r} names no place: write {scheme}:NAME.")
    return Address(url, scheme, place, MappingProxyType(_options(url, written) if mark else {}))


def with_options(url: str, options: Mapping[str, str]) -> str:
    """Return the URL with options added to it, always in the same order."""
    written = "&".join(f"{name}={_escaped(value)}" for name, value in sorted(options.items()))
    if not written:
        return url
    return f"{url}{'&' if '?' in url else '?'}{written}"


def fill(template: str, *, user: str, path: str, account: str) -> str:
    """Fill a URL's fields in; raises ``UsageError`` where a value cannot be.

    ``{path}`` is the IAM path without the slashes at its ends. Where that is empty, a slash that follows the
    field goes with it: ``{path}/{user}`` never begins with a slash that nobody wrote.
    """
    if not _USER.fullmatch(user):
        raise UsageError(f"{user!r} is no name of an IAM user.")
    if not _ACCOUNT.fullmatch(account):
        raise UsageError(f"{account!r} is no AWS account id.")
    bad = "{path}" in template and next((character for character in path if character in "{}?&%"), "")
    if bad:
        kind = "a brace" if bad in "{}" else bad
        raise UsageError(f"{template!r}: the IAM path {path!r} holds {kind}, which no destination's name may.")
    values = {
        "user": user,
        "USER": _NOT_IN_VARIABLES.sub("_", user.upper()),
        "path": path.strip("/"),
        "account": account,
    }
    for component in template.partition(":")[2].split("/"):
        _refuse_escape(template, component, values)
    if not values["path"]:
        template = template.replace("{path}/", "")
    return _filled(template, values)


def names_user(template: str) -> bool:
    """Say whether the URL differs from user to user."""
    return "{user}" in template or "{USER}" in template


def without_fields(text: str) -> str:
    """Return a text with each field replaced by a letter, for checks of what is around them."""
    return _FIELD.sub("x", text)


def nearest(word: str, known: Iterable[str], before: str = "", after: str = "") -> str:
    """Return the end of a sentence that names the word that was probably meant, or all that there are."""
    all_of_them = tuple(known)
    near = difflib.get_close_matches(word.lower(), all_of_them, n=1, cutoff=0.5)
    if near:
        return f"did you mean {before}{near[0]}{after}?"
    return f"there are {', '.join(before + name + after for name in all_of_them)}."


def _options(url: str, written: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in written.split("&"):
        name, equals, value = part.partition("=")
        if not name or not equals:
            raise UsageError(
                f"{url!r}: an option is written name=value.", remedy="Write %3F for a question mark in one."
            )
        if name in found:
            raise UsageError(f"{url!r}: the option {name} is given twice.")
        found[name] = unquote(value, errors="replace")
    return found


def _escaped(value: str) -> str:
    """Return an option's value as a URL holds it. Braces around anything but a word, as in JSON, mean themselves."""
    return _ESCAPED_WORD.sub(r"{\1}", quote(value, safe=_SAFE))


def _refuse_escape(template: str, component: str, values: dict[str, str]) -> None:
    """Refuse ``.`` and ``..`` that a value brings in: they would lead out of the place that was meant."""
    if not _FIELD.search(component):
        return
    filled = _filled(component, values)
    if any(part in {".", ".."} for part in filled.split("/")):
        raise UsageError(f"{template!r}: filled in, it would hold {filled!r}, which leads elsewhere.")


def _filled(text: str, values: dict[str, str]) -> str:
    return _FIELD.sub(lambda match: values.get(match[1], match[0]), text)
