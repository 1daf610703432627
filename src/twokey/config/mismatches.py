"""What is wrong with the values in twokey.yaml, in plain words: msgspec's errors, and what msgspec would not find."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from twokey.config.schema import DURATIONS, REGION, VERSION, Entry, Form, RoleEntry, TierForm
from twokey.core import durations
from twokey.destinations.connections import types_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twokey.config.yaml_lines import Document, Place
    from twokey.core.errors import UsageError

FormT = TypeVar("FormT", bound=msgspec.Struct)
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


def decode(document: Document) -> Form:
    """Return the document as a form; raises ``UsageError`` with line and key for each mismatch."""
    _refuse_other_versions(document)
    for place, mapping in _mappings(document.value):
        _check_options(document, place, mapping)
    _check_items(document)
    _check_connections(document)
    _check_alerts(document)
    for key, form in (("tiers", TierForm), ("roles", RoleEntry)):
        values = document.value.get(key)
        for name, value in values.items() if isinstance(values, dict) else ():
            # msgspec does not say which value of a mapping is wrong.
            if isinstance(value, dict):
                convert(value, form, document, (key, name))
            elif not (key == "roles" and isinstance(value, str)):
                found = "nothing" if value is None else _kind(value)
                raise document.error((key, name), f"`{name}`: expected {_NAMED[key]}, got {found}.")
    return convert(document.value, Form, document)


def convert(value: object, form: type[FormT], document: Document, place: Place = ()) -> FormT:
    """Return the value at a position as a form; raises ``UsageError`` with line and key for a mismatch."""
    try:
        return msgspec.convert(value, form)
    except msgspec.ValidationError as error:
        raise _plain(str(error), document, place) from None


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


def _mappings(value: Mapping[str, Any]) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """Return the destinations that are mappings, each with its place."""
    for index, entry in enumerate(_items(value.get("machine_users"))):
        if not isinstance(entry, dict):
            continue
        place: Place = ("machine_users", index)
        if isinstance(entry.get("store"), dict):
            yield (*place, "store"), entry["store"]
        for number, one in enumerate(_items(entry.get("deliver"))):
            if isinstance(one, dict):
                yield (*place, "deliver", number), one


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _check_options(document: Document, place: Place, mapping: Mapping[str, Any]) -> None:
    """Raise ``UsageError`` for an option whose value no URL can contain."""
    for key, value in mapping.items():
        at = (*place, key)
        inner: list[tuple[Place, object]] = []
        if isinstance(value, list):
            inner = [((*at, index), item) for index, item in enumerate(value)]
        elif isinstance(value, dict):
            inner = [((*at, name), item) for name, item in value.items()]
        elif not isinstance(value, str | bool | int | None):
            raise _not_text(document, at, key, value)
        for where, item in inner:
            if not isinstance(item, str):
                raise _not_text(document, where, key, item)


def _not_text(document: Document, place: Place, key: str, value: object) -> UsageError:
    spelled, found = document.spelled.get(place, ""), _kind(value)
    if value is None:
        return document.error(place, f"`{key}`: this item has no value.", "Fill it in, or remove it.")
    if spelled:
        return document.error(place, f'`{key}`: YAML reads {spelled} as {found}, not as text; quote it: "{spelled}".')
    return document.error(place, f"`{key}`: expected {_VALUE}, got {found} in it.")


def _check_items(document: Document) -> None:
    """Raise ``UsageError`` for what the schema forbids and its types allow."""
    for index, entry in enumerate(_items(document.value.get("machine_users"))):
        place: Place = ("machine_users", index)
        found = entry if isinstance(entry, dict) else {}
        for number, pattern in enumerate(_items(found.get("except"))):
            if pattern == "":
                raise document.error((*place, "except", number), "`except`: a pattern is empty.", "Remove it.")
        _check_regions(document, place, found)
    _check_regions(document, (), document.value)


def _check_regions(document: Document, place: Place, rules: Mapping[str, Any]) -> None:
    verify = rules.get("verify")
    for index, region in enumerate(_items(verify.get("regions") if isinstance(verify, dict) else None)):
        if isinstance(region, str) and not re.search(REGION, region):
            raise document.error(
                (*place, "verify", "regions", index),
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
    values: list[tuple[Place, object]] = [(("alerts", "heartbeat"), found.get("heartbeat"))]
    for index, one in enumerate(_items(found.get("to"))):
        receiver: Mapping[str, Any] = one if isinstance(one, dict) else {}
        at: Place = ("alerts", "to", index)
        values += [((*at, key), receiver.get(key)) for key in ("slack", "apprise")]
        for kind, key in (("smtp", "password"), ("webhook", "secret")):
            inner = receiver.get(kind)
            values.append(((*at, kind, key), inner.get(key) if isinstance(inner, dict) else None))
    for place, value in values:
        if isinstance(value, str | int | float):
            key = str(place[-1])
            raise document.error(
                place,
                f"`{key}` contains the secret itself: twokey.yaml never holds a secret.",
                f"Write where it comes from: {key}: {{env: NAME}}, {{file: PATH}} or {{from: URL}}. Replace this "
                "secret: everyone with access to the file could read it.",
            )


def _kind(value: object) -> str:
    """Return what a value is, in words."""
    name = "object" if isinstance(value, dict) else "array" if isinstance(value, list) else type(value).__name__
    return _WORDS.get(name, name)


def _plain(message: str, document: Document, outer: Place) -> UsageError:
    """Return msgspec's error about the value at ``outer`` in plain words."""
    what, _, where = message.partition(" - at `$")
    place: Place = (*outer, *(word or int(index) for word, index in _STEP.findall(where)))
    named = re.search(r"field `(.+)`$", what)
    if named and "unknown" in what:
        return document.error((*place, named[1]), f"unknown key `{named[1]}`{_nearest(named[1], place)}")
    key = next((str(step) for step in reversed(place) if isinstance(step, str)), "the file")
    if named:
        inside = f"`{key}`" if place[:1] == ("tiers",) else f"this entry of `{key}`" if place else "the file"
        return document.error(place, f"{inside} has no `{named[1]}`, which is required.")
    limit = _LIMIT.fullmatch(what)
    if limit:
        return document.error(place, _limit(key, *limit.groups()))
    if key in _CHOICES:
        found = document.spelled.get(place, "something else")
        return document.error(place, f"`{key}`: expected {_CHOICES[key]}, got {found}.")
    types = _TYPES.fullmatch(what)
    if types:
        return _type(document, place, key, types[1], types[2])
    return document.error(place, f"`{key}`: {what}.")


