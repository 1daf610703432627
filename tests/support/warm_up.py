"""What most tests import and read at their first use, done once, for all processes that are forked afterwards."""

from __future__ import annotations

import pytest

from support.rig import Rig
from twokey.emulator import Emulator

STORES = ("secretsmanager:machine-users/{user}", "ssm:/machine-users/{user}")


def warm_up() -> None:
    """Rotate a key in each store of AWS, through all that a rotation passes; open what locks are kept in."""
    with Emulator() as aws, pytest.MonkeyPatch.context() as environment:
        for name, value in aws.environment().items():
            environment.setenv(name, value)
        for number, store in enumerate(STORES):
            rig = Rig(aws, store)
            aws.make_user(f"user-{number}", path="/machine-users/", keys=1)
            rig.rotate(f"user-{number}")
        aws.client("s3").list_buckets()
        aws.client("dynamodb").list_tables()
