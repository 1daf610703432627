"""The users of a run: who is selected, where each credential goes, and that no two users overwrite each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from twokey.core.errors import Failed, NotFound, UsageError
from twokey.core.model import MachineUser, UserKey
from twokey.core.reasons import Outcome, Reason
from twokey.fleet.names import Names
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from twokey.aws.iam import Iam
    from twokey.config.settings import Selection
    from twokey.planning.policy import RotationPolicy

    Targets = Sequence[tuple[str, frozenset[str]]]
    """The destinations of one user: the name of each, and identifiers of what it writes to."""

UNCHANGED = "Nothing was changed."


@dataclass(frozen=True, slots=True)
class Job:
    """One user, its rules, and the URLs of its store and destinations.

    ``targets``: those of its destinations that a delivery is meant for; None means all.
    """

    user: MachineUser
    policy: RotationPolicy
    store: str
    deliver: tuple[str, ...]
    targets: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Roster:
    """The selected users, and the results of those that were not found."""

    jobs: tuple[Job, ...]
    failed: tuple[Result, ...] = ()

    @classmethod
    def of_accounts(cls, rosters: Iterable[Roster]) -> Roster:
        """Return the users of several accounts as one roster; raises ``UsageError`` if a user is in it twice."""
        parts = list(rosters)
        jobs = tuple(job for part in parts for job in part.jobs)
        check_distinct(jobs)
        return cls(jobs, tuple(result for part in parts for result in part.failed))


def select(
    selections: Sequence[Selection],
    names: Sequence[str],
    iam: Iam,
    fill: Callable[[str, MachineUser], str],
) -> Roster:
    """Find the users that the selections mean; with ``names``, only those of them.

    Raises ``UsageError`` where one user is selected twice, and ``Failed`` where no user is selected at all.
    """
    jobs: list[Job] = []
    named = _by_name([*names, *(name for selection in selections for name in selection.users)], iam)
    requested = [name for name in named if name in names] if names else list(named)
    missing = [_no_such_user(name) for name in requested if named[name] is None]
    for selection in selections:
        for user in _members(selection, names, named, iam):
            try:
                store, *deliver = (fill(url, user) for url in (selection.store, *selection.deliver))
            except UsageError as error:  # this user's name does not fit the service: that stops no other user
                missing.append(Result(user, Outcome.FAILED, Reason.ERROR, f"{error} Nothing was changed for it."))
            else:
                jobs.append(Job(user, selection.policy, store, tuple(deliver)))
    missing += _not_selected(names, jobs, missing)
    if not jobs and not missing:
        raise Failed(
            "No machine user is selected.",
            state=UNCHANGED,
            remedy="Check the path (IAM paths look like /machine-users/) and the account: aws sts get-caller-identity.",
        )
    check_distinct(jobs)
    return Roster(tuple(jobs), tuple(missing))


def select_destinations(
    roster: Roster, selections: Sequence[Selection], urls: Sequence[str], fill: Callable[[str, MachineUser], str]
) -> Roster:
    """Select these destinations of each user; one that the configuration gives to no user is added to every user's.

    Users that have none of them are left out. Raises ``UsageError`` where two users would write the same, and
    ``Failed`` where no user is left.
    """
    if not urls:
        return roster
    configured = {url for job in roster.jobs for url in (job.store, *job.deliver)}
    configured |= {url for selection in selections for url in (selection.store, *selection.deliver)}
    jobs = []
    for job in roster.jobs:
        filled = dict.fromkeys(fill(url, job.user) for url in urls)
        targets = tuple(url for url in filled if url in job.deliver or url not in configured)
        if targets:
            jobs.append(replace(job, deliver=tuple(dict.fromkeys((*job.deliver, *targets))), targets=targets))
    if not jobs and not roster.failed:
        raise Failed(
            f"None of the selected users delivers to {', '.join(urls)}.",
            state=UNCHANGED,
            remedy="Check the URL against twokey.yaml, and the names of the users.",
        )
    check_distinct(jobs)
    return Roster(tuple(jobs), roster.failed)


def _members(
    selection: Selection, names: Sequence[str], named: dict[str, MachineUser | None], iam: Iam
) -> Iterator[MachineUser]:
    meant = list(names or selection.users)
    if names and selection.users:
        meant = [name for name in names if name in selection.users]
    found = (
        (named[name] for name in dict.fromkeys(meant)) if names or selection.users else iam.users(selection.path or "/")
    )
    for user in found:
        if user and user.path.startswith(selection.path or "/") and not _excluded(user, selection):
            yield user


def _by_name(names: Sequence[str], iam: Iam) -> dict[str, MachineUser | None]:
    """Read each named user once; None for one that does not exist."""
    found: dict[str, MachineUser | None] = {}
    for name in dict.fromkeys(names):
        try:
            found[name] = iam.user(name)
        except NotFound:
            found[name] = None
    return found


def _excluded(user: MachineUser, selection: Selection) -> bool:
    return any(fnmatchcase(user.name, pattern) for pattern in selection.exclude)


def _not_selected(names: Sequence[str], jobs: Sequence[Job], missing: list[Result]) -> list[Result]:
    """Report each user that was named and that no entry of the configuration covers."""
    known = {job.user.name for job in jobs} | {result.user.name for result in missing}
    return [
        Result(
            MachineUser(name, "", "", "", ""),
            Outcome.FAILED,
            Reason.ERROR,
            f"No entry of the configuration covers the user {name}. Nothing was changed for it.",
        )
        for name in dict.fromkeys(names)
        if name not in known
    ]


def _no_such_user(name: str) -> Result:
    return Result(
        MachineUser(name, "", "", "", ""),
        Outcome.FAILED,
        Reason.ERROR,
        f"There is no IAM user {name} in this account. Check the name and the account: aws sts get-caller-identity.",
    )


def check_distinct(jobs: Sequence[Job]) -> None:
    """Raise ``UsageError`` if a user is selected twice."""
    named = Names(job.user.key for job in jobs)
    users: dict[UserKey, Job] = {}
    for job in jobs:
        key = job.user.key
        if key in users:
            raise UsageError(
                f"The user {named(key)} is selected twice: for {users[key].store} and for {job.store}.",
                state=UNCHANGED,
                remedy="Take it out of one of the entries (except: names users to leave out).",
            )
        users[key] = job


def check_apart(users: Mapping[UserKey, Targets]) -> None:
    """Raise ``UsageError`` if two users, or two destinations of one user, would write the same."""
    named = Names(users)
    writers: dict[str, tuple[UserKey, str]] = {}
    for key, targets in users.items():
        for name, written in targets:
            for one in written:
                if one in writers:
                    raise _overlap(writers[one], (key, name), named)
                writers[one] = (key, name)


def _overlap(first: tuple[UserKey, str], second: tuple[UserKey, str], named: Names) -> UsageError:
    (other, also), (user, destination) = first, second
    who = f"{named(user)}, twice," if other == user else f"{named(other)} and {named(user)}"
    same = f" (as {also})" if also != destination else ""
    fields = "{account} and {user}" if other.account != user.account else "{user}"
    return UsageError(
        f"{who} would write to the same destination: {destination}{same}.",
        state=UNCHANGED,
        remedy=f"Put {fields} into its URL, or, where it holds variables, give each user separate variable names: "
        "id={USER}_ID.",
    )


def too_many(jobs: Sequence[Job], most: int) -> list[Result]:
    """Refuse every job: more users are selected than one run may change."""
    message = (
        f"{len(jobs)} users are selected; one run may change at most {most}. Nothing was changed. To change all of "
        f"them, add --max-users {len(jobs)}."
    )
    return [Result(job.user, Outcome.REFUSED, Reason.TOO_MANY_USERS, message) for job in jobs]
