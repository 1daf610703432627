"""The settings of a run, as frozen values that are checked where they are created."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from twokey.core.errors import UsageError
from twokey.destinations.address import without_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from twokey.alerts.settings import Alerts
    from twokey.config.account_settings import AccountSettings
    from twokey.config.wave_settings import StopSettings, WaveSettings
    from twokey.core.accounts import Account, AccountChoice
    from twokey.core.hooks import Hook, HookName
    from twokey.core.model import MachineUser
    from twokey.destinations.connections import Configured
    from twokey.destinations.sources import Source
    from twokey.planning.policy import RotationPolicy

AccountOfDestination = Literal["member", "central"]
_PATH = re.compile(r"/|/[!-\x7f]{1,510}/")
_USER = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Selection:
    """Some machine users, their destinations, and the rules for them."""

    path: str | None
    """An IAM path prefix such as ``/machine-users/``; None where users are named."""
    users: tuple[str, ...]
    """User names, instead of a path; with a path: only these users below it."""
    exclude: tuple[str, ...]
    """Patterns of users to leave out, as a shell matches names, without regard to case."""
    store: str
    deliver: tuple[str, ...]
    policy: RotationPolicy
    on_empty: Literal["warn", "error"] = "warn"
    """What it means if a path, or a pattern, matches no user."""
    label: Label | None = field(default=None, compare=False, repr=False)
    lock: str | None = None
    """The URL of a lock beside the store."""
    hooks: Mapping[HookName, Hook] = field(default_factory=dict)
    accounts: tuple[AccountChoice, ...] = ()
    """The accounts of its users; all accounts of the run without any."""
    store_account: AccountOfDestination = "member"
    """Whether the store and its lock, where they are in AWS, are in the user's account, or in that of twokey itself."""
    deliver_account: AccountOfDestination = "member"
    """The same for the other destinations."""

    @property
    def one_user(self) -> bool:
        """Whether it cannot select more than one user."""
        return len(self.users) == 1

    def is_for(self, account: Account) -> bool:
        """Return whether it selects users of an account."""
        return not self.accounts or any(choice.means(account) for choice in self.accounts)

    def means(self, user: MachineUser) -> bool:
        """Return whether it selects a user."""
        if self.users and same_name(user.name) not in map(same_name, self.users):
            return False
        return user.path.startswith(self.path or "/") and not self.leaves_out(user.name)

    def is_shared(self, key: str, template: str) -> bool:
        """Return whether a URL means the same for all accounts: all do but those in the AWS account of each user."""
        from twokey.destinations import registry

        in_aws = key == "lock" or registry.kind_of(registry.parse(template).scheme).resources is not None
        which = self.deliver_account if key == "deliver" else self.store_account
        return which == "central" or not in_aws

    def leaves_out(self, name: str) -> bool:
        """Return whether one of its patterns excludes a name."""
        return any(_matches(name, pattern) for pattern in self.exclude)

    def unmatched(self, names: Iterable[str]) -> Iterator[tuple[int, str]]:
        """Return the patterns that exclude none of these names, with their positions in the list."""
        found = list(names)
        for index, pattern in enumerate(self.exclude):
            if not any(_matches(name, pattern) for name in found):
                yield index, pattern

    def named(self, key: str, item: int | None = None) -> str:
        """Return where a value was set, as a message begins."""
        return self.label(key, item) if self.label else f"`{key}`"

    @property
    def urls(self) -> tuple[tuple[str, str], ...]:
        """The URLs of the store and of the other destinations, each with the position in a file that it has."""
        entries = (("store", None, self.store), *(("deliver", index, url) for index, url in enumerate(self.deliver)))
        return tuple((url, self._position(key, index)) for key, index, url in entries)

    def _position(self, key: str, item: int | None) -> str:
        named = self.named(key, item)
        return f"{named}: " if " line " in named else ""


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier of machine users, such as production: who belongs to it, its roles, and which tiers it reaches too."""

    name: str
    path: str | None
    users: tuple[str, ...]
    """Patterns of names, as a shell matches them, without regard to case."""
    tags: Mapping[str, str]
    roles: tuple[str, ...]
    """ARNs, with ``*`` for any part of a name."""
    reaches: tuple[str, ...]

    def has(self, name: str, path: str, tags: Mapping[str, str]) -> bool:
        """Return whether a user belongs to the tier: by path, by name, or by a tag."""
        return (
            (self.path is not None and path.startswith(self.path))
            or any(_matches(name, pattern) for pattern in self.users)
            or any(tags.get(key) == value for key, value in self.tags.items())
        )


@dataclass(frozen=True, slots=True)
class AuditFile:
    """The file of the audit log. ``label``: how an error about it begins, such as ``twokey.yaml line 4``."""

    path: Path
    label: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a run. ``source`` names the file, or the command line."""

    selections: tuple[Selection, ...]
    max_users: int
    concurrency: int
    source: str
    audit_log: AuditFile | None = None
    connections: Mapping[str, Configured] = field(default_factory=dict)
    schedule: timedelta | None = None
    """The time between two runs, if it is known."""
    roles: Mapping[str, RoleSettings] = field(default_factory=dict)
    """The roles that jobs assume, by name."""
    tiers: tuple[Tier, ...] = ()
    alerts: Alerts | None = None
    on_leak: Literal["report", "revoke"] = "report"
    github_webhook_secret: Source | None = None
    """The secret of the webhook whose alerts about leaked keys ``twokey watch`` reads."""
    secret_at: str = ""
    """Its line, as a message begins."""
    accounts: AccountSettings | None = None
    """The accounts that the run acts in; None for that of the credentials that twokey runs with."""
    waves: tuple[WaveSettings, ...] = ()
    stop_after: StopSettings | None = None
    """How many users of a wave may fail; None for any number."""

    def account_name(self, account_id: str) -> str:
        """Return the name of a listed account; the id of one whose name only the organization knows."""
        listed = self.accounts.listed if self.accounts else ()
        return next((one.name for one in listed if one.id == account_id and one.name), account_id)

    def tier(self, name: str) -> Tier:
        """Return the tier of a name; raises ``UsageError`` where there is none."""
        for tier in self.tiers:
            if tier.name == name:
                return tier
        known = ", ".join(tier.name for tier in self.tiers) or "none"
        raise UsageError(f"There is no tier {name!r} in {self.source}. Its tiers: {known}.")

    def reached_roles(self, tier: Tier) -> tuple[str, ...]:
        """Return the roles that users of a tier may assume: those of the tier, and of the tiers that it reaches."""
        tiers = (tier, *(self.tier(name) for name in tier.reaches))
        return tuple(dict.fromkeys(role for one in tiers for role in one.roles))


