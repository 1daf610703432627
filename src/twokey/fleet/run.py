"""One run over the selected users, whatever a command does for each of them. Independent of the terminal."""

from __future__ import annotations

from array import array
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from twokey.core.events import ignore
from twokey.fleet import packed, pool, retirement, waves
from twokey.fleet.accounts import interleaved
from twokey.fleet.hooks import problem_of
from twokey.fleet.roster import too_many, too_many_accounts
from twokey.rotation import lease
from twokey.system.environment import variable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from twokey.config.settings import Settings
    from twokey.config.wave_settings import WaveSettings
    from twokey.core.events import Event, Listener
    from twokey.core.model import MachineUser
    from twokey.fleet.packed import Packed
    from twokey.fleet.roster import Job, Roster
    from twokey.fleet.runtime import Runtime
    from twokey.planning.plan import Overrides
    from twokey.reports.documents import StatusEntry
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


class Unobserved:
    """Follows a run, and does nothing about it."""

    def heard(self, user: MachineUser, event: Event) -> None:
        """Ignore an event of one user's rotation."""

    def ended(self, result: object) -> None:
        """Ignore that one user is done."""


def unobserved(_jobs: Sequence[Job]) -> AbstractContextManager[Unobserved]:
    """Let nothing follow a run."""
    return nullcontext(Unobserved())


