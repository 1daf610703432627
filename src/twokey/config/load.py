"""Configuration from twokey.yaml, or from the flags of the command line, as the same frozen values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.config import targets, yaml_lines
from twokey.config.schema import (
    CONCURRENCY,
    DURATIONS,
    MAX_USERS,
    MOST_CONCURRENCY,
    Entry,
    Rules,
    decode,
)
from twokey.config.settings import Naming, Selection, Settings, select, together
from twokey.core import durations
from twokey.core.errors import UsageError
from twokey.planning.policy import RotationPolicy, Verification

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.config.yaml_lines import Document, Place


COMMAND_LINE = "the command line"


_FLAGS = {"users": "USER", "deliver": "--to", "exclude": "--except"}


Given = dict[str, Any]
"""Rules that are given, by their keys: durations as such, those of ``verify`` as ``verify.successes``."""


_ASKED = {"grace": "requested_grace", "idle": "requested_idle"}


def load(file: Path) -> Settings:
    """Read twokey.yaml; raises ``UsageError`` with file, line and what is wrong."""
    said = yaml_lines.read(file)
    form = decode(said)
    defaults = _given(form, _named(said, ()))
    entries = []
    for index, entry in enumerate(form.machine_users):
        place: Place = ("machine_users", index)
        called = _named(said, place)
        entries.append((_selection(entry, defaults, called, said.at(place)), called))
    audit_log = None if form.audit_log is msgspec.UNSET else Path(form.audit_log)
    reached = targets.connections(said, form.connections or {})
    return Settings(together(entries), form.max_users, form.concurrency, said.name, audit_log, reached)


def from_flags(
    *,
    store: str | None,
    path: str | None = None,
    users: Sequence[str] = (),
    exclude: Sequence[str] = (),
    deliver: Sequence[str] = (),
    window: str | None = None,
    grace: str | None = None,
    idle: str | None = None,
    soak: str | None = None,
    settle: str | None = None,
    max_users: int = MAX_USERS,
    concurrency: int = CONCURRENCY,
) -> Settings:
    """Return what the flags ask for; durations come as they were typed. Raises ``UsageError`` that names the flag."""
    if path is None and not users:
        raise UsageError("Nothing selects a machine user.", remedy="Give --path, user names, or a configuration file.")
    if store is None:
        raise UsageError(
            "No store is named: twokey must know which key is in use before it touches one.",
            remedy="Give --store, such as --store secretsmanager:machine-users/{user}.",
        )
    _check_numbers(max_users, concurrency)
    given = {"window": window, "grace": grace, "idle": idle, "soak": soak, "settle": settle}
    rules = {key: durations.parse(text, _flag(key)) for key, text in given.items() if text is not None}
    selection = select(
        path=path,
        users=users,
        exclude=exclude,
        store=store,
        deliver=deliver,
        policy=_policy({}, rules),
        called=_flag,
    )
    return Settings(together([(selection, _flag)]), max_users, concurrency, COMMAND_LINE)


def _check_numbers(max_users: int, concurrency: int) -> None:
    if max_users < 1:
        raise UsageError("--max-users must be at least 1.")
    if not 1 <= concurrency <= MOST_CONCURRENCY:
        raise UsageError(f"--concurrency must be from 1 to {MOST_CONCURRENCY}.")


def _flag(key: str, item: int | None = None) -> str:  # noqa: ARG001  the command line has no lines
    return _FLAGS.get(key, f"--{key}")


def _named(said: Document, place: Place) -> Naming:
    def name(key: str, item: int | None = None) -> str:
        inner = (*place, *key.split("."))
        return f"{said.at(inner if item is None else (*inner, item))}: `{key}`"

    return name


def _selection(entry: Entry, defaults: Given, called: Naming, at: str) -> Selection:
    if entry.path is msgspec.UNSET and entry.users is msgspec.UNSET:
        raise UsageError(f"{at}: this entry selects no user.", remedy="Give it `path` or `users`.")
    own = _given(entry, called)
    try:
        policy = _policy(defaults, own)
    except UsageError as error:
        raise UsageError(f"{at}: {error.message}", state=error.state, remedy=error.remedy) from None
    return select(
        path=None if entry.path is msgspec.UNSET else entry.path,
        users=entry.users or (),
        exclude=entry.exclude or (),
        store=targets.url_of(entry.store, called("store")),
        deliver=[targets.url_of(one, called("deliver", index)) for index, one in enumerate(entry.deliver or ())],
        policy=policy,
        called=called,
    )


def _given(rules: Rules, called: Naming) -> Given:
    """Return the rules that are there, those of ``verify`` under names of their own, durations read."""
    found = {key: getattr(rules, key) for key in Rules.__struct_fields__ if key != "verify"}
    if rules.verify is not msgspec.UNSET:
        found |= {f"verify.{key}": value for key, value in msgspec.structs.asdict(rules.verify).items()}
    return {
        key: durations.parse(value, called(key)) if key.rpartition(".")[2] in DURATIONS else value
        for key, value in found.items()
        if value is not msgspec.UNSET
    }


def _policy(defaults: Given, own: Given) -> RotationPolicy:
    """Make the policy; raises ``UsageError`` where its parts do not fit together."""
    given = {**defaults, **own}
    verify = {key.removeprefix("verify."): given.pop(key) for key in list(given) if key.startswith("verify.")}
    if "regions" in verify:
        verify["regions"] = tuple(verify["regions"])
    asked = {_ASKED.get(key, key): value for key, value in given.items()}
    return RotationPolicy(**asked, verification=Verification(**verify))
