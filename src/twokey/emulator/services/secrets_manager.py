"""Secrets Manager: versions and their staging labels, with the compare-and-swap that a rotation needs.

moto stores the secrets; this module decides which version has which label ("Secrets Manager API reference").
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twokey.emulator import errors
from twokey.emulator.paging import json_page
from twokey.emulator.responses import Response, ServiceError, json_response

if TYPE_CHECKING:
    from twokey.emulator.identity import Caller
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

_MARKED_FOR_DELETION = "You can't perform this operation on the secret because it was marked for deletion."
_LIMIT = 65536  # bytes
CURRENT, PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"


def secret_of(call: Call, caller: Caller, *, deleted_too: bool = False) -> Any:
    """The secret that an operation names, by name, ARN or partial ARN; access to another account's is denied."""
    from moto.secretsmanager.models import secretsmanager_backends

    name = str(call.params.get("SecretId", ""))
    if name.startswith("arn:") and f":{caller.account}:secret:" not in name:
        start = f"User: {caller.arn} is not authorized to perform: {call.name} on resource: {name}"
        raise errors.denied(call, f"{start} because no resource-based policy allows the {call.name} action")
    secret = secretsmanager_backends[caller.account][call.region].secrets.get(name)
    if secret is None:
        raise ServiceError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    if secret.is_deleted() and not deleted_too:
        raise ServiceError("InvalidRequestException", _MARKED_FOR_DELETION)
    return secret


def stages(version: dict[str, Any]) -> list[str]:
    """The labels of a version."""
    labels: list[str] = version["version_stages"]
    return labels


def holder(secret: Any, label: str) -> str | None:
    """The id of the version that has the label."""
    return next((key for key, version in secret.versions.items() if label in stages(version)), None)


def move(secret: Any, label: str, to: str | None) -> None:
    """Put a label on a version (None: on none). AWSPREVIOUS follows AWSCURRENT."""
    source = holder(secret, label)
    if source == to:
        return
    if source is not None:
        stages(secret.versions[source]).remove(label)
    if to is not None:
        stages(secret.versions[to]).append(label)
    if label == CURRENT:
        secret.default_version_id = to
        if source is not None:
            move(secret, PREVIOUS, source)
        elif to is not None and PREVIOUS in stages(secret.versions[to]):
            stages(secret.versions[to]).remove(PREVIOUS)


def get_secret_value(world: World, call: Call, caller: Caller) -> Response:  # noqa: ARG001 - one signature for all
    """GetSecretValue, by version, by label, or AWSCURRENT."""
    secret = secret_of(call, caller)
    wanted, label = call.params.get("VersionId"), call.params.get("VersionStage")
    version_id = wanted if wanted is not None else holder(secret, label or CURRENT)
    version = secret.versions.get(version_id)
    if version is None or not ({"secret_string", "secret_binary"} & version.keys()):
        version_name = f"VersionId: {wanted}" if wanted is not None else f"staging label: {label or CURRENT}"
        message = f"Secrets Manager can't find the specified secret value for {version_name}"
        raise ServiceError("ResourceNotFoundException", message)
    if wanted is not None and label is not None and label not in stages(version):
        message = "You provided a VersionStage that is not associated to the provided VersionId."
        raise ServiceError("InvalidRequestException", message)
    values = {"SecretString": version.get("secret_string"), "SecretBinary": version.get("secret_binary")}
    value = {key: item for key, item in values.items() if item is not None}
    fields = {"ARN": secret.arn, "Name": secret.name, "VersionId": version_id, "CreatedDate": version["createdate"]}
    return json_response({**fields, **value, "VersionStages": list(stages(version))})


def put_secret_value(world: World, call: Call, caller: Caller) -> Response:
    """PutSecretValue: the same token with the same value changes nothing; with another value it is an error."""
    secret = secret_of(call, caller)
    version_id = _put(world, call, secret, call.params.get("VersionStages"))
    fields = {"ARN": secret.arn, "Name": secret.name, "VersionId": version_id}
    return json_response({**fields, "VersionStages": list(stages(secret.versions[version_id]))})


def _put(world: World, call: Call, secret: Any, labels: list[str] | None) -> str:
    value = _value(call)
    version_id = str(call.params.get("ClientRequestToken") or uuid.uuid4())
    if not 32 <= len(version_id) <= 64:
        raise ServiceError("InvalidParameterException", "ClientRequestToken must be 32-64 characters long.")
    present = secret.versions.get(version_id)
    if present is not None and {"secret_string", "secret_binary"} & present.keys():
        _check_same(secret, version_id, present, value)
        return version_id
    created = int(world.clock.seconds())
    kept = list(stages(present)) if present else []
    secret.versions[version_id] = {
        "createdate": created,
        "version_id": version_id,
        "version_stages": kept,
        **value,
    }
    secret.last_changed_date = created
    for label in _labels(secret, version_id, labels):
        move(secret, label, version_id)
    return version_id


def _labels(secret: Any, version_id: str, labels: list[str] | None) -> list[str]:
    """ "PutSecretValue", API reference: AWSCURRENT by default, and always on the first version of a secret."""
    wanted = [CURRENT] if labels is None else list(labels)
    first = set(secret.versions) == {version_id}
    return [*wanted, CURRENT] if first and CURRENT not in wanted else wanted


