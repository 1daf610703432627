"""IAM as one user's plan or rotation uses it; the keys that it listed last are remembered, for warnings about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.model import AccessKey, Deactivation, LastUse, MachineUser
    from twokey.core.ports import Iam
    from twokey.core.secret import Credential


class ListsKeys:
    """IAM for one user. ``listed``: the keys that were listed last, none before the first time."""

    def __init__(self, iam: Iam) -> None:
        self._iam = iam
        self.listed: tuple[AccessKey, ...] = ()

    def keys(self, user: str) -> tuple[AccessKey, ...]:
        self.listed = self._iam.keys(user)
        return self.listed

    def last_use(self, key_id: str) -> LastUse:
        return self._iam.last_use(key_id)

    def may_create(self, user: MachineUser) -> bool | None:
        return self._iam.may_create(user)

    def create_key(self, user: str, just_before: Callable[[], None] = lambda: None) -> tuple[AccessKey, Credential]:
        return self._iam.create_key(user, just_before)

    def deactivate_key(self, user: str, key_id: str) -> Deactivation:
        return self._iam.deactivate_key(user, key_id)

    def delete_key(self, user: str, key_id: str) -> bool:
        return self._iam.delete_key(user, key_id)