@dataclass(frozen=True, slots=True)
class RoleSettings:
    """An entry of ``roles``, as it is written. ``label`` names the lines of its keys."""

    arn: str
    external_id: str
    duration: str
    label: Label


class Label(Protocol):
    """Names the origin of a value, as an error begins: ``twokey.yaml line 4: `path` `` or ``--path``."""

    def __call__(self, key: str, item: int | None = None) -> str:
        """Return the name of a key, or of one item of its list."""
        ...


def same_name(name: str) -> str:
    """Return what is equal for two spellings of one user name: IAM tells no names apart by case.

    See "IAM and AWS STS quotas", names.
    """
    return name.casefold()


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(same_name(name), same_name(pattern))


def path_prefix(text: str, what: str = "path") -> str:
    """Return an IAM path prefix with its slashes: ``a/b`` and ``/a/b/`` are both ``/a/b/``.

    Raises ``UsageError`` for what cannot be an IAM path. AWS's IAM User Guide, "IAM identifiers": 1 to 512
    characters, ``/`` at both ends, in between ASCII from ``!`` to DEL.
    """
    inner = text.strip("/")
    path = f"/{inner}/" if inner else "/"
    if not text:
        raise UsageError(f"{what}: the IAM path is empty.", remedy="Write `/` to select every user of the account.")
    if len(path) > 512:
        raise UsageError(f"{what}: expected at most 512 characters for an IAM path, got {len(path)}.")
    if not _PATH.fullmatch(path):
        raise UsageError(
            f"{what}: expected an IAM path, got {text!r}.",
            remedy="Use ASCII characters without spaces, such as /machine-users/.",
        )
    return path


def user_name(text: str, what: str = "USER") -> str:
    """Return an IAM user name; raises ``UsageError`` for what cannot be one (IAM's API: CreateUser, UserName)."""
    if not _USER.fullmatch(text):
        raise UsageError(
            f"{what}: expected an IAM user name, got {text!r}.",
            remedy="Use 1 to 64 characters: letters, digits and +=,.@_-.",
        )
    return text


def select(
    *,
    path: str | None,
    users: Sequence[str],
    exclude: Sequence[str],
    store: str,
    deliver: Sequence[str],
    policy: RotationPolicy,
    label: Label,
    on_empty: Literal["warn", "error"] = "warn",
    lock: str | None = None,
    hooks: Mapping[HookName, Hook] | None = None,
    accounts: tuple[AccountChoice, ...] = (),
    store_account: AccountOfDestination = "member",
    deliver_account: AccountOfDestination = "member",
) -> Selection:
    """Check one entry, and return it; raises ``UsageError`` that begins with ``label(key)``."""
    selection = Selection(
        path=None if path is None else path_prefix(path, label("path")),
        users=tuple(user_name(name, label("users", index)) for index, name in enumerate(users)),
        exclude=tuple(exclude),
        store=store,
        deliver=tuple(deliver),
        policy=policy,
        on_empty=on_empty,
        label=label,
        lock=lock,
        hooks=hooks or {},
        accounts=accounts,
        store_account=store_account,
        deliver_account=deliver_account,
    )
    _check_excluded(selection, label)
    for key, index, template in _templates(selection):
        # Which users a path has is known later; a pipeline of one user needs no field.
        several = len(selection.users) != 1 if key == "store" else len(selection.users) > 1
        _check_template(template, label(key, index), one_user=not several, store=key == "store")
    if lock is not None:
        _check_lock(lock, label("lock"), one_user=len(selection.users) == 1)
    return selection


