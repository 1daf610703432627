"""The sessions that leaked keys may have made, of all users of one run: shown, ended, and ended once more at the end.

The account is read once. The second time, the cut-off is later: in a region that learns late that a key is Inactive,
the key may have made another session meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.core.errors import Failed, NotFound, ServiceError
from twokey.core.reasons import Reason, Revocation
from twokey.core.timestamps import not_before_now
from twokey.fleet.first import KEY_ID
from twokey.inventory.picture import Picture
from twokey.revocation import lift, quarantine, sessions
from twokey.revocation.reached import SessionsOfUsers, of_the_user_alone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from twokey.core.model import MachineUser
    from twokey.fleet.revoking import Leaks
    from twokey.fleet.runtime import Runtime
    from twokey.permissions.account import Principal
    from twokey.revocation.lift import LiftResult
    from twokey.revocation.reached import Sessions
    from twokey.revocation.results import RevokeResult, SessionResult

KEPT = "Sessions that the key made stay valid (--keep-sessions)."
LATE = timedelta(seconds=10)
"""How long a key that is Inactive may still work somewhere: IAM is eventually consistent."""
_TEMPORARY = "ASIA"


@dataclass(frozen=True, slots=True)
class _Read:
    """The account as it was read once; ``unknown``: why it could not be read."""

    picture: Picture | None = None
    whose: SessionsOfUsers | None = None
    unknown: str = ""


class Ending:
    """What one run knows of sessions, and did about them. ``keep``: the operator keeps them."""

    def __init__(self, runtime: Runtime, *, keep: bool = False, picture: Picture | None = None) -> None:
        """Prepare; nothing is called. ``picture``: the account, if it was read already."""
        self._runtime = runtime
        self._keep = keep
        self._read = _Read(picture, SessionsOfUsers(picture.account)) if picture else None
        self._of: dict[str, Sessions] = {}
        self._found: dict[str, SessionResult] = {}
        self._cutoff: datetime | None = None

    def previews(self, leaks: Leaks) -> dict[str, list[str]]:
        """Return what ending the sessions of each user does, before it is done."""
        return {name: [*self._preview(found)] if found else [] for name, found in self._of_each(leaks, leaks.keys)}

    def _preview(self, found: Sessions) -> Iterator[str]:
        yield from self._quarantine(found)
        if self._keep:
            yield KEPT
        else:
            yield from sessions.preview(found)

    def summary(self, leaks: Leaks) -> Iterator[str]:
        """Yield the same for all users together, as far as one reads it before a decision."""
        if self._keep:
            yield KEPT
            return
        all_sessions = [found for _, found in self._of_each(leaks, leaks.keys) if found]
        yield from sessions.summary(all_sessions)
        quarantined = [one.user.name for one in all_sessions if quarantine.of(one.reached[0].principal)]
        if quarantined:
            yield f"AWS has quarantined {', '.join(quarantined)}: see --plan --json for what that means."

    def begin(self, leaks: Leaks) -> None:
        """End the sessions of all users whose keys are Inactive by now."""
        self._explain(leaks)
        names = [name for name, contained in leaks.contained.items() if contained]
        self._of = {name: found for name, found in self._of_each(leaks, names) if found}
        if self._keep:
            self._found = sessions.kept([*self._of.values()])
        elif self._of:
            self._end(not_before_now(self._runtime.clients.clock))

    def finish(self, results: Iterable[RevokeResult]) -> list[RevokeResult]:
        """End the sessions again that were made meanwhile, and return the results with what became of sessions."""
        ended = list(results)
        moments = [one.contained_at for one in ended if one.contained_at and one.user.name in self._of]
        if self._cutoff is not None and moments:
            cutoff = min(not_before_now(self._runtime.clients.clock), max(moments) + LATE)
            if cutoff > self._cutoff:
                self._end(cutoff)
        return [self._with_sessions(one) for one in ended]

    def _end(self, cutoff: datetime) -> None:
        try:
            own_arn = self._own_arn()
        except ServiceError as error:
            # Which role must not be changed is unknown, so none is.
            self._of = {name: of_the_user_alone(one.user, str(error)) for name, one in self._of.items()}
            own_arn = ""
        all_sessions = [*self._of.values()]
        self._found = sessions.end(all_sessions, cutoff, self._runtime.iam, own_arn=own_arn, replacing=self._found)
        self._cutoff = cutoff

    def _with_sessions(self, result: RevokeResult) -> RevokeResult:
        whose = self._of.get(result.user.name)
        if whose is None:
            return result
        found = sessions.of(whose, self._found)
        left = [one.role for one in found if one.outcome == "denied"]
        notes = [*self._quarantine(whose)]
        if result.outcome is Revocation.REVOKED and left:
            notes.append(f"Sessions of {_listed(left)} were not ended, and the leaked key may have made some.")
            result = replace(result, outcome=Revocation.CONTAINED, reason=Reason.SESSIONS_LEFT)
        return replace(result, sessions=found, message=" ".join((result.message, *notes)))

    def _quarantine(self, found: Sessions) -> Iterator[str]:
        explanation = quarantine.explanation(found.reached[0].principal)
        if explanation:
            yield explanation

    def _explain(self, leaks: Leaks) -> None:
        """Say of a quarantined user that could not change its own key why that is, and who can."""
        for index, failed in enumerate(leaks.ended):
            principal = self._principal(failed.user.name) if failed.outcome is Revocation.FAILED else None
            if principal is None or failed.contained or not quarantine.of(principal):
                continue
            refused = quarantine.refusal(principal, self._runtime.sts.caller()[1])
            if refused is not None:
                leaks.ended[index] = replace(
                    failed, outcome=Revocation.REFUSED, reason=refused.reason, message=str(refused)
                )

    def _of_each(self, leaks: Leaks, names: Iterable[str]) -> Iterator[tuple[str, Sessions | None]]:
        for name in names:
            job = leaks.jobs.get(name)
            yield name, self._sessions(name, job.user if job else None)

    def _sessions(self, name: str, known: MachineUser | None) -> Sessions | None:
        """Return whose sessions a key of the user may have made; None if there is no such user."""
        read = self._account()
        try:
            user = read.picture.user(name) if read.picture else None
        except NotFound:
            user = None
        try:
            user = user or known or self._runtime.iam.user(name)
        except ServiceError:
            return None
        return read.whose.of(user) if read.whose else of_the_user_alone(user, read.unknown)

    def _principal(self, name: str) -> Principal | None:
        picture = self._account().picture
        return next((one for one in picture.account.users if one.name == name), None) if picture else None

    def _account(self) -> _Read:
        if self._read is None:
            try:
                picture = Picture(self._runtime.iam)
                self._read = _Read(picture, SessionsOfUsers(picture.account))
            except ServiceError as error:
                self._read = _Read(unknown=str(error))
        return self._read

    def _own_arn(self) -> str:
        """Return who runs twokey, if that is a session; a long-term key is not ended with its user's sessions."""
        runtime = self._runtime
        return runtime.sts.caller()[1] if runtime.clients.own_key().startswith(_TEMPORARY) else ""


