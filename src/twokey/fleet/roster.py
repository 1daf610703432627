"""The users of a run: who is selected, where each credential goes, and that no two users overwrite each other."""

from __future__ import annotations

import heapq
from array import array
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from twokey.core.errors import Failed, UsageError
from twokey.core.reasons import Outcome, Reason
from twokey.destinations.address import fill
from twokey.fleet import packed
from twokey.fleet.lookup import UNTOUCHED, Lookup, conclude, not_covered
from twokey.fleet.names import Names
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from twokey.config.settings import AccountOfDestination, Selection
    from twokey.core.hooks import Hook, HookName
    from twokey.core.model import MachineUser, UserKey
    from twokey.fleet.lookup import FindsUsers
    from twokey.planning.policy import RotationPolicy

    Targets = Sequence[tuple[str, frozenset[str]]]
    """The destinations of one user: the name of each, and identifiers of what it writes to."""

UNCHANGED = "Nothing was changed."
PATHS_NAMED = 3
"""Up to how many paths a message names."""


@dataclass(frozen=True, slots=True)
class Job:
    """One user, its rules, and the URLs of its store and destinations.

    ``targets``: those of its destinations that a delivery is meant for; None means all. ``lock``: the URL of the
    store's lock.
    """

    user: MachineUser
    policy: RotationPolicy
    store: str
    deliver: tuple[str, ...]
    targets: tuple[str, ...] | None = None
    lock: str | None = None
    hooks: Mapping[HookName, Hook] = field(default_factory=dict)
    store_account: AccountOfDestination = "member"
    """The account of the store and its lock, where they are in AWS: the user's, or that of twokey itself."""
    deliver_account: AccountOfDestination = "member"
    """The same for the other destinations."""
    positions: tuple[str, ...] = field(default=(), compare=False, repr=False)
    """Where the file names the store and each destination, as messages begin; each is empty without a file."""

    def at(self, url: str) -> str:
        """Return where the file names a URL of this user, as a message begins."""
        urls = (self.store, *self.deliver)
        known = dict(zip(reversed(urls[: len(self.positions)]), reversed(self.positions), strict=True))
        return known.get(url, "")


