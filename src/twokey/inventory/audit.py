"""What an account has, read with few requests: one credential report, the journals of the users that twokey rotates.

A user's keys are listed only where their ids are needed and the journal does not explain them: after a rotation that is
more recent than the report, during a soak, after an interruption, or because every id was requested. Writes nothing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from twokey.config.settings import same_name
from twokey.core import durations, timestamps
from twokey.core.errors import BadCredentials, Failed, NotFound, ServiceError
from twokey.core.model import MachineUser
from twokey.core.sentences import of_any
from twokey.inventory import credential_report, report
from twokey.inventory.credential_report import ROOT
from twokey.inventory.decision import FoundKey, FoundUser, explained, listed, reported, with_roles
from twokey.inventory.findings import LONG_UNUSED, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from twokey.aws.iam import Iam
    from twokey.core.model import AccessKey
    from twokey.inventory.credential_report import Report, Row
    from twokey.inventory.decision import Managed
    from twokey.reports.audit import Audit

    Members = Callable[[Sequence[MachineUser]], Sequence[Managed]]

AT_A_TIME = 16
"""Users whose keys are listed at a time."""
REPORTS_EVERY = timedelta(hours=4)
"""IAM makes a credential report at most this often ("GenerateCredentialReport", IAM API Reference)."""
Item = TypeVar("Item")
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Request:
    """What to look at: the users below ``path``, or all and the root user; ``ids``: with the id of every key.

    ``expected`` are the users that the configuration names; ``outside``, ``within`` and ``schedule``: see ``Limits``.
    """

    path: str | None = None
    ids: bool = False
    max_age: timedelta = REPORTS_EVERY
    outside: timedelta = LONG_UNUSED
    within: timedelta = timedelta(days=7)
    schedule: timedelta | None = None
    expected: tuple[str, ...] = ()


def audit(iam: Iam, request: Request, members: Members) -> Audit:
    """Return what the account has. ``members`` reads the journals of those users that twokey rotates.

    Raises a ``ServiceError`` if the credential report cannot be read, and ``Failed`` if it is too old.
    """
    found = credential_report.fetch(iam)
    now = max(iam.clock.now(), found.generated)
    _refuse_old(found, now, request.max_age)
    rows = [row for row in found.rows if request.path is None or row.path.startswith(request.path)]
    people = [row for row in rows if row.user != ROOT]
    managed = {one.user.name: one for one in members([*map(_machine_user, people)])}
    known = {
        row.user: of_row
        for row in people
        if not request.ids
        and (one := managed.get(row.user))
        and (of_row := explained(row, one, found.generated, now)) is not None
    }
    wanted = [row.user for row in people if row.user not in known and _is_listed(row, managed, request)]
    keys, problems = _list(iam, wanted)
    users = [
        _user(row, known.get(row.user) or _keys(row, keys), managed.get(row.user), now)
        for row in rows
        if keys.get(row.user, ()) is not None
    ]
    limits = Limits(now, request.outside, request.within, request.schedule)
    warnings = [*_missing(request, people, found), *problems, *_gone(keys), *_unreadable(managed.values())]
    complete = not problems and all(one.record for one in managed.values())
    return report.result(users, limits, found, warnings, complete=complete)


def _refuse_old(found: Report, now: datetime, max_age: timedelta) -> None:
    age = now - found.generated
    if age > max_age:
        following = timestamps.utc(found.generated + REPORTS_EVERY)
        raise Failed(
            f"The credential report of the account was made at {timestamps.utc(found.generated)}, "
            f"{durations.show(age)} ago; --max-age allows {durations.exact(max_age)}.",
            remedy=f"IAM makes one every {durations.show(REPORTS_EVERY)} at most: run again after {following}, or "
            "allow an older one.",
        )


def _machine_user(row: Row) -> MachineUser:
    return MachineUser(row.user, row.path, "", row.account, row.arn)


def _is_listed(row: Row, managed: Mapping[str, Managed], request: Request) -> bool:
    one = managed.get(row.user)
    if one is not None and one.record is not None:
        return True
    return request.ids and bool(row.keys or one)


def _keys(row: Row, keys: Mapping[str, tuple[AccessKey, ...] | None]) -> tuple[FoundKey, ...]:
    of_row = keys.get(row.user)
    return reported(row) if of_row is None else listed(row, of_row)


def _user(row: Row, keys: tuple[FoundKey, ...], managed: Managed | None, now: datetime) -> FoundUser:
    return FoundUser(row, keys, managed, with_roles(managed, keys, now) if managed else None)


def _list(iam: Iam, users: Sequence[str]) -> tuple[dict[str, tuple[AccessKey, ...] | None], list[str]]:
    """List the keys of users; None for a user that was deleted. Also return what kept others from being listed."""

    def keys(user: str) -> tuple[AccessKey, ...] | ServiceError:
        try:
            return iam.keys(user)
        except BadCredentials:
            raise
        except ServiceError as error:
            return error

    found: dict[str, tuple[AccessKey, ...] | None] = {}
    failed: dict[str, str] = {}
    for user, one in zip(users, concurrently(keys, users, AT_A_TIME), strict=True):
        if isinstance(one, NotFound):
            found[user] = None
        elif isinstance(one, ServiceError):
            failed[user] = str(one)
        else:
            found[user] = one
    problems = [
        f"The keys of {counted(names)} cannot be listed, so their IDs and roles are unknown: {why}"
        for why, names in _by_cause(failed)
    ]
    return found, problems


def _by_cause(failed: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Return each cause with the users that it is that of. One that several users share names none of them."""
    causes: dict[str, list[str]] = {}
    for user, why in failed.items():
        causes.setdefault(of_any(why, user, "USER"), []).append(user)
    for general, users in causes.items():
        yield (general if len(users) > 1 else failed[users[0]]), users


