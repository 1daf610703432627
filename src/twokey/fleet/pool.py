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
    results: list[T | Result | None] = [None] * len(jobs)
    interruption: KeyboardInterrupt | None = None
    errors: list[BaseException] = []

    given, under_way = _UnderWay(), _UnderWay()
    permits = _Permits(concurrency)

    def one(index: int) -> None:
        try:
            with under_way, permits.begun(), waiting.giving_way(permits.given_up):
                try:
                    results[index] = _guarded(work, jobs[index], progress, stop)
                except BaseException as error:  # noqa: BLE001  raised again below, in the thread that called this function
                    errors.append(error)  # while the permit is held: no other user begins after an error
        finally:
            given.end()

    threads = max(1, min(concurrency + MOST_WAITING, len(jobs)))
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="user") as pool:
        try:
            for index in range(len(jobs)):
                # No thread and no future exists for a user that has not begun: of many users, they would take most of
                # the memory.
                permits.begin()
                if stop.is_set() or errors:
                    permits.end()
                    break
                given.begin()
                pool.submit(one, index)
            given.wait()
        except KeyboardInterrupt as error:
            stop.set()
            interruption = error
        finally:
            permits.end()
    if interruption is None:
        interruption = next((error for error in errors if isinstance(error, KeyboardInterrupt)), None)
    else:
        # An interruption while a thread is being started keeps the pool from knowing of that thread.
        under_way.wait()
    ended = [stopped(jobs[index]) if one is None else one for index, one in enumerate(results)]
    if interruption is not None:
        stop.set()
        raise Interrupted(ended, str(interruption))
    if errors:
        raise errors[0]
    return ended


class _Permits:
    """How many users are worked on at a time. One that has waited goes on before another begins.

    Only the thread that gets a permit wakes up: to wake hundreds for each user would take as long as its requests.
    """

    def __init__(self, count: int) -> None:
        self._lock = Lock()
        self._free = count
        self._room = count + MOST_WAITING
        self._beginning: deque[Event] = deque()
        self._returning: deque[Event] = deque()
        self._ended = False

    def begin(self) -> None:
        """Wait for a permit for the next user; ``begun`` uses it."""
        turn = Event()
        with self._lock:
            self._beginning.append(turn)
            self._give()
        turn.wait()

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Use a permit during the block."""
        try:
            yield
        finally:
            with self._lock:
                self._room += 1
                self._free += 1
                self._give()

    @contextmanager
    def given_up(self) -> Iterator[None]:
        """Hold none during the block, in which the user only waits."""
        with self._lock:
            self._free += 1
            self._give()
        try:
            yield
        finally:
            turn = Event()
            with self._lock:
                self._returning.append(turn)
                self._give()
            turn.wait()

    def end(self) -> None:
        """Let every user that waits, or will have waited, go on at once: none begins any more.

        A permit may have been given to the user that does not begin; those under way must not wait for it.
        """
        with self._lock:
            self._ended = True
            self._beginning.clear()
            self._give()

    def _give(self) -> None:
        """Give the free permits to those whose turn it is. A user begins only if there is a thread for it."""
        while self._returning and self._ended:
            self._returning.popleft().set()
        while self._free and (self._returning or (self._beginning and self._room)):
            if self._returning:
                turn = self._returning.popleft()
            else:
                turn = self._beginning.popleft()
                self._room -= 1
            self._free -= 1
            turn.set()


class _UnderWay:
    """Counts the users that are being worked on."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = Condition()

    def __enter__(self) -> None:
        self.begin()

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self) -> None:
        """Count one more."""
        with self._changed:
            self._count += 1

    def end(self) -> None:
        """Count one less."""
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