@dataclass(frozen=True, slots=True)
class Roster:
    """The selected users, the results of those that were not found, and what else the operator should know."""

    jobs: Sequence[Job]
    failed: tuple[Result, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def of_accounts(cls, rosters: Iterable[Roster]) -> Roster:
        """Return the users of several accounts as one roster; raises ``UsageError`` if a user is in it twice."""
        parts = list(rosters)
        jobs = packed.joined([part.jobs for part in parts])
        check_distinct(jobs)
        failed = tuple(result for part in parts for result in part.failed)
        return cls(jobs, failed, tuple(dict.fromkeys(warning for part in parts for warning in part.warnings)))


def select(
    selections: Sequence[Selection],
    names: Sequence[str],
    iam: FindsUsers,
    fill: Callable[[str, MachineUser], str],
    account: Callable[[], str] = lambda: "this account",
) -> Roster:
    """Find the users that the selections mean; with ``names``, only those of them.

    Raises ``UsageError`` where one user is selected twice, and ``Failed`` where no user is selected at all: the error
    names the ``account``.
    What keeps some of them from being found is their result; what keeps all of them is raised.
    """
    found = find(selections, names, iam, fill)
    failed, warnings = conclude(found.lookup.unmatched)
    jobs = found.jobs
    if not jobs and not found.unfit:
        found.lookup.check_reached(len(selections))
    missing = [*found.lookup.failed, *failed, *found.unfit]
    missing += not_covered(names, [*(job.user.name for job in jobs), *(result.user.name for result in missing)])
    if not jobs and not missing:
        raise none_selected(selections, account(), warnings)
    return Roster(packed.jobs(jobs), tuple(missing), tuple(warnings))


@dataclass(frozen=True, slots=True)
class Found:
    """The selected users of one account, the results of those whose names do not fit, and what else was looked up."""

    jobs: list[Job]
    unfit: list[Result]
    lookup: Lookup


def find(
    selections: Sequence[Selection],
    names: Sequence[str],
    iam: FindsUsers,
    fill: Callable[[str, MachineUser], str],
) -> Found:
    """Find the users of one account that the selections mean; with ``names``, only those of them.

    Raises ``UsageError`` where one user is selected twice.
    """
    lookup = Lookup.of(names or [name for selection in selections for name in selection.users], iam)
    entries: list[tuple[Selection, Job]] = []
    unfit: list[Result] = []
    for selection in selections:
        positions = tuple(at for _, at in selection.urls)
        for user in lookup.users(selection, names, iam):
            try:
                entries.append((selection, _job(selection, user, fill, positions)))
            except UsageError as error:  # this user's name does not fit the service: that stops no other user
                unfit.append(Result(user, Outcome.FAILED, Reason.ERROR, f"{error} {UNTOUCHED}"))
    jobs = [job for _, job in entries]
    # An entry selects the users that it means, also where IAM did not list them for it.
    check_distinct([*jobs, *_selected_again(entries, lookup.unlisted)])
    return Found(jobs, unfit, lookup)


def _job(
    selection: Selection, user: MachineUser, fill: Callable[[str, MachineUser], str], positions: tuple[str, ...]
) -> Job:
    store, *deliver = (fill(url, user) for url in (selection.store, *selection.deliver))
    return Job(
        user,
        selection.policy,
        store,
        tuple(deliver),
        lock=selection.lock and fill_lock(selection.lock, user),
        hooks=selection.hooks,
        store_account=selection.store_account,
        deliver_account=selection.deliver_account,
        positions=positions,
    )


def none_selected(selections: Sequence[Selection], account: str, warnings: Sequence[str]) -> Failed:
    """Return the error for a run that selects no user; ``warnings`` say what of the selections matches none."""
    paths = list(dict.fromkeys(selection.path or "/" for selection in selections))
    below = " or ".join(paths) if len(paths) <= PATHS_NAMED else f"any of the {len(paths)} paths"
    by_path = not any(selection.users or selection.exclude for selection in selections)
    return Failed(
        f"No IAM user is below {below} in {account}."
        if by_path
        else " ".join([f"No IAM user of {account} is selected.", *warnings]),
        state=UNCHANGED,
        remedy="Check the path (IAM paths look like /machine-users/) and the account: aws sts get-caller-identity.",
    )


def fill_lock(template: str, user: MachineUser) -> str:
    """Fill the fields of a lock's URL in for one user; raises ``UsageError`` where a name does not fit the service."""
    from twokey.destinations.locks import registry

    filled = fill(template, user=user.name, path=user.path, account=user.account, name=user.account_name)
    return registry.parse(filled).url


def _selected_again(entries: Sequence[tuple[Selection, Job]], unlisted: Sequence[Selection]) -> Iterator[Job]:
    for selection in unlisted:
        for entry, job in entries:
            if entry is not selection and selection.means(job.user):
                yield replace(job, store=selection.store, positions=tuple(at for _, at in selection.urls)[:1])


def select_destinations(
    roster: Roster,
    selections: Sequence[Selection],
    urls: Sequence[str],
    fill: Callable[[str, MachineUser], str],
    accept: Callable[[str], bool],
    known: Callable[[str, Job], str] = lambda url, _job: url,
) -> Roster:
    """Select these destinations of each user; one that the configuration gives to no user is added to every user's.

    ``accept`` is asked about each that is added: no other run would update it. ``known`` returns the URL by which a
    user's own configuration means the same thing, if it does. Users that have none of them are left out. Raises
    ``UsageError`` for one that is not accepted and where two users would write the same, and ``Failed`` where no user
    is left.
    """
    if not urls:
        return roster
    configured = {url for job in roster.jobs for url in (job.store, *job.deliver)}
    configured |= {url for selection in selections for url in (selection.store, *selection.deliver)}
    named = {(url, job.user.key): known(fill(url, job.user), job) for url in urls for job in roster.jobs}
    for url in dict.fromkeys(urls):
        filled = {url, *(fill(url, job.user) for job in roster.jobs)}
        if not configured.isdisjoint(filled):
            continue
        if not configured.isdisjoint(named[url, job.user.key] for job in roster.jobs):
            configured |= filled  # to any other user, it is another user's destination
            continue
        if accept(url):
            continue
        raise UsageError(
            f"{url} is a destination of no user in the configuration: later runs would not deliver there, and would "
            "be refused before they remove the key that it holds.",
            state=UNCHANGED,
            remedy="Add it to deliver: of the configuration, or add --unmanaged to deliver there once.",
        )
    jobs = []
    for job in roster.jobs:
        theirs = dict.fromkeys(named[url, job.user.key] for url in urls)
        targets = tuple(url for url in theirs if url in job.deliver or url not in configured)
        if targets:
            jobs.append(replace(job, deliver=tuple(dict.fromkeys((*job.deliver, *targets))), targets=targets))
    if not jobs and not roster.failed:
        raise Failed(
            f"None of the selected users delivers to {', '.join(urls)}.",
            state=UNCHANGED,
            remedy="Check the URL against twokey.yaml, and the names of the users.",
        )
    check_distinct(jobs)
    return replace(roster, jobs=tuple(jobs))


def check_distinct(jobs: Sequence[Job]) -> None:
    """Raise ``UsageError`` if a user is selected twice."""
    if not _any_twice(hash(job.user.key) for job in jobs):
        return
    named = Names(job.user.key for job in jobs)
    users: dict[UserKey, Job] = {}
    for job in jobs:
        key = job.user.key
        if key in users:
            other = users[key]
            at = other.at(other.store).partition(": ")[0]
            first = f"{other.store}{f' ({at})' if at else ''}"
            account = f" of the account {job.user.account_name} ({key.account})" if job.user.account_name else ""
            raise UsageError(
                f"{job.at(job.store)}The user {named(key)}{account} is selected twice: for {first} and for "
                f"{job.store}.",
                state=UNCHANGED,
                remedy="Take it out of one of the entries (except: names users to leave out).",
            )
        users[key] = job


def check_apart(jobs: Sequence[Job], targets: Callable[[Job], Targets]) -> None:
    """Raise ``UsageError`` if two users, or two destinations of one user, would write the same.

    ``targets`` returns those of a user, and is asked again where two are the same: to keep the names of all would take
    as much memory as the run itself.
    """
    if not _any_twice(hash(one) for job in jobs for _, written in targets(job) for one in written):
        return
    writers: dict[str, Job] = {}
    for job in jobs:
        own: dict[str, str] = {}
        for index, (name, written) in enumerate(targets(job)):
            for one in written:
                other = writers.setdefault(one, job)
                if other is not job:
                    also = next(theirs for theirs, each in targets(other) if one in each)
                elif one in own:
                    also = own[one]
                else:
                    own[one] = name
                    continue
                at = next(map(job.at, (job.store, *job.deliver)[index : index + 1]), "")
                named = Names(each.user.key for each in jobs)
                raise _overlap((other.user.key, also), (job.user.key, name), named, at)


_SORTED = 4096
"""So many at a time: sorting makes an object of each, which takes five times the memory."""


def _any_twice(hashes: Iterable[int]) -> bool:
    """Return whether two hashes are the same, as those of two different things hardly ever are.

    A set of them would take three times as much memory.
    """
    found = array("q", hashes)
    parts = (array("q", sorted(found[start : start + _SORTED])) for start in range(0, len(found), _SORTED))
    return any(one == other for one, other in pairwise(heapq.merge(*parts)))


@contextmanager
def located(at: str) -> Iterator[None]:
    """Have a ``UsageError`` begin with a position in the file, unless it has one of its own."""
    try:
        yield
    except UsageError as error:
        if not at or " line " in error.message.partition(": ")[0]:
            raise
        raise UsageError(f"{at}{error.message}", state=error.state, remedy=error.remedy) from None


def _overlap(first: tuple[UserKey, str], second: tuple[UserKey, str], named: Names, at: str) -> UsageError:
    (other, also), (user, destination) = first, second
    who = f"{named(user)}, twice," if other == user else f"{named(other)} and {named(user)}"
    same = f" (as {also})" if also != destination else ""
    return UsageError(
        f"{at}{who} would write to the same destination: {destination}{same}.",
        state=UNCHANGED,
        remedy=_apart(other, user),
    )


def _apart(one: UserKey, other: UserKey) -> str:
    """Return how the values of two users, or two of one user, are kept apart."""
    variable, also = (fill("_:{USER}", user=key.name, path="/", account="0" * 12)[2:] for key in (one, other))
    if one == other:
        return (
            "Remove one of the two, or, where it holds variables, write other variable names into one of them: "
            "id=NAME&secret=NAME."
        )
    if one.account == other.account and variable == also:
        return (
            f"{{USER}} is {variable} for both. Put {{user}} into the URL, or write the variable names of "
            "one of them out, in place of id={USER}_ID and secret={USER}_SECRET."
        )
    fields = "{account} and {user}" if one.account != other.account else "{user}"
    return (
        f"Put {fields} into its URL, or, where it holds variables, give each user separate variable names, for the ID "
        "and for the secret: id={USER}_ID&secret={USER}_SECRET."
    )


def too_many(jobs: Sequence[Job], most: int) -> list[Result]:
    """Refuse every job: more users are selected than one run may change."""
    message = (
        f"{len(jobs)} users are selected; one run may change at most {most}. Nothing was changed. To change all of "
        f"them, add --max-users {len(jobs)}."
    )
    return [Result(job.user, Outcome.REFUSED, Reason.TOO_MANY_USERS, message) for job in jobs]


def too_many_accounts(jobs: Sequence[Job], most: int) -> list[Result]:
    """Refuse every job where they are those of more accounts than one run may change; return nothing otherwise."""
    count = len({job.user.account for job in jobs})
    if count <= most:
        return []
    message = (
        f"Users of {count} accounts are selected; one run may change those of at most {most}. Nothing was changed. To "
        f"change all of them, add --max-accounts {count}."
    )
    return [Result(job.user, Outcome.REFUSED, Reason.TOO_MANY_ACCOUNTS, message) for job in jobs]
