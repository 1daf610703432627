"""One reading of a whole account that stands in for a request for each user.

Reading an account takes a request for every thousand users and roles; reading users one by one takes a request each,
and IAM limits their rate.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from twokey.core.errors import NotFound
from twokey.core.model import MachineUser
from twokey.inventory import collect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.inventory.collect import ReadsAccount
    from twokey.permissions.account import Account


class Picture:
    """What the account had when it was read; raises a ``ServiceError`` if it cannot be read."""

    def __init__(self, iam: ReadsAccount) -> None:
        self._pages = list(iam.authorization_details())

    def authorization_details(self) -> Iterator[Any]:
        """Yield the pages again."""
        return iter(self._pages)

    @cached_property
    def account(self) -> Account:
        """The users and roles with their policies; console passwords are unknown."""
        return collect.details(self)

    @cached_property
    def _users(self) -> dict[str, MachineUser]:
        found = [one for page in self._pages for one in page["UserDetailList"]]
        return {
            one["UserName"]: MachineUser(
                one["UserName"], one["Path"], one["UserId"], one["Arn"].split(":")[4], one["Arn"]
            )
            for one in sorted(found, key=lambda one: str(one["UserName"]))
        }

    def users(self, path: str) -> Iterator[MachineUser]:
        """Yield the users below a path prefix, as ``ListUsers`` does."""
        return (user for user in self._users.values() if user.path.startswith(path))

    def user(self, name: str) -> MachineUser:
        """Return one user; raises ``NotFound``."""
        try:
            return self._users[name]
        except KeyError:
            raise NotFound(f"The user {name} is not in the account.") from None
