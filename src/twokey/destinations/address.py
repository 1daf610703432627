"""A destination's URL: ``scheme:rest?option=value&…``, with fields such as ``{user}`` to be filled in.

The URL says where a credential is delivered and in what format. Which thing it means in a run, and whether two URLs
mean the same, is decided by ``twokey.destinations.identity``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from twokey.core.errors import UsageError
from twokey.core.sentences import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FIELDS = ("user", "USER", "path", "account", "account_name")
"""``{USER}`` is the user's name as an environment variable may be called: ``ci-site`` is ``CI_SITE``."""
CONNECTION = "connection"
"""The option of every destination of a service: which connection of twokey.yaml it uses."""
_FIELD = re.compile(r"(?<!\$)\{([^{}]*)\}")
_PLACEHOLDER = re.compile(r"\$\{[\w:]*\}")
"""A placeholder of a template, which is filled in when the credential is written."""
_USER = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_NOT_IN_VARIABLES = re.compile(r"[^A-Z0-9_]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")
_SAFE = "/:+=,.@-_$*[]()!'; "
"""The characters that an option's value contains unescaped, besides a field in braces."""
_ESCAPED_WORD = re.compile(r"%7B(\w+)%7D", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a URL. ``rest`` and the options' values may still hold fields to be filled in."""

    url: str
    scheme: str
    rest: str
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __str__(self) -> str:
        return self.url

    @property
    def plain(self) -> str:
        """Return the rest of the URL with each field replaced by a letter, to check it."""
        return without_fields(self.rest)

    def error(self, message: str, remedy: str = "") -> UsageError:
        """Return an error about this URL."""
        return UsageError(f"{self.url!r}: {message}", remedy=remedy)

    def allow(self, options: Iterable[str]) -> None:
        """Raise ``UsageError`` for an option that this kind of destination does not have, or that is empty.

        ``x.*`` stands for all options that begin with ``x.``; those may be empty.
        """
        known = tuple(options)
        for name in self.options:
            family = f"{name.partition('.')[0]}.*"
            if name not in known and not ("." in name and family in known):
                raise self.error(
                    f"there is no option {name!r} here; "
                    f"{nearest(name, known) if known else 'this kind of destination has no options.'}"
                )
            if not self.options[name] and "." not in name:
                raise self.error(f"the option {name} has no value.", f"Write {name}=VALUE, or leave it out.")

    def without(self, options: Iterable[str]) -> str:
        """Return the URL without these options, and everything else as it is written (``x.*`` as in ``allow``)."""
        dropped = {*options}
        head, mark, rest = self.url.partition("?")
        kept = [
            part
            for part in rest.split("&")
            if not ({name := unquote(part.partition("=")[0]), f"{name.partition('.')[0]}.*"} & dropped)
        ]
        return f"{head}?{'&'.join(kept)}" if mark and kept else head

    def identity(self, name: str, ignore: Iterable[str], *, case_insensitive: bool, defaults: Mapping[str, str]) -> str:
        """Return what is the same for all URLs of one thing, such as a repository.

        ``name``: what the rest of the URL means in this run, such as an absolute path. ``ignore``: the options that say
        how it is written. ``defaults``: the values that options have if they are left out. ``case_insensitive``: case
        makes no difference in the name.
        """
        ignored = {*ignore}
        identifying = {
            name: value
            for name, value in self.options.items()
            if name not in ignored and f"{name.partition('.')[0]}.*" not in ignored and defaults.get(name) != value
        }
        return with_options(f"{self.scheme}:{name.casefold() if case_insensitive else name}", identifying)

    def one_of(self, option: str, values: tuple[str, ...]) -> str:
        """Return an option's value, the first of ``values`` if it is missing; raises ``UsageError`` for others."""
        value = self.options.get(option, values[0])
        if value not in values:
            raise self.error(f"{option}={value} is unknown; {nearest(value, values)}")
        return value


def take_apart(url: str) -> Address:
    """Split a URL; raises ``UsageError`` for anything that no destination could take."""
    scheme, _, rest = url.partition(":")
    if _CONTROL.search(rest):
        raise UsageError(f"{url!r} contains a control character.")
    for name in _FIELD.findall(rest):
        if name not in FIELDS:
            raise UsageError(f"{url!r}: there is no field {{{name}}}; {nearest(name, FIELDS, '{', '}')}")
    if set("{}") & set(_PLACEHOLDER.sub("", _FIELD.sub("", rest))):
        raise UsageError(f"{url!r} has an unmatched brace.")
    name, mark, options = rest.partition("?")
    if not name:
        raise UsageError(f"{url!r}: expected {scheme}:NAME; the name is missing.")
    return Address(url, scheme, name, MappingProxyType(_options(url, options) if mark else {}))


def with_options(url: str, options: Mapping[str, str]) -> str:
    """Return the URL with options added to it, always in the same order."""
    added = "&".join(
        f"{quote(name, safe=_SAFE.replace('=', ''))}={_escaped(value)}" for name, value in sorted(options.items())
    )
    if not added:
        return url
    return f"{url}{'&' if '?' in url else '?'}{added}"


def fill(template: str, *, user: str, path: str, account: str, name: str = "") -> str:
    """Fill in a URL's fields; raises ``UsageError`` for a value that a URL cannot contain. ``name`` is the account's.

    ``{path}`` is the IAM path without the slashes at its ends. If that is empty, a slash that follows the field is
    removed too, so that ``{path}/{user}`` does not begin with a slash.
    """
    if not _USER.fullmatch(user):
        raise UsageError(f"{user!r} cannot be the name of an IAM user.")
    if not _ACCOUNT.fullmatch(account):
        raise UsageError(f"{account!r} is not an AWS account ID: expected 12 digits.")
    bad = "{path}" in template and next((character for character in path if character in "{}?&%"), "")
    if bad:
        character = "a brace" if bad in "{}" else bad
        raise UsageError(
            f"{template!r}: the IAM path {path!r} contains {character}, which a destination's name cannot contain.",
            remedy="Write the path out instead of {path}.",
        )
    values = {
        "user": user,
        "USER": _NOT_IN_VARIABLES.sub("_", user.upper()),
        "path": path.strip("/"),
        "account": account,
        "account_name": account_name(template, name),
    }
    for component in template.partition(":")[2].split("/"):
        _refuse_escape(template, component, values)
    if not values["path"]:
        template = template.replace("{path}/", "")
    return _filled(template, values)


def account_name(template: str, name: str) -> str:
    """Return an account's name as a URL contains it: what services allow in no name is a dash.

    Raises ``UsageError`` where the URL has that field, and the account no name.
    """
    if "{account_name}" in template and not name:
        raise UsageError(
            f"{template!r}: the name of the account is not known.",
            remedy="Use {account}, or give each account a name below accounts: in twokey.yaml.",
        )
    return _NOT_IN_NAMES.sub("-", name)


def pattern(template: str, *, user: str = "", path: str | None = None, account: str) -> str:
    """Return the URL with ``*`` for what is not known: the user, and the paths below a path prefix, or every path.

    Raises ``UsageError`` for a value that a URL cannot contain.
    """
    if path is None:
        template = template.replace("{path}/", "*").replace("{path}", "*")
    else:
        # Users may lie deeper than the prefix.
        template = template.replace("{path}", "{path}*") if path.strip("/") else template.replace("{path}", "*")
    if not user:
        template = template.replace("{user}", "*").replace("{USER}", "*")
    template = template.replace("{account_name}", "*")
    return fill(template, user=user or "x", path=path or "/", account=account)


def names_user(template: str) -> bool:
    """Say whether the URL differs from user to user."""
    return "{user}" in template or "{USER}" in template


def names_account(template: str) -> bool:
    """Say whether the URL differs from account to account."""
    return "{account}" in template or "{account_name}" in template


def without_fields(text: str) -> str:
    """Return a text with each field replaced by a letter, to check the rest of it."""
    return _FIELD.sub("x", text)


def _options(url: str, text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split("&"):
        name, equals, value = part.partition("=")
        name = unquote(name, errors="replace")
        if not name or not equals:
            raise UsageError(
                f"{url!r}: expected options as name=value.", remedy="Write %3F for a question mark in a value."
            )
        if name in found:
            raise UsageError(f"{url!r}: the option {name} occurs twice.")
        found[name] = unquote(value, errors="replace")
    return found


def _escaped(value: str) -> str:
    """Return an option's value as a URL holds it. Braces around anything but a word, as in JSON, mean themselves."""
    return _ESCAPED_WORD.sub(r"{\1}", quote(value, safe=_SAFE))


def _refuse_escape(template: str, component: str, values: dict[str, str]) -> None:
    """Refuse a value that makes a part of the path ``.`` or ``..``: it would point at another directory."""
    if not _FIELD.search(component):
        return
    filled = _filled(component, values)
    if any(part in {".", ".."} for part in filled.split("/")):
        raise UsageError(f"{template!r}: filled in, it would contain {filled!r}, which points at another directory.")


def _filled(text: str, values: dict[str, str]) -> str:
    return _FIELD.sub(lambda match: values.get(match[1], match[0]), text)
