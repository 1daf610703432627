"""Whether the keys that ``--retire`` names belong to the selected users, before anything is done for any of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from twokey.core.errors import BadCredentials, TwokeyError
from twokey.core.reasons import Outcome, Reason
from twokey.fleet.names import Names
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.core.model import UserKey
    from twokey.fleet.roster import Job, Roster
    from twokey.rotation.world import World

AT_A_TIME = 16
"""Users whose keys are listed at a time."""
FEW = 3
"""Up to so many users, a message lists their keys."""


def refuse_unknown(roster: Roster, world: Callable[[Job], World], key_ids: frozenset[str]) -> list[Result]:
    """Refuse every user where a key to retire belongs to none of them; without such a key, return nothing.

    A key that a journal names is theirs, also where it is gone: an earlier run removed it.
    """
    jobs = roster.jobs
    if not key_ids or not jobs:
        return []
    with ThreadPoolExecutor(max_workers=min(AT_A_TIME, len(jobs)), thread_name_prefix="retire") as pool:
        listed = list(pool.map(lambda job: _keys(world(job), job), jobs))
    unknown = key_ids - {key_id for found in listed for key_id in found or ()}
    for job in jobs:
        if unknown:
            unknown -= _recorded(world(job))
    if not unknown:
        return []
    message = _message(sorted(unknown), jobs, listed, roster)
    return [Result(job.user, Outcome.REFUSED, Reason.RETIRE_UNKNOWN, message) for job in jobs]


def _keys(world: World, job: Job) -> list[str] | None:
    """Return the ids of a user's keys; None where they cannot be listed, which its own rotation reports."""
    try:
        return [key.id for key in world.iam.keys(job.user.name)]
    except BadCredentials:
        raise
    except TwokeyError:
        return None


def _recorded(world: World) -> set[str]:
    try:
        journal = world.store.load().journal
    except BadCredentials:
        raise
    except TwokeyError:
        return set()
    return {journal.current, journal.last, *journal.removed}


def _message(
    unknown: Sequence[str], jobs: Sequence[Job], listed: Sequence[Sequence[str] | None], roster: Roster
) -> str:
    failed = [result.user.key for result in roster.failed]
    named = Names((*(job.user.key for job in jobs), *failed))
    unread = [job.user.key for job, keys in zip(jobs, listed, strict=True) if keys is None] + failed
    why = f" The keys of {', '.join(map(named, unread))} could not be read." if unread else ""
    remedy = "Check the ID, select its user, or leave --retire out. Nothing was changed."
    return f"--retire names {', '.join(unknown)}, but {_theirs(jobs, listed, named)}.{why} {remedy}"


def _theirs(jobs: Sequence[Job], listed: Sequence[Sequence[str] | None], named: Names) -> str:
    if len(jobs) > FEW:
        return f"none of the {len(jobs)} selected users has such a key"
    shown: list[tuple[UserKey, str]] = [
        (job.user.key, ", ".join(keys) or "no key") for job, keys in zip(jobs, listed, strict=True) if keys is not None
    ]
    return ", ".join(f"{named(key)} has {keys}" for key, keys in shown) or "no key could be listed"
