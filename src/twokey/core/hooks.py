"""Programs of the operator around a rotation: when they run, what they are told, and the port that runs them.

    before       once the rotation is known to be possible, ahead of its first change
    after        once everything is committed
    on_failure   where a rotation that has begun does not end well

Each is told ids and the outcome, never a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from twokey.core.model import MachineUser
    from twokey.core.reasons import Outcome, Reason

HookName = Literal["before", "after", "on_failure"]
NAMES: tuple[HookName, ...] = ("before", "after", "on_failure")
LONGEST = 60.0
"""Seconds that a hook may take at most: the user's lease has to outlast it."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A program with its arguments, the seconds that it may take, what its failure means, and its variables."""

    command: tuple[str, ...]
    seconds: float
    on_error: Literal["fail", "warn"] = "fail"
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HookFacts:
    """What a hook is told. ``outcome`` is what the rotation ended as, and before it, what it is to end as."""

    user: MachineUser
    store: str
    destinations: tuple[str, ...]
    outcome: Outcome
    reason: Reason
    message: str
    current: str = ""
    last: str = ""
    removed: tuple[str, ...] = ()


class Hooks(Protocol):
    """The hooks of one user."""

    @property
    def configured(self) -> Collection[HookName]:
        """Which of them there are."""
        ...

    def run(self, name: HookName, facts: HookFacts) -> str:
        """Run one; return a warning where a failure is only to be reported, otherwise nothing.

        Raises ``HookFailed``.
        """
        ...
