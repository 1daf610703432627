"""One user's revocation after its keys are Inactive: replaced by the engine, with another decision. Read this first.

    contain     the leaked keys are Inactive, before anything else; ``contain`` does that for all users first
    rotate      the engine: lease, journal, intent, one creation, verification, store, deliveries, commit
    again       where a rotation ended before all was done: the interrupted one is finished, the leaked key is deleted

Whatever interrupts this, the leaked key stays Inactive: no line of twokey makes a key Active. The journal names it, so
``revoke`` and ``rotate``, run anywhere, continue from there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from twokey.core import timestamps
from twokey.core.commands import rotate_command
from twokey.core.reasons import Outcome, Reason, Revocation
from twokey.revocation.decision import revoke_plan
from twokey.revocation.results import RevokeResult
from twokey.rotation.rotate import rotate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.core.model import MachineUser
    from twokey.planning.policy import RotationPolicy
    from twokey.revocation.contain import Contained
    from twokey.revocation.decision import Leak
    from twokey.rotation.results import Result
    from twokey.rotation.world import World

ROTATIONS = 4
"""How often the engine is started: to finish what was interrupted, to rotate, to deliver, to delete."""
PROGRESS = (Outcome.ROTATED, Outcome.COMPLETED, Outcome.RETIRED)


def revoke(
    user: MachineUser, policy: RotationPolicy, world: World, leak: Leak, contained: Sequence[Contained]
) -> RevokeResult:
    """Replace one user's leaked keys, which are Inactive. Never raises a ``TwokeyError``: every end is a result."""
    decide = partial(revoke_plan, leak=leak)
    result = rotate(user, policy, world, decide=decide)
    for _ in range(ROTATIONS - 1):
        if not _more(result, leak):
            break
        result = _after(result, rotate(user, policy, world, decide=decide))
    return ended(user, contained, result, leak)


def ended(user: MachineUser, contained: Sequence[Contained], result: Result, leak: Leak) -> RevokeResult:
    """Return how the revocation ended, by how the engine's last run did."""
    works = result.outcome not in (Outcome.REFUSED, Outcome.FAILED) and result.current not in ("", *leak.contained)
    goes_on = "" if works else _goes_on(user, contained, result)
    return RevokeResult(
        user,
        Revocation.REVOKED if works else Revocation.CONTAINED,
        Reason.LEAKED if works else result.reason,
        f"{inactive(contained)} {result.message} {goes_on}".strip(),
        tuple(contained),
        result,
    )


def _goes_on(user: MachineUser, contained: Sequence[Contained], result: Result) -> str:
    """Name the command that goes on where all leaked keys were deleted: by their ids, no user is found any more."""
    if not contained or not {one.key_id for one in contained} <= set(result.removed):
        return ""
    return f"To continue, now that {' and '.join(result.removed)} is deleted: {rotate_command(user.name)}."


def inactive(contained: Sequence[Contained]) -> str:
    """Say since when each leaked key has been Inactive: a run that finds one Inactive knows no earlier moment."""
    return " ".join(
        f"{one.key_id} no longer exists."
        if one.gone
        else f"{one.key_id} has been Inactive since at least {timestamps.utc(one.at)}."
        for one in contained
    )


def _more(result: Result, leak: Leak) -> bool:
    """Say whether the engine has to be started again: it does one thing at a time."""
    if result.outcome not in PROGRESS:
        return False
    left = leak.delete and set(leak.contained) - set(result.removed)
    return result.outcome is Outcome.COMPLETED or bool(left)


def _after(before: Result, result: Result) -> Result:
    """Return the result of two runs of the engine as one."""
    done = {one.destination: one for one in before.destinations if one.outcome == "delivered"}
    message = f"{before.message} {result.message}" if before.outcome in PROGRESS else result.message
    return replace(
        result,
        message=message,
        removed=tuple(dict.fromkeys((*before.removed, *result.removed))),
        destinations=tuple(
            done.get(one.destination, one) if one.outcome == "held" else one for one in result.destinations
        ),
    )
