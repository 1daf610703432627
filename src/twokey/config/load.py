"""The settings from twokey.yaml, or from the flags of the command line, as the same frozen values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.config import account_rules, accounts, alerting, arithmetic, hooks, shared_stores, targets, waves
from twokey.config.mismatches import decode
from twokey.config.schema import CONCURRENCY, DURATIONS, MAX_USERS, MOST_CONCURRENCY, Entry, FileSchema, Rules
from twokey.config.settings import (
    AuditFile,
    Label,
    RoleSettings,
    Selection,
    Settings,
    Tier,
    path_prefix,
    select,
    together,
)
from twokey.core import durations
from twokey.core.errors import UsageError
from twokey.planning.policy import RotationPolicy, Verification

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from os import PathLike

    from twokey.config.yaml_lines import Document, Position


COMMAND_LINE = "the command line"


_FLAGS = {"users": "USER", "deliver": "--to", "exclude": "--except"}


RuleValues = dict[str, Any]
"""Rules that are set, by their keys: durations as such, those of ``verify`` as ``verify.successes``."""


_REQUESTED = {"grace": "requested_grace", "idle": "requested_idle"}


def load(file: Path) -> Settings:
    """Read twokey.yaml; raises ``UsageError`` with file, line and problem."""
    from twokey.config import yaml_lines

    return _settings(yaml_lines.read(file))


def parse(text: str, name: str) -> Settings:
    """Read the text of a twokey.yaml; raises ``UsageError`` with name, line and problem."""
    from twokey.config import yaml_lines

    return _settings(yaml_lines.parse(text, name))


def limited(settings: Settings, max_users: int | None, concurrency: int | None) -> Settings:
    """Return the settings with these limits, where they are named; raises ``UsageError`` that names the option."""
    most = settings.max_users if max_users is None else max_users
    at_a_time = settings.concurrency if concurrency is None else concurrency
    _check_numbers(most, at_a_time)
    return replace(settings, max_users=most, concurrency=at_a_time)


def audited_by(settings: Settings, audit_log: str | PathLike[str] | None) -> Settings:
    """Return the settings with this file as the audit log, where one is named."""
    return settings if audit_log is None else replace(settings, audit_log=AuditFile(Path(audit_log)))


def _settings(document: Document) -> Settings:
    settings = _checked(document)
    # The entries keep the document, for messages that name their lines; of a thousand accounts, it takes a megabyte.
    document.forget(("accounts",))
    return settings


def _checked(document: Document) -> Settings:
    section = decode(document)
    defaults = _rules(section, _label(document, ()))
    schedule = _schedule(section, document)
    several = accounts.accounts(section.accounts, document)
    entries = []
    for index, entry in enumerate(section.machine_users):
        position: Position = ("machine_users", index)
        label = _label(document, position)
        selection = _selection(entry, defaults, label, document, position, schedule)
        account_rules.check(selection, label, entry, several)
        entries.append((selection, label))
    selections = together(entries)
    shared_stores.check(selections, several)
    in_waves = waves.waves(section.waves, document, several=several is not None)
    audit_at = _label(document, ())("audit_log")
    audit_log = None if section.audit_log is msgspec.UNSET else AuditFile(Path(section.audit_log), audit_at)
    connections = targets.connections(document, section.connections or {})
    return Settings(
        selections,
        section.max_users,
        section.concurrency,
        document.name,
        audit_log,
        connections,
        schedule,
        roles=_roles(section, document),
        tiers=_tiers(section, document),
        alerts=alerting.alerts(section.alerts, document),
        on_leak=section.on_leak,
        github_webhook_secret=section.github_webhook_secret or None,
        secret_at=document.at(("github_webhook_secret",)) if section.github_webhook_secret else "",
        accounts=several and accounts.with_choices(several, [*selections, *in_waves]),
        waves=in_waves,
        stop_after=waves.stop_after(section.stop_after, document),
    )


def from_flags(
    *,
    store: str | None,
    path: str | None = None,
    users: Sequence[str] = (),
    exclude: Sequence[str] = (),
    deliver: Sequence[str] = (),
    lock: str | None = None,
    window: str | None = None,
    grace: str | None = None,
    idle: str | None = None,
    soak: str | None = None,
    settle: str | None = None,
    max_users: int = MAX_USERS,
    concurrency: int = CONCURRENCY,
) -> Settings:
    """Return the settings of the flags; durations are as typed. Raises ``UsageError`` that names the flag."""
    if path is None and not users:
        raise UsageError(
            "The command line names no machine user and no path.",
            remedy="Add user names, --path, or a configuration file.",
        )
    if store is None:
        raise UsageError(
            "No store is set: twokey must know which key is in use before it changes anything.",
            remedy="Add --store, such as --store secretsmanager:machine-users/{user}.",
        )
    _check_numbers(max_users, concurrency)
    texts = {"window": window, "grace": grace, "idle": idle, "soak": soak, "settle": settle}
    rules = {key: durations.parse(text, _flag(key)) for key, text in texts.items() if text is not None}
    selection = select(
        path=path,
        users=users,
        exclude=exclude,
        store=store,
        deliver=deliver,
        lock=lock,
        policy=_policy({}, rules),
        label=_flag,
    )
    return Settings(together([(selection, _flag)]), max_users, concurrency, COMMAND_LINE)


def _check_numbers(max_users: int, concurrency: int) -> None:
    if max_users < 1:
        raise UsageError("--max-users must be at least 1.")
    if not 1 <= concurrency <= MOST_CONCURRENCY:
        raise UsageError(f"--concurrency must be from 1 to {MOST_CONCURRENCY}.")


def _flag(key: str, item: int | None = None) -> str:  # noqa: ARG001  the command line has no lines
    return _FLAGS.get(key, f"--{key}")


def _label(document: Document, position: Position) -> Label:
    def name(key: str, item: int | None = None) -> str:
        key = "except" if key == "exclude" else key
        inner = (*position, *key.split("."))
        return f"{document.at(inner if item is None else (*inner, item))}: `{key}`"

    return name


def _named(document: Document, position: Position, key: str) -> Label:
    """Name the one value that is here, whatever is asked for."""
    return lambda _key, _item=None: f"{document.at(position)}: `{key}`"


def _schedule(section: FileSchema, document: Document) -> timedelta | None:
    if section.schedule is msgspec.UNSET:
        return None
    label = _label(document, ())("schedule")
    schedule = durations.parse(section.schedule, label)
    if not schedule:
        raise UsageError(f"{label}: the time between two runs cannot be zero.")
    return schedule


def _tiers(section: FileSchema, document: Document) -> tuple[Tier, ...]:
    tiers = section.tiers or {}
    for name, tier in tiers.items():
        label = _label(document, ("tiers", name))
        if tier.path is msgspec.UNSET and not tier.users and not tier.tags:
            at = document.at(("tiers", name))
            raise UsageError(f"{at}: the tier `{name}` has no user.", remedy="Add `path`, `users` or `tags` to it.")
        for index, other in enumerate(tier.reaches or ()):
            if other not in tiers or other == name:
                others = ", ".join(one for one in tiers if one != name) or "there is none"
                raise UsageError(f"{label('reaches', index)}: expected another tier ({others}), got `{other}`.")
    return tuple(
        Tier(
            name=name,
            path=None
            if tier.path is msgspec.UNSET
            else path_prefix(tier.path, _label(document, ("tiers", name))("path")),
            users=tuple(tier.users or ()),
            tags=tier.tags or {},
            roles=tuple(tier.roles),
            reaches=tuple(tier.reaches or ()),
        )
        for name, tier in tiers.items()
    )


def _roles(section: FileSchema, document: Document) -> dict[str, RoleSettings]:
    found = {}
    for name, entry in (section.roles or {}).items():
        if isinstance(entry, str):
            found[name] = RoleSettings(entry, "", "", _named(document, ("roles", name), name))
        else:
            label = _label(document, ("roles", name))
            found[name] = RoleSettings(entry.arn, entry.external_id or "", entry.duration or "", label)
    return found


def _line_of(rule: str, defaults: RuleValues, own: RuleValues, document: Document, position: Position) -> str:
    """Return the line of a rule that cannot be kept: in the entry if that sets rules of its own, otherwise at the top.

    Where the rule itself is a default, the line is that of a rule that it follows from.
    """
    values, at = (own, position) if own else (defaults, ())
    found = next((one for one in (rule, "grace", "soak", "window") if one in values), "")
    if rule == "schedule" and not own:
        found = rule
    return document.at((*at, *found.split(".")) if found else position)


def _selection(
    entry: Entry, defaults: RuleValues, label: Label, document: Document, position: Position, schedule: timedelta | None
) -> Selection:
    at = document.at(position)
    if entry.path is msgspec.UNSET and entry.users is msgspec.UNSET:
        raise UsageError(f"{at}: this entry selects no user.", remedy="Add `path` or `users` to it.")
    own = _rules(entry, label)
    try:
        policy = _policy(defaults, own, schedule)
    except UsageError as error:
        where = _line_of(error.message.partition(":")[0], defaults, own, document, position)
        raise UsageError(f"{where}: {error.message}", state=error.state, remedy=error.remedy) from None
    return select(
        path=None if entry.path is msgspec.UNSET else entry.path,
        users=entry.users or (),
        exclude=entry.exclude or (),
        store=targets.url_of(entry.store, label("store")),
        deliver=[targets.url_of(one, label("deliver", index)) for index, one in enumerate(entry.deliver or ())],
        lock=None if entry.lock is msgspec.UNSET else entry.lock,
        policy=policy,
        label=label,
        on_empty=entry.on_empty,
        hooks=hooks.hooks(entry.hooks, label),
        accounts=accounts.choices(entry.accounts, label),
        store_account=entry.store_account,
        deliver_account=entry.deliver_account or entry.store_account,
    )


def _rules(rules: Rules, label: Label) -> RuleValues:
    """Return the rules that are set, durations parsed, those of ``verify`` under their dotted names."""
    found = {key: getattr(rules, key) for key in Rules.__struct_fields__ if key != "verify"}
    if rules.verify is not msgspec.UNSET:
        found |= {f"verify.{key}": value for key, value in msgspec.structs.asdict(rules.verify).items()}
    return {
        key: durations.parse(value, label(key)) if key.rpartition(".")[2] in DURATIONS else value
        for key, value in found.items()
        if value is not msgspec.UNSET
    }


def _policy(defaults: RuleValues, own: RuleValues, schedule: timedelta | None = None) -> RotationPolicy:
    """Return the policy; raises ``UsageError`` where its parts do not fit together."""
    values = {**defaults, **own}
    verify = {key.removeprefix("verify."): values.pop(key) for key in list(values) if key.startswith("verify.")}
    if "regions" in verify:
        verify["regions"] = tuple(verify["regions"])
    requested = {_REQUESTED.get(key, key): value for key, value in values.items()}
    policy = RotationPolicy(**requested, verification=Verification(**verify))
    arithmetic.check(policy, schedule)
    return policy
