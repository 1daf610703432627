"""The partition that the emulator is in, such as aws-cn: it follows from the region, and is part of every ARN.

It belongs to the process, like moto's state: one emulator runs at a time.
"""

from __future__ import annotations

from functools import cache
from typing import Any


class _Current:
    region = "us-east-1"
    name = "aws"


def enter(region: str) -> None:
    """Be in the partition of this region from now on."""
    _Current.region, _Current.name = region, of(region)


@cache
def of(region: str) -> str:
    """The partition of a region, by the form of its name; `aws` for a region that does not exist."""
    from moto.utilities.utils import get_partition

    return get_partition(region)


def current() -> str:
    """The partition that the emulator is in."""
    return _Current.name


def home() -> str:
    """The region of the emulator, by which moto knows the partition of what it makes."""
    return _Current.region


def iam_of(account: str) -> Any:
    """moto's IAM of an account."""
    from moto.iam.models import iam_backends

    return iam_backends[account][_Current.name]


def arn(service: str, region: str, account: str, resource: str) -> str:
    """An ARN of this partition."""
    return f"arn:{_Current.name}:{service}:{region}:{account}:{resource}"
