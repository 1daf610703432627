"""Many users at a time; a failure of one user stops no other, and neither does one that has to wait."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Condition, Event, Lock
from typing import TYPE_CHECKING, Any, TypeVar

from twokey.core import waiting
from twokey.core.errors import Stopped, TwokeyError
from twokey.core.reasons import Outcome, Reason
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twokey.fleet.roster import Job


T = TypeVar("T")

MOST_WAITING = 256
"""Users that wait besides those that are worked on: each needs a thread."""


def run(
    jobs: Sequence[Job],
    work: Callable[[Job], T],
    concurrency: int,
    progress: Callable[[T | Result], None] = lambda _: None,
    stop: Event | None = None,
) -> list[T | Result]:
    """Do the work for every job, ``concurrency`` at a time; return the results in the order of the jobs.

    A user that waits for another run, or for IAM's list, does not count: the next one begins meanwhile.
    For a job that did not begin, or whose work raised, the list holds a failed ``Result``.

    An interruption (Ctrl-C) sets ``stop``, begins no further user and lets those under way finish; then
    ``Interrupted`` is raised, with the results of all.
    """
    stop = stop or Event()
    results: list[T | Result] = [stopped(job) for job in jobs]
    interrupted: Interrupted | None = None

    under_way = _UnderWay()
    permits = _Permits(concurrency)

    def one(index: int) -> None:
        with under_way, permits.taken(index), waiting.giving_way(permits.given_up):
            results[index] = _guarded(work, jobs[index], progress, stop)

    threads = max(1, min(concurrency + MOST_WAITING, len(jobs)))
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="user") as pool:
        try:
            futures = [pool.submit(one, index) for index in range(len(jobs))]
            for future in futures:
                future.result()
        except KeyboardInterrupt as error:
            stop.set()
            interrupted = Interrupted(results, str(error))
    if interrupted:
        # An interruption while a thread is being started keeps the pool from knowing of that thread.
        under_way.wait()
        raise interrupted
    return results


class _Permits:
    """How many users are worked on at a time. One that has waited goes on before another begins.

    Only the thread that gets a permit wakes up: to wake hundreds for each user would take as long as its requests.
    """

    def __init__(self, count: int) -> None:
        self._lock = Lock()
        self._free = count
        self._next = 0
        self._beginning: dict[int, Event] = {}
        self._returning: deque[Event] = deque()

    @contextmanager
    def taken(self, index: int) -> Iterator[None]:
        """Hold a permit during the block; users begin in their order."""
        turn = Event()
        with self._lock:
            self._beginning[index] = turn
            self._give()
        turn.wait()
        try:
            yield
        finally:
            self._release()

    @contextmanager
    def given_up(self) -> Iterator[None]:
        """Hold none during the block, in which the user only waits."""
        self._release()
        try:
            yield
        finally:
            turn = Event()
            with self._lock:
                self._returning.append(turn)
                self._give()
            turn.wait()

    def _release(self) -> None:
        with self._lock:
            self._free += 1
            self._give()

    def _give(self) -> None:
        """Give the free permits to those whose turn it is."""
        while self._free and (self._returning or self._next in self._beginning):
            if self._returning:
                turn = self._returning.popleft()
            else:
                turn = self._beginning.pop(self._next)
                self._next += 1
            self._free -= 1
            turn.set()


class _UnderWay:
    """Counts the users that are being worked on."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait(self) -> None:
        """Return when there is none any more."""
        with self._changed:
            self._changed.wait_for(lambda: not self._count)


class Interrupted(KeyboardInterrupt):
    """The operator or a scheduler ended the run; ``results`` has an entry for every user."""

    def __init__(self, results: list[Any], signal: str) -> None:
        super().__init__(signal)
        self.results = results


def _guarded(work: Callable[[Job], T], job: Job, progress: Callable[[T | Result], None], stop: Event) -> T | Result:
    if stop.is_set():
        return stopped(job)
    result: T | Result
    try:
        result = work(job)
    except TwokeyError as error:
        result = Result(job.user, Outcome.FAILED, Reason.ERROR, str(error))
    except Exception as error:  # noqa: BLE001  one user's failure, whatever it is, stops no other user
        # The text of an unforeseen exception may hold anything, even a secret: only its type is shown.
        result = Result(
            job.user,
            Outcome.FAILED,
            Reason.ERROR,
            f"A defect in twokey ({type(error).__name__}). What was done stands; the next run goes on from there.",
        )
    progress(result)
    return result


def stopped(job: Job) -> Result:
    """Return the result of a user that a run did not begin, because it was stopped."""
    return Result(job.user, Outcome.FAILED, Reason.STOPPED, str(Stopped()))
