"""One run over the selected users, whatever a command does for each of them. Independent of the terminal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from twokey.core.events import ignore
from twokey.fleet import pool, retirement
from twokey.fleet.accounts import interleaved
from twokey.fleet.roster import too_many, too_many_accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from twokey.config.settings import Settings
    from twokey.core.events import Event, Listener
    from twokey.core.model import MachineUser
    from twokey.fleet.roster import Job, Roster
    from twokey.fleet.runtime import Runtime
    from twokey.planning.plan import Overrides
    from twokey.rotation.results import Result
    from twokey.rotation.world import World

T = TypeVar("T")


class Observer(Protocol):
    """Follows a run while it is under way. Its methods are called by any thread."""

    def heard(self, user: MachineUser, event: Event) -> None:
        """Take an event of one user's rotation."""
        ...

    def ended(self, result: object) -> None:
        """Count one user as done."""
        ...


@dataclass(frozen=True, slots=True)
class Ended(Generic[T]):
    """The results of a run: first those of the jobs, in their order, then those of users that were not found.

    ``interrupted`` is set where a signal ended the run early.
    """

    results: tuple[T | Result, ...]
    interrupted: KeyboardInterrupt | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """The selected users, and what the work for each of them needs."""

    runtime: Runtime
    settings: Settings
    roster: Roster
    own_key: str

    @classmethod
    def over(cls, runtime: Runtime, settings: Settings, select: Callable[[Runtime], Roster]) -> Self:
        """Select the users and check that no two of them would write the same."""
        own_key = runtime.clients.own_key()
        return cls(runtime, settings, runtime.check(select(runtime)), own_key)

    def overrides(self, requested: Overrides) -> Overrides:
        """Hold ``--retire`` against the keys of the one user that is selected; with several, each key has one owner."""
        return replace(requested, all_theirs=len(self.roster.jobs) == 1 and not self.roster.failed)

    def world(self, job: Job, listener: Listener = ignore, *, wait: bool = True) -> World:
        """Return all that the rotation of one user touches."""
        return self.runtime.world(job, self.own_key, listener, wait=wait)

    def each(
        self,
        work: Callable[[Job, Listener], T],
        observe: Callable[[Sequence[Job]], AbstractContextManager[Observer]],
        *,
        limited: bool = True,
        retire: frozenset[str] = frozenset(),
    ) -> Ended[T]:
        """Do the work for every user; the events of one user's rotation go to the listener that ``work`` gets.

        With ``limited``, all users are refused where there are more than the settings allow; and where one of the keys
        to ``retire`` is no key of theirs.
        """
        jobs, most = self.roster.jobs, self.settings.max_users
        if limited and len(jobs) > most:
            return Ended((*too_many(jobs, most), *self.roster.failed))
        several = self.settings.accounts
        if limited and several and several.max_accounts and (over := too_many_accounts(jobs, several.max_accounts)):
            return Ended((*over, *self.roster.failed))
        refused = retirement.refuse_unknown(self.roster, self.world, retire)
        if refused:
            return Ended((*refused, *self.roster.failed))
        interrupted: pool.Interrupted | None = None
        with observe(jobs) as observer:

            def observed(job: Job) -> T:
                return work(job, partial(observer.heard, job.user))

            order = _in_turn(jobs)
            try:
                results = pool.run(
                    [jobs[index] for index in order],
                    observed,
                    self.settings.concurrency,
                    observer.ended,
                    self.runtime.stop,
                )
            except pool.Interrupted as error:
                results, interrupted = error.results, error
        by_job = dict(zip(order, results, strict=True))
        return Ended((*(by_job[index] for index in range(len(jobs))), *self.roster.failed), interrupted)


def _in_turn(jobs: Sequence[Job]) -> list[int]:
    """Return the order in which users begin: those of many accounts in turn, as each account has a limit of its own."""
    accounts: dict[str, list[int]] = {}
    for index, job in enumerate(jobs):
        accounts.setdefault(job.user.account, []).append(index)
    return interleaved(list(accounts.values()))
