"""What the message of a run that was ended claims about the state of things: never more than the run knows.

Where an error is raised, nothing is known of what the run did before it: the lease was written to the journal, LAST was
removed, a key was created. A claim that nothing was changed is made there in good faith, and is checked here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twokey.core.errors import Ambiguous, Conflict, LeaseHeld, TwokeyError
from twokey.core.model import NotHeld

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.model import Record
    from twokey.rotation.leased_journal import LeasedJournal
    from twokey.rotation.results import Effects

NOTHING = "Nothing was changed."
NOTHING_THERE = "Nothing was written there."
_NOTHING = re.compile(
    r"Nothing was (changed|called|written)( by this run| for this user)?\."
    r"|(.+), and nothing was changed\."
    r"|(.+); nothing was changed\."
)


def checked(error: TwokeyError, effects: Effects, store: str) -> None:
    """Make the state that an error claims agree with what this run wrote to IAM and to the store's journal."""
    claims = claims_nothing(error)
    if not claims and (error.state or effects.begun or isinstance(error, (Ambiguous, Conflict))):
        return
    rest = _NOTHING.fullmatch(error.state)
    before = next((f"{part}. " for part in (rest[3], rest[4]) if part), "") if rest else ""
    if effects.begun or effects.lease != "none":
        error.state = before + _state(effects, store)
    elif not claims:
        error.state = NOTHING


def leased(effects: Effects, record: Record, take: Callable[[], LeasedJournal]) -> LeasedJournal:
    """Take a lease, and remember whether the journal was written by that, and whether there was a store before."""
    try:
        found = take()
    except (Conflict, LeaseHeld):
        raise
    except TwokeyError:
        if effects.lease == "none":
            effects.lease = "doubtful"  # one of the requests of a write may have been refused after another
        raise
    effects.lease = "written"
    effects.new_store = effects.new_store or creates_store(record)
    return found


def creates_store(record: Record) -> bool:
    """Say whether a lease would be the first thing that the store contains."""
    return not record.journal.epoch and isinstance(record.holding, NotHeld)


def of_destination(error: TwokeyError) -> str:
    """Return the message of a delivery that failed: other destinations may have been written before."""
    if claims_nothing(error):
        return " ".join(part for part in (error.message, NOTHING_THERE, error.remedy) if part)
    return str(error)


def claims_nothing(error: TwokeyError) -> bool:
    """Say whether an error claims that nothing was changed at all."""
    return _NOTHING.fullmatch(error.state) is not None


def _state(effects: Effects, store: str) -> str:
    """Say what this run has changed."""
    if not effects.begun:
        if effects.lease == "doubtful":
            return "No key was changed, and nothing that jobs read."
        if effects.new_store:
            return f"No key was changed. {store} now contains this run's journal, and no key."
        return f"No key was changed, and nothing that jobs read; only the journal of {store} was written."
    done = [f"removed {', '.join(effects.removed)}"] if effects.removed else []
    done += [f"made {', '.join(effects.deactivated)} Inactive"] if effects.deactivated else []
    done += [f"created {effects.created}"] if effects.created else []
    held = [result.destination for result in effects.delivered if result.outcome == "delivered"]
    done += [f"wrote to {', '.join(held)}"] if held else []
    return f"Before that, this run {' and '.join(done)}." if done else "No key was changed by this run."
