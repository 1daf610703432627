"""Two accounts that both have a user ``ci``, and a runtime that spans them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from fleet.leaked import OWN
from support.rig import DAY, Rig
from twokey.fleet import runtime as runtimes
from twokey.fleet.roster import Roster

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.config.settings import Settings
    from twokey.core.events import Listener
    from twokey.emulator import Emulator, KeyPair
    from twokey.fleet.lookup import FindsUsers
    from twokey.fleet.roster import Job, Targets
    from twokey.rotation.world import World

ONE, OTHER = "123456789012", "210987654321"
STORE = "secretsmanager:machine-users/{user}"


class OneAccount(runtimes.Runtime):
    """A runtime that acts in one account, as a member of the run over both."""

    def __init__(self, settings: Settings | None, key: KeyPair) -> None:
        super().__init__(settings)
        self.clients.session.set_credentials(key.access_key_id, key.secret_access_key)


class TwoAccounts(runtimes.Runtime):
    """A run over two accounts: each user is found and rotated in its own."""

    aws: Emulator

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings)
        self.members = {account: OneAccount(settings, self.aws.admin_of(account)) for account in (ONE, OTHER)}
        for member in self.members.values():
            member.run, member.stop = self.run, self.stop

    def roster(
        self,
        settings: Settings,
        names: tuple[str, ...],
        also: tuple[str, ...] = (),
        directory: FindsUsers | None = None,
    ) -> Roster:
        assert directory is None, "one reading of an account does not have the users of another"
        return Roster.of_accounts(member.roster(settings, names, also) for member in self.members.values())

    def targets(self, job: Job) -> Targets:
        # A secret of the same name is another one in another account.
        written = self.members[job.user.account].targets(job)
        return [(name, frozenset(f"{job.user.account} {one}" for one in each)) for name, each in written]

    def world(self, job: Job, own_key: str, listener: Listener, *, wait: bool = True) -> World:
        return self.members[job.user.account].world(job, own_key, listener, wait=wait)


class Accounts:
    """What the tests see of the two accounts."""

    def __init__(self, aws: Emulator) -> None:
        self.aws = aws

    def secrets(self, account: str) -> Any:
        return self.aws.client("secretsmanager", self.aws.admin_of(account))

    def settled(self, account: str) -> tuple[str, str]:
        """Make a user ``ci`` for whom a rotation is due; return the ids of LAST and CURRENT."""
        last, current = self.make(account)
        self.fill(account, current)
        return last.access_key_id, current.access_key_id

    def make(self, account: str) -> list[KeyPair]:
        return self.aws.make_user("ci", path="/machine-users/", ages=(31 * DAY, 16 * DAY), account=account)

    def fill(self, account: str, key: KeyPair) -> None:
        value = json.dumps({"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret_access_key})
        self.secrets(account).create_secret(Name="machine-users/ci", SecretString=value)

    def held(self, account: str) -> str:
        value = self.secrets(account).get_secret_value(SecretId="machine-users/ci")["SecretString"]
        return str(json.loads(value)["AccessKeyId"])

    def ids(self, account: str) -> set[str]:
        iam = self.aws.client("iam", self.aws.admin_of(account))
        return {key["AccessKeyId"] for key in iam.list_access_keys(UserName="ci")["AccessKeyMetadata"]}


@pytest.fixture
def accounts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Accounts:
    """An emulator with two accounts, over which every command runs."""
    monkeypatch.setattr(TwoAccounts, "aws", rig.aws, raising=False)
    monkeypatch.setattr(runtimes, "Runtime", TwoAccounts)
    return Accounts(rig.aws)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder, which has the stores, as a principal with a key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", OWN)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s" * 40)
