"""How twokey.yaml defines destinations and connections: ``deliver`` with options, ``connections``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.config.mismatches import explanation
from twokey.core.errors import UsageError
from twokey.core.sentences import nearest
from twokey.destinations import registry
from twokey.destinations.address import with_options
from twokey.destinations.connections import Configured, settings_of, types_in
from twokey.destinations.sources import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.config.yaml_lines import Document, Position
    from twokey.destinations.connections import ConnectionKind, Settings

_AT = re.compile(r"^(.*) - at `\$\.?(.*)`$")
_OPTIONS = {"tags": "tag", "labels": "label", "kms_key": "kms"}
"""The names under which a mapping may have options of URLs that are shorter there."""
_NEVER = "twokey.yaml never holds a secret"
_INSTEAD = (
    "Write where it comes from: {{{key}: {{env: NAME}}}}, {{{key}: {{file: PATH}}}} or {{{key}: {{from: URL}}}}. "
    "Replace this secret: every reader of the file could see it."
)


def url_of(target: str | Mapping[str, Any], label: str) -> str:
    """Return a destination's URL with its options in it; raises ``UsageError`` that begins with ``label``."""
    if isinstance(target, str):
        return target
    options: dict[str, str] = {}
    keys: dict[str, str] = {}
    for key, value in target.items():
        if key == "to":
            continue
        option = _OPTIONS.get(key, key)
        if isinstance(value, dict):
            found = {f"{option}.{name}": _text(one) for name, one in value.items()}
        else:
            found = {option: ",".join(map(_text, value)) if isinstance(value, list) else _text(value)}
        again = next((one for one in found if one in options), None)
        if again is not None:
            raise UsageError(
                f"{label}: `{keys[again]}` and `{key}` are the same option.", remedy="Remove one of the two."
            )
        options |= found
        keys |= dict.fromkeys(found, key)
    url = target.get("to")
    if not isinstance(url, str) or not url:
        raise UsageError(
            f"{label}: this is a mapping without `to`.",
            remedy="Add it, such as to: github:acme/site. Quote a URL that begins with a brace.",
        )
    return with_options(url, options)


def connections(document: Document, configured: Mapping[str, Mapping[str, Any]]) -> dict[str, Configured]:
    """Return the connections by name; raises ``UsageError`` with line and key for what is wrong with one."""
    kinds = registry.connection_kinds() if configured else {}
    return {name: _connection(document, name, dict(settings), kinds) for name, settings in configured.items()}


def _connection(
    document: Document, name: str, settings: dict[str, Any], kinds: Mapping[str, ConnectionKind[Any, Any]]
) -> Configured:
    position: Position = ("connections", name)
    kind = settings.pop("kind", name)
    if isinstance(kind, str) and kind not in kinds:
        kinds = registry.connection_kinds(installed=True)
    if not isinstance(kind, str) or kind not in kinds:
        hint = nearest(str(kind), kinds)
        remedy = "Give the connection the name of its service, or set the service: kind: github."
        raise document.error(position, f"`{name}`: there is no service {kind!r} to connect to; {hint}", remedy)
    struct = kinds[kind].settings
    _refuse_literals(document, position, settings, struct)
    try:
        found: Settings = msgspec.convert(settings, struct)
    except msgspec.ValidationError as error:
        raise _error(document, position, str(error), struct) from None
    return Configured(kind, found, f"{document.at(position)}: `{name}`")


def _refuse_literals(
    document: Document, position: Position, settings: Mapping[str, Any], struct: type[msgspec.Struct]
) -> None:
    """Refuse a secret that is written into the file, without repeating it."""
    for field, kinds in settings_of(struct):
        value = settings.get(field.encode_name)
        where = (*position, field.encode_name)
        if Source in kinds and isinstance(value, str | int | float):
            key = field.encode_name
            raise document.error(where, f"`{key}` contains the secret itself: {_NEVER}.", _INSTEAD.format(key=key))
        for kind in kinds:
            nested = isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind is not Source
            if nested and isinstance(value, dict):
                _refuse_literals(document, where, value, kind)


def _error(document: Document, position: Position, message: str, struct: type[msgspec.Struct]) -> UsageError:
    """Return msgspec's error about a connection in plain words."""
    found = _AT.match(message)
    what, inner = (found[1], tuple(found[2].split("."))) if found else (message, ())
    named = re.search(r"field `(.+)`$", what)
    if named and "unknown" in what:
        return document.error(
            (*position, *inner, named[1]), f"unknown key `{named[1]}`; {nearest(named[1], _keys(struct, inner))}"
        )
    if named:
        return document.error(
            (*position, *inner), f"`{'.'.join((str(position[-1]), *inner))}` has no `{named[1]}`, which is required."
        )
    return document.error((*position, *inner), f"`{'.'.join((str(position[-1]), *inner))}`: {explanation(what)}.")


def _keys(struct: type[msgspec.Struct], inner: Position) -> list[str]:
    """Return the keys that a connection takes, or that the mapping takes which is below it there."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    if not inner:
        return list(fields)
    kinds = types_in(fields[str(inner[0])].type)
    below = next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, msgspec.Struct))
    return _keys(below, inner[1:])


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
