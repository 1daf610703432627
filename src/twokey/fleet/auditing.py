"""The audit log of a run, where one is requested. Without one, nothing of it is imported."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from twokey.core.errors import AuditLogFailed, UsageError
from twokey.core.reasons import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from twokey.audit_log.trail import Trail
    from twokey.config.settings import AuditFile
    from twokey.core.destination import Store
    from twokey.fleet.roster import Job
    from twokey.fleet.runtime import Runtime
    from twokey.planning.plan import Overrides
    from twokey.rotation.results import Result
    from twokey.rotation.world import World


class Auditing:
    """Records a run, or does nothing where no log is requested."""

    def __init__(self, trail: Trail | None) -> None:
        self._trail = trail

    def watch(self, job: Job, overrides: Overrides, world: World) -> World:
        """Return the world of one user's rotation, with its effects recorded."""
        return self._trail.watch(job.user, job.policy, overrides, world) if self._trail else world

    def watch_move(self, job: Job, world: World, target: Store, *, unread: bool) -> tuple[World, Store]:
        """Return the world of one user's move from its store, and the new store, with the effects on both recorded."""
        if self._trail is None:
            return world, target
        from twokey.planning.plan import Overrides

        return self._trail.watch_move(job.user, job.policy, Overrides(), world, target, unread=unread)

    def evidence(self, files: Mapping[str, str]) -> None:
        """Record the SHA-256 of the files that the run wrote as evidence; raises ``AuditLogFailed``."""
        if self._trail is not None:
            self._trail.evidence(files)

    def ended(self, result: Result) -> Result:
        """Record how the run ended for one user. Where that fails, so does the run for this user."""
        if self._trail is None:
            return result
        try:
            self._trail.ended(result)
        except AuditLogFailed as error:
            if result.outcome is not Outcome.FAILED:
                message = f"{error} Before that: {result.outcome}. {result.message}"
                return replace(result, outcome=Outcome.FAILED, reason=Reason.ERROR, message=message)
        return result


@contextmanager
def auditing(file: AuditFile | None, runtime: Runtime, announce: Callable[[str], None]) -> Iterator[Auditing]:
    """Open the log before anything is called, and close it. Where lines were written, ``announce`` the log's head.

    Raises ``UsageError`` where the file cannot be written.
    """
    if file is None:
        yield Auditing(None)
        return
    from twokey.audit_log.log import AuditLog
    from twokey.audit_log.trail import Trail

    try:
        log = AuditLog.open(file.path)
    except UsageError as error:
        if not file.label:
            raise
        raise UsageError(f"{file.label}: {error.message}", state=error.state, remedy=error.remedy) from None
    try:
        yield Auditing(Trail(log, runtime.run, runtime.clients.clock))
    except BaseException:
        log.abandon()
        raise
    log.close()
    if log.written:
        announce(f"Audit log: {log.written} lines written; line {log.seq} has the hash {log.head}.")
