"""A run over users without a terminal: nothing is printed, and no signal is handled."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from twokey.reports.documents import PlanDocument, ResultsDocument, StatusDocument

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from twokey.config.settings import Settings
    from twokey.core.events import Listener
    from twokey.fleet.auditing import Auditing
    from twokey.fleet.planned import Following
    from twokey.fleet.roster import Job, Roster
    from twokey.fleet.run import Run
    from twokey.rotation.results import Result

_T = TypeVar("_T")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended the run after the users that were under way. ``document`` has an entry for every user."""

    def __init__(self, document: ResultsDocument | PlanDocument | StatusDocument) -> None:
        super().__init__()
        self.document = document


_Document = TypeVar("_Document", ResultsDocument, PlanDocument, StatusDocument)


def over_users(
    settings: Settings,
    users: tuple[str, ...],
    work: Callable[[Run, Auditing], Callable[[Job, Listener], _T]],
    report: Callable[[Sequence[_T | Result]], _Document],
    *,
    stop: threading.Event | None,
    warn: Callable[[str], object] | None,
    retire: frozenset[str] = frozenset(),
    limited: bool = True,
    records: bool = False,
    in_waves: bool = False,
    following: Following | None = None,
) -> _Document:
    """Do a command's work for every selected user, and report all results; raises ``Interrupted`` after Ctrl-C.

    ``work`` returns what is done for each user of the run. ``limited``: refuse more users than the settings allow.
    ``records``: in the audit log. ``in_waves``: in the waves of the settings.
    """
    from twokey.fleet.auditing import auditing
    from twokey.fleet.run import Run, unobserved
    from twokey.fleet.runtime import Runtime

    def select(runtime: Runtime) -> Roster:
        roster = runtime.roster(settings, users)
        return following.select(roster, runtime, settings) if following else roster

    runtime = Runtime(settings)
    runtime.stop = stop or runtime.stop
    with auditing(settings.audit_log if records else None, runtime, lambda head: warned(None, head)) as log:
        run = Run.over(runtime, settings, select)
        for warning in run.roster.warnings:
            warned(warn, warning)
        ended = run.each(
            work(run, log),
            unobserved,
            limited=limited,
            retire=retire,
            in_waves=in_waves,
            announce=lambda text: warned(warn, text),
        )
        document = report(ended.results)
    if ended.interrupted:
        raise Interrupted(document) from ended.interrupted
    return document


def warned(warn: Callable[[str], object] | None, warning: str) -> None:
    """Give a warning to the caller, who may want none."""
    if warn is not None:
        warn(warning)
