"""The keys of twokey.yaml and their types, once for the reader and for the schema that editors use."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from twokey.alerts.settings import AlertsSchema
from twokey.config.account_schema import AccountsSchema, Choice
from twokey.config.hooks import HooksSchema
from twokey.config.wave_schema import StopSchema, WaveSchema
from twokey.core import durations
from twokey.destinations.sources import Source

VERSION = 1
MAX_USERS = 100
CONCURRENCY = 32
MOST_CONCURRENCY = 64

_DURATION = {"pattern": durations.PATTERN, "examples": ["30d", "12h", "90s", "1d12h"]}


def _field(description: str, default: object = None, **more: Any) -> Meta:
    """Describe a key for the schema."""
    extra = {**more} if default is None else {"default": default, **more}
    return Meta(description=description, extra_json_schema=extra)


UserName = Annotated[str, _field("The name of an IAM user.", pattern=r"^[A-Za-z0-9_+=,.@-]{1,64}$")]
REGION = r"^[a-z0-9-]+$"
Region = Annotated[str, _field("An AWS region.", pattern=REGION, examples=["eu-central-1"])]
Url = Annotated[
    str,
    _field(
        "A destination: `scheme:name`, with `{user}`, `{USER}`, `{path}`, `{account}` and `{account_name}` filled in.",
        minLength=1,
    ),
]
Pattern = Annotated[str, _field("A user name; `*`, `?` and `[…]` match as in a shell.", minLength=1)]


Target = Annotated[
    dict[str, str | int | bool | list[str] | dict[str, str] | None],
    _field(
        "A destination with its options: `to` is the URL; the other keys, such as `format`, `id` and `connection`, "
        "are its options.",
        required=["to"],
    ),
]


class Verify(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a new key is proved before it is delivered."""

    successes: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | UnsetType,
        _field("How many successes in a row prove a key, in each region.", 3),
    ] = UNSET
    interval: Annotated[str | UnsetType, _field("The pause between two attempts.", "0.5s", **_DURATION)] = UNSET
    timeout: Annotated[
        str | UnsetType,
        _field("After this time, the key counts as not working and is deleted.", "60s", **_DURATION),
    ] = UNSET
    regions: Annotated[
        list[Region] | UnsetType, _field("Where to try the key. By default, in the region of twokey.")
    ] = UNSET


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long keys live. At the top level for all entries; in an entry for that entry."""

    window: Annotated[str | UnsetType, _field("The longest time that any key may live.", "30d", **_DURATION)] = UNSET
    grace: Annotated[
        str | UnsetType,
        _field(
            "How long LAST is guaranteed to work after it stopped being CURRENT. "
            "At most the period less its slack (23/48 of the window); by default that, less the soak.",
            **_DURATION,
        ),
    ] = UNSET
    idle: Annotated[
        str | UnsetType,
        _field("How long LAST must be unused before it may be removed. By default 1/15 of the period.", **_DURATION),
    ] = UNSET
    soak: Annotated[str | UnsetType, _field("How long LAST is Inactive before it is deleted.", "0s", **_DURATION)] = (
        UNSET
    )
    enforce_window: Annotated[
        bool | UnsetType, _field("Remove LAST when it reaches the window, even if a job still uses it.", default=False)
    ] = UNSET
    rotate_self: Annotated[
        bool | UnsetType, _field("Allow the rotation of the user whose key twokey itself runs with.", default=False)
    ] = UNSET
    settle: Annotated[
        str | UnsetType,
        _field("How long to wait after an interrupted run before IAM's list of keys is trusted.", "30s", **_DURATION),
    ] = UNSET
    verify: Annotated[Verify | UnsetType, _field("How a new key is proved before it is delivered.")] = UNSET


class Entry(Rules, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"exclude": "except"}):
    """Some machine users, their destinations, and rules that differ from those at the top level."""

    path: Annotated[
        str | UnsetType,
        _field("Every user below this IAM path. Leading and trailing slashes are optional.", minLength=1),
    ] = UNSET
    users: Annotated[
        Annotated[list[UserName], Meta(min_length=1)] | UnsetType,
        _field("Users by name, instead of a path. With `path`: only these users below it."),
    ] = UNSET
    exclude: Annotated[list[Pattern] | UnsetType, _field("Users to leave out.")] = UNSET
    store: Annotated[Url | Target, _field("The store: the position of record for each user's credential.")]
    lock: Annotated[
        str | UnsetType,
        _field(
            "A lock for a store without conditional writes, such as `ssm:`: `dynamodb:TABLE/{user}`. It fences a run "
            "that was paused while another one took over.",
            minLength=1,
            examples=["dynamodb:twokey-locks/{user}"],
        ),
    ] = UNSET
    deliver: Annotated[
        list[Annotated[Url | Target, _field("A destination, as a URL or as a mapping with options.")]] | UnsetType,
        _field("The other destinations that jobs read the credential from."),
    ] = UNSET
    hooks: Annotated[
        HooksSchema | UnsetType, _field("Your programs to run around the rotation of each of these users.")
    ] = UNSET
    accounts: Annotated[
        Annotated[list[Choice], Meta(min_length=1)] | UnsetType,
        _field("The accounts of these users, of those at the top level. By default, all of them."),
    ] = UNSET
    store_account: Annotated[
        Literal["member", "central"],
        _field(
            "The account of the store, and of its lock, in AWS: that of each user, or that of twokey itself.", "member"
        ),
    ] = "member"
    deliver_account: Annotated[
        Literal["member", "central"] | UnsetType,
        _field("The account of the other destinations in AWS. By default, that of the store."),
    ] = UNSET
    on_empty: Annotated[
        Literal["warn", "error"],
        _field(
            "What to do where `path`, a name in `users` below it, or a pattern of `except` matches no user: warn, or "
            "fail for this entry.",
            "warn",
        ),
    ] = "warn"


class TierSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tier: which users belong to it, which roles it has, and the roles of which other tiers its users may assume."""

    path: Annotated[
        str | UnsetType, _field("Users below this IAM path belong to the tier.", minLength=1, examples=["/ci/prod/"])
    ] = UNSET
    users: Annotated[list[Pattern] | UnsetType, _field("Users whose names match one of these belong to the tier.")] = (
        UNSET
    )
    tags: Annotated[
        dict[str, str] | UnsetType, _field("Users with one of these tags, with this value, belong to the tier.")
    ] = UNSET
    roles: Annotated[
        Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(min_length=1)],
        _field("The ARNs of the tier's roles; `*` stands for any part of a name."),
    ]
    reaches: Annotated[
        list[str] | UnsetType, _field("Other tiers whose roles the users of this tier may assume too.")
    ] = UNSET


class RoleEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role that jobs assume, with what it requires."""

    arn: Annotated[str, _field("The ARN of the role.", pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/")]
    external_id: Annotated[str | UnsetType, _field("The external ID that its trust policy requires.")] = UNSET
    duration: Annotated[
        str | UnsetType, _field("How long a session lasts, 15m to 12h, without --duration.", "1h", **_DURATION)
    ] = UNSET


_SELECTS = Meta(extra_json_schema={"anyOf": [{"required": ["path"]}, {"required": ["users"]}]})


class FileSchema(Rules, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of twokey."""

    version: Annotated[Literal[1], _field("The version of this format.")]
    max_users: Annotated[
        Annotated[int, Meta(ge=1)],
        _field("Refuse, before any change, if one run would process more users than this.", MAX_USERS),
    ] = MAX_USERS
    concurrency: Annotated[
        Annotated[int, Meta(ge=1, le=MOST_CONCURRENCY)],
        _field("The number of users to process at the same time.", CONCURRENCY),
    ] = CONCURRENCY
    schedule: Annotated[
        str | UnsetType,
        _field(
            "The time between two scheduled runs. twokey refuses rules that such runs cannot keep, and warns of a "
            "window that will be broken before the next run.",
            **_DURATION,
        ),
    ] = UNSET
    audit_log: Annotated[
        Annotated[str, Meta(min_length=1)] | UnsetType,
        _field("The audit log: record each change in this file, before and after it."),
    ] = UNSET
    alerts: Annotated[
        AlertsSchema | UnsetType,
        _field("Who is told what a run of rotate or deliver did, what watch found, and what needs attention."),
    ] = UNSET
    on_leak: Annotated[
        Literal["report", "revoke"],
        _field(
            "What `twokey watch` does about a leaked key of a machine user of this file: report it, or revoke it.",
            "report",
        ),
    ] = "report"
    github_webhook_secret: Annotated[
        Source | UnsetType,
        _field("Where the secret of the GitHub webhook comes from whose alerts `twokey watch` reads."),
    ] = UNSET
    connections: Annotated[
        dict[str, dict[str, Any]] | UnsetType,
        _field(
            "How to reach services, by name. A destination uses the connection that has the name of its service, or "
            "the one in its option `connection`. Secrets are never in this file: `token: {env: NAME}`, `{file: PATH}` "
            "or `{from: URL}`."
        ),
    ] = UNSET
    tiers: Annotated[
        dict[str, TierSchema] | UnsetType,
        _field(
            "Tiers of machine users and roles, such as production and non-production, for twokey lint and twokey "
            "policy. A user belongs to the first tier that names it."
        ),
    ] = UNSET
    roles: Annotated[
        dict[str, Annotated[str, _field("The ARN of the role.", minLength=1)] | RoleEntry] | UnsetType,
        _field("The roles that jobs assume, by the names that --role uses: an ARN, or a mapping."),
    ] = UNSET
    accounts: Annotated[
        AccountsSchema | UnsetType,
        _field("The accounts of the machine users. Without it, that of the credentials that twokey runs with."),
    ] = UNSET
    waves: Annotated[
        Annotated[list[WaveSchema], Meta(min_length=1)] | UnsetType,
        _field("The order in which a run of rotate begins accounts. All that are in no wave come last."),
    ] = UNSET
    stop_after: Annotated[StopSchema | UnsetType, _field("When a run of rotate begins no further user.")] = UNSET
    machine_users: Annotated[
        Annotated[list[Annotated[Entry, _SELECTS]], Meta(min_length=1)],
        _field("The machine users, and where their credentials go."),
    ]


DURATIONS = ("window", "grace", "idle", "soak", "settle", "interval", "timeout", "schedule", "repeat", "window_within")


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of twokey.yaml (draft 2020-12), as editors read it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "twokey.yaml",
        **msgspec.json.schema(FileSchema),
    }
