"""The functions of the Python API: one for each command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.api import arguments
from twokey.api.configuration import chosen
from twokey.api.over_users import over_users, warned
from twokey.config.load import audited_by
from twokey.core.errors import TwokeyError, UsageError
from twokey.reports.documents import StatusDocument

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Sequence
    from os import PathLike

    from twokey.api.configuration import Configuration
    from twokey.fleet.planned import Following
    from twokey.reports.audit import Audit
    from twokey.reports.documents import PlanDocument, ResultsDocument
    from twokey.rotation.preview import Preview
    from twokey.rotation.results import Result


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

    settings = chosen(configuration, users, account, max_users, max_accounts, concurrency)
    arguments.check(out=out, sign_with=sign_with)
    overrides = requested(force=force, ignore_last_use=ignore_last_use, retire=arguments.texts("retire", retire))
    with plan_files.writing(out, sign_with) as file:

        def report(found: Sequence[Preview | Result]) -> PlanDocument:
            previews = [one if isinstance(one, Preview) else Preview(one) for one in found]
            file.write(previews, overrides)
            return documents.plan_document(previews)

        return over_users(
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

    settings = chosen(configuration, users, account, max_users, max_accounts, concurrency)
    arguments.check(audit_log=audit_log, plan=plan, signed_by=signed_by, plan_max_age=plan_max_age)
    settings = audited_by(settings, audit_log)
    overrides = requested(force=force, ignore_last_use=ignore_last_use, retire=arguments.texts("retire", retire))
    following: Following | None = None
    if plan is None:
        plan_files.refuse_without_plan(signed_by, plan_max_age)
    else:
        plan_files.refuse_with_plan(overrides)
        following = plan_files.following(plan, users, signed_by, plan_max_age)
        overrides = following.overrides
    whole = not users and following is None
    alerting = Alerting(settings, "rotate", lambda failure: warned(warn, failure), whole=whole)
    decide = following.decide if following else None

    def report(found: Sequence[Result]) -> ResultsDocument:
        alerting.ended(found)
        return documents.results_document(found)

    try:
        document = over_users(
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

    return over_users(
        chosen(configuration, users, account, concurrency=concurrency),
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
    account: Iterable[str] | None = None,
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

    arguments.check(path=path, max_age=max_age, within=within, limit=limit)
    if configuration is None and account is not None:
        raise UsageError("account: without a configuration, the account is that of the credentials.")
    settings = None if configuration is None else chosen(configuration, account=account)
    wanted = request(settings, path, ids=ids, max_age=max_age, within=within, limit=limit)
    states = arguments.texts("state", state)
    return audit_account(Runtime(settings), settings, wanted, states, redact=redact)