_ONE_ENTRY = "Keep one entry for each user."
_ONE_OF_THEM = "Remove one of the two."
_OWN_NAMES = (
    "Each user would overwrite the other there. Put {user} into the URL, or, where it holds variables, give each user "
    "separate variable names: id={USER}_ID&secret={USER}_SECRET."
)


def together(entries: Sequence[tuple[Selection, Label]]) -> tuple[Selection, ...]:
    """Return the entries; raises ``UsageError`` where two of them select the same user or write to one destination.

    Only what names and templates show is found here; ``fleet.roster`` finds what shows once the users are listed.
    """
    names: dict[object, str] = {}
    shared: dict[object, str] = {}
    whole_paths: dict[object, str] = {}
    for selection, label in entries:
        # Entries for other accounts may select other users of the same names.
        where = selection.accounts
        for index, name in enumerate(selection.users):
            _refuse_second(
                names, (same_name(name), where), label("users", index), f"the user `{name}` is named a second time"
            )
        if selection.path is not None and not selection.users and not selection.exclude:
            _refuse_second(
                whole_paths, (selection.path, where), label("path"), f"`{selection.path}` is selected a second time"
            )
        _check_destinations(selection, label, shared)
    return tuple(selection for selection, _ in entries)


def _check_destinations(selection: Selection, label: Label, shared: dict[object, str]) -> None:
    own: dict[object, str] = {}
    for key, index, template in _templates(selection):
        where, message = label(key, index), f"`{template}` is written to a second time"
        _refuse_second(own, template, where, message, _ONE_OF_THEM)
        # A template with a field may differ from entry to entry: what it means is known once the users are listed.
        if without_fields(template) == template:
            # In the accounts of two entries' users, one URL in AWS means two things.
            accounts = () if selection.is_shared(key, template) else selection.accounts
            _refuse_second(shared, (template, accounts), where, message, _OWN_NAMES)


def _refuse_second(seen: dict[object, str], key: object, where: str, message: str, remedy: str = _ONE_ENTRY) -> None:
    if key in seen:
        first = seen[key]
        raise UsageError(
            f"{where}: {message}" + (f"; the first is {first}." if first != where else "."),
            remedy=remedy,
        )
    seen[key] = where


def _templates(selection: Selection) -> Iterator[tuple[str, int | None, str]]:
    yield "store", None, selection.store
    for index, template in enumerate(selection.deliver):
        yield "deliver", index, template


def _check_excluded(selection: Selection, label: Label) -> None:
    for index, name in enumerate(selection.users):
        pattern = next((pattern for pattern in selection.exclude if _matches(name, pattern)), None)
        if pattern is not None:
            raise UsageError(
                f"{label('users', index)}: `{name}` is named here and excluded by `{pattern}`.",
                remedy="Remove one of the two.",
            )


def _check_template(template: str, what: str, *, one_user: bool, store: bool) -> None:
    from twokey.destinations import registry

    try:
        address = registry.parse(template, registry.store_schemes if store else None)
        scheme = address.scheme
        if store and registry.can_be_store(scheme):
            registry.check_store(address)
    except UsageError as error:
        raise UsageError(f"{what}: {error.message}", state=error.state, remedy=error.remedy) from None
    if store and not registry.can_be_store(scheme):
        raise UsageError(
            f"{what}: `{template}` cannot be a store, because its credential cannot be read back.",
            remedy=f"Use one of {', '.join(registry.store_schemes())}.",
        )
    if not one_user and not registry.names_user(template):
        raise UsageError(
            f"{what}: `{template}` would be the same for every selected user, and each user's key would overwrite the "
            "others there.",
            remedy="Put {user} into the URL, or, where it holds variables, give each user separate variable names: "
            "id={USER}_ID&secret={USER}_SECRET. Or select one user.",
        )


def _check_lock(template: str, what: str, *, one_user: bool) -> None:
    from twokey.destinations.address import names_user
    from twokey.destinations.locks import registry

    try:
        registry.parse(template)
    except UsageError as error:
        raise UsageError(f"{what}: {error.message}", state=error.state, remedy=error.remedy) from None
    if not one_user and not names_user(template):
        raise UsageError(
            f"{what}: `{template}` would be the same for every selected user, and their runs would take it from each "
            "other.",
            remedy="Put {user} into the URL, or select one user.",
        )
