"""Many machine users in one run: who is meant, how many at a time, and that one failure stops nobody else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from twokey.core.errors import Failed, NotFound, UsageError
from twokey.core.model import MachineUser
from twokey.core.reasons import Outcome, Reason
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from twokey.aws.iam import Iam
    from twokey.config.settings import Selection
    from twokey.planning.policy import RotationPolicy


@dataclass(frozen=True, slots=True)
class Job:
    """One user, its rules, and the URLs of its store and destinations.

    ``chosen``: those of its destinations that a delivery is meant for; None means all.
    """

    user: MachineUser
    policy: RotationPolicy
    store: str
    deliver: tuple[str, ...]
    chosen: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Roster:
    """Who was selected, and the results of those who could not even be found."""

    jobs: tuple[Job, ...]
    failed: tuple[Result, ...] = ()


def select(
    selections: Sequence[Selection],
    names: Sequence[str],
    iam: Iam,
    fill: Callable[[str, MachineUser], str],
) -> Roster:
    """Find the users that the selections mean; with ``names``, only those of them.

    Raises ``UsageError`` where one user is selected twice, and ``Failed`` where nobody is selected at all.
    """
    jobs: list[Job] = []
    named = _by_name([*names, *(name for selection in selections for name in selection.users)], iam)
    asked = [name for name in named if name in names] if names else list(named)
    missing = [_no_such_user(name) for name in asked if named[name] is None]
    for selection in selections:
        for user in _members(selection, names, named, iam):
            try:
                places = (fill(selection.store, user), *(fill(url, user) for url in selection.deliver))
            except UsageError as error:  # this user's name does not fit the service: that stops nobody else
                missing.append(Result(user, Outcome.FAILED, Reason.ERROR, f"{error} Nothing was changed for it."))
            else:
                jobs.append(Job(user, selection.policy, places[0], places[1:]))
    missing += _not_selected(names, jobs, missing)
    if not jobs and not missing:
        raise Failed(
            "No machine user is selected.",
            state="Nothing was changed.",
            remedy="Check the path (IAM paths look like /machine-users/) and the account: aws sts get-caller-identity.",
        )
    check_distinct(jobs)
    return Roster(tuple(jobs), tuple(missing))


def pick(
    roster: Roster, selections: Sequence[Selection], urls: Sequence[str], fill: Callable[[str, MachineUser], str]
) -> Roster:
    """Choose these destinations of each user; one that the configuration gives to nobody is added to every user's.

    Users that have none of them are left out. Raises ``UsageError`` where two users would write the same place, and
    ``Failed`` where nobody is left.
    """
    if not urls:
        return roster
    taken = {place for job in roster.jobs for place in (job.store, *job.deliver)}
    taken |= {place for selection in selections for place in (selection.store, *selection.deliver)}
    jobs = []
    for job in roster.jobs:
        meant = dict.fromkeys(fill(url, job.user) for url in urls)
        chosen = tuple(place for place in meant if place in job.deliver or place not in taken)
        if chosen:
            jobs.append(replace(job, deliver=tuple(dict.fromkeys((*job.deliver, *chosen))), chosen=chosen))
    if not jobs and not roster.failed:
        raise Failed(
            f"None of the selected users delivers to {', '.join(urls)}.",
            state="Nothing was changed.",
            remedy="Check the URL against twokey.yaml, and the names of the users.",
        )
    check_distinct(jobs)
    return Roster(tuple(jobs), roster.failed)


def _members(
    selection: Selection, names: Sequence[str], named: dict[str, MachineUser | None], iam: Iam
) -> Iterator[MachineUser]:
    wanted = list(names or selection.users)
    if names and selection.users:
        wanted = [name for name in names if name in selection.users]
    found = (
        (named[name] for name in dict.fromkeys(wanted))
        if names or selection.users
        else iam.users(selection.path or "/")
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
    users: dict[str, Job] = {}
    for job in jobs:
        if job.user.name in users:
            raise UsageError(
                f"The user {job.user.name} is selected twice: for {users[job.user.name].store} and for {job.store}.",
                state="Nothing was changed.",
                remedy="Take it out of one of the entries (except: names users to leave out).",
            )
        users[job.user.name] = job


def check_apart(places: Mapping[str, Sequence[tuple[str, frozenset[str]]]]) -> None:
    """Raise ``UsageError`` if two users, or one twice, would write the same: each one's places and their slots."""
    seen: dict[str, tuple[str, str]] = {}
    for user, theirs in places.items():
        for place, slots in theirs:
            for slot in slots:
                if slot in seen:
                    other, first = seen[slot]
                    who = f"{other} and {user}" if other != user else f"{user}, twice,"
                    also = f" (as {first})" if first != place else ""
                    raise UsageError(
                        f"{who} would write the same place: {place}{also}.",
                        state="Nothing was changed.",
                        remedy="Put {user} into its URL, or, where it holds variables, give each user's values names "
                        "of their own: id={USER}_ID.",
                    )
                seen[slot] = (user, place)


def too_many(jobs: Sequence[Job], most: int) -> list[Result]:
    """Refuse every job: more are selected than may be touched in one run."""
    message = (
        f"{len(jobs)} users are selected, one run may touch {most}. Nothing was changed; if all are meant: "
        f"--max-users {len(jobs)}."
    )
    return [Result(job.user, Outcome.REFUSED, Reason.TOO_MANY_USERS, message) for job in jobs]
