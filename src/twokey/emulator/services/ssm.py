"""Systems Manager Parameter Store: what moto gets wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.emulator.answers import Answer, ServiceError

if TYPE_CHECKING:
    from twokey.emulator.identity import Caller
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

_STANDARD, _ADVANCED = 4096, 8192  # characters; "Managing parameter tiers", Systems Manager User Guide


def put_parameter(world: World, call: Call, caller: Caller) -> Answer:
    """PutParameter, with the size limits of the tiers."""
    advanced = call.params.get("Tier") in ("Advanced", "Intelligent-Tiering")
    limit = _ADVANCED if advanced else _STANDARD
    if len(str(call.params.get("Value", ""))) > limit:
        tier = "Advanced" if advanced else "Standard"
        message = f"{tier} tier parameters support a maximum parameter value of {limit} characters."
        raise ServiceError("ValidationException", message)
    return _ask(world, call, caller)


def _ask(world: World, call: Call, caller: Caller) -> Answer:
    """Let moto answer; it leaves an empty entry behind a name that it did not find, over which reads then fall."""
    answer = world.moto.ask(call, caller.account)
    parameters = _parameters(call, caller)
    for name in [name for name, versions in parameters.items() if not versions]:
        del parameters[name]
    return answer


def _parameters(call: Call, caller: Caller) -> Any:
    from moto.ssm.models import ssm_backends

    return ssm_backends[caller.account][call.region]._parameters  # noqa: SLF001 - moto offers no other way


OPERATIONS = {
    "ssm:PutParameter": put_parameter,
    "ssm:LabelParameterVersion": _ask,
    "ssm:UnlabelParameterVersion": _ask,
}
