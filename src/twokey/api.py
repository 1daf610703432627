"""The commands ``plan``, ``rotate``, ``status`` and ``audit`` as functions, for programs, notebooks and AWS Lambda.

    from twokey import api

    configuration = api.load("twokey.yaml")
    for entry in api.rotate(configuration).results:
        print(entry.user, entry.outcome, entry.message)

Each function does what the command of its name does, and returns the object that the command prints with ``--json``.
Its keywords are the command's options. Credentials and region come from where the AWS SDKs look.

Nothing here changes the state of the process: no logging, signal handler, excepthook, limit, umask, environment
variable or warnings filter. So every function may be called by any thread, and by several at a time.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from twokey.config import load as _load
from twokey.core.errors import (
    AuditLogFailed,
    BadCredentials,
    Failed,
    Refused,
    ServiceError,
    TwokeyError,
    UsageError,
)
from twokey.core.reasons import Outcome, Reason
from twokey.reports.audit import Audit
from twokey.reports.documents import (
    PlanDocument,
    PlanEntry,
    ResultEntry,
    ResultsDocument,
    StatusDocument,
    StatusEntry,
    encode,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from os import PathLike

    from twokey.config.settings import Settings
    from twokey.core.events import Event, Listener
    from twokey.core.model import MachineUser
    from twokey.fleet.auditing import Auditing
    from twokey.fleet.planned import Following
    from twokey.fleet.roster import Job, Roster
    from twokey.fleet.run import Run
    from twokey.rotation.results import Result

__all__ = [
    "Audit",
    "AuditLogFailed",
    "BadCredentials",
    "Configuration",
    "Failed",
    "Interrupted",
    "Outcome",
    "PlanDocument",
    "PlanEntry",
    "Reason",
    "Refused",
    "ResultEntry",
    "ResultsDocument",
    "ServiceError",
    "StatusDocument",
    "StatusEntry",
    "TwokeyError",
    "UsageError",
    "audit",
    "encode",
    "load",
    "parse",
    "plan",
    "rotate",
    "status",
]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Configuration:
    """The content of a ``twokey.yaml``, checked. ``source`` is its name in messages; the rest is not for callers."""

    source: str
    settings: Settings = field(repr=False)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended the run after the users that were under way. ``document`` has an entry for every user."""

    def __init__(self, document: ResultsDocument | PlanDocument | StatusDocument) -> None:
        super().__init__()
        self.document = document


def load(file: str | PathLike[str] = "twokey.yaml") -> Configuration:
    """Read a configuration file; raises ``UsageError`` with file, line and problem."""
    settings = _load.load(Path(file))
    return Configuration(settings.source, settings)


def parse(text: str, source: str = "the configuration") -> Configuration:
    """Read a configuration from text; raises ``UsageError`` with ``source``, line and problem."""
    settings = _load.parse(text, source)
    return Configuration(settings.source, settings)


def plan(
    configuration: Configuration,
    *users: str,
    account: Iterable[str] | None = None,
    force: bool = False,
    ignore_last_use: bool = False,
    retire: Iterable[str] = (),
    max_users: int | None = None,
    max_accounts: int | None = None,
    concurrency: int | None = None,
    out: str | PathLike[str] | None = None,
    sign_with: str | PathLike[str] | None = None,
    stop: threading.Event | None = None,
    warn: Callable[[str], object] | None = None,
) -> PlanDocument:
    """Say what ``rotate`` would do now. Nothing is changed, but the file ``out`` is written, for ``rotate``.

    ``users``, ``stop``, ``warn`` and the errors are as for ``rotate``.
    """
    from twokey.fleet import commands, plan_files
    from twokey.planning.plan import requested
    from twokey.reports import documents
    from twokey.rotation.preview import Preview

    overrides = requested(force=force, ignore_last_use=ignore_last_use, retire=retire)
    settings = _settings(configuration, account, max_users, max_accounts, concurrency)
    with plan_files.writing(out, sign_with) as file:

        def report(found: Sequence[Preview | Result]) -> PlanDocument:
            previews = [one if isinstance(one, Preview) else Preview(one) for one in found]
            file.write(previews, overrides)
            return documents.plan_document(previews)

        return _over_users(
            settings,
            users,
            lambda run, _audit: commands.previewing(run, overrides, file.begin(run)),
            report,
            stop=stop,
            warn=warn,
            retire=overrides.retire,
        )