def concurrently(work: Callable[[Item], Found], items: Sequence[Item], at_a_time: int) -> list[Found]:
    """Do the work for every item, several at a time, in order; an interruption or an error begins no further item."""
    if len(items) < 2:
        return [*map(work, items)]
    # A future for each of a thousand accounts would take more memory than what is found in them.
    found: list[Any] = [None] * len(items)
    failed: dict[int, BaseException] = {}
    left, over = iter(range(len(items))), Event()

    def some() -> None:
        while not over.is_set() and (index := next(left, None)) is not None:
            try:
                found[index] = work(items[index])
            except BaseException as error:  # noqa: BLE001  raised again below
                failed[index] = error
                over.set()

    at_a_time = min(at_a_time, len(items))
    with ThreadPoolExecutor(max_workers=at_a_time, thread_name_prefix="audit") as pool:
        try:
            wait([pool.submit(some) for _ in range(at_a_time)])
        except BaseException:
            over.set()
            raise
    if failed:
        raise failed[min(failed)]
    return found


def counted(names: Sequence[str]) -> str:
    """Name one user, or say how many there are, and who the first ones are."""
    if len(names) == 1:
        return names[0]
    first = ", ".join(names[:3])
    return f"{len(names)} users ({first}{', ...' if len(names) > 3 else ''})"


def _missing(request: Request, rows: Sequence[Row], found: Report) -> Iterator[str]:
    if request.path is not None and not rows:
        yield (
            f"The credential report, made at {timestamps.utc(found.generated)}, has no IAM user below {request.path}: "
            "check the path."
        )
    known = {same_name(row.user) for row in rows}
    missing = [name for name in request.expected if same_name(name) not in known]
    if missing and request.path is None:
        yield (
            f"The credential report, made at {timestamps.utc(found.generated)}, does not have {counted(missing)} of "
            "the configuration: the account has no such user, or it was created since."
        )


def _gone(keys: Mapping[str, tuple[AccessKey, ...] | None]) -> Iterator[str]:
    gone = [name for name, listed_keys in keys.items() if listed_keys is None]
    if gone:
        yield f"The credential report still has {counted(gone)}, deleted since it was made; left out."


def _unreadable(managed: Iterable[Managed]) -> Iterator[str]:
    failed = {one.user.name: one.why for one in managed if one.record is None}
    for why, names in _by_cause(failed):
        yield f"The journal of {counted(names)} cannot be read, so the roles of the keys are unknown: {why}"
