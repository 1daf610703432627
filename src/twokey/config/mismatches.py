"""What is wrong with the values in twokey.yaml, in plain words: msgspec's errors, and what msgspec would not find."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from twokey.config.schema import DURATIONS, REGION, VERSION, Entry, FileSchema, RoleEntry, TierSchema
from twokey.core import durations
from twokey.destinations.connections import types_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twokey.config.yaml_lines import Document, Position
    from twokey.core.errors import UsageError

SchemaT = TypeVar("SchemaT", bound=msgspec.Struct)
_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "empty",
    "date": "a date",
    "datetime": "a date",
}
_PLAIN = re.compile(r"[A-Za-z][\w./*-]*")
"""A text that YAML reads as itself within a list in brackets."""
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_TYPES = re.compile(r"Expected `(\w+)(?: \| \w+)*`, got `(\w+)`")
_LIMIT = re.compile(r"Expected `(int|array|str)`(?: of length)? (<=|>=) (\d+)")
_CHOICES = {
    "on_empty": "warn or error",
    "on_leak": "report or revoke",
    "store_account": "member or central",
    "deliver_account": "member or central",
    "only": "all or problems",
    "security": "starttls, tls or none",
    "on_error": "fail or warn",
}
_NAMED = {"tiers": "a mapping with the tier's settings", "roles": "the ARN of a role, or a mapping with `arn`"}
"""What the values of these mappings are, by the mapping's key."""
_VALUE = "text, a whole number, true or false, a list of texts or a mapping of texts"


def decode(document: Document) -> FileSchema:
    """Return the document as a schema; raises ``UsageError`` with line and key for each mismatch."""
    _refuse_other_versions(document)
    for position, mapping in _mappings(document.value):
        _check_options(document, position, mapping)
    _check_items(document)
    _check_connections(document)
    _check_alerts(document)
    for key, schema in (("tiers", TierSchema), ("roles", RoleEntry)):
        values = document.value.get(key)
        for name, value in values.items() if isinstance(values, dict) else ():
            # msgspec does not say which value of a mapping is wrong.
            if isinstance(value, dict):
                convert(value, schema, document, (key, name))
            elif not (key == "roles" and isinstance(value, str)):
                found = "nothing" if value is None else _kind(value)
                raise document.error((key, name), f"`{name}`: expected {_NAMED[key]}, got {found}.")
    return convert(document.value, FileSchema, document)


def convert(value: object, schema: type[SchemaT], document: Document, position: Position = ()) -> SchemaT:
    """Return the value at a position as a schema; raises ``UsageError`` with line and key for a mismatch."""
    try:
        return msgspec.convert(value, schema)
    except msgspec.ValidationError as error:
        raise _plain(str(error), document, position) from None


def _refuse_other_versions(document: Document) -> None:
    version = document.value.get("version")
    if version is None:
        raise document.error((), "`version` is missing.", "Write `version: 1` as the first line.")
    if type(version) is int and version == VERSION:
        return
    expected = f"expected the number {VERSION}, the version of the format that this twokey reads"
    if version == str(VERSION):
        raise document.error(
            ("version",), f"`version`: {expected}, got the text {version!r}.", "Remove the quotes: version: 1."
        )
    found = repr(version[:20]) if isinstance(version, str) else document.spelled.get(("version",), _kind(version))
    raise document.error(("version",), f"`version`: {expected}, got {found}.")


def _mappings(value: Mapping[str, Any]) -> Iterator[tuple[Position, Mapping[str, Any]]]:
    """Return the destinations that are mappings, each with its position."""
    for index, entry in enumerate(_items(value.get("machine_users"))):
        if not isinstance(entry, dict):
            continue
        position: Position = ("machine_users", index)
        if isinstance(entry.get("store"), dict):
            yield (*position, "store"), entry["store"]
        for number, one in enumerate(_items(entry.get("deliver"))):
            if isinstance(one, dict):
                yield (*position, "deliver", number), one


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _check_options(document: Document, position: Position, mapping: Mapping[str, Any]) -> None:
    """Raise ``UsageError`` for an option whose value no URL can contain."""
    for key, value in mapping.items():
        at = (*position, key)
        inner: list[tuple[Position, object]] = []
        if isinstance(value, list):
            inner = [((*at, index), item) for index, item in enumerate(value)]
        elif isinstance(value, dict):
            inner = [((*at, name), item) for name, item in value.items()]
        elif not isinstance(value, str | bool | int | None):
            raise _not_text(document, at, key, value)
        for where, item in inner:
            if not isinstance(item, str):
                raise _not_text(document, where, key, item)


