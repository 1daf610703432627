"""AWS's own managed policies, loaded when one is first attached: the whole list is large and slow to read."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

_QUARANTINE_V4 = "AWSCompromisedKeyQuarantineV4"


def ensure_managed_policy(account: str, arn: str) -> None:
    """Make one of AWS's managed policies known to an account; an ARN that is none of AWS's is left alone."""
    from moto.iam.models import AWSManagedPolicy, iam_backends

    backend = iam_backends[account]["aws"]
    name = arn.rsplit("/", 1)[-1]
    if not arn.startswith("arn:aws:iam::aws:policy/") or arn in backend.managed_policies:
        return
    data = _known().get(name)
    if data is not None:
        policy = AWSManagedPolicy.from_data(name, account, "us-east-1", data)
        backend.managed_policies[policy.arn] = policy


@cache
def _known() -> dict[str, Any]:
    """moto's copy of AWS's list. V4 of the quarantine policy is newer than the copy and denies what V3 does."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    known: dict[str, Any] = json.loads(aws_managed_policies_data)
    known.setdefault(_QUARANTINE_V4, known.get("AWSCompromisedKeyQuarantineV3"))
    return known
