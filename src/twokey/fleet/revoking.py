"""The users whose keys have leaked: found by key id or name, and contained before the configuration is looked at."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from twokey.core.commands import revoke_command, rotate_command
from twokey.core.errors import BadCredentials, Failed, NotFound, TwokeyError
from twokey.core.model import Held, MachineUser, account_of
from twokey.core.reasons import Reason, Revocation
from twokey.fleet.first import KEY_ID
from twokey.fleet.lookup import UNTOUCHED
from twokey.fleet.roster import Roster
from twokey.revocation.contain import contain
from twokey.revocation.decision import Leak, revoke_plan
from twokey.revocation.results import RevokeResult
from twokey.revocation.revoke import inactive, revoke
from twokey.rotation.preview import preview

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.config.settings import Settings
    from twokey.core.model import AccessKey
    from twokey.fleet.first import First, Request
    from twokey.fleet.roster import Job
    from twokey.fleet.runtime import Runtime
    from twokey.revocation.contain import Contained
    from twokey.rotation.preview import Preview
    from twokey.rotation.world import World

    SettingsOf = Callable[[tuple[str, ...]], Settings | None]
    """Returns the settings for these users; None where neither a store nor a file is given."""


@dataclass(slots=True)
class Leaks:
    """The leaked keys of each user, as far as they were found; ``ended`` has the results that are final already.

    A revocation works in one account. Which that is may be unknown until the keys are Inactive, since IAM responds with
    the name of a key's user alone: so users are keyed by name.
    """

    request: Request
    keys: dict[str, list[str]] = field(default_factory=dict)
    contained: dict[str, list[Contained]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    ended: list[RevokeResult] = field(default_factory=list)
    unselected: str = ""
    first: First | None = None
    """What was made Inactive before anything else was looked up."""

    def leak(self, user: str) -> Leak:
        """Return what is known of one user's leaked keys."""
        moments = {one.key_id: one.at for one in self.contained[user]}
        return Leak(moments, delete=self.request.delete, keep=self.request.keep)

    def end(
        self, user: MachineUser, outcome: Revocation, reason: Reason, message: str, active: Sequence[str] = ()
    ) -> None:
        """Record the result of a user, or of a name, for which nothing further is done."""
        contained = tuple(self.contained.get(user.name, ()))
        self.ended.append(RevokeResult(user, outcome, reason, message, contained, active=tuple(active)))


def find(request: Request, runtime: Runtime, settings_of: SettingsOf, first: First | None = None) -> Leaks:
    """Find the user of each key id, and the key in use of each user. Changes nothing.

    A key id takes one request; a name takes the store, too, for it holds the key in use.
    """
    leaks, own = Leaks(request, first=first), runtime.clients.own_key()
    names = [target for target in request.targets if not KEY_ID.fullmatch(target)]
    if not request.both:
        _select(leaks, runtime, settings_of, names)
    for target in dict.fromkeys(request.targets):
        try:
            user, key_ids = _keys_of(target, leaks, runtime, own)
        except BadCredentials:
            raise
        except TwokeyError as error:
            refused = isinstance(error, _Unclear)
            leaks.end(
                _nameless("" if KEY_ID.fullmatch(target) else target),
                Revocation.REFUSED if refused else Revocation.FAILED,
                error.reason if isinstance(error, _Unclear) else Reason.ERROR,
                str(error),
            )
        else:
            known = leaks.keys.setdefault(user, [])
            known += [key_id for key_id in key_ids if key_id not in known]
    return leaks


def select_jobs(leaks: Leaks, runtime: Runtime, settings_of: SettingsOf) -> None:
    """Find the stores and destinations of the users that were found by a key id. Changes nothing."""
    _select(leaks, runtime, settings_of, [name for name in leaks.keys if name not in leaks.jobs])