def lifts(runtime: Runtime, names: Sequence[str], path: str | None) -> tuple[lift.Lift, ...]:
    """Find the policies that ended sessions: of these users and the roles that they reach, or of the whole account.

    ``names``: also ids of their keys. ``path``: the users below it, if no names are given. Raises a ``ServiceError``,
    also ``NotFound`` for a user that does not exist, and ``Failed`` for a path without users.
    """
    owners = [_owner(name, runtime) if KEY_ID.fullmatch(name) else name for name in names]
    picture = Picture(runtime.iam)
    users = [picture.user(owner) for owner in owners]
    if not names and path is not None:
        users = [*picture.users(path)]
        if not users:
            raise Failed(
                f"The account has no IAM user below {path}.",
                state="Nothing was changed.",
                remedy="Check the path (IAM paths look like /machine-users/) and the account: aws sts "
                "get-caller-identity.",
            )
    return lift.found(picture.account, users if names or path is not None else None)


def _owner(key_id: str, runtime: Runtime) -> str:
    owner = runtime.iam.owner(key_id)
    if owner is None:
        raise NotFound(
            f"No user of this account has the key {key_id}.",
            state="Nothing was changed.",
            remedy="Check the ID and the account: aws sts get-caller-identity. Where the key was deleted, name its "
            "user.",
        )
    return owner


def lifted(runtime: Runtime, found: Iterable[lift.Lift], *, only_plan: bool) -> list[LiftResult]:
    """Remove those whose sessions are over, or only say that; refuse the others."""
    now = runtime.clients.clock.now()
    return [lift.plan(one, now) if only_plan else lift.lift(one, now, runtime.iam) for one in found]


SHOWN = 3
"""How many roles a message names; the results have all of them."""


def _listed(roles: Sequence[str]) -> str:
    more = len(roles) - SHOWN
    return ", ".join(roles[:SHOWN]) + (f" and {more} more" if more > 0 else "")
