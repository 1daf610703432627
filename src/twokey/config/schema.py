"""The keys of twokey.yaml and their types, once for the reader and for the schema that editors use."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from twokey.core import durations

if TYPE_CHECKING:
    from twokey.config.yaml_lines import Document, Place
    from twokey.core.errors import UsageError

VERSION = 1
MAX_USERS = 100
CONCURRENCY = 32
MOST_CONCURRENCY = 64

_DURATION = {"pattern": durations.PATTERN, "examples": ["30d", "12h", "90s", "1d12h"]}


def _about(description: str, default: object = None, **more: Any) -> Meta:
    """Describe a key for the schema."""
    extra = {**more} if default is None else {"default": default, **more}
    return Meta(description=description, extra_json_schema=extra)


UserName = Annotated[str, _about("The name of an IAM user.", pattern=r"^[A-Za-z0-9_+=,.@-]{1,64}$")]
Region = Annotated[str, _about("An AWS region.", pattern=r"^[a-z0-9-]+$", examples=["eu-central-1"])]
Url = Annotated[
    str,
    _about("A destination: `scheme:name`, with `{user}`, `{USER}`, `{path}` and `{account}` filled in.", minLength=1),
]
Pattern = Annotated[str, _about("A user name; `*`, `?` and `[…]` match as in a shell.", minLength=1)]


Target = Annotated[
    dict[str, str | int | bool | list[str] | dict[str, str] | None],
    _about(
        "A destination with its options: `to` is the URL; the other keys, such as `format`, `id` and `connection`, "
        "are its options.",
        required=["to"],
    ),
]


class Verify(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a new key is proved before it is delivered."""

    successes: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | UnsetType,
        _about("How many successes in a row prove a key, in each region.", 3),
    ] = UNSET
    interval: Annotated[str | UnsetType, _about("The pause between two attempts.", "0.5s", **_DURATION)] = UNSET
    timeout: Annotated[
        str | UnsetType,
        _about("After this time, the key counts as not working and is deleted.", "60s", **_DURATION),
    ] = UNSET
    regions: Annotated[
        list[Region] | UnsetType, _about("Where to try the key. By default, in the region of twokey.")
    ] = UNSET


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long keys live. At the top level for all entries; in an entry for that entry."""

    window: Annotated[str | UnsetType, _about("The longest time that any key may live.", "30d", **_DURATION)] = UNSET
    grace: Annotated[
        str | UnsetType,
        _about(
            "How long LAST is guaranteed to work after it stopped being CURRENT. "
            "At most the period less its slack (23/48 of the window); by default that, less the soak.",
            **_DURATION,
        ),
    ] = UNSET
    idle: Annotated[
        str | UnsetType,
        _about("How long LAST must be unused before it may be removed. By default 1/15 of the period.", **_DURATION),
    ] = UNSET
    soak: Annotated[str | UnsetType, _about("How long LAST is Inactive before it is deleted.", "0s", **_DURATION)] = (
        UNSET
    )
    enforce_window: Annotated[
        bool | UnsetType, _about("Remove LAST when it reaches the window, even if a job still uses it.", default=False)
    ] = UNSET
    rotate_self: Annotated[
        bool | UnsetType, _about("Allow the rotation of the user whose key twokey itself runs with.", default=False)
    ] = UNSET
    settle: Annotated[
        str | UnsetType,
        _about("How long to wait after an interrupted run before IAM's list of keys is trusted.", "30s", **_DURATION),
    ] = UNSET
    verify: Annotated[Verify | UnsetType, _about("How a new key is proved before it is delivered.")] = UNSET


class Entry(Rules, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"exclude": "except"}):
    """Some machine users, their destinations, and rules that differ from those at the top level."""

    path: Annotated[
        str | UnsetType,
        _about("Every user below this IAM path. Leading and trailing slashes are optional.", minLength=1),
    ] = UNSET
    users: Annotated[
        Annotated[list[UserName], Meta(min_length=1)] | UnsetType,
        _about("Users by name, instead of a path. With `path`: only these users below it."),
    ] = UNSET
    exclude: Annotated[list[Pattern] | UnsetType, _about("Users to leave out.")] = UNSET
    store: Annotated[Url | Target, _about("The store: the place of record for each user's credential.")]
    lock: Annotated[
        str | UnsetType,
        _about(
            "A lock for a store without conditional writes, such as `ssm:`: `dynamodb:TABLE/{user}`. It fences a run "
            "that was paused while another one took over.",
            minLength=1,
            examples=["dynamodb:twokey-locks/{user}"],
        ),
    ] = UNSET
    deliver: Annotated[
        list[Annotated[Url | Target, _about("A destination, as a URL or as a mapping with options.")]] | UnsetType,
        _about("The other destinations that jobs read the credential from."),
    ] = UNSET
    on_empty: Annotated[
        Literal["warn", "error"],
        _about(
            "What to do where `path`, a name in `users` below it, or a pattern of `except` matches no user: warn, or "
            "fail for this entry.",
            "warn",
        ),
    ] = "warn"


class RoleEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role that jobs assume, with what it requires."""

    arn: Annotated[str, _about("The ARN of the role.", pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/")]
    external_id: Annotated[str | UnsetType, _about("The external id that its trust policy requires.")] = UNSET
    duration: Annotated[
        str | UnsetType, _about("How long a session lasts, 15m to 12h, without --duration.", "1h", **_DURATION)
    ] = UNSET


_SELECTS = Meta(extra_json_schema={"anyOf": [{"required": ["path"]}, {"required": ["users"]}]})


class Form(Rules, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of twokey."""

    version: Annotated[Literal[1], _about("The version of this format.")]
    max_users: Annotated[
        Annotated[int, Meta(ge=1)],
        _about("Refuse, before any change, if one run would process more users than this.", MAX_USERS),
    ] = MAX_USERS
    concurrency: Annotated[
        Annotated[int, Meta(ge=1, le=MOST_CONCURRENCY)],
        _about("The number of users to process at the same time.", CONCURRENCY),
    ] = CONCURRENCY
    schedule: Annotated[
        str | UnsetType,
        _about(
            "The time between two scheduled runs. twokey refuses rules that such runs cannot keep, and warns of a "
            "window that will be broken before the next run.",
            **_DURATION,
        ),
    ] = UNSET
    audit_log: Annotated[
        Annotated[str, Meta(min_length=1)] | UnsetType,
        _about("The audit log: record each change in this file, before and after it."),
    ] = UNSET
    connections: Annotated[
        dict[str, dict[str, Any]] | UnsetType,
        _about(
            "How to reach services, by name. A destination uses the connection that has the name of its service, or "
            "the one in its option `connection`. Secrets are never in this file: `token: {env: NAME}`, `{file: PATH}` "
            "or `{from: URL}`."
        ),
    ] = UNSET
    roles: Annotated[
        dict[str, Annotated[str, _about("The ARN of the role.", minLength=1)] | RoleEntry] | UnsetType,
        _about("The roles that jobs assume, by the names that --role uses: an ARN, or a mapping."),
    ] = UNSET
    machine_users: Annotated[
        Annotated[list[Annotated[Entry, _SELECTS]], Meta(min_length=1)],
        _about("The machine users, and where their credentials go."),
    ]


DURATIONS = ("window", "grace", "idle", "soak", "settle", "interval", "timeout", "schedule")
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
_LIMIT = re.compile(r"Expected `(int|array)`(?: of length)? (<=|>=) (\d+)")


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of twokey.yaml (draft 2020-12), as editors read it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "twokey.yaml",
        **msgspec.json.schema(Form),
    }


def decode(document: Document) -> Form:
    """Return the document as a form; raises ``UsageError`` with line and key for each mismatch."""
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
        found = repr(version[:20]) if isinstance(version, str) else document.spelled.get(("version",), "another value")
        raise document.wrong(
            ("version",),
            f"`version`: expected the number {VERSION}, the version of the format that this twokey reads, got {found}.",
        )


def _plain(message: str, document: Document) -> UsageError:
    """Return msgspec's error in plain words."""
    what, _, where = message.partition(" - at `$")
    place: Place = tuple(word or int(index) for word, index in _STEP.findall(where))
    named = re.search(r"field `(.+)`$", what)
    if named and "unknown" in what:
        return document.wrong((*place, named[1]), f"unknown key `{named[1]}`{_nearest(named[1], place)}")
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


def _nearest(unknown: str, place: Place) -> str:
    struct: type[msgspec.Struct] = Form
    if place:
        struct = Verify if place[-1] == "verify" else RoleEntry if place[0] == "roles" else Entry
    known = [field.encode_name for field in msgspec.structs.fields(struct)]
    near = difflib.get_close_matches(unknown.lower(), known, n=1)
    return f"; did you mean `{near[0]}`?" if near else "."


def _limit(key: str, kind: str, relation: str, bound: str) -> str:
    if kind == "array":
        return f"`{key}` is an empty list."
    return f"`{key}` must be {'at most' if relation == '<=' else 'at least'} {bound}."


def _type(document: Document, place: Place, key: str, expected: str, got: str) -> UsageError:
    if got == "null":
        return document.wrong(place, f"`{key}` has no value.", "Fill it in, or remove the key.")
    spelled = document.spelled.get(place, "")
    if expected == "str" and key in DURATIONS and got in {"int", "float"}:
        return document.wrong(place, f"`{key}`: {spelled} is not a duration.", durations.HOW_TO_WRITE)
    if expected == "str" and spelled:
        return document.wrong(
            place, f'`{key}`: YAML reads {spelled} as {_WORDS.get(got, got)}, not as text; quote it: "{spelled}".'
        )
    if expected == "array":
        found = _WORDS.get(got, got)
        return document.wrong(place, f"`{key}` must be a list, not {found}.", _as_list(key, got, spelled))
    subject = f"`{key}`" if not place or place[-1] == key else f"an item of `{key}`"
    return document.wrong(place, f"{subject} must be {_WORDS.get(expected, expected)}, not {_WORDS.get(got, got)}.")


def _as_list(key: str, got: str, spelled: str) -> str:
    """Return how the value is written as a list."""
    if got != "str" or not spelled or "\n" in spelled:
        return "Begin each item of it with `- `, on a line of its own."
    return f"Write {key}: [{spelled if _PLAIN.fullmatch(spelled) else json.dumps(spelled, ensure_ascii=False)}]."
