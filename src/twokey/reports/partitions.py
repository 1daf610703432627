"""The partition of AWS that an ARN is in."""

from __future__ import annotations


def partition_of_arn(arn: str) -> str:
    """Return the partition, such as ``aws`` or ``aws-cn``; ``aws`` for what is no ARN."""
    parts = arn.split(":")
    return parts[1] if len(parts) > 1 and parts[0] == "arn" and parts[1] else "aws"
