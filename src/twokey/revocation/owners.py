"""Whose a reported key is: a key of this account, of another one, or of none. A few requests for each, which read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from twokey.core.errors import AccessDenied, BadCredentials, ServiceError
from twokey.core.model import AccessKey, account_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twokey.aws.iam import Iam

MOST_PROBES = 20
"""Users whose keys are listed to find one that exists."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a key is.

    ``here``: a key of this account that exists. ``gone``: this account has no such key, or none any more.
    ``elsewhere``: it is of the account ``account``. ``unknown``: ``why`` says why.
    """

    where: Literal["here", "gone", "elsewhere", "unknown"]
    account: str = ""
    user: str = ""
    active: bool = False
    why: str = ""


class Owners:
    """Finds the owners of keys, each once. ``users``: the names of the account's users, as far as they are known."""

    def __init__(self, iam: Iam, account: str, users: Iterable[str] = ()) -> None:
        self._iam = iam
        self._account = account
        self._users = tuple(users)
        self._found: dict[str, Owner] = {}
        self._keys: dict[str, Sequence[AccessKey]] = {}

    def of(self, key_id: str) -> Owner:
        """Return the owner of a key, other than a temporary one. Raises ``BadCredentials``."""
        if key_id not in self._found:
            self._found[key_id] = self._find(key_id)
        return self._found[key_id]

    def keys(self, user: str) -> Sequence[AccessKey]:
        """Return the keys of a user; raises a ``ServiceError``."""
        if user not in self._keys:
            self._keys[user] = self._iam.keys(user)
        return self._keys[user]

    def path(self, user: str) -> str:
        """Return the IAM path of a user whose account could not be read at once; ``/`` if it is not known."""
        try:
            return self._iam.user(user).path
        except ServiceError:
            return "/"

    def _find(self, key_id: str) -> Owner:
        encoded = account_of(key_id)
        if encoded not in (None, self._account):
            return Owner("elsewhere", str(encoded))
        try:
            user = self._iam.owner(key_id)
        except BadCredentials:
            raise
        except ServiceError as error:
            if isinstance(error, AccessDenied) and self._is_missing(error):
                return Owner("gone", self._account)
            return Owner("unknown", why=f"Whether {key_id} is a key of this account is unknown: {error}")
        return self._listed(key_id, user) if user else Owner("gone", self._account)

    def _listed(self, key_id: str, user: str) -> Owner:
        try:
            listed = next((key for key in self.keys(user) if key.id == key_id), None)
        except BadCredentials:
            raise
        except ServiceError as error:
            return Owner("unknown", why=f"Whether {key_id} of {user} is Active is unknown: {error}")
        if listed is None:
            why = "it may be a key of the root user, or be deleted at this moment."
            return Owner("unknown", why=f"IAM names {user} as the owner of {key_id} and does not list it there: {why}")
        return Owner("here", self._account, user, listed.active)

    def _is_missing(self, denied: AccessDenied) -> bool:
        """Return whether a key was denied because it does not exist: IAM then names the owner of one that does."""
        if denied.action != "iam:GetAccessKeyLastUsed":
            return False
        try:
            existing = next((key.id for user in self._users[:MOST_PROBES] for key in self.keys(user)), "")
            return bool(existing) and self._iam.owner(existing) is not None
        except ServiceError:
            return False
