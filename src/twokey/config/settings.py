"""What a run is asked to do, as frozen values that were checked where they are made."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from twokey.destinations.connections import Configured
    from twokey.planning.policy import RotationPolicy

_PATH = re.compile(r"/|/[!-\x7f]{1,510}/")
_USER = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Selection:
    """Some machine users, where their credentials go, and the rules for them."""

    path: str | None
    """An IAM path prefix such as ``/machine-users/``; None where users are named."""
    users: tuple[str, ...]
    """User names, instead of a path; with a path: only these of it."""
    exclude: tuple[str, ...]
    """Patterns (``fnmatch.fnmatchcase``) of users to leave alone."""
    store: str
    deliver: tuple[str, ...]
    policy: RotationPolicy

    @property
    def one_user(self) -> bool:
        """Whether no more than one user can be meant."""
        return len(self.users) == 1


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a run is asked to do. ``source`` names the file, or the command line."""

    selections: tuple[Selection, ...]
    max_users: int
    concurrency: int
    source: str
    audit_log: Path | None = None
    connections: Mapping[str, Configured] = field(default_factory=dict)


class Naming(Protocol):
    """Says where a value was given, as an error begins: ``twokey.yaml line 4: `path` `` or ``--path``."""

    def __call__(self, key: str, item: int | None = None) -> str:
        """Name a key, or one item of its list."""
        ...


def path_prefix(text: str, what: str = "path") -> str:
    """Return an IAM path prefix with its slashes: ``a/b`` and ``/a/b/`` are both ``/a/b/``.

    Raises ``UsageError`` for what IAM has no path like. AWS's IAM User Guide, "IAM identifiers": 1 to 512
    characters, ``/`` at both ends, in between ASCII from ``!`` to DEL.
    """
    inner = text.strip("/")
    path = f"/{inner}/" if inner else "/"
    if not text:
        raise UsageError(f"{what}: the IAM path is empty.", remedy="Write `/` if every user of the account is meant.")
    if len(path) > 512:
        raise UsageError(f"{what}: an IAM path has at most 512 characters, this one has {len(path)}.")
    if not _PATH.fullmatch(path):
        raise UsageError(
            f"{what}: {text!r} is no IAM path.",
            remedy="It is made of ASCII characters without spaces: /machine-users/.",
        )
    return path


def user_name(text: str, what: str = "user") -> str:
    """Return an IAM user name; raises ``UsageError`` for what cannot be one (IAM's API: CreateUser, UserName)."""
    if not _USER.fullmatch(text):
        raise UsageError(
            f"{what}: {text!r} is no IAM user name.", remedy="It has 1 to 64 characters: letters, digits and +=,.@_-."
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
    called: Naming,
) -> Selection:
    """Check what one entry says, and return it; raises ``UsageError`` that begins with ``called(key)``."""
    selection = Selection(
        path=None if path is None else path_prefix(path, called("path")),
        users=tuple(user_name(name, called("users", index)) for index, name in enumerate(users)),
        exclude=tuple(exclude),
        store=store,
        deliver=tuple(deliver),
        policy=policy,
    )
    _check_excluded(selection, called)
    for key, index, template in _templates(selection):
        # Which users a path has is known later; one user's pipeline needs no field.
        several = len(selection.users) != 1 if key == "store" else len(selection.users) > 1
        _check_template(template, called(key, index), one_user=not several, store=key == "store")
    return selection


_ONE_ENTRY = "Each user has one entry."
_OWN_NAMES = (
    "Each user would overwrite the other there. Put {user} into it, or, where it holds variables, give each user names "
    "of its own: id={USER}_ID&secret={USER}_SECRET."
)


def together(entries: Sequence[tuple[Selection, Naming]]) -> tuple[Selection, ...]:
    """Return the entries; raises ``UsageError`` where two of them select the same user or write to the same place.

    Only what names and templates show is found here; what shows after the users were listed is found there.
    """
    names: dict[str, str] = {}
    places: dict[str, str] = {}
    whole_paths: dict[str, str] = {}
    for selection, called in entries:
        for index, name in enumerate(selection.users):
            # IAM tells no user names apart by case ("IAM and AWS STS quotas", names).
            _refuse_second(names, name.casefold(), called("users", index), f"the user `{name}` is named a second time")
        if selection.path is not None and not selection.users and not selection.exclude:
            _refuse_second(whole_paths, selection.path, called("path"), f"`{selection.path}` is selected a second time")
        _check_places(selection, called, places)
    return tuple(selection for selection, _ in entries)


def _check_places(selection: Selection, called: Naming, fixed: dict[str, str]) -> None:
    own: dict[str, str] = {}
    for key, index, template in _templates(selection):
        # One entry's templates differ for each of its users; a template without {user} is one place for all entries.
        places = own if "{user}" in template else fixed
        said = f"`{template}` is written to a second time"
        _refuse_second(places, template, called(key, index), said, _OWN_NAMES)


def _refuse_second(seen: dict[str, str], key: str, where: str, message: str, remedy: str = _ONE_ENTRY) -> None:
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


def _check_excluded(selection: Selection, called: Naming) -> None:
    for index, name in enumerate(selection.users):
        pattern = next((pattern for pattern in selection.exclude if fnmatch.fnmatchcase(name, pattern)), None)
        if pattern is not None:
            raise UsageError(f"{called('users', index)}: `{name}` is named, and left out by `{pattern}`.")


def _check_template(template: str, what: str, *, one_user: bool, store: bool) -> None:
    from twokey.destinations import registry

    try:
        address = registry.parse(template)
        scheme = address.scheme
        if store and registry.can_be_store(scheme):
            registry.check_store(address)
    except UsageError as error:
        raise UsageError(f"{what}: {error.message}", state=error.state, remedy=error.remedy) from None
    if store and not registry.can_be_store(scheme):
        raise UsageError(
            f"{what}: `{template}` cannot be a store, because it cannot be read back.",
            remedy=f"Use one of {', '.join(registry.STORES)}.",
        )
    if not one_user and not registry.names_user(template):
        raise UsageError(
            f"{what}: `{template}` is one place, but several users may be meant: each would overwrite the other.",
            remedy="Put {user} into it, or, where it holds variables, give each user names of its own: "
            "id={USER}_ID&secret={USER}_SECRET. Or name one user.",
        )
