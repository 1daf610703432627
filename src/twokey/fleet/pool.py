"""Many users at a time; a failure of one user stops no other, and neither does one that has to wait."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Condition, Event
from typing import TYPE_CHECKING, Any, TypeVar, cast

from twokey.core import waiting
from twokey.core.errors import Failed, Stopped, TwokeyError
from twokey.core.reasons import Outcome, Reason
from twokey.fleet import packed
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twokey.fleet.packed import Packed
    from twokey.fleet.roster import Job


T = TypeVar("T")
Heard = TypeVar("Heard")

MOST_WAITING = 256
"""Users that wait besides those that are worked on: each needs a thread."""


def run(
    jobs: Sequence[Job],
    work: Callable[[Job], T],
    concurrency: int,
    progress: Callable[[T | Result], None] = lambda _: None,
    stop: Event | None = None,
    order: Sequence[int] | None = None,
) -> Packed[T | Result]:
    """Do the work for every job, ``concurrency`` at a time; return the results in the order of the jobs.

    ``order``: the positions of the jobs as they begin, where that is another order.

    A user that waits for another run, or for IAM's list, does not count: the next one begins meanwhile.
    For a job that did not begin, or whose work raised, the list holds a failed ``Result``.

    An interruption (Ctrl-C) sets ``stop``, begins no further user and lets those under way finish; then
    ``Interrupted`` is raised, with the results of all.
    """
    stop = stop or Event()
    results: Packed[T | Result | None] = packed.results([None] * len(jobs))
    errors: list[BaseException] = []
    permits = _Permits(concurrency)

    def work_on(index: int) -> None:
        with permits.begun(), waiting.giving_way(permits.given_up):
            try:
                if not stop.is_set():
                    result: T | Result = _guarded(work, jobs[index], progress)
                    results[index] = result
            except BaseException as error:  # noqa: BLE001  raised again below, in the thread that called this function
                errors.append(error)
                stop.set()  # while the permit is held: no other user begins after an error

    with ThreadPoolExecutor(max_workers=concurrency + MOST_WAITING, thread_name_prefix="user") as pool:
        try:
            for index in range(len(jobs)) if order is None else order:
                # No thread and no future exists for a user that has not begun: of many users, they would take most of
                # the memory.
                permits.begin()
                pool.submit(work_on, index)
            pool.shutdown()
        except BaseException as error:  # noqa: BLE001  raised again below, once those under way have ended
            errors.append(error)
            stop.set()
            permits.end()
    permits.wait()  # the pool does not know of a thread whose start, or end, an interruption kept it from seeing
    ended = _of_all(jobs, results)
    for raised in errors:
        if isinstance(raised, KeyboardInterrupt):
            raise Interrupted(ended, str(raised))
    if errors:
        raise errors[0]
    return ended


def _of_all(jobs: Sequence[Job], results: Packed[T | Result | None]) -> Packed[T | Result]:
    """Return the results, with one for each user that did not begin."""
    for index, one in enumerate(results):
        if one is None:
            results[index] = stopped(jobs[index])
    return cast("Packed[T | Result]", results)


class _Permits:
    """How many users are worked on at a time. One that has waited goes on before another begins.

    Only the thread that gets a permit wakes up: to wake hundreds for each user would take as long as its requests.
    """

    def __init__(self, count: int) -> None:
        self._changed = Condition()
        self._free = count
        self._room = count + MOST_WAITING
        self._under_way = 0
        self._beginning: deque[Event] = deque()
        self._returning: deque[Event] = deque()
        self._ended = False

    def begin(self) -> None:
        """Wait for a permit for the next user; ``begun`` uses it."""
        self._take(self._beginning)

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Use a permit during the block."""
        with self._giving():
            self._under_way += 1
        try:
            yield
        finally:
            with self._giving():
                self._under_way -= 1
                self._room += 1
                self._free += 1

    @contextmanager
    def given_up(self) -> Iterator[None]:
        """Hold none during the block, in which the user only waits."""
        with self._giving():
            self._free += 1
        try:
            yield
        finally:
            self._take(self._returning)

    def end(self) -> None:
        """Let every user that waits, or will have waited, go on at once: none begins any more.

        A permit may have been given to the user that does not begin; those under way must not wait for it.
        """
        with self._giving():
            self._ended = True

    def wait(self) -> None:
        """Return when no user is under way."""
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way)

    def _take(self, waiting: deque[Event]) -> None:
        turn = Event()
        with self._giving():
            waiting.append(turn)
        turn.wait()

    @contextmanager
    def _giving(self) -> Iterator[None]:
        """Change something in the block, then give the free permits to those whose turn it is.

        A user begins only if there is a thread for it.
        """
        with self._changed:
            yield
            while self._returning and (self._free or self._ended):
                self._returning.popleft().set()
                self._free -= 1
            while self._beginning and self._free and self._room:
                self._beginning.popleft().set()
                self._free -= 1
                self._room -= 1
            self._changed.notify_all()


class Interrupted(KeyboardInterrupt):
    """The operator or a scheduler ended the run; ``results`` has an entry for every user."""

    def __init__(self, results: Packed[Any], signal: str) -> None:
        super().__init__(signal)
        self.results = results


def _guarded(work: Callable[[Job], T], job: Job, progress: Callable[[T | Result], None]) -> T | Result:
    result: T | Result
    try:
        result = work(job)
    except TwokeyError as error:
        result = Result(job.user, Outcome.FAILED, Reason.ERROR, str(error))
    except Exception as error:  # noqa: BLE001  one user's failure, whatever it is, stops no other user
        defect = _defect(error, "Completed changes remain; the next run continues from there.")
        result = Result(job.user, Outcome.FAILED, Reason.ERROR, str(defect))
    progress(result)
    return result


def _defect(error: Exception, state: str) -> Failed:
    """Return what an unforeseen exception means. Its text may hold anything, even a secret: only its type is shown."""
    return Failed(f"A defect in twokey ({type(error).__name__}).", state=state)


def reading(work: Callable[[Job, Heard], T]) -> Callable[[Job, Heard], T]:
    """Return the same work, which only reads: after an unforeseen exception, it says that nothing was changed."""

    def read(job: Job, listener: Heard) -> T:
        try:
            return work(job, listener)
        except TwokeyError:
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, nothing was written
            raise _defect(error, "Nothing was changed.") from None

    return read


def stopped(job: Job) -> Result:
    """Return the result of a user that a run did not begin, because it was stopped."""
    return Result(job.user, Outcome.FAILED, Reason.STOPPED, str(Stopped()))