def _not_text(document: Document, position: Position, key: str, value: object) -> UsageError:
    spelled, found = document.spelled.get(position, ""), _kind(value)
    if value is None:
        return document.error(position, f"`{key}`: this item has no value.", "Fill it in, or remove it.")
    if spelled:
        return document.error(
            position, f'`{key}`: YAML reads {spelled} as {found}, not as text; quote it: "{spelled}".'
        )
    return document.error(position, f"`{key}`: expected {_VALUE}, got {found} in it.")


def _check_items(document: Document) -> None:
    """Raise ``UsageError`` for what the schema forbids and its types allow."""
    for index, entry in enumerate(_items(document.value.get("machine_users"))):
        position: Position = ("machine_users", index)
        found = entry if isinstance(entry, dict) else {}
        for number, pattern in enumerate(_items(found.get("except"))):
            if pattern == "":
                raise document.error((*position, "except", number), "`except`: a pattern is empty.", "Remove it.")
        _check_regions(document, position, found)
    _check_regions(document, (), document.value)


def _check_regions(document: Document, position: Position, rules: Mapping[str, Any]) -> None:
    verify = rules.get("verify")
    for index, region in enumerate(_items(verify.get("regions") if isinstance(verify, dict) else None)):
        if isinstance(region, str) and not re.search(REGION, region):
            raise document.error(
                (*position, "verify", "regions", index),
                f"`regions`: expected an AWS region such as eu-central-1, got {region!r}.",
            )


def _check_connections(document: Document) -> None:
    connections = document.value.get("connections")
    for name, settings in connections.items() if isinstance(connections, dict) else ():
        if not isinstance(settings, dict):
            found = "nothing" if settings is None else _kind(settings)
            raise document.error(
                ("connections", name),
                f"`{name}`: expected a mapping of the connection's settings, got {found}.",
                "Write each setting on a line of its own below it, indented: token: {env: NAME}.",
            )


def _check_alerts(document: Document) -> None:
    """Raise ``UsageError`` for a secret that is written into the file, without repeating it."""
    alerts = document.value.get("alerts")
    found = alerts if isinstance(alerts, dict) else {}
    values: list[tuple[Position, object]] = [(("alerts", "heartbeat"), found.get("heartbeat"))]
    for index, one in enumerate(_items(found.get("to"))):
        receiver: Mapping[str, Any] = one if isinstance(one, dict) else {}
        at: Position = ("alerts", "to", index)
        values += [((*at, key), receiver.get(key)) for key in ("slack", "apprise")]
        for kind, key in (("smtp", "password"), ("webhook", "secret")):
            inner = receiver.get(kind)
            values.append(((*at, kind, key), inner.get(key) if isinstance(inner, dict) else None))
    for position, value in values:
        if isinstance(value, str | int | float):
            key = str(position[-1])
            raise document.error(
                position,
                f"`{key}` contains the secret itself: twokey.yaml never holds a secret.",
                f"Write where it comes from: {key}: {{env: NAME}}, {{file: PATH}} or {{from: URL}}. Replace this "
                "secret: every reader of the file could see it.",
            )


def _kind(value: object) -> str:
    """Return what a value is, in words."""
    name = "object" if isinstance(value, dict) else "array" if isinstance(value, list) else type(value).__name__
    return _WORDS.get(name, name)


