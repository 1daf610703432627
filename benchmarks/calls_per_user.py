"""What a script does that asks IAM about each user: lists users, the keys of each, and the last use of each key.

A program of its own, with boto3 and its default options: it is measured, not imported. It prints a JSON array of keys.
Scripts that also tell console passwords and MFA need two more calls for each user.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterator


def _keys(iam: Any) -> Iterator[dict[str, Any]]:
    for page in iam.get_paginator("list_users").paginate():
        for user in page["Users"]:
            for key in iam.list_access_keys(UserName=user["UserName"])["AccessKeyMetadata"]:
                used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]
                yield {**key, "LastUsed": used.get("LastUsedDate")}


if __name__ == "__main__":
    print(json.dumps(list(_keys(boto3.client("iam"))), default=str))
