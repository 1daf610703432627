"""Finds a destination by its URL: ``scheme:rest``, with ``{user}``, ``{path}`` and ``{account}`` to be filled in.

Each scheme has a module, imported when it is first named. A module offers ``check_name(rest)``, which raises
``UsageError`` for a name that its service could not take (fields still unfilled are allowed in it), and
``open_place(name, rest, services)``, which returns the destination.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from twokey.errors import UsageError

if TYPE_CHECKING:
    from twokey.aws.clients import Clients
    from twokey.destinations.base import Destination, Store

SCHEMES = {
    "secretsmanager": "twokey.destinations.secretsmanager",
    "ssm": "twokey.destinations.ssm",
    "file": "twokey.destinations.file",
}
"""Scheme to module."""

STORES = ("secretsmanager", "ssm", "file")
"""The schemes that can be a store: readable, with room for the journal."""

FIELDS = ("user", "path", "account")
_FIELD = re.compile(r"\{([^{}]*)\}")
_USER = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Services:
    """What destinations need of the outside."""

    clients: Clients


@dataclass(frozen=True, slots=True)
class DestinationUrl:
    """A URL taken apart. ``rest`` may still hold fields to be filled in."""

    scheme: str
    rest: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}"


def parse(url: str) -> DestinationUrl:
    """Take a URL apart and check all that can be known of it now; raises ``UsageError`` with one sentence."""
    scheme, colon, rest = url.partition(":")
    if scheme not in SCHEMES:
        raise UsageError(f"{url!r}: {_no_such_scheme(scheme, colon)}")
    if not rest:
        raise UsageError(f"{url!r} names no place: write {scheme}:NAME.")
    if any(ord(character) < 32 or ord(character) == 127 for character in rest):
        raise UsageError(f"{url!r} holds a control character.")
    for field in _FIELD.findall(rest):
        if field not in FIELDS:
            raise UsageError(f"{url!r}: there is no field {{{field}}}; {_nearest(field, FIELDS, '{', '}')}")
    if set("{}") & set(_FIELD.sub("", rest)):
        raise UsageError(f"{url!r} has a brace without its partner.")
    _module(scheme).check_name(rest)
    return DestinationUrl(scheme, rest)


def fill(template: str, *, user: str, path: str, account: str) -> str:
    """Fill a URL's fields in and check the result; raises ``UsageError`` where the name cannot be.

    ``{path}`` is the IAM path without the slashes at its ends. Where that is empty, a slash that follows the
    field goes with it: ``{path}/{user}`` never begins with a slash that nobody wrote.
    """
    if not _USER.fullmatch(user):
        raise UsageError(f"{user!r} is no name of an IAM user.")
    if not _ACCOUNT.fullmatch(account):
        raise UsageError(f"{account!r} is no AWS account id.")
    if set("{}") & set(path):
        raise UsageError(f"{template!r}: the IAM path {path!r} holds a brace, which no destination's name may.")
    values = {"user": user, "path": path.strip("/"), "account": account}
    for component in template.partition(":")[2].split("/"):
        _refuse_escape(template, component, values)
    if not values["path"]:
        template = template.replace("{path}/", "")
    return str(parse(_filled(template, values)))


def names_user(template: str) -> bool:
    """Say whether the URL differs from user to user."""
    return "{user}" in template


def open_destination(url: str, services: Services) -> Destination:
    """Return the destination of a URL whose fields are filled in; calls nothing yet."""
    place = parse(url)
    return cast("Destination", _module(place.scheme).open_place(url, place.rest, services))


def open_store(url: str, services: Services) -> Store:
    """Return the store of a URL whose fields are filled in; raises ``UsageError`` for a kind that cannot be one."""
    place = parse(url)
    if place.scheme not in STORES:
        raise UsageError(f"{url!r} cannot be a store, because it cannot be read back; use one of {', '.join(STORES)}.")
    return cast("Store", _module(place.scheme).open_place(url, place.rest, services))


def without_fields(rest: str) -> str:
    """Return the name with each field replaced by a letter, for checks of what is around them."""
    return _FIELD.sub("x", rest)


def _module(scheme: str) -> Any:
    return import_module(SCHEMES[scheme])


def _refuse_escape(template: str, component: str, values: dict[str, str]) -> None:
    """Refuse ``.`` and ``..`` that a value brings in: they would lead out of the place that was meant."""
    if not _FIELD.search(component):
        return
    filled = _filled(component, values)
    if any(part in {".", ".."} for part in filled.split("/")):
        raise UsageError(f"{template!r}: filled in, it would hold {filled!r}, which leads elsewhere.")


def _filled(text: str, values: dict[str, str]) -> str:
    return _FIELD.sub(lambda match: values.get(match[1], match[0]), text)


def _no_such_scheme(scheme: str, colon: str) -> str:
    if not colon:
        return f"a destination is written scheme:name, with one of {', '.join(SCHEMES)}."
    return f"there is no destination {scheme!r}; {_nearest(scheme, tuple(SCHEMES))}"


def _nearest(word: str, known: tuple[str, ...], before: str = "", after: str = "") -> str:
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {before}{near[0]}{after}?"
    return f"there are {', '.join(before + name + after for name in known)}."