def rotate(
    configuration: Configuration,
    *users: str,
    account: Iterable[str] | None = None,
    force: bool = False,
    ignore_last_use: bool = False,
    retire: Iterable[str] = (),
    no_wait: bool = False,
    max_users: int | None = None,
    max_accounts: int | None = None,
    concurrency: int | None = None,
    audit_log: str | PathLike[str] | None = None,
    plan: str | PathLike[str] | None = None,
    signed_by: str | PathLike[str] | None = None,
    plan_max_age: str | None = None,
    stop: threading.Event | None = None,
    warn: Callable[[str], object] | None = None,
) -> ResultsDocument:
    """Rotate the keys that are due, of all users of the configuration, or of those that are named.

    ``account`` names accounts of the configuration, by ID or name: one, or several; without it, all are meant.

    With ``plan``, do what that file says, and nothing else; raises ``Refused`` for one that does not count.

    What goes wrong with one user is that user's entry in the results. ``TwokeyError`` is raised for what keeps twokey
    from all of them: ``UsageError`` before anything was called, ``BadCredentials`` where AWS does not accept its
    credentials. Once ``stop`` is set, no further user is begun and no user waits; those under way are finished.
    ``warn`` gets each warning that is about no single user; without it, these are dropped.
    """
    from twokey.fleet import commands, plan_files
    from twokey.fleet.alerting import Alerting
    from twokey.planning.plan import requested
    from twokey.reports import documents

    overrides = requested(force=force, ignore_last_use=ignore_last_use, retire=retire)
    settings = _settings(configuration, account, max_users, max_accounts, concurrency)
    settings = _load.audited_by(settings, audit_log)
    following: Following | None = None
    if plan is None:
        plan_files.refuse_without_plan(signed_by, plan_max_age)
    else:
        plan_files.refuse_with_plan(overrides)
        following = plan_files.following(plan, users, signed_by, plan_max_age)
        overrides = following.overrides
    whole = not users and following is None
    alerting = Alerting(settings, "rotate", lambda failure: _warned(warn, failure), whole=whole)
    decide = following.decide if following else None

    def report(found: Sequence[Result]) -> ResultsDocument:
        alerting.ended(found)
        return documents.results_document(found)

    try:
        document = _over_users(
            settings,
            users,
            lambda run, audit: commands.rotating(run, audit, alerting, overrides, wait=not no_wait, decide=decide),
            report,
            stop=stop,
            warn=warn,
            retire=overrides.retire,
            records=True,
            in_waves=True,
            following=following,
        )
    except TwokeyError as error:
        alerting.failed(error)
        raise
    alerting.tell()
    return document


def status(
    configuration: Configuration,
    *users: str,
    account: Iterable[str] | None = None,
    concurrency: int | None = None,
    stop: threading.Event | None = None,
    warn: Callable[[str], object] | None = None,
) -> StatusDocument:
    """Read every key with its role, age and holders, what is due, and problems. Nothing is changed.

    ``users``, ``stop``, ``warn`` and the errors are as for ``rotate``.
    """
    from twokey.fleet import commands
    from twokey.reports.status import unknown
    from twokey.rotation.results import Result

    return _over_users(
        _settings(configuration, account, None, None, concurrency),
        users,
        lambda run, _audit: commands.showing(run),
        lambda found: StatusDocument([unknown(one) if isinstance(one, Result) else one for one in found]),
        stop=stop,
        warn=warn,
        limited=False,
    )


def audit(
    configuration: Configuration | None = None,
    *,
    path: str | None = None,
    ids: bool = False,
    max_age: str = "4h",
    within: str = "7d",
    limit: str = "90d",
    state: Iterable[str] = (),
    redact: bool = False,
) -> Audit:
    """Read every key of the account, and find the rules that they break. Nothing is changed.

    Without a configuration, no user counts as one that twokey rotates. Raises ``TwokeyError`` where the account cannot
    be read.
    """
    from twokey.fleet.account_audit import audit_account, request
    from twokey.fleet.runtime import Runtime

    settings = configuration.settings if configuration else None
    wanted = request(settings, path, ids=ids, max_age=max_age, within=within, limit=limit)
    states = (state,) if isinstance(state, str) else tuple(state)
    return audit_account(Runtime(settings), settings, wanted, states, redact=redact)


def _settings(
    configuration: Configuration,
    account: Iterable[str] | None,
    max_users: int | None,
    max_accounts: int | None,
    concurrency: int | None,
) -> Settings:
    settings = _load.limited(configuration.settings, max_users, concurrency)
    accounts = (account,) if isinstance(account, str) else tuple(account or ())
    if account is not None and not accounts:
        # A program may have chosen them, and found none.
        raise UsageError("account: no account is named.", remedy="To work in all accounts, leave it out.")
    if accounts or max_accounts is not None:
        from twokey.config.account_settings import selected_by

        if max_accounts is not None and max_accounts < 1:
            raise UsageError("--max-accounts must be at least 1.")
        settings = replace(settings, accounts=selected_by(settings.accounts, accounts, max_accounts, settings.source))
    return settings


class _Unobserved:
    """Follows a run, and does nothing about it."""

    def heard(self, user: MachineUser, event: Event) -> None:
        """Ignore an event of one user's rotation."""

    def ended(self, result: object) -> None:
        """Ignore that one user is done."""


@contextmanager
def _unobserved(_jobs: Sequence[Job]) -> Iterator[_Unobserved]:
    yield _Unobserved()


_Document = TypeVar("_Document", ResultsDocument, PlanDocument, StatusDocument)


def _over_users(
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
    from twokey.fleet.auditing import auditing
    from twokey.fleet.run import Run
    from twokey.fleet.runtime import Runtime

    def select(runtime: Runtime) -> Roster:
        roster = runtime.roster(settings, users)
        return following.select(roster, runtime, settings) if following else roster

    runtime = Runtime(settings)
    runtime.stop = stop or runtime.stop
    with auditing(settings.audit_log if records else None, runtime, lambda head: _warned(None, head)) as log:
        run = Run.over(runtime, settings, select)
        for warning in run.roster.warnings:
            _warned(warn, warning)
        ended = run.each(
            work(run, log),
            _unobserved,
            limited=limited,
            retire=retire,
            in_waves=in_waves,
            announce=lambda text: _warned(warn, text),
        )
        document = report(ended.results)
    if ended.interrupted:
        raise Interrupted(document) from ended.interrupted
    return document


def _warned(warn: Callable[[str], object] | None, warning: str) -> None:
    if warn is not None:
        warn(warning)
