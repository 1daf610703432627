"""IAM access keys: two for each user, dates to the second, pages; the caller is the default user."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from twokey.emulator.paging import page
from twokey.emulator.responses import Response, ServiceError, query_response
from twokey.emulator.services.iam_users import backend_of, user_of

if TYPE_CHECKING:
    from typing import Any

    from twokey.emulator.identity import Caller
    from twokey.emulator.keyring import Key
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World


def make_key(world: World, account: str, user: Any, *, created: datetime, propagated_at: float) -> Key:
    """Create a key for a user, regardless of the quota; `created` loses its fraction, as in IAM.

    The user's own function creates it, because the one of moto's backend enforces a quota of two.
    """
    key = user.create_access_key(prefix="AKIA")
    key.create_date = created.astimezone(UTC).replace(microsecond=0, tzinfo=None)
    backend_of(account).access_keys[key.access_key_id] = key
    return world.keyring.add(account, user, key, at=propagated_at)


def create_access_key(world: World, call: Call, caller: Caller) -> Response:
    """CreateAccessKey, with the quota of keys per user."""
    user = user_of(call, caller)
    if len(user.access_keys) >= world.key_quota:
        message = f"Cannot exceed quota for AccessKeysPerUser: {world.key_quota}"
        raise ServiceError("LimitExceeded", message, 409)
    now = world.clock.now()
    entry = make_key(world, caller.account, user, created=now, propagated_at=world.clock.seconds())
    key = {**_metadata(entry, entry.key.status), "SecretAccessKey": entry.secret}
    return query_response(call, {"AccessKey": key})


def _metadata(entry: Key, status: str) -> dict[str, Any]:
    return {
        "UserName": entry.user.name,
        "AccessKeyId": entry.id,
        "Status": status,
        "CreateDate": entry.key.create_date,
    }


def list_access_keys(world: World, call: Call, caller: Caller) -> Response:
    """ListAccessKeys, oldest first, delayed by the weather's `list_lag`."""
    user = user_of(call, caller)
    items = [(f"{entry.key.create_date:%Y%m%d%H%M%S}{entry.id}", entry) for entry in world.keyring.listed(user)]
    chosen, paging = page(world, call, items)
    keys = [_metadata(entry, entry.key.status) for entry in chosen]
    return query_response(call, {"UserName": user.name, "AccessKeyMetadata": keys, **paging})


def _key_of(world: World, call: Call, user: Any) -> Key:
    key_id = call.params.get("AccessKeyId", "")
    for entry in world.keyring.of_user(user):
        if entry.id == key_id:
            return entry
    raise ServiceError("NoSuchEntity", f"The Access Key with id {key_id} cannot be found.", 404)


def update_access_key(world: World, call: Call, caller: Caller) -> Response:
    """UpdateAccessKey: Active or Inactive."""
    entry = _key_of(world, call, user_of(call, caller))
    status = call.params.get("Status", "")
    if status not in ("Active", "Inactive"):
        raise ServiceError(
            "ValidationError",
            f"1 validation error detected: Value '{status}' at 'status' failed to satisfy constraint: "
            "Member must satisfy enum value set: [Active, Inactive]",
        )
    if entry.key.status != status:
        entry.key.status = status
        world.keyring.changed(entry, status)
    return query_response(call)


def delete_access_key(world: World, call: Call, caller: Caller) -> Response:
    """DeleteAccessKey."""
    entry = _key_of(world, call, user_of(call, caller))
    backend_of(caller.account).delete_access_key_by_name(entry.id)
    world.keyring.changed(entry, "Deleted")
    return query_response(call)


def get_access_key_last_used(world: World, call: Call, caller: Caller) -> Response:
    """GetAccessKeyLastUsed: AccessDenied for a key that does not exist; no date for a key that was never used.

    The API reference names no error of its own. Users report AccessDenied for a missing key.
    """
    key_id = call.params.get("AccessKeyId", "")
    entry = world.keyring.find(key_id)
    if entry is None or entry.deleted or entry.account != caller.account:
        action = "iam:GetAccessKeyLastUsed"
        message = f"User: {caller.arn} is not authorized to perform: {action} on resource: access key {key_id}"
        raise ServiceError("AccessDenied", message, 403)
    use = world.keyring.visible_use(entry)
    last_used = {
        "LastUsedDate": datetime.fromtimestamp(use.at, UTC) if use else None,
        "ServiceName": use.service if use else "N/A",
        "Region": use.region if use else "N/A",
    }
    return query_response(call, {"UserName": entry.user.name, "AccessKeyLastUsed": last_used})


OPERATIONS = {
    "iam:CreateAccessKey": create_access_key,
    "iam:ListAccessKeys": list_access_keys,
    "iam:UpdateAccessKey": update_access_key,
    "iam:DeleteAccessKey": delete_access_key,
    "iam:GetAccessKeyLastUsed": get_access_key_last_used,
}
