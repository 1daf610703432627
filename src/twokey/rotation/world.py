"""Everything outside twokey that one user's rotation touches."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from twokey.core.events import Listener, ignore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from twokey.core.destination import Destination, Store
    from twokey.core.hooks import Hooks
    from twokey.core.ports import Clock, Iam, Sts


def _never() -> bool:
    """Say that no program is about to end this process."""
    return False


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside twokey that one user's rotation touches. ``stop``, once set, ends all waiting but for a proof.

    A created key is worth the seconds until it is proved to work; ``out_of_time`` says that there are none: this
    process is about to be ended.

    ``identities`` says which thing the URL of each destination means in this run (see ``twokey.core.identities``).
    """

    iam: Iam
    sts: Sts
    clock: Clock
    store: Store
    destinations: Sequence[Destination] = ()
    identities: Mapping[str, str] = field(default_factory=dict)
    own_key: str = ""
    run: str = "run"
    listener: Listener = ignore
    wait: bool = True
    stop: Event = field(default_factory=Event)
    out_of_time: Callable[[], bool] = _never
    hooks: Hooks | None = None