def contain_all(
    leaks: Leaks, runtime: Runtime, at_a_time: int = 1, ended: Callable[[str], None] = lambda _user: None
) -> None:
    """Make every leaked key Inactive, in the order of the users, so many at a time; ``ended`` counts the users.

    Of a user with a key that may still work, nothing further is done. An interruption begins no further user.
    """

    def one(user: str) -> None:
        if not runtime.stop.is_set():
            _contain(leaks, user, runtime)
            ended(user)

    users = list(leaks.keys)
    if len(users) < 2:
        for user in users:
            one(user)
        return
    with ThreadPoolExecutor(max_workers=min(at_a_time, len(users)), thread_name_prefix="contain") as pool:
        try:
            for done in [pool.submit(one, user) for user in users]:
                done.result()
        except BaseException:
            runtime.stop.set()
            raise


def _contain(leaks: Leaks, user: str, runtime: Runtime) -> None:
    key_ids, contained = leaks.keys[user], leaks.contained.setdefault(user, [])
    try:
        for key_id in key_ids:
            done = leaks.first.contained.get(key_id) if leaks.first else None
            contained.append(done or contain(user, key_id, runtime.iam, runtime.clients.clock))
    except TwokeyError as error:
        del leaks.keys[user]
        still = key_ids[len(contained) :]
        message = f"{', '.join(still)} of {user} may still be Active: {error} {inactive(contained)}".strip()
        named = leaks.jobs[user].user if user in leaks.jobs else _nameless(user)
        leaks.end(named, Revocation.FAILED, Reason.ERROR, message, still)


def select(leaks: Leaks, runtime: Runtime, settings_of: SettingsOf) -> Roster:
    """Find the stores and destinations of the users, once their keys are Inactive; what cannot be found is a result."""
    select_jobs(leaks, runtime, settings_of)
    for name in list(leaks.keys):
        if name not in leaks.jobs:
            leaks.end(_described(name, runtime), Revocation.CONTAINED, Reason.LEAKED, _unmanaged(leaks, name))
            del leaks.keys[name]
    return Roster(tuple(leaks.jobs[name] for name in leaks.keys))


def previewed(leaks: Leaks, job: Job, world: World) -> Preview:
    """Say what would be done for one user, once its leaked keys are Inactive. Changes nothing."""
    now = world.clock.now()
    leak = Leak(dict.fromkeys(leaks.keys[job.user.name], now), delete=leaks.request.delete, keep=leaks.request.keep)
    return preview(job.user, job.policy, world, decide=partial(revoke_plan, leak=leak))


def replace_keys(leaks: Leaks, job: Job, world: World) -> RevokeResult:
    """Replace the leaked keys of one user, which are Inactive."""
    user = job.user
    return revoke(user, job.policy, world, leaks.leak(user.name), leaks.contained[user.name])


