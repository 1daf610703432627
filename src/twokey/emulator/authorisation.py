"""Decides what the sender may do: identity policies, session policies and boundaries, with AWS's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.emulator import errors
from twokey.emulator.context import context_of
from twokey.emulator.identity import layers_of
from twokey.emulator.resources import action_of, also_needed, needs_no_permission, resource_of
from twokey.permissions.evaluate import Decision, evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twokey.emulator.identity import Caller
    from twokey.emulator.resources import Resource
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World


def authorise(world: World, call: Call, caller: Caller) -> None:
    """Raise ServiceError unless the caller may do what the request says.

    AssumeRole is decided in `services.sts`: whether the caller needs a permission depends on the role's trust policy.
    """
    if needs_no_permission(call) or call.name == "sts:AssumeRole":
        return
    action, resource = action_of(call), resource_of(call, caller, world.keyring)
    context = context_of(call, caller, world.clock)
    for needed, on in ((action, resource), *also_needed(call, resource)):
        _allow(call, caller, needed, on, context)


def _allow(call: Call, caller: Caller, action: str, resource: Resource, context: Mapping[str, Sequence[str]]) -> None:
    verdict = evaluate(layers_of(caller), action, resource.arns, context)
    if verdict.decision is not Decision.ALLOWED:
        message = f"User: {caller.arn} is not authorized to perform: {action} on resource: {resource.label}"
        raise errors.denied(call, f"{message} {verdict.because(action)}")