@dataclass(frozen=True, slots=True)
class Ended(Generic[T]):
    """The results of a run: first those of the jobs, in their order, then those of users that were not found.

    ``interrupted`` is set where a signal ended the run early.
    """

    results: Sequence[T | Result]
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
        in_waves: bool = False,
        announce: Callable[[str], None] = lambda _: None,
    ) -> Ended[T]:
        """Do the work for every user; the events of one user's rotation go to the listener that ``work`` gets.

        With ``limited``, all users are refused where there are more than the settings allow; and where one of the keys
        to ``retire`` is no key of theirs. ``in_waves``: in the waves of the settings, as far as they end well.
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
        with observe(jobs) as observer:

            def observed(job: Job) -> T:
                return work(job, partial(observer.heard, job.user))

            if in_waves and (self.settings.waves or self.settings.stop_after):
                return self._in_waves(observed, observer, announce)
            results, interrupted = self._perform(jobs, observed, observer)
        results.extend(self.roster.failed)
        return Ended(results, interrupted)

    def _perform(
        self, jobs: Sequence[Job], work: Callable[[Job], T], observer: Observer
    ) -> tuple[Packed[T | Result], pool.Interrupted | None]:
        """Do the work for these users, those of many accounts in turn; return the results in their order."""
        concurrency, stop = self.settings.concurrency, self.runtime.stop
        with _leases():
            try:
                return pool.run(jobs, work, concurrency, observer.ended, stop, _in_turn(jobs)), None
            except pool.Interrupted as error:
                return error.results, error

    def _in_waves(self, work: Callable[[Job], T], observer: Observer, announce: Callable[[str], None]) -> Ended[T]:
        """Do the work wave after wave; the results of what was not begun come last, before those of broken accounts."""
        jobs = self.roster.jobs
        accounts = () if self.runtime.accounts is None else self.runtime.accounts.known
        waves.refuse_empty(self.settings.waves, accounts)
        units = [job.user.account if accounts else job.user.name for job in jobs]
        parts = waves.divide(units, self.settings.waves, accounts)
        results: Packed[T | Result] = packed.results()
        for number, part in enumerate(parts):
            theirs = packed.Picked(jobs, part)
            tally = waves.Tally(number + 1, len(parts), len(theirs), self.settings.stop_after)
            found, interrupted = self._wave(theirs, tally, work, observer)
            results.extend(found)
            later = packed.Picked(jobs, [index for part in parts[number + 1 :] for index in part])
            if later and self.settings.waves[number].status and tally.bad and not any(map(waves.ended_well, found)):
                tally.stop("none of its users ended well")
            if not interrupted and later and not tally.stopped:
                interrupted = self._between(self.settings.waves[number], theirs, found, tally, announce)
            if interrupted:
                results.extend(map(pool.stopped, later))
                break
            if tally.stopped:
                results.extend(waves.accounts_not_begun(later, tally))
                break
        results.extend(self.roster.failed)
        return Ended(results, interrupted)

    def _wave(
        self, jobs: Sequence[Job], tally: waves.Tally, work: Callable[[Job], T], observer: Observer
    ) -> tuple[Packed[T | Result], pool.Interrupted | None]:
        tally.count_bad(self._broken_accounts(tally.number - 1))

        def counted(job: Job) -> T | Result:
            if tally.stopped:
                return waves.not_begun(job, tally)
            result = work(job)
            tally.count(result)
            return result

        return self._perform(jobs, counted, observer)

    def _broken_accounts(self, number: int) -> int:
        """Return how many accounts of a wave could not be reached: each counts as a user that failed."""
        if self.runtime.accounts is None:
            return 0
        broken = [one.user.account for one in self.roster.failed if not one.user.name]
        return len(waves.divide(broken, self.settings.waves, self.runtime.accounts.known)[number])

    def _between(
        self,
        wave: WaveSettings,
        jobs: Sequence[Job],
        results: Sequence[object],
        tally: waves.Tally,
        announce: Callable[[str], None],
    ) -> pool.Interrupted | None:
        """Pause and check before the next wave; ``tally`` is stopped where it must not begin."""
        clock, stop = self.runtime.clients.clock, self.runtime.stop
        commits = [at for job, one in zip(jobs, results, strict=True) if (at := waves.committed(job, one))]
        if not commits or clock.now() - max(commits) >= max(wave.pause, waves.RECENT):
            return None
        try:
            waves.wait(wave.pause, max(commits), clock, stop, announce)
            self._check(wave, jobs, results, tally, announce)
        except KeyboardInterrupt as error:
            stop.set()
            return pool.Interrupted(packed.results(), str(error))
        return None

    def _check(
        self,
        wave: WaveSettings,
        jobs: Sequence[Job],
        results: Sequence[object],
        tally: waves.Tally,
        announce: Callable[[str], None],
    ) -> None:
        if self.runtime.stop.is_set():
            tally.stop("the run was stopped")
        elif wave.status and (problem := self._unwell(jobs, results)):
            tally.stop(problem)
        elif wave.check and (problem := problem_of(wave.check, "check", waves.message(tally, results))):
            if wave.check.on_error == "fail":
                tally.stop(f"the check of the wave failed: {problem.rstrip('.')}")
            else:
                announce(f"Warning: the check of {tally.name} failed: {problem}")

    def _unwell(self, jobs: Sequence[Job], results: Sequence[object]) -> str:
        """Return what status finds wrong with the users of a wave that ended well."""
        from twokey.reports.status import status

        def show(job: Job) -> StatusEntry:
            return status(job.user, job.policy, self.world(job), self.settings.schedule)

        good = [job for job, one in zip(jobs, results, strict=True) if waves.committed(job, one)]
        return waves.unwell(pool.run(good, show, self.settings.concurrency, stop=self.runtime.stop))


def _leases() -> AbstractContextManager[None]:
    """Return what the run's leases are taken in: on AWS Lambda, they end by time alone.

    Its variable is one that AWS reserves ("Defined runtime environment variables", AWS Lambda Developer Guide).
    """
    return lease.ended_by_time_alone() if variable("AWS_LAMBDA_FUNCTION_NAME") else nullcontext()


def _in_turn(jobs: Sequence[Job]) -> Sequence[int]:
    """Return the order in which users begin: those of many accounts in turn, as each account has a limit of its own."""
    accounts: dict[str, list[int]] = {}
    for index, job in enumerate(jobs):
        accounts.setdefault(job.user.account, []).append(index)
    return array("L", interleaved(list(accounts.values())))