class _Unclear(Failed):
    """Which key is meant is not clear, or this one may not be revoked from here: nothing was changed."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message, state="Nothing was changed.")
        self.reason = reason


def _keys_of(target: str, leaks: Leaks, runtime: Runtime, own: str) -> tuple[str, list[str]]:
    by_id = KEY_ID.fullmatch(target) is not None
    known = leaks.first.owners.get(target) if leaks.first else None
    user = (known or _owner(target, runtime)) if by_id else target
    if leaks.request.both:
        found = [key.id for key in _keys(user, runtime)]
    else:
        found = [target] if by_id else [_in_use(user, leaks, runtime)]
    if not found:
        raise _Unclear(Reason.NO_KEY, f"{user} has no access key.")
    if own in found:
        raise _Unclear(
            Reason.OWN_KEY,
            f"twokey itself runs with {own}: once it is Inactive, it could not create another key. Run this command "
            "with the credentials of another principal, such as an administrator's role.",
        )
    return leaks.jobs[user].user.name if user in leaks.jobs else user, found


def _owner(key_id: str, runtime: Runtime) -> str:
    """Return the user that a key belongs to."""
    try:
        owner = runtime.iam.owner(key_id)
    except TwokeyError as error:
        if isinstance(error, BadCredentials):
            raise
        message = f"The user of {key_id} cannot be found: {error.message}"
        raise Failed(message, state=NOTHING, remedy=_where(key_id)) from None
    if owner is None:
        raise Failed(f"No user of this account has the key {key_id}.", state=NOTHING, remedy=_where(key_id))
    return owner


NOTHING = "Nothing was changed."


def _where(key_id: str) -> str:
    """Say in which account the operator has to look."""
    account = account_of(key_id)
    of_it = f" By its ID, the key belongs to account {account}." if account else ""
    return (
        f"IAM denies this for a key that the account in use does not have.{of_it} Check the ID, and the account: aws "
        "sts get-caller-identity. Then run with the credentials of the key's account. If an earlier run has deleted "
        f"the key already, to make room for another one, name its user: {revoke_command('USER')} continues."
    )


def _keys(user: str, runtime: Runtime) -> Sequence[AccessKey]:
    """List the keys of a user that the operator named."""
    try:
        return runtime.iam.keys(user)
    except NotFound:
        raise Failed(
            f"There is no IAM user {user} in this account.",
            state=NOTHING,
            remedy="Check the name and the account: aws sts get-caller-identity.",
        ) from None


def _in_use(user: str, leaks: Leaks, runtime: Runtime) -> str:
    """Return the key that the user's store holds; of a user without a store, the only key."""
    job = leaks.jobs.get(user)
    if job is None:
        keys = _keys(user, runtime)
        if len(keys) == 1:
            return keys[0].id
        why = f"{leaks.unselected} So" if leaks.unselected else "twokey does not manage this user, so"
        raise _which(f"{why} which of its keys has leaked is unclear.", keys)
    from twokey.destinations import registry

    record = registry.open_store(job.store, runtime.services).load()
    keys = runtime.iam.keys(job.user.name)
    if not isinstance(record.holding, Held):
        raise _which(f"{job.store} holds no key, so which one has leaked is unclear.", keys)
    held = record.holding.key_id
    before = [key_id for key_id in record.journal.revoked if key_id != held]
    if before:
        exists = before[-1] in {key.id for key in keys}
        done, goes_on = ("", revoke_command(before[-1])) if exists else (" and deleted", rotate_command(user))
        raise _Unclear(
            Reason.CANNOT_ATTRIBUTE,
            f"{before[-1]} of {user} was revoked before{done}, and {held} replaces it. "
            f"To continue that revocation: {goes_on}. "
            f"If {held} has leaked, too: {revoke_command(held)}.",
        )
    return held


def _which(why: str, keys: Sequence[AccessKey]) -> _Unclear:
    commands = ", or ".join(revoke_command(key.id) for key in keys)
    if not keys:
        return _Unclear(Reason.NO_KEY, "The user has no access key.")
    return _Unclear(Reason.CANNOT_ATTRIBUTE, f"{why} Name the key: {commands}.")


def _select(leaks: Leaks, runtime: Runtime, settings_of: SettingsOf, names: Sequence[str]) -> None:
    """Add the jobs of these users. What keeps them from being found is said later: it must not hold up anything."""
    if not names:
        return
    try:
        settings = settings_of(tuple(names))
        if settings is None:
            return
        runtime.check_region(settings)
        roster = runtime.check(runtime.roster(settings, tuple(names)))
    except BadCredentials:
        raise
    except TwokeyError as error:
        leaks.unselected = str(error)
        return
    for job in roster.jobs:
        wanted = next(name for name in names if name.casefold() == job.user.name.casefold())
        leaks.jobs[wanted] = leaks.jobs[job.user.name] = job
    leaks.unselected = " ".join(result.message for result in roster.failed)


def _unmanaged(leaks: Leaks, name: str) -> str:
    done = inactive(leaks.contained[name])
    # By now, the leaked key was changed.
    why = (
        leaks.unselected.replace(f" {UNTOUCHED}", "")
        or f"twokey does not manage {name}: no configuration names its store"
    )
    why = why if why.endswith((".", "?")) else f"{why}."
    return (
        f"{done} No key was created in its place, so the programs that used it fail: {why} Give them "
        "another credential, or select the user (--store, twokey.yaml) and run this again."
    )


def _described(name: str, runtime: Runtime) -> MachineUser:
    try:
        return runtime.iam.user(name)
    except TwokeyError:
        return _nameless(name)


def _nameless(name: str) -> MachineUser:
    return MachineUser(name, "", "", "", "")
