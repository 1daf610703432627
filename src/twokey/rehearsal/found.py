"""The users of an account as a rehearsal begins with them: read from IAM, never from a store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twokey.core.model import MachineUser
    from twokey.core.ports import Clock, Iam


class Pair(Protocol):
    """An access key of the emulator."""

    @property
    def access_key_id(self) -> str:
        """Its id."""
        ...

    @property
    def secret_access_key(self) -> str:
        """Its secret."""
        ...


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key: its age in seconds, whether it is Active, and for how long it was unused, as far as IAM knows."""

    age: float
    active: bool
    unused_for: float | None


@dataclass(slots=True)
class Found:
    """A user and its keys, oldest first. ``pairs`` are the emulator's keys in their place, in the same order."""

    user: str
    path: str
    keys: Sequence[FoundKey]
    pairs: Sequence[Pair] = field(default=(), repr=False)

    def in_use(self) -> Pair | None:
        """Return the key that the store is taken to hold: the newest that is Active, else the newest."""
        ordered = [pair for _, pair in sorted(zip(self.keys, self.pairs, strict=True), key=lambda one: one[0].active)]
        return ordered[-1] if ordered else None


def found(users: Iterable[MachineUser], iam: Iam, clock: Clock) -> list[Found]:
    """Read the keys of these users: two requests for each key at most, which change nothing."""
    return [Found(user.name, user.path, _keys(user, iam, clock)) for user in users]


def _keys(user: MachineUser, iam: Iam, clock: Clock) -> list[FoundKey]:
    keys = sorted(iam.keys(user.name), key=lambda key: key.created)
    now = clock.now()
    uses = [iam.last_use(key.id).at for key in keys]
    return [
        FoundKey(
            max(0.0, (now - key.created).total_seconds()),
            key.active,
            None if used is None else max(0.0, (now - used).total_seconds()),
        )
        for key, used in zip(keys, uses, strict=True)
    ]
