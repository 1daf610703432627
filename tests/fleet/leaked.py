"""An account whose keys have leaked, as a run sees it: IAM, the stores in a folder, and a runtime over both."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from fleet.test_lookup import ACCOUNT, DENIED, Directory, user
from twokey.aws.clients import Clients
from twokey.config.settings import Selection, Settings
from twokey.core.errors import NotFound, ServiceError
from twokey.core.journal import Journal, Revoked
from twokey.core.model import Deactivation
from twokey.core.secret import Credential
from twokey.destinations import registry
from twokey.fleet.first import First
from twokey.fleet.runtime import Runtime
from twokey.planning.policy import RotationPolicy
from twokey.revocation import token_policies

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN = "AKIAOWNOWNOWNOWNOWN1"
NOW = datetime.now(UTC)


def key(user: str, number: int) -> str:
    return f"AKIA{user.upper():X<15}{number}"


class Iam(Directory):
    """IAM with users and their keys; it can be read as a whole if ``policies`` has some of each user."""

    def __init__(self, keys: dict[str, int | ServiceError], policies: dict[str, Any] | None = None) -> None:
        super().__init__(*map(user, keys))
        self.count = keys
        self.policies = policies
        self.listed: list[str] = []
        self.asked: list[str] = []
        self.deactivated: list[str] = []
        self.errors: dict[str, ServiceError] = {}

    def owner(self, key_id: str) -> str | None:
        """Return the user of a key, or raise the error about this key."""
        self.asked.append(key_id)
        if key_id in self.errors:
            raise self.errors[key_id]
        return self._owners().get(key_id)

    def _owners(self) -> dict[str, str]:
        return {key(name, number): name for name in self.count for number in (1, 2)}

    def deactivate_key(self, name: str, key_id: str) -> Deactivation:
        """Make a key Inactive, or raise the error about this key."""
        self.meanwhile(key_id)
        if key_id in self.errors:
            raise self.errors[key_id]
        assert self._owners()[key_id] == name
        self.deactivated.append(key_id)
        return Deactivation(NOW, f"request for {key_id}")

    def keys(self, name: str) -> tuple[Any, ...]:
        self.listed.append(name)
        if name not in self.count:
            raise NotFound("NoSuchEntity.")
        count = self.count[name]
        if isinstance(count, ServiceError):
            raise count
        return tuple(SimpleNamespace(id=key(name, number)) for number in range(1, count + 1))

    def authorization_details(self) -> Iterator[Any]:
        if self.policies is None:
            raise DENIED
        users = [
            {
                "UserName": one.name,
                "Path": one.path,
                "UserId": one.id,
                "Arn": one.arn,
                "UserPolicyList": [{"PolicyName": "own", "PolicyDocument": self.policies[one.name]}],
                "GroupList": [],
                "AttachedManagedPolicies": [],
                "Tags": [],
            }
            for one in self.known
            if one.name in self.policies
        ]
        yield {"UserDetailList": users, "GroupDetailList": [], "RoleDetailList": [], "Policies": []}


NOTHING: dict[str, Any] = {"Version": "2012-10-17", "Statement": []}
QUARANTINE = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/"


def assuming(*roles: str) -> dict[str, Any]:
    resources = [f"{ROLE}{role}" for role in roles]
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": resources}],
    }


class Account(Iam):
    """An account whose users may assume roles, with the inline policies that were put and deleted."""

    def __init__(
        self, users: dict[str, dict[str, Any]], roles: tuple[str, ...] = (), quarantined: tuple[str, ...] = ()
    ) -> None:
        super().__init__(dict.fromkeys(users, 1), users)
        self.roles = roles
        self.quarantined = quarantined
        self.present: dict[str, str] = {}
        """The policies that end sessions already, by role or user."""
        self.readings = 0
        self.put: list[tuple[str, str]] = []
        self.deleted: list[tuple[str, str]] = []

    def authorization_details(self) -> Iterator[Any]:
        self.readings += 1
        if self.policies is None:
            raise DENIED
        (page,) = super().authorization_details()
        for one in page["UserDetailList"]:
            if one["UserName"] in self.quarantined:
                one["AttachedManagedPolicies"] = [
                    {"PolicyArn": QUARANTINE, "PolicyName": QUARANTINE.rpartition("/")[2]}
                ]
            self._deny(one, one["UserName"], "UserPolicyList")
        for name in self.roles:
            trust = {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": "sts:AssumeRole",
                        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                    }
                ],
            }
            role = {
                "RoleName": name,
                "Path": "/",
                "RoleId": f"AROA{name}",
                "Arn": f"{ROLE}{name}",
                "AssumeRolePolicyDocument": trust,
                "RolePolicyList": [],
                "AttachedManagedPolicies": [],
                "InstanceProfileList": [],
                "Tags": [],
                "CreateDate": NOW,
            }
            self._deny(role, name, "RolePolicyList")
            page["RoleDetailList"].append(role)
        yield page

    def _deny(self, entity: Any, name: str, field: str) -> None:
        if name in self.present:
            at = token_policies.named(self.present[name])[0]
            document = json.loads(token_policies.document(at))
            entity[field].append({"PolicyName": at.name, "PolicyDocument": document})

    def put_inline_policy(self, kind: str, name: str, policy: str, document: str) -> None:
        assert json.loads(document)["Statement"]
        if f"put {name}" in self.errors:
            raise self.errors[f"put {name}"]
        self.put.append((f"{kind} {name}", policy))

    def delete_inline_policy(self, kind: str, name: str, policy: str) -> bool:
        self.deleted.append((f"{kind} {name}", policy))
        return True


ENTRY = Selection("/m/", (), (), "file:{user}", (), RotationPolicy())


def store(name: str, holds: int, **revoked: timedelta) -> None:
    """Let a user's store hold the key of this number, none for 0; ``revoked``: how long ago, by the keys' numbers."""
    opened = registry.open_store(f"file:{name}", Runtime().services)
    gone = {key(name, int(number[1:])): Revoked(at=NOW - ago) for number, ago in revoked.items()}
    opened.save_journal(Journal(revoked=gone), opened.load().revision)
    if holds:
        opened.put(Credential(key(name, holds), "s" * 40), opened.load().revision)


def runtime(iam: Iam, *entries: Selection, most: int = 100) -> tuple[Runtime, Settings]:
    """Return a runtime, and the settings of a configuration with these entries."""
    settings = Settings(entries, most, 2, "test")
    return Runtime(settings, First(Clients("run"), cast("Any", iam))), settings