def _plain(message: str, document: Document, outer: Position) -> UsageError:
    """Return msgspec's error about the value at ``outer`` in plain words."""
    what, _, where = message.partition(" - at `$")
    position: Position = (*outer, *(word or int(index) for word, index in _STEP.findall(where)))
    named = re.search(r"field `(.+)`$", what)
    if named and "unknown" in what:
        return document.error((*position, named[1]), f"unknown key `{named[1]}`{_nearest(named[1], position)}")
    key = next((str(step) for step in reversed(position) if isinstance(step, str)), "the file")
    if named:
        inside = f"`{key}`" if position[:1] == ("tiers",) else f"this entry of `{key}`" if position else "the file"
        return document.error(position, f"{inside} has no `{named[1]}`, which is required.")
    limit = _LIMIT.fullmatch(what)
    if limit:
        return document.error(position, _limit(key, *limit.groups()))
    if key in _CHOICES:
        found = document.spelled.get(position, "something else")
        return document.error(position, f"`{key}`: expected {_CHOICES[key]}, got {found}.")
    types = _TYPES.fullmatch(what)
    if types:
        return _type(document, position, key, types[1], types[2])
    return document.error(position, f"`{key}`: {what}.")


def _nearest(unknown: str, position: Position) -> str:
    inner, outer = _keys(Entry), _keys(FileSchema)
    here = _keys(_schema_at(position))
    near = difflib.get_close_matches(unknown.lower(), here, n=1, cutoff=0.75)
    if position and unknown in outer and not near:
        return "; it belongs at the top of the file."
    if not position and unknown in inner and not near:
        return "; it belongs into an entry of `machine_users`."
    near = near or difflib.get_close_matches(unknown.lower(), here, n=1)
    return f"; did you mean `{near[0]}`?" if near else "."


def _schema_at(position: Position) -> type[msgspec.Struct]:
    """Return the schema of the mapping at a position; that of the nearest one around it if it has none of its own."""
    schema: type[msgspec.Struct] = FileSchema
    for step in position:
        field = next((one for one in msgspec.structs.fields(schema) if one.encode_name == step), None)
        inner = types_in(field.type) if field else set()
        schema = next((one for one in inner if isinstance(one, type) and issubclass(one, msgspec.Struct)), schema)
    return schema


def _keys(struct: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(struct)]


def _limit(key: str, kind: str, relation: str, bound: str) -> str:
    if kind == "array":
        return f"`{key}` is an empty list."
    if kind == "str":
        return f"`{key}` is empty."
    return f"`{key}` must be {'at most' if relation == '<=' else 'at least'} {bound}."


def _type(document: Document, position: Position, key: str, expected: str, got: str) -> UsageError:
    subject = f"`{key}`" if not position or position[-1] == key else f"an item of `{key}`"
    if got == "null":
        return document.error(position, f"{subject} has no value.", "Fill it in, or remove it.")
    spelled = document.spelled.get(position, "")
    if expected == "str" and key in DURATIONS and got in {"int", "float"}:
        return document.error(position, f"`{key}`: {spelled} is not a duration.", durations.HOW_TO_WRITE)
    if expected == "str" and spelled:
        return document.error(
            position, f'`{key}`: YAML reads {spelled} as {_WORDS.get(got, got)}, not as text; quote it: "{spelled}".'
        )
    if expected == "array":
        found = _WORDS.get(got, got)
        return document.error(position, f"`{key}` must be a list, not {found}.", _as_list(key, got, spelled))
    wanted = "a URL, or a mapping with `to`" if key in ("store", "deliver") else _WORDS.get(expected, expected)
    return document.error(position, f"{subject} must be {wanted}, not {_WORDS.get(got, got)}.")


def _as_list(key: str, got: str, spelled: str) -> str:
    """Return how the value is written as a list."""
    if got != "str" or not spelled or "\n" in spelled:
        return "Begin each item of it with `- `, on a line of its own."
    return f"Write {key}: [{spelled if _PLAIN.fullmatch(spelled) else json.dumps(spelled, ensure_ascii=False)}]."


def explanation(message: str) -> str:
    """Return what msgspec says of a type without its own words for types."""
    types = _TYPES.fullmatch(message)
    if not types:
        return message.replace("Expected", "expected")
    expected, got = (_WORDS.get(name, name) for name in types.groups())
    return f"expected {expected}, got {'nothing' if types[2] == 'null' else got}"
