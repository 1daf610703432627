"""Systems Manager Parameter Store: the operations in which moto differs from AWS."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

from twokey.emulator.corrections import forward_to_moto
from twokey.emulator.responses import Response, ServiceError, json_response

if TYPE_CHECKING:
    from twokey.emulator.identity import Caller
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

_STANDARD, _ADVANCED = 4096, 8192  # characters; "Managing parameter tiers", Systems Manager User Guide


_MOST_NAMES = 10
_SHOWN = ("Name", "Type", "Value", "Version", "LastModifiedDate", "DataType", "ARN")
_SETTINGS = {"Description": "description", "AllowedPattern": "allowed_pattern", "Policies": "policies"}
_DEFAULT_KEY = "alias/aws/ssm"
_DOWNGRADE = (
    "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier "
    "to the standard-parameter tier."
)


def put_parameter(world: World, call: Call, caller: Caller) -> Response:
    """PutParameter, with the size limits of the tiers, and without a way back from the advanced tier.

    AWS does not say that it keeps a setting which a write leaves out, so it is lost here; without a key, a SecureString
    gets the account's default ("PutParameter", Systems Manager API Reference). Only advanced parameters have policies
    ("Assigning parameter policies", Systems Manager User Guide).
    """
    advanced = call.params.get("Tier") in ("Advanced", "Intelligent-Tiering")
    before = _parameters(call, caller).get(str(call.params.get("Name", "")))
    if before and before[-1].tier == "Advanced" and not advanced and call.params.get("Overwrite"):
        raise ServiceError("ValidationException", _DOWNGRADE)
    limit = _ADVANCED if advanced else _STANDARD
    if len(str(call.params.get("Value", ""))) > limit:
        tier = "Advanced" if advanced else "Standard"
        message = f"{tier} tier parameters support a maximum parameter value of {limit} characters."
        raise ServiceError("ValidationException", message)
    if "Policies" in call.params and not advanced:
        raise ServiceError("ValidationException", "Parameter policies require the advanced-parameter tier.")
    response = _forward(world, call, caller)
    if response.status == 200:
        written = _parameters(call, caller)[str(call.params["Name"])][-1]
        for setting, attribute in _SETTINGS.items():
            if setting not in call.params:
                setattr(written, attribute, None)
        if "KeyId" not in call.params and written.parameter_type == "SecureString":
            _encrypt_with(written, _DEFAULT_KEY)
    return response


def _encrypt_with(parameter: Any, key: str) -> None:
    value = parameter.decrypt(parameter.value)
    parameter.keyid = key
    parameter.value = parameter.encrypt(value)


def get_parameter(world: World, call: Call, caller: Caller) -> Response:
    """GetParameter, read where moto keeps parameters: the way through moto takes ten times as long."""
    name = call.params.get("Name")
    if not _are_plain([name]):
        return forward_to_moto(world, call, caller)
    found = _shown(call, caller, str(name))
    if found is None:
        raise ServiceError("ParameterNotFound", f"Parameter {name} not found.")
    return json_response({"Parameter": found})


def get_parameters(world: World, call: Call, caller: Caller) -> Response:
    """GetParameters, read like a single one. AWS promises no order."""
    names = call.params.get("Names")
    if not isinstance(names, list) or not _are_plain(names):
        return forward_to_moto(world, call, caller)
    found = {name: _shown(call, caller, name) for name in reversed(names)}
    missing = [name for name in names if found[name] is None]
    return json_response({"Parameters": [one for one in found.values() if one], "InvalidParameters": missing})


def _are_plain(names: list[Any]) -> bool:
    """Whether these are different names, as many as a request may have, without a selector, and of parameters here."""
    texts = {name for name in names if isinstance(name, str) and ":" not in name and not name.startswith("/aws/")}
    return 0 < len(texts) == len(names) <= _MOST_NAMES


def _shown(call: Call, caller: Caller, name: str) -> dict[str, Any] | None:
    known = _parameters(call, caller)
    versions = known[name] if name in known else None  # noqa: SIM401 - moto's kind of dict knows a name in two forms
    if not versions:
        return None
    shown = versions[-1].response_object(call.params.get("WithDecryption", False), call.region)
    shown["LastModifiedDate"] = int(shown["LastModifiedDate"].replace(tzinfo=UTC).timestamp() * 1000) / 1000
    return {key: shown[key] for key in _SHOWN if shown[key] is not None}


def get_parameter_history(world: World, call: Call, caller: Caller) -> Response:
    """GetParameterHistory, with the text of each policy, where moto returns Python's notation of it."""
    response = _forward(world, call, caller)
    found = json.loads(response.body)
    policies = {one.version: one.policies for one in _parameters(call, caller).get(str(call.params.get("Name"))) or ()}
    for parameter in found.get("Parameters", ()):
        if parameter.get("Policies"):
            parameter["Policies"] = [
                {"PolicyText": json.dumps(one), "PolicyType": one["Type"], "PolicyStatus": "Finished"}
                for one in json.loads(policies[parameter["Version"]])
            ]
    return replace(response, body=json.dumps(found).encode())


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
    "ssm:GetParameter": get_parameter,
    "ssm:GetParameters": get_parameters,
    "ssm:PutParameter": put_parameter,
    "ssm:GetParameterHistory": get_parameter_history,
    "ssm:LabelParameterVersion": _forward,
    "ssm:UnlabelParameterVersion": _forward,
}
