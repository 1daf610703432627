"""The operations that the emulator answers itself, because moto answers them unlike AWS; all others go to moto."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twokey.emulator.answers import Answer
    from twokey.emulator.identity import Caller
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

    Operation = Callable[[World, Call, Caller], Answer]


@cache
def operations() -> Mapping[str, Operation]:
    """Every own operation by its name (`iam:ListUsers`)."""
    from twokey.emulator.services import iam_keys, iam_users, secrets_manager, simulation, ssm, sts

    modules = (iam_users, iam_keys, simulation, sts, secrets_manager, ssm)
    return {name: answer for module in modules for name, answer in module.OPERATIONS.items()}
