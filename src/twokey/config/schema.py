"""What twokey.yaml may say: its keys and their types, once, for the reader and for the schema that editors use."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

if TYPE_CHECKING:
    from twokey.config.yaml_lines import Document, Place
    from twokey.core.errors import UsageError

VERSION = 1
MAX_USERS = 100
CONCURRENCY = 32
MOST_CONCURRENCY = 64

_DURATION = {"pattern": r"^\s*([0-9]+(\.[0-9]+)?\s*[wdhmsWDHMS]\s*)+$", "examples": ["30d", "12h", "90s", "1d12h"]}


def _about(description: str, default: object = None, **more: Any) -> Meta:
    """Describe a key for people and for the schema."""
    extra = {**more} if default is None else {"default": default, **more}
    return Meta(description=description, extra_json_schema=extra)


UserName = Annotated[str, _about("The name of an IAM user.", pattern=r"^[A-Za-z0-9_+=,.@-]{1,64}$")]
Region = Annotated[str, _about("An AWS region.", pattern=r"^[a-z0-9-]+$", examples=["eu-central-1"])]
Url = Annotated[str, _about("A place: `scheme:rest`, with `{user}`, `{path}` and `{account}` filled in.", minLength=1)]
Pattern = Annotated[str, _about("A user name; `*`, `?` and `[…]` match as in a shell.", minLength=1)]


Target = Annotated[
    dict[str, str | int | bool | dict[str, str] | None],
    _about(
        "A place with its options: `to` is the URL; all others, such as `format`, `id`, `connection`, go into it.",
        required=["to"],
    ),
]


class Verify(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a created key is proved before it is delivered."""

    successes: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | UnsetType,
        _about("How many successes in a row prove a key, in each region.", 3),
    ] = UNSET
    interval: Annotated[str | UnsetType, _about("The pause between two tries.", "0.5s", **_DURATION)] = UNSET
    timeout: Annotated[
        str | UnsetType,
        _about("After this time the key counts as not working and is removed again.", "60s", **_DURATION),
    ] = UNSET
    regions: Annotated[
        list[Region] | UnsetType, _about("Where to try it; without this key, where twokey itself runs.")
    ] = UNSET


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long keys live. At the top level for all entries; in an entry for that entry."""

    window: Annotated[str | UnsetType, _about("The longest that any key may live.", "30d", **_DURATION)] = UNSET
    grace: Annotated[
        str | UnsetType,
        _about(
            "How long LAST is sure to keep working after it stopped being CURRENT. "
            "At most the period less its slack (23/48 of the window); by default that, less the soak.",
            **_DURATION,
        ),
    ] = UNSET
    idle: Annotated[
        str | UnsetType,
        _about(
            "How long LAST must have gone unused before it may be removed. By default 1/15 of the period.", **_DURATION
        ),
    ] = UNSET
    soak: Annotated[
        str | UnsetType, _about("LAST is made Inactive this long before it is deleted.", "0s", **_DURATION)
    ] = UNSET
    enforce_window: Annotated[
        bool | UnsetType, _about("Remove LAST at the end of the window even if somebody still uses it.", default=False)
    ] = UNSET
    rotate_self: Annotated[
        bool | UnsetType, _about("Allow the rotation of the user whose key twokey itself runs with.", default=False)
    ] = UNSET
    settle: Annotated[
        str | UnsetType,
        _about("The wait before IAM's list of keys is believed after an interrupted run.", "30s", **_DURATION),
    ] = UNSET
    verify: Annotated[Verify | UnsetType, _about("How a created key is proved before it is delivered.")] = UNSET


class Entry(Rules, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"exclude": "except"}):
    """Some machine users, where their credentials go, and rules of their own where they need any."""

    path: Annotated[
        str | UnsetType,
        _about("The IAM path below which the users are, with or without slashes at its ends.", minLength=1),
    ] = UNSET
    users: Annotated[
        Annotated[list[UserName], Meta(min_length=1)] | UnsetType,
        _about("Users by name, instead of a path, or only these of the path."),
    ] = UNSET
    exclude: Annotated[list[Pattern] | UnsetType, _about("Users to leave alone.")] = UNSET
    store: Annotated[Url | Target, _about("The place of record for each user's credential.")]
    deliver: Annotated[
        list[Annotated[Url | Target, _about("A place, as a URL or with its options apart.")]] | UnsetType,
        _about("The other places that jobs read the credential from."),
    ] = UNSET


_SELECTS = Meta(extra_json_schema={"anyOf": [{"required": ["path"]}, {"required": ["users"]}]})


class Form(Rules, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of twokey."""

    version: Annotated[Literal[1], _about("The version of this format.")]
    max_users: Annotated[
        Annotated[int, Meta(ge=1)],
        _about("Refuse, before any change, to touch more users than this in one run.", MAX_USERS),
    ] = MAX_USERS
    concurrency: Annotated[
        Annotated[int, Meta(ge=1, le=MOST_CONCURRENCY)],
        _about("How many users are rotated at the same time.", CONCURRENCY),
    ] = CONCURRENCY
    audit_log: Annotated[
        Annotated[str, Meta(min_length=1)] | UnsetType,
        _about("A file that every change is written into, before and after; twokey makes it."),
    ] = UNSET
    connections: Annotated[
        dict[str, dict[str, Any]] | UnsetType,
        _about(
            "How services are reached, by name. A destination goes through the one named like its service, or by its "
            "option `connection`. Secrets come from elsewhere: `token: {env: NAME}`, `{file: PATH}` or `{from: URL}`."
        ),
    ] = UNSET
    machine_users: Annotated[
        Annotated[list[Annotated[Entry, _SELECTS]], Meta(min_length=1)],
        _about("Which machine users, and where their credentials go."),
    ]