def _check_same(secret: Any, version_id: str, present: dict[str, Any], value: dict[str, Any]) -> None:
    if {key: present[key] for key in ("secret_string", "secret_binary") if key in present} != value:
        message = (
            f"You can't use ClientRequestToken {version_id} because that value is already in use "
            f"for a version of secret {secret.arn}."
        )
        raise ServiceError("ResourceExistsException", message)


def _value(call: Call) -> dict[str, Any]:
    string, binary = call.params.get("SecretString"), call.params.get("SecretBinary")
    if (string is None) == (binary is None):
        message = "You must provide either SecretString or SecretBinary."
        code = "InvalidRequestException" if string is None else "InvalidParameterException"
        raise ServiceError(code, message)
    if len((string or binary or "").encode()) > _LIMIT:
        message = (
            "1 validation error detected: Value at 'secretString' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_LIMIT}"
        )
        raise ServiceError("ValidationException", message)
    return {"secret_string": string} if string is not None else {"secret_binary": binary}


def update_secret(world: World, call: Call, caller: Caller) -> Response:
    """UpdateSecret: description and key, and with a value a new AWSCURRENT version."""
    secret = secret_of(call, caller)
    fields: dict[str, Any] = {"ARN": secret.arn, "Name": secret.name}
    if "SecretString" in call.params or "SecretBinary" in call.params:
        fields["VersionId"] = _put(world, call, secret, None)
    secret.description = call.params.get("Description", secret.description)
    secret.kms_key_id = call.params.get("KmsKeyId", secret.kms_key_id)
    secret.last_changed_date = int(world.clock.seconds())
    return json_response(fields)


def update_secret_version_stage(world: World, call: Call, caller: Caller) -> Response:
    """UpdateSecretVersionStage: a label moves only if the request names the version that has it."""
    secret = secret_of(call, caller)
    label = str(call.params.get("VersionStage", ""))
    source, to = call.params.get("RemoveFromVersionId"), call.params.get("MoveToVersionId")
    for version_id in (source, to):
        if version_id is not None and version_id not in secret.versions:
            raise ServiceError("ResourceNotFoundException", _no_version(version_id))
    has = holder(secret, label)
    _check_move(label, has, source, to)
    move(secret, label, to)
    secret.last_changed_date = int(world.clock.seconds())
    return json_response({"ARN": secret.arn, "Name": secret.name})


def _no_version(version_id: str) -> str:
    return f"Secrets Manager can't find the specified secret value for VersionId: {version_id}"


def _check_move(label: str, has: str | None, source: str | None, to: str | None) -> None:
    if source is not None and source != has:
        message = (
            f"When you move staging label {label}, if you specify RemoveFromVersionId, it must be set to the version "
            f"that currently has the staging label {label}."
        )
        raise ServiceError("InvalidParameterException", message)
    if source is None and has is not None and has != to:
        message = (
            f"The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to "
            f"version {has}, so you must explicitly reference that version in RemoveFromVersionId."
        )
        raise ServiceError("InvalidParameterException", message)
    if label == CURRENT and source is not None and to is None:
        message = "You can't remove the staging label AWSCURRENT from a version without moving it to another version."
        raise ServiceError("InvalidParameterException", message)


def describe_secret(world: World, call: Call, caller: Caller) -> Response:  # noqa: ARG001 - one signature for all
    """DescribeSecret: shows only versions that have a label; also works on a secret that is marked for deletion."""
    secret = secret_of(call, caller, deleted_too=True)
    description = {key: value for key, value in secret.to_dict().items() if value is not None}
    description.pop("SecretVersionsToStages", None)
    labelled = {key: list(stages(version)) for key, version in secret.versions.items() if stages(version)}
    return json_response({**description, "VersionIdsToStages": labelled} if labelled else description)


def list_secret_version_ids(world: World, call: Call, caller: Caller) -> Response:
    """ListSecretVersionIds, in pages; versions without a label only on request."""
    secret = secret_of(call, caller, deleted_too=True)
    everything = bool(call.params.get("IncludeDeprecated", False))
    versions = [
        {"VersionId": key, "VersionStages": list(stages(version)), "CreatedDate": version["createdate"]}
        for key, version in secret.versions.items()
        if everything or stages(version)
    ]
    chosen, paging = json_page(world, call, versions, default=100)
    return json_response({"ARN": secret.arn, "Name": secret.name, "Versions": chosen, **paging})


def create_secret(world: World, call: Call, caller: Caller) -> Response:
    """CreateSecret; each replica gets the key that the request has for it."""
    response = world.moto.forward(call, caller.account)
    keys = {one["Region"]: one["KmsKeyId"] for one in call.params.get("AddReplicaRegions", ()) if "KmsKeyId" in one}
    if response.status == 200 and keys:
        secret = secret_of(replace(call, params={"SecretId": call.params["Name"]}), caller)
        for replica in secret.replicas:
            replica.config["KmsKeyId"] = keys.get(replica.region, replica.config["KmsKeyId"])
    return response


OPERATIONS = {
    "secretsmanager:CreateSecret": create_secret,
    "secretsmanager:GetSecretValue": get_secret_value,
    "secretsmanager:PutSecretValue": put_secret_value,
    "secretsmanager:UpdateSecret": update_secret,
    "secretsmanager:UpdateSecretVersionStage": update_secret_version_stage,
    "secretsmanager:DescribeSecret": describe_secret,
    "secretsmanager:ListSecretVersionIds": list_secret_version_ids,
}
