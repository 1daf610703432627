"""Which weather a run meets, by chance that is the same for the same seed. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twokey.reports.rehearsal import Weather

KINDS: tuple[Weather, ...] = (
    "throttling",
    "lost responses",
    "errors",
    "slow propagation",
    "killed",
    "store outage",
)
CHANCE = 0.4
"""How often a run meets any."""
LATEST_KILL = 45
"""The request, of those that a rotation sends, before or after which a process is killed at the latest."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a run meets. ``killed_at``: the number of the request; ``after``: it had its effect; ``seed``: of chance."""

    kind: Weather
    killed_at: int = 0
    after: bool = False
    seed: int = 0


def fault(seed: int, run: int, user: str) -> Fault | None:
    """Return what a user's run meets, or None."""
    chance = random.Random(f"{seed}:{run}:{user}")  # noqa: S311  repeatable weather, no secret
    if chance.random() >= CHANCE:
        return None
    kind = chance.choice(KINDS)
    return Fault(kind, chance.randint(3, LATEST_KILL), chance.random() < 0.5, chance.getrandbits(32))