DURATIONS = ("window", "grace", "idle", "soak", "settle", "interval", "timeout")
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
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_TYPES = re.compile(r"Expected `(\w+)(?: \| \w+)*`, got `(\w+)`")
_LIMIT = re.compile(r"Expected `(int|array)`(?: of length)? (<=|>=) (\d+)")


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of twokey.yaml (draft 2020-12), as editors read it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "twokey.yaml",
        **msgspec.json.schema(Form),
    }


def decode(document: Document) -> Form:
    """Return the document as a form; raises ``UsageError`` with line and key for what does not fit."""
    _refuse_other_versions(document)
    try:
        return msgspec.convert(document.value, Form)
    except msgspec.ValidationError as error:
        raise _plain(str(error), document) from None


def _refuse_other_versions(document: Document) -> None:
    version = document.value.get("version")
    if version is None:
        raise document.wrong((), "`version` is missing.", "Write `version: 1` as the first line.")
    if type(version) is not int or version != VERSION:
        found = document.spelled.get(("version",), "this")
        raise document.wrong(
            ("version",), f"`version`: {found} is not known; this twokey reads version {VERSION} of the format."
        )


def _plain(message: str, document: Document) -> UsageError:
    """Say in people's words what msgspec found."""
    what, _, where = message.partition(" - at `$")
    place: Place = tuple(word or int(index) for word, index in _STEP.findall(where))
    named = re.search(r"field `(.+)`$", what)
    if named and "unknown" in what:
        return document.wrong((*place, named[1]), f"unknown key `{named[1]}`{_meant(named[1], place)}")
    key = next((str(step) for step in reversed(place) if isinstance(step, str)), "the file")
    if named:
        inside = f"this entry of `{key}`" if place else "the file"
        return document.wrong(place, f"{inside} has no `{named[1]}`, which is required.")
    limit = _LIMIT.fullmatch(what)
    if limit:
        return document.wrong(place, _limit(key, *limit.groups()))
    types = _TYPES.fullmatch(what)
    if types:
        return _type(document, place, key, types[1], types[2])
    return document.wrong(place, f"`{key}`: {what}.")


def _meant(unknown: str, place: Place) -> str:
    struct: type[msgspec.Struct] = Form
    if place:
        struct = Verify if place[-1] == "verify" else Entry
    known = [field.encode_name for field in msgspec.structs.fields(struct)]
    near = difflib.get_close_matches(unknown.lower(), known, n=1)
    return f"; did you mean `{near[0]}`?" if near else "."


def _limit(key: str, kind: str, relation: str, bound: str) -> str:
    if kind == "array":
        return f"`{key}` is an empty list."
    return f"`{key}` must be {'at most' if relation == '<=' else 'at least'} {bound}."


def _type(document: Document, place: Place, key: str, wanted: str, got: str) -> UsageError:
    if got == "null":
        return document.wrong(place, f"`{key}` has no value.", "Fill it in, or remove the key.")
    spelled = document.spelled.get(place, "")
    if wanted == "str" and key in DURATIONS and got in {"int", "float"}:
        return document.wrong(place, f"`{key}`: {spelled} is not a duration.", "Write it like 30d, 12h, 90s or 1d12h.")
    if wanted == "str" and spelled:
        return document.wrong(
            place, f'`{key}`: YAML reads {spelled} as {_WORDS.get(got, got)}, not as text; quote it: "{spelled}".'
        )
    subject = f"`{key}`" if not place or place[-1] == key else f"an item of `{key}`"
    return document.wrong(place, f"{subject} must be {_WORDS.get(wanted, wanted)}, not {_WORDS.get(got, got)}.")
