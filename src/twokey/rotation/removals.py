"""Deletes one user's keys, and remembers which: a list that lags may still show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core import timestamps

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from twokey.rotation.world import World

DELETIONS = 3
"""How often a deletion is requested while IAM says that it does not know a key that it lists."""
REMEMBERED = 4
"""How many deleted ids the journal keeps, for lists that lag."""


class Removals:
    """The deletions of one run. ``recorded`` is what the journal keeps of them and of earlier ones."""

    def __init__(self, user: str, world: World, recorded: Mapping[str, datetime]) -> None:
        self._user = user
        self._world = world
        self.recorded = dict(recorded)

    def delete(self, key_id: str) -> bool:
        """Delete a key; say whether it existed.

        An IAM server that does not know a young key yet responds like one that knows that the key is gone.
        """
        for attempt in range(DELETIONS):
            self._world.clock.sleep(attempt)
            if self._world.iam.delete_key(self._user, key_id):
                return True
            if key_id not in {key.id for key in self._world.iam.keys(self._user)}:
                return False
        return False

    def record(self, key_id: str) -> None:
        """Remember the deletion for the next write of the journal."""
        recorded = {**self.recorded, key_id: timestamps.not_before_now(self._world.clock)}
        self.recorded = dict(sorted(recorded.items(), key=lambda removal: removal[1])[-REMEMBERED:])