def _nearest(unknown: str, place: Place) -> str:
    inner, outer = _keys(Entry), _keys(Form)
    here = _keys(_form_at(place))
    near = difflib.get_close_matches(unknown.lower(), here, n=1, cutoff=0.75)
    if place and unknown in outer and not near:
        return "; it belongs at the top of the file."
    if not place and unknown in inner and not near:
        return "; it belongs into an entry of `machine_users`."
    near = near or difflib.get_close_matches(unknown.lower(), here, n=1)
    return f"; did you mean `{near[0]}`?" if near else "."


def _form_at(place: Place) -> type[msgspec.Struct]:
    """Return the form of the mapping at a position; that of the nearest one around it if it has none of its own."""
    form: type[msgspec.Struct] = Form
    for step in place:
        field = next((one for one in msgspec.structs.fields(form) if one.encode_name == step), None)
        inner = types_in(field.type) if field else set()
        form = next((one for one in inner if isinstance(one, type) and issubclass(one, msgspec.Struct)), form)
    return form


def _keys(struct: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(struct)]


def _limit(key: str, kind: str, relation: str, bound: str) -> str:
    if kind == "array":
        return f"`{key}` is an empty list."
    if kind == "str":
        return f"`{key}` is empty."
    return f"`{key}` must be {'at most' if relation == '<=' else 'at least'} {bound}."


def _type(document: Document, place: Place, key: str, expected: str, got: str) -> UsageError:
    subject = f"`{key}`" if not place or place[-1] == key else f"an item of `{key}`"
    if got == "null":
        return document.error(place, f"{subject} has no value.", "Fill it in, or remove it.")
    spelled = document.spelled.get(place, "")
    if expected == "str" and key in DURATIONS and got in {"int", "float"}:
        return document.error(place, f"`{key}`: {spelled} is not a duration.", durations.HOW_TO_WRITE)
    if expected == "str" and spelled:
        return document.error(
            place, f'`{key}`: YAML reads {spelled} as {_WORDS.get(got, got)}, not as text; quote it: "{spelled}".'
        )
    if expected == "array":
        found = _WORDS.get(got, got)
        return document.error(place, f"`{key}` must be a list, not {found}.", _as_list(key, got, spelled))
    wanted = "a URL, or a mapping with `to`" if key in ("store", "deliver") else _WORDS.get(expected, expected)
    return document.error(place, f"{subject} must be {wanted}, not {_WORDS.get(got, got)}.")


def _as_list(key: str, got: str, spelled: str) -> str:
    """Return how the value is written as a list."""
    if got != "str" or not spelled or "\n" in spelled:
        return "Begin each item of it with `- `, on a line of its own."
    return f"Write {key}: [{spelled if _PLAIN.fullmatch(spelled) else json.dumps(spelled, ensure_ascii=False)}]."


def in_words(message: str) -> str:
    """Return what msgspec says of a type without its own words for types."""
    types = _TYPES.fullmatch(message)
    if not types:
        return message.replace("Expected", "expected")
    expected, got = (_WORDS.get(name, name) for name in types.groups())
    return f"expected {expected}, got {'nothing' if types[2] == 'null' else got}"
