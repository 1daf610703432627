"""Inline policies: their size is limited in total, and AWS's own roles cannot be changed. moto checks neither.

Sources: "IAM and AWS STS quotas" (IAM User Guide: all inline policies of an entity together, white space not counted);
"PutRolePolicy" (IAM API Reference: ``LimitExceeded``, ``UnmodifiableEntity``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from twokey.emulator.corrections import forward_to_moto
from twokey.emulator.responses import Response, ServiceError
from twokey.emulator.services.iam_users import backend_of, user_of

if TYPE_CHECKING:
    from twokey.emulator.identity import Caller
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

LIMITS = {"user": 2_048, "role": 10_240}
PROTECTED = ("/aws-service-role/", "/aws-reserved/")
"""The paths of service-linked roles, and of the roles of IAM Identity Center."""


def put_user_policy(world: World, call: Call, caller: Caller) -> Response:
    """PutUserPolicy."""
    return _put(world, call, caller, "user", user_of(call, caller))


def put_role_policy(world: World, call: Call, caller: Caller) -> Response:
    """PutRolePolicy."""
    return _put(world, call, caller, "role", _role_of(call, caller))


def delete_role_policy(world: World, call: Call, caller: Caller) -> Response:
    """DeleteRolePolicy."""
    _role_of(call, caller)
    return forward_to_moto(world, call, caller)


def _role_of(call: Call, caller: Caller) -> Any:
    name = str(call.params.get("RoleName", ""))
    role = next((one for one in backend_of(caller.account).roles.values() if one.name == name), None)
    if role is None:
        raise ServiceError("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
    if str(role.path).startswith(PROTECTED):
        message = f"Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS"
        raise ServiceError("UnmodifiableEntity", message)
    return role


def _put(world: World, call: Call, caller: Caller, kind: str, entity: Any) -> Response:
    documents = {**entity.policies, str(call.params.get("PolicyName")): call.params.get("PolicyDocument", "")}
    if sum(len(re.sub(r"\s", "", str(one))) for one in documents.values()) > LIMITS[kind]:
        message = f"Maximum policy size of {LIMITS[kind]} bytes exceeded for {kind} {entity.name}"
        raise ServiceError("LimitExceeded", message, 409)
    return forward_to_moto(world, call, caller)


OPERATIONS = {
    "iam:PutUserPolicy": put_user_policy,
    "iam:PutRolePolicy": put_role_policy,
    "iam:DeleteRolePolicy": delete_role_policy,
}
