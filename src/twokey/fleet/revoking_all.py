"""``revoke --all``: the leaked keys of many users, found without a request to IAM for each, the most powerful first.

IAM's rate is the limit, and each request counts against it. So the account is read once; and each user's key is the one
that its store holds, which no request to IAM is needed for. What follows is one request for each key: it makes it
Inactive.

A run that was interrupted is run again. Where a journal names a key as revoked within ``SAME_INCIDENT``, and the store
holds another one, that one replaced it and has not leaked. The revoked key is made Inactive once more, which is
harmless, and costs one request as looking at it would.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.core.commands import revoke_command
from twokey.core.destination import record_of
from twokey.core.errors import BadCredentials, Failed, ServiceError, TwokeyError, UsageError, foreseen
from twokey.core.model import Held, MachineUser
from twokey.core.reasons import Reason, Revocation
from twokey.fleet.revoking import Leaks
from twokey.fleet.roster import too_many
from twokey.inventory.audit import concurrently, counted
from twokey.inventory.picture import Picture
from twokey.revocation.order import in_order, powers
from twokey.revocation.results import RevokeResult
from twokey.revocation.revoke import inactive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from twokey.config.settings import Settings
    from twokey.core.model import AccessKey, Record
    from twokey.fleet.first import Request
    from twokey.fleet.lookup import FindsUsers
    from twokey.fleet.roster import Job
    from twokey.fleet.runtime import Runtime
    from twokey.revocation.order import Power

SAME_INCIDENT = timedelta(hours=24)
"""A key that replaced a revoked one less than this ago has not leaked, unless the operator names it."""
PATIENCE = 15.0
"""Seconds without a response of any store after which the others count as not readable: one attempt of a request."""
SHOWN = 5
"""Keys that a warning names."""
STORES = 32
"""Stores that are read at a time."""
NOTHING = "Nothing was changed."
AGAIN = "Run the same command again: it continues."


@dataclass(slots=True)
class AllUsers:
    """All users that are meant, the most powerful first. ``powers``: what their keys can do, as far as that was read.

    ``warnings``: what the operator should know besides. ``picture``: the account, if it could be read.
    """

    leaks: Leaks
    powers: dict[str, Power] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    picture: Picture | None = None


def find_all(request: Request, path: str | None, runtime: Runtime, settings: Settings) -> AllUsers:
    """Find the leaked key of every user of the configuration, or below a path. Changes nothing.

    Raises ``UsageError`` for a configuration that cannot be used, and ``BadCredentials``.
    """
    if path is None and not settings.selections:
        raise UsageError(
            "--all without a configuration needs --path.",
            state="Nothing was called.",
            remedy="Name the path of the machine users, such as --path /machine-users/; `/` is every user.",
        )
    all_found, own = AllUsers(Leaks(request)), runtime.clients.own_key()
    now = runtime.clients.clock.now
    directory = _directory(all_found, runtime)
    jobs, users = _users(all_found.leaks, path, runtime, settings, directory)
    if not users and not all_found.leaks.ended:
        raise Failed(
            f"The account has no IAM user below {path or '/'} that is selected.",
            state=NOTHING,
            remedy="Check the path (IAM paths look like /machine-users/) and the account: aws sts get-caller-identity.",
        )
    if len(users) > settings.max_users:
        for refused in too_many([jobs[name] for name in users if name in jobs], settings.max_users):
            all_found.leaks.end(refused.user, Revocation.REFUSED, refused.reason, refused.message)
        if not jobs:
            message = f"{len(users)} users are selected; one run may change at most {settings.max_users}. {NOTHING}"
            raise UsageError(message, remedy=f"To revoke the keys of all of them, add --max-users {len(users)}.")
        return all_found
    found = _by_store(jobs, runtime)
    unknown = [name for name in users if request.both or not _holds(found.get(name))]
    listed = dict(zip(unknown, concurrently(lambda name: _listed(name, runtime), unknown, STORES), strict=True))
    arns = {user.arn: name for name, user in users.items()}
    of_arn = {arn: all_found.powers[name] for arn, name in arns.items() if name in all_found.powers}
    stored = {name: _stored(found.get(name), now()) for name in users}
    for arn in in_order(arns, of_arn):
        name = arns[arn]
        _decide(all_found.leaks, users[name], stored[name], listed.get(name, ()), own)
    if replaced := {name: one.held for name, one in stored.items() if one.replaced and one.held}:
        all_found.warnings.append(_left_alone(replaced))
    ended = {one.user.name for one in all_found.leaks.ended}
    without = [name for name in users if name not in all_found.leaks.keys and name not in ended]
    if without:
        all_found.warnings.append(f"{counted(without)} without an access key: nothing to revoke.")
    all_found.leaks.jobs.update({name: jobs[name] for name in all_found.leaks.keys if name in jobs})
    return all_found


def _directory(all_found: AllUsers, runtime: Runtime) -> FindsUsers:
    """Return one reading of the account; IAM itself, which takes more requests, if the account cannot be read."""
    try:
        picture = all_found.picture = Picture(runtime.iam)
        names = {user.arn: user.name for user in picture.account.users}
        all_found.powers.update({names[arn]: power for arn, power in powers(picture.account).items()})
    except BadCredentials:
        raise
    except ServiceError as error:
        all_found.warnings.append(
            f"The account cannot be read, so the keys are made Inactive in the order of the users' names, not in that "
            f"of what they can do: {error.message}"
        )
        return runtime.iam
    return picture


def _users(
    leaks: Leaks, path: str | None, runtime: Runtime, settings: Settings, directory: FindsUsers
) -> tuple[dict[str, Job], dict[str, MachineUser]]:
    """Return the users that are meant, by name; those that the configuration has with their stores."""
    if not settings.selections:
        return {}, {user.name: user for user in directory.users(path or "/")}
    roster = runtime.check(runtime.roster(settings, (), directory=directory))
    for failed in roster.failed:
        leaks.end(failed.user, Revocation.FAILED, failed.reason, failed.message)
    jobs = {job.user.name: job for job in roster.jobs if job.user.path.startswith(path or "/")}
    return jobs, {name: job.user for name, job in jobs.items()}


def _by_store(jobs: Mapping[str, Job], runtime: Runtime) -> dict[str, Record | TwokeyError]:
    """Read what each user's store holds. Those that do not respond hold up no user: they count as not readable."""
    pool = ThreadPoolExecutor(max_workers=STORES, thread_name_prefix="store")
    try:
        reading = {pool.submit(_load, job, runtime): name for name, job in jobs.items()}
        waiting = set(reading)
        found: dict[str, Record | TwokeyError] = {}
        while waiting:
            done, waiting = wait(waiting, PATIENCE, FIRST_COMPLETED)
            found.update({reading[one]: one.result() for one in done})
            if not done:
                silent = Failed(f"no store responded for {PATIENCE:g} s.")
                return {**{reading[one]: silent for one in waiting}, **found}
        return found
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _load(job: Job, runtime: Runtime) -> Record | TwokeyError:
    from twokey.destinations import registry

    try:
        with foreseen(job.store, reading=True):  # one store's failure, whatever it is, stops no other
            return record_of(registry.open_store(job.store, runtime.services).load)
    except TwokeyError as error:
        return error


