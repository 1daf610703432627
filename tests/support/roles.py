"""Roles on the emulator, for what assumes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.emulator import Emulator, KeyPair


def policy(*statements: Any) -> str:
    """Return a policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def file_store(key: KeyPair, folder: Path) -> str:
    """Write a credential to a file, as a job that needs no AWS to read it finds it; return the store's URL."""
    file = folder / "ci.json"
    file.touch(0o600)
    file.write_text(json.dumps({"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret_access_key}))
    return f"file:{file}"


def make_role(
    aws: Emulator, name: str, *trusted: str, condition: Any = None, key: KeyPair | None = None, **more: Any
) -> str:
    """Make a role that trusts these principals, by default the user ci; return its ARN."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": list(trusted) or f"arn:aws:iam::{aws.account_id}:user/machine-users/ci"},
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
    }
    if condition:
        statement["Condition"] = condition
    iam = aws.client("iam", key)
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(statement), **more)["Role"]["Arn"]
    everything = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=everything)
    return arn
