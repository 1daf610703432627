"""IAM users: lists in pages, and deletion that fails while anything is attached."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from twokey.emulator import partition
from twokey.emulator.paging import page
from twokey.emulator.responses import Response, ServiceError, query_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator.identity import Caller
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

_PREFIX = re.compile(r"/[\x21-\x7f]*")


def backend_of(account: str) -> Any:
    """moto's IAM of an account."""
    return partition.iam_of(account)


def user_of(call: Call, caller: Caller) -> Any:
    """The user that an operation names, or the caller where it names none."""
    name = call.params.get("UserName")
    if name is None:
        if caller.user is None:
            raise ServiceError("ValidationError", "Must specify userName when calling with non-User credentials")
        return caller.user
    user = backend_of(caller.account).users.get(name)
    if user is None:
        raise ServiceError("NoSuchEntity", f"The user with name {name} cannot be found.", 404)
    return user


def describe(user: Any) -> dict[str, Any]:
    """A user, as lists of IAM show it."""
    return {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": user.arn,
        "CreateDate": user.create_date,
    }


def list_users(world: World, call: Call, caller: Caller) -> Response:
    """ListUsers, by name."""
    prefix = call.params.get("PathPrefix", "/")
    if not _PREFIX.fullmatch(prefix):
        raise ServiceError(
            "ValidationError",
            "The specified value for pathPrefix is invalid. It must begin with the / character and contain only "
            "alphanumeric characters and/or / characters.",
        )
    users = backend_of(caller.account).users
    items = [(name, users[name]) for name in sorted(users) if users[name].path.startswith(prefix)]
    chosen, paging = page(world, call, items)
    return query_response(call, {"Users": [describe(user) for user in chosen], **paging})


def get_user(world: World, call: Call, caller: Caller) -> Response:  # noqa: ARG001 - one signature for all operations
    """GetUser, with tags."""
    user = user_of(call, caller)
    return query_response(call, {"User": {**describe(user), "Tags": user.tags or None}})


def create_user(world: World, call: Call, caller: Caller) -> Response:
    """CreateUser, with an id in IAM's format."""
    name = call.params.get("UserName")
    users = backend_of(caller.account).users
    if name in users:
        raise ServiceError("EntityAlreadyExists", f"User with name {name} already exists.", 409)
    response = world.moto.forward(call, caller.account)
    if name not in users:
        return response
    set_unique_id(users[name])
    return query_response(call, {"User": {**describe(users[name]), "Tags": users[name].tags or None}})


def set_unique_id(user: Any) -> None:
    """Replace moto's id by one in IAM's format ("IAM identifiers", IAM User Guide), unique even after deletion."""
    user.id = "AIDA" + str(user.id).upper()[:17]


def delete_user(world: World, call: Call, caller: Caller) -> Response:
    """DeleteUser: fails while the user has keys, policies or groups, which moto does not check."""
    user = user_of(call, caller)
    for action, is_needed in _BEFORE_DELETION.items():
        if is_needed(user):
            raise ServiceError("DeleteConflict", f"Cannot delete entity, must {action} first.", 409)
    return world.moto.forward(call, caller.account)


_BEFORE_DELETION: dict[str, Callable[[Any], bool]] = {
    "delete access keys": lambda user: bool(user.access_keys),
    "delete login profile": lambda user: user.password is not None,
    "detach all policies": lambda user: bool(user.managed_policies),
    "delete policies": lambda user: bool(user.policies),
    "remove users from group": lambda user: bool(user.group_list),
}


def update_user(world: World, call: Call, caller: Caller) -> Response:
    """UpdateUser: a renamed user keeps its keys, in which moto does not change the name."""
    user = user_of(call, caller)
    name = call.params.get("NewUserName")
    if name is not None and name != user.name and name in backend_of(caller.account).users:
        raise ServiceError("EntityAlreadyExists", f"User with name {name} already exists.", 409)
    response = world.moto.forward(call, caller.account)
    for key in user.access_keys:
        key.user_name = user.name
    return response


OPERATIONS = {
    "iam:ListUsers": list_users,
    "iam:GetUser": get_user,
    "iam:CreateUser": create_user,
    "iam:DeleteUser": delete_user,
    "iam:UpdateUser": update_user,
}
