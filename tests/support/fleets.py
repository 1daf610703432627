"""A fleet on the emulator: an organization with accounts that have users, and a role that twokey assumes in each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support.rig import DAY
from support.roles import make_role

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from twokey.emulator import Emulator, KeyPair

HOME, ONE, OTHER = "123456789012", "210987654321", "345678901234"
ROLE = "TwokeyMember"
TRUSTED = f"arn:aws:iam::{HOME}:root"
MACHINE_USERS = """
machine_users:
  - path: /machine-users/
    store: secretsmanager:machine-users/{user}
"""
QUICK = "settle: 0s\nverify: {successes: 1, interval: 0s}\n"


class Fleet:
    """The accounts of an emulator, as a test makes and sees them. ``HOME`` is the one that twokey runs in."""

    def __init__(self, aws: Emulator, folder: Path) -> None:
        self.aws = aws
        self._file = folder / "twokey.yaml"

    def configure(self, accounts: str, machine_users: str = MACHINE_USERS, more: str = "") -> None:
        """Write the twokey.yaml of the working directory."""
        self._file.write_text(f"version: 1\n{QUICK}{more}accounts: {accounts}\n{machine_users}")

    def account(self, account: str, name: str, *users: str, role: bool = True, **organized: Any) -> None:
        """Add an account to the organization, with twokey's role, and users for whom a rotation is due."""
        self.aws.organization().account(account, name, **organized)
        if role:
            self.role(account)
        for user in users:
            self.user(account, user)

    def role(self, account: str, condition: Mapping[str, Any] | None = None, trusted: str = TRUSTED) -> None:
        """Make the role that twokey assumes in an account."""
        make_role(self.aws, ROLE, trusted, condition=condition, key=self.aws.admin_of(account))

    def user(self, account: str, name: str, store: str | None = "machine-users/{user}") -> list[KeyPair]:
        """Make a user with LAST and CURRENT, which a secret of its account holds, unless ``store`` is None."""
        keys = self.aws.make_user(name, ages=(31 * DAY, 16 * DAY), account=account)
        if store is not None:
            value = {"AccessKeyId": keys[1].access_key_id, "SecretAccessKey": keys[1].secret_access_key}
            self.secrets(account).create_secret(Name=store.format(user=name), SecretString=json.dumps(value))
        return keys

    def secrets(self, account: str) -> Any:
        """Return Secrets Manager as an account's administrator sees it."""
        return self.aws.client("secretsmanager", self.aws.admin_of(account))

    def held(self, account: str, secret: str = "machine-users/ci") -> str:
        """Return the id of the key that a secret of an account holds."""
        value = self.secrets(account).get_secret_value(SecretId=secret)["SecretString"]
        return str(json.loads(value)["AccessKeyId"])

    def ids(self, account: str, user: str = "ci") -> list[str]:
        """Return the ids of a user's keys, oldest first."""
        return [key_id for key_id, _, _ in self.aws.keys(user, account)]

    def states(self, account: str, user: str = "ci") -> dict[str, str]:
        """Return whether each of a user's keys is ``Active`` or ``Inactive``, by its id."""
        return {key_id: status for key_id, status, _ in self.aws.keys(user, account)}
