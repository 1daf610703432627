"""AWS managed policies, loaded when one is first attached: the whole list is large and slow to read."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from twokey.emulator import partition

_QUARANTINE_V4 = "AWSCompromisedKeyQuarantineV4"


def ensure_managed_policy(account: str, arn: str) -> None:
    """Add an AWS managed policy to an account; any other ARN is ignored."""
    from moto.iam.models import AWSManagedPolicy

    backend = partition.iam_of(account)
    name = arn.rsplit("/", 1)[-1]
    if not arn.startswith(partition.arn("iam", "", "aws", "policy/")) or arn in backend.managed_policies:
        return
    data = _known().get(name)
    if data is not None:
        policy = AWSManagedPolicy.from_data(name, account, partition.home(), data)
        backend.managed_policies[policy.arn] = policy


@cache
def _known() -> dict[str, Any]:
    """moto's copy of AWS's list, with V4 of the quarantine policy, which is newer and denies what V3 denies."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    known: dict[str, Any] = json.loads(aws_managed_policies_data)
    known.setdefault(_QUARANTINE_V4, known.get("AWSCompromisedKeyQuarantineV3"))
    return known
