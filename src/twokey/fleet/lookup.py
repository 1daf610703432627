"""Finds the selected users in IAM. Trouble with one name or one path is that name's or that path's result."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from twokey.config.settings import same_name
from twokey.core.errors import BadCredentials, NotFound, ServiceError, Unreachable
from twokey.core.model import MachineUser
from twokey.core.reasons import Outcome, Reason
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from twokey.config.settings import Selection

AT_A_TIME = 16
"""Users that are read at a time: one that IAM throttles for minutes does not hold up the others."""


class FindsUsers(Protocol):
    """IAM, or one reading of the account."""

    def users(self, path: str) -> Iterator[MachineUser]:
        """List the users below a path prefix."""
        ...

    def user(self, name: str) -> MachineUser:
        """Read one user; raises ``NotFound``."""
        ...


@dataclass
class Lookup:
    """The users that were found, and why others were not.

    ``by_name`` has what IAM knows under each name, by ``same_name``; ``unlisted`` the entries whose path could not be
    listed, or not to its end; ``failed`` a result for each name and each path that could not be read, and ``errors``
    why; ``unmatched`` what in an entry matches no user; ``absent`` the names that IAM does not have, by ``same_name``.
    """

    by_name: dict[str, MachineUser | None]
    failed: list[Result] = field(default_factory=list)
    unlisted: list[Selection] = field(default_factory=list)
    errors: list[ServiceError] = field(default_factory=list)
    unmatched: list[tuple[Selection, str]] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, names: Iterable[str], iam: FindsUsers) -> Lookup:
        """Read each of these users once; raises ``BadCredentials``."""
        wanted: dict[str, str] = {}
        for name in names:
            wanted.setdefault(same_name(name), name)
        found = _read(list(wanted.values()), iam)
        if any(isinstance(one, NotFound) for one in found):
            found = _in_another_case(list(wanted.values()), found, iam)
        lookup = cls({})
        for (key, name), one in zip(wanted.items(), found, strict=True):
            lookup.by_name[key] = one if isinstance(one, MachineUser) else None
            if isinstance(one, NotFound):
                lookup.absent.add(key)
            if isinstance(one, ServiceError):
                lookup.errors.append(one)
                lookup.failed.append(_not_read(name, one))
        return lookup

    def users(self, selection: Selection, names: Sequence[str], iam: FindsUsers) -> list[MachineUser]:
        """Return the users that an entry selects; with ``names``, only those of them."""
        candidates = self._named(names or selection.users) if names or selection.users else self._listed(selection, iam)
        found = [user for user in candidates if selection.means(user)]
        if not names and selection not in self.unlisted:
            self.unmatched += [(selection, message) for message in _matches_none(selection, candidates)]
        return found

    def _named(self, names: Sequence[str]) -> list[MachineUser]:
        users = (self.by_name[name] for name in dict.fromkeys(map(same_name, names)))
        return [user for user in users if user]

    def _listed(self, selection: Selection, iam: FindsUsers) -> list[MachineUser]:
        path, users = selection.path or "/", []
        try:
            for user in iam.users(path):
                users.append(user)  # noqa: PERF402  those of the pages that were read count
        except BadCredentials:
            raise
        except ServiceError as error:
            self.unlisted.append(selection)
            self.errors.append(error)
            self.failed.append(_failed(path, path, f"The users below {path} cannot be listed: {error.message}", error))
        return users

    def check_reached(self, entries: int) -> None:
        """Raise the error where it is not that of one user among others: the only entry's, or no connection at all.

        Only for a lookup that found no user.
        """
        alone = entries == len(self.unlisted) == len(self.errors) == 1
        if self.errors and (alone or all(isinstance(error, Unreachable) for error in self.errors)):
            raise self.errors[0]


def conclude(unmatched: Iterable[tuple[Selection, str]]) -> tuple[list[Result], list[str]]:
    """Return what it means that parts of entries match no user, as each entry wants it: results, and warnings."""
    failed, warnings = [], []
    for selection, message in unmatched:
        if selection.on_empty == "warn":
            warnings.append(message)
        else:
            path = selection.path or "/"
            failed.append(no_result(path, f"{message} `on_empty: error` makes this a failure.", path))
    return failed, warnings


def _matches_none(selection: Selection, candidates: Sequence[MachineUser]) -> Iterator[str]:
    """Say what in an entry matches no user. ``candidates`` are the listed users, or those of its names that exist."""
    path = selection.path or "/"
    if not selection.users:
        if not candidates:
            yield f"{selection.named('path')}: there is no IAM user below {path}."
            return
        for index, pattern in selection.unmatched(user.name for user in candidates):
            yield f"{selection.named('exclude', index)}: `{pattern}` matches no user below {path}."
        if all(selection.leaves_out(user.name) for user in candidates):
            yield f"{selection.named('exclude')}: every user below {path} is left out."
        return
    for index, name in enumerate(selection.users):
        for user in candidates:
            if same_name(user.name) == same_name(name) and not user.path.startswith(path):
                yield f"{selection.named('users', index)}: {user.name} is not below {path}, but below {user.path}."


def _read(names: Sequence[str], iam: FindsUsers) -> list[MachineUser | ServiceError]:
    def read(name: str) -> MachineUser | ServiceError:
        try:
            return iam.user(name)
        except BadCredentials:
            raise
        except ServiceError as error:
            return error

    if len(names) < 2:
        return [read(name) for name in names]
    with ThreadPoolExecutor(max_workers=min(AT_A_TIME, len(names)), thread_name_prefix="lookup") as pool:
        return list(pool.map(read, names))


def _in_another_case(
    names: Sequence[str], found: Sequence[MachineUser | ServiceError], iam: FindsUsers
) -> list[MachineUser | ServiceError]:
    """Look for the names that were not found among all users; what cannot be listed stays not found."""
    try:
        listed = {same_name(user.name): user for user in iam.users("/")}
    except BadCredentials:
        raise
    except ServiceError:
        return list(found)
    return [
        listed.get(same_name(name), one) if isinstance(one, NotFound) else one
        for name, one in zip(names, found, strict=True)
    ]


UNTOUCHED = "Nothing was changed for it."


def _not_read(name: str, error: ServiceError) -> Result:
    if isinstance(error, NotFound):
        message = f"There is no IAM user {name} in this account."
        return no_result(name, f"{message} Check the name and the account: aws sts get-caller-identity.")
    return _failed(name, "", f"The user {name} cannot be read: {error.message}", error)


def _failed(name: str, path: str, message: str, error: ServiceError) -> Result:
    remedy = f" {error.remedy}" if error.remedy else ""
    return no_result(name, f"{message} {UNTOUCHED}{remedy}", path)


def no_result(name: str, message: str, path: str = "") -> Result:
    """Return the result of a name, or of a path, under which no user can be worked on."""
    return Result(MachineUser(name, path, "", "", ""), Outcome.FAILED, Reason.ERROR, message)


def not_covered(names: Sequence[str], known: Collection[str]) -> list[Result]:
    """Report each user that was named and that no entry of the configuration covers; ``known``: those accounted for."""
    seen = set(map(same_name, known))
    return [
        no_result(name, f"No entry of the configuration covers the user {name}. {UNTOUCHED}")
        for key, name in dict(zip(map(same_name, names), names, strict=True)).items()
        if key not in seen
    ]
