"""What a run has done so far for one user."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Delivered:
    """How one destination ended: ``delivered``, ``held`` (had it already) or ``failed``, with a message."""

    destination: str
    outcome: Literal["delivered", "held", "failed"]
    message: str = ""


@dataclass(slots=True)
class Done:
    """What has been done so far; kept up to date, so that a failure can still be reported truly.

    ``removing`` names the key whose deletion was begun last.
    """

    created: str = ""
    removed: list[str] = field(default_factory=list)
    removing: str = ""
    delivered: list[Delivered] = field(default_factory=list)
    effects: int = 0
