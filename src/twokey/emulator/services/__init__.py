"""The operations that the emulator implements, because moto's differ from AWS's; moto performs all others."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twokey.emulator.identity import Caller
    from twokey.emulator.responses import Response
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

    Operation = Callable[[World, Call, Caller], Response]


@cache
def unsigned() -> Mapping[str, Callable[[World, Call], Response]]:
    """The operations that need no signature, by name."""
    from twokey.emulator.services import web_identity

    return web_identity.UNSIGNED


@cache
def operations() -> Mapping[str, Operation]:
    """Every own operation by its name (`iam:ListUsers`)."""
    from twokey.emulator.services import (
        account,
        cloudtrail,
        iam_account,
        iam_keys,
        iam_policies,
        iam_users,
        organizations,
        secrets_manager,
        simulation,
        ssm,
        sts,
    )

    modules = (
        iam_account,
        iam_users,
        iam_keys,
        iam_policies,
        simulation,
        sts,
        secrets_manager,
        ssm,
        cloudtrail,
        account,
        organizations,
    )
    return {name: operation for module in modules for name, operation in module.OPERATIONS.items()}
