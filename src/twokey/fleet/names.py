"""How users are named in text: the account beside the name only where a run spans several accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twokey.core.model import UserKey


class Names:
    """Names users: ``ci`` in a run over one account, ``123456789012/ci`` in a run over several."""

    def __init__(self, keys: Iterable[UserKey]) -> None:
        """Take all users of the run. A user that was not found has no account and counts for none."""
        self._several_accounts = len({key.account for key in keys if key.account}) > 1

    def __call__(self, key: UserKey) -> str:
        """Return how text names this user, or the account that a result without a user is about."""
        return str(key) if self._several_accounts or not key.name else key.name
