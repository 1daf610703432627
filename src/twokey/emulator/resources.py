"""The resource of a request, as policies and error messages name it.

The ARNs follow the "Service Authorization Reference" for IAM, STS, Secrets Manager, Systems Manager, S3 and DynamoDB;
those of SNS, EventBridge and SES are in ``messaging``. Requests to every other service have the resource `*`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twokey.emulator import messaging, partition
from twokey.emulator.wire import bucket_and_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.emulator.identity import Caller
    from twokey.emulator.keyring import Keyring
    from twokey.emulator.wire import Call

_PREFIXES = {"monitoring": "cloudwatch", "email": "ses", "execute-api": "execute-api"}
_S3_ACTIONS = {
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "ListBuckets": "ListAllMyBuckets",
    "HeadObject": "GetObject",
    "CopyObject": "PutObject",
}
_FREE = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})
_IAM_NAMES = ("UserName", "RoleName", "GroupName", "PolicyName", "AccessKeyId", "PolicyArn", "PolicySourceArn")
_TARGETS = {
    "iam": _IAM_NAMES,
    "sts": ("RoleArn", "Name"),
    "secretsmanager": ("SecretId", "Name"),
    "ssm": ("Name", "Path", "ResourceId"),
    "kms": ("KeyId",),
}


@dataclass(frozen=True)
class Resource:
    """All `arns` must be allowed; `label` is how AWS names them in an error."""

    arns: tuple[str, ...]
    label: str


def action_of(call: Call) -> str:
    """The action that a policy must allow."""
    if call.service == "s3":
        return f"s3:{_S3_ACTIONS.get(call.operation, call.operation)}"
    operation = "InvokeFunction" if call.name == "lambda:Invoke" else call.operation
    return f"{_PREFIXES.get(call.service, call.service)}:{operation}"


def also_needed(call: Call, resource: Resource) -> Iterator[tuple[str, Resource]]:
    """What else must be allowed, depending on what the request contains: the actions, each with its resource.

    Sources: "CreateSecret" and "PutParameter" (required permissions), and "GetObject" (permissions: without
    s3:ListBucket, the response for an object that does not exist is 403).
    """
    if call.name == "secretsmanager:CreateSecret":
        if call.params.get("Tags"):
            yield "secretsmanager:TagResource", resource
        if call.params.get("AddReplicaRegions"):
            yield "secretsmanager:ReplicateSecretToRegions", resource
    if call.name == "ssm:PutParameter" and call.params.get("Tags"):
        yield "ssm:AddTagsToResource", resource
    if call.name in ("s3:GetObject", "s3:HeadObject") and not _exists(*bucket_and_key(call)):
        arn = f"arn:aws:s3:::{bucket_and_key(call)[0]}"
        yield "s3:ListBucket", Resource((arn,), f'"{arn}"')


def _exists(bucket: str, key: str) -> bool:
    from moto.s3.models import s3_backends

    buckets: dict[str, Any] = {}
    for partitions in list(s3_backends.values()):
        for backend in list(partitions.values()):
            buckets |= backend.buckets
    return bucket not in buckets or key in buckets[bucket].keys


def needs_no_permission(call: Call) -> bool:
    """Whether the operation works even under an explicit deny, according to its API reference."""
    return call.name in _FREE


def target_of(call: Call) -> str | None:
    """The user, secret, parameter or role that the request names, for the record and for rules."""
    if call.service == "s3":
        return "/".join(part for part in bucket_and_key(call) if part) or None
    for name in _TARGETS.get(call.service, ()):
        value = call.params.get(name)
        if isinstance(value, str) and value:
            return value
    return None


def resource_of(call: Call, caller: Caller, keyring: Keyring) -> Resource:
    """The resource of an authenticated request."""
    if call.service == "iam":
        return _iam(call, caller, keyring)
    if call.service in _BY_SERVICE:
        return _BY_SERVICE[call.service](call, caller.account)
    if call.service in messaging.SERVICES:
        arns = messaging.arns_of(call, caller.account)
        return Resource(arns or ("*",), arns[0] if arns else "*")
    if call.service == "sts" and "RoleArn" in call.params:
        return Resource((str(call.params["RoleArn"]),), str(call.params["RoleArn"]))
    return Resource(("*",), "*")


def _iam(call: Call, caller: Caller, keyring: Keyring) -> Resource:
    start, params = f"arn:{partition.current()}:iam::{caller.account}", call.params
    if call.operation == "GetAccessKeyLastUsed":
        entry = keyring.find(str(params.get("AccessKeyId", "")))
        arn = str(entry.user.arn) if entry is not None else "*"
        return Resource((arn,), f"access key {params.get('AccessKeyId', '')}")
    if call.operation in _LISTED:
        arn = f"{start}:{_LISTED[call.operation]}{params.get('PathPrefix', '/')}"
        return Resource((arn,), arn)
    entity = _iam_entity(call, caller, start)
    if entity is not None:
        return entity
    policy = params.get("PolicyArn") or params.get("PolicySourceArn")
    if policy:
        return Resource((str(policy),), f"policy {policy}" if "PolicyArn" in params else str(policy))
    return Resource(("*",), "*")


_LISTED = {"ListUsers": "user", "ListRoles": "role", "ListGroups": "group", "ListPolicies": "policy"}


def _iam_entity(call: Call, caller: Caller, start: str) -> Resource | None:
    """The user, role or group that the operation acts on; for some operations that is the caller."""
    backend = partition.iam_of(caller.account)
    known: dict[str, dict[str, Any]] = {"User": backend.users, "Role": backend.roles, "Group": backend.groups}
    for kind, entities in known.items():
        name = call.params.get(f"{kind}Name")
        if name is not None:
            return _named(start, kind.lower(), str(name), entities, str(call.params.get("Path", "/")))
    if caller.user is not None and call.operation in _ACT_ON_CALLER:
        return Resource((str(caller.user.arn),), f"user {caller.user.name}")
    return None


_ACT_ON_CALLER = frozenset({"GetUser", "ListAccessKeys", "CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"})


def _named(start: str, kind: str, name: str, known: dict[str, Any], path: str) -> Resource:
    entity = known.get(name)
    arn = str(entity.arn) if entity is not None else f"{start}:{kind}{path}{name}"
    return Resource((arn,), f"{kind} {name}")


def _object(call: Call, _account: str) -> Resource:
    arn = partition.arn("s3", "", "", "/".join(part for part in bucket_and_key(call) if part) or "*")
    return Resource((arn,), f'"{arn}"')


def _table(call: Call, account: str) -> Resource:
    arn = partition.arn("dynamodb", call.region, account, f"table/{call.params.get('TableName', '*')}")
    return Resource((arn,), arn)


def _secret(call: Call, account: str) -> Resource:
    from moto.secretsmanager.models import secretsmanager_backends

    start = partition.arn("secretsmanager", call.region, account, "secret:")
    if call.operation == "CreateSecret":
        arn = f"{start}{call.params.get('Name', '')}-AbCdEf"
        return Resource((arn,), str(call.params.get("Name", "")))
    name = call.params.get("SecretId")
    if not isinstance(name, str):
        return Resource(("*",), "*")
    secret = secretsmanager_backends[account][call.region].secrets.get(name)
    arn = str(secret.arn) if secret is not None else name if name.startswith("arn:") else start + name
    return Resource((arn,), arn if secret is not None else name)


def _parameters(call: Call, account: str) -> Resource:
    start = partition.arn("ssm", call.region, account, "parameter/")
    params = call.params
    names = params.get("Names") or params.get("Name") or params.get("Path")
    if params.get("ResourceType") == "Parameter":
        names = params.get("ResourceId")
    if not names:
        return Resource(("*",), "*")
    several = names if isinstance(names, list) else [names]
    arns = tuple(start + _bare(str(name)) for name in several)
    return Resource(arns, arns[0])


def _bare(name: str) -> str:
    """A parameter's name without its selector (`:label`) or the start of an ARN."""
    if name.startswith("arn:"):
        name = name.split(":", 5)[5].removeprefix("parameter")
    return name.split(":")[0].lstrip("/")


_BY_SERVICE = {"secretsmanager": _secret, "ssm": _parameters, "dynamodb": _table, "s3": _object}