def _listed(name: str, runtime: Runtime) -> tuple[AccessKey, ...] | TwokeyError:
    try:
        return runtime.iam.keys(name)
    except BadCredentials:
        raise
    except TwokeyError as error:
        return error


def _holds(record: Record | TwokeyError | None) -> bool:
    return record is not None and not isinstance(record, TwokeyError) and isinstance(record.holding, Held)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What a user's store says: the key that it holds, and those that were revoked in the same incident.

    ``why``: why it names no key.
    """

    held: str = ""
    revoked: tuple[str, ...] = ()
    why: str = "no store names the one in use"

    @property
    def replaced(self) -> bool:
        """Whether the key that the store holds replaced a revoked one."""
        return bool(self.revoked) and self.held not in self.revoked


def _stored(record: Record | TwokeyError | None, now: datetime) -> _Stored:
    if record is None:
        return _Stored()
    if isinstance(record, TwokeyError):
        return _Stored(why=f"its store cannot be read: {record}".removesuffix("."))
    held = record.holding.key_id if isinstance(record.holding, Held) else ""
    revoked = [key_id for key_id, one in record.journal.revoked.items() if now - one.at < SAME_INCIDENT]
    return _Stored(held, tuple(revoked), "its store holds no key")


def _decide(
    leaks: Leaks, user: MachineUser, stored: _Stored, listed: Sequence[AccessKey] | TwokeyError, own: str
) -> None:
    """Say which keys of a user have leaked, or why that is unclear."""
    if isinstance(listed, TwokeyError):
        leaks.end(user, Revocation.FAILED, Reason.ERROR, f"The keys of {user.name} cannot be listed: {listed}")
        return
    if leaks.request.both:
        keys = [key.id for key in listed if not (stored.replaced and key.id == stored.held)]
    elif stored.replaced or stored.held:
        keys = [*stored.revoked] if stored.replaced else [stored.held]
    else:
        keys = [key.id for key in listed]
        if len(keys) > 1:
            leaks.end(user, Revocation.REFUSED, Reason.CANNOT_ATTRIBUTE, _which(user, stored.why, keys))
            return
    if own in keys:
        leaks.end(user, Revocation.REFUSED, Reason.OWN_KEY, _own(own))
    elif keys:
        leaks.keys[user.name] = keys


def _left_alone(held: Mapping[str, str]) -> str:
    """Say which keys stay, by user: they count as the replacements of leaked ones, but may have leaked since."""
    shown = " ".join([*held.values()][:SHOWN])
    more = " ..., as twokey status shows them" if len(held) > SHOWN else ""
    return (
        f"{counted([*held])} had a key revoked in the last 24 hours. What the store holds instead counts as not leaked "
        f"and stays Active. If it has leaked since, name it: {revoke_command(shown)}{more}."
    )


def _which(user: MachineUser, why: str, keys: Sequence[str]) -> str:
    commands = ", or ".join(map(revoke_command, keys))
    return f"{user.name} has {len(keys)} keys, and {why}. {NOTHING} Name the key: {commands}. Or add --both."


def _own(own: str) -> str:
    return (
        f"twokey itself runs with {own}: once it is Inactive, it could not continue. {NOTHING} Run this command with "
        "the credentials of another principal, such as an administrator's role."
    )


def interrupted(leaks: Leaks, why: str) -> list[RevokeResult]:
    """Return the results of a run that ended before the leaked keys were replaced, or all of them Inactive."""
    return [_interrupted(leaks, user, key_ids, why) for user, key_ids in leaks.keys.items()]


def _interrupted(leaks: Leaks, user: str, key_ids: Sequence[str], why: str) -> RevokeResult:
    named = leaks.jobs[user].user if user in leaks.jobs else MachineUser(user, "", "", "", "")
    contained = tuple(leaks.contained.get(user, ()))
    left = [key_id for key_id in key_ids if key_id not in {one.key_id for one in contained}]
    if left:
        others = f" {inactive(contained)}" if contained else ""
        message = f"{', '.join(left)} may still be Active: {why}{others} {AGAIN}"
        return RevokeResult(named, Revocation.FAILED, Reason.STOPPED, message, contained, active=tuple(left))
    message = f"{inactive(contained)} Nothing replaces it yet: {why} {AGAIN}"
    return RevokeResult(named, Revocation.CONTAINED, Reason.STOPPED, message, contained)
