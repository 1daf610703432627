"""Systems Manager Parameter Store: the operations in which moto differs from AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.emulator.responses import Response, ServiceError

if TYPE_CHECKING:
    from twokey.emulator.identity import Caller
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

_STANDARD, _ADVANCED = 4096, 8192  # characters; "Managing parameter tiers", Systems Manager User Guide


def put_parameter(world: World, call: Call, caller: Caller) -> Response:
    """PutParameter, with the size limits of the tiers."""
    advanced = call.params.get("Tier") in ("Advanced", "Intelligent-Tiering")
    limit = _ADVANCED if advanced else _STANDARD
    if len(str(call.params.get("Value", ""))) > limit:
        tier = "Advanced" if advanced else "Standard"
        message = f"{tier} tier parameters support a maximum parameter value of {limit} characters."
        raise ServiceError("ValidationException", message)
    return _forward(world, call, caller)


def _forward(world: World, call: Call, caller: Caller) -> Response:
    """Forward to moto, and remove the empty entry that it leaves for an unknown name, which would break later reads."""
    response = world.moto.forward(call, caller.account)
    parameters = _parameters(call, caller)
    for name in [name for name, versions in parameters.items() if not versions]:
        del parameters[name]
    return response


def _parameters(call: Call, caller: Caller) -> Any:
    from moto.ssm.models import ssm_backends

    return ssm_backends[caller.account][call.region]._parameters  # noqa: SLF001 - moto offers no other way


OPERATIONS = {
    "ssm:PutParameter": put_parameter,
    "ssm:LabelParameterVersion": _forward,
    "ssm:UnlabelParameterVersion": _forward,
}
