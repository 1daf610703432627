"""Many users at a time; a failure of one user stops no other."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from twokey.core.errors import Stopped, TwokeyError
from twokey.core.reasons import Outcome, Reason
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.fleet.roster import Job


T = TypeVar("T")


def run(
    jobs: Sequence[Job],
    work: Callable[[Job], T],
    concurrency: int,
    progress: Callable[[T | Result], None] = lambda _: None,
    stop: Event | None = None,
) -> list[T | Result]:
    """Do the work for every job, ``concurrency`` at a time; return the results in the order of the jobs.

    For a job that did not begin, or whose work raised, the list holds a failed ``Result``.

    An interruption (Ctrl-C) sets ``stop``, begins no further user and lets those under way finish; then
    ``Interrupted`` is raised, with the results of all.
    """
    stop = stop or Event()
    with ThreadPoolExecutor(max_workers=max(1, min(concurrency, len(jobs))), thread_name_prefix="user") as pool:
        futures: list[Future[T | Result]] = []
        try:
            futures += [pool.submit(_guarded, work, job, progress, stop) for job in jobs]
            return [future.result() for future in futures]
        except KeyboardInterrupt as error:
            stop.set()
            raise Interrupted([future.result() for future in futures], str(error)) from None


class Interrupted(KeyboardInterrupt):
    """The operator or a scheduler ended the run; ``results`` has an entry for every user that was submitted."""

    def __init__(self, results: list[Any], signal: str) -> None:
        super().__init__(signal)
        self.results = results


def _guarded(work: Callable[[Job], T], job: Job, progress: Callable[[T | Result], None], stop: Event) -> T | Result:
    if stop.is_set():
        return Result(job.user, Outcome.FAILED, Reason.STOPPED, str(Stopped()))
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
