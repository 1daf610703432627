"""How a revocation ended for each user: what people and programs read afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from twokey.core.commands import revoke_command, rotate_command
from twokey.core.errors import ExitCode
from twokey.core.reasons import Revocation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from twokey.core.model import MachineUser
    from twokey.core.reasons import Reason
    from twokey.revocation.contain import Contained
    from twokey.rotation.results import Result


@dataclass(frozen=True, slots=True)
class SessionResult:
    """What became of the sessions of a role, or of the user itself: ``role`` is the ARN, or a pattern of ARNs.

    ``ended``: sessions from before a cut-off are denied everything; ``policy`` is the name of the policy that does.
    ``denied``: they could not be ended; ``policy`` is the document to put there.
    ``kept``: they were left alone, because that was requested, or because it is unknown whether there are any.
    """

    role: str
    outcome: Literal["ended", "kept", "denied"]
    policy: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class RevokeResult:
    """How it ended for one user; the JSON output consists of these.

    ``contained``: the keys that are Inactive now; ``active``: those that may still be Active, because an error kept
    twokey from making them Inactive. ``rotation`` is how the rotation ended, if one was tried. ``warnings``: what the
    operator should know of keys that were not named.
    """

    user: MachineUser
    outcome: Revocation
    reason: Reason
    message: str
    contained: tuple[Contained, ...] = ()
    rotation: Result | None = None
    sessions: tuple[SessionResult, ...] = ()
    active: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def continues(self) -> str:
        """Return the command that goes on; empty where no user and no key is known.

        A leaked key that was deleted, to make room for another one, cannot be named any more: a rotation goes on.
        """
        removed = self.rotation.removed if self.rotation else ()
        left = [*self.active, *(one.key_id for one in self.contained if not one.gone and one.key_id not in removed)]
        if self.contained and not left:
            return rotate_command(self.user.name)
        subject = left[0] if left else self.user.name
        return revoke_command(subject) if subject else ""

    @property
    def every_warning(self) -> tuple[str, ...]:
        """What the operator should know besides, also of the rotation."""
        return (*(self.rotation.warnings if self.rotation else ()), *self.warnings)

    @property
    def contained_at(self) -> datetime | None:
        """When the last of the leaked keys became Inactive, by AWS's clock."""
        return max((one.at for one in self.contained), default=None)


def stopped(result: Result, contained: Sequence[Contained]) -> RevokeResult:
    """Return the result of a user whose turn never came, such as after an interruption."""
    outcome = Revocation.CONTAINED if contained else Revocation.FAILED
    return RevokeResult(result.user, outcome, result.reason, result.message, tuple(contained), result)


def exit_code(results: Iterable[RevokeResult]) -> ExitCode:
    """Return the exit status of a whole run: a key that is Inactive and not replaced everywhere is a failure."""
    outcomes = {result.outcome for result in results}
    if outcomes & {Revocation.FAILED, Revocation.CONTAINED}:
        return ExitCode.FAILED
    return ExitCode.REFUSED if Revocation.REFUSED in outcomes else ExitCode.DONE
