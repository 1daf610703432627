"""IAM access keys: two per user, dates to the second, pages, and acting on the caller where no user is named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from twokey.emulator.answers import Answer, ServiceError, query_answer
from twokey.emulator.services.iam_users import backend_of, user_of
from twokey.emulator.services.paging import page

if TYPE_CHECKING:
    from typing import Any

    from twokey.emulator.identity import Caller
    from twokey.emulator.keyring import Key
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World


def make_key(world: World, account: str, user: Any, *, created: datetime, settled_at: float) -> Key:
    """Make a key for a user, whatever the quota; `created` loses its fraction, as in IAM.

    moto's backend is asked through the user, since its own function counts to two by itself.
    """
    key = user.create_access_key(prefix="AKIA")
    key.create_date = created.astimezone(UTC).replace(microsecond=0, tzinfo=None)
    backend_of(account).access_keys[key.access_key_id] = key
    return world.keyring.add(account, user, key, at=settled_at)


def create_access_key(world: World, call: Call, caller: Caller) -> Answer:
    """CreateAccessKey, with the quota of keys per user."""
    user = user_of(call, caller)
    if len(user.access_keys) >= world.key_quota:
        message = f"Cannot exceed quota for AccessKeysPerUser: {world.key_quota}"
        raise ServiceError("LimitExceeded", message, 409)
    now = world.clock.now()
    entry = make_key(world, caller.account, user, created=now, settled_at=world.clock.seconds())
    shown = {**_metadata(entry, entry.key.status), "SecretAccessKey": entry.secret}
    return query_answer(call, {"AccessKey": shown})


def _metadata(entry: Key, status: str) -> dict[str, Any]:
    return {
        "UserName": entry.user.name,
        "AccessKeyId": entry.id,
        "Status": status,
        "CreateDate": entry.key.create_date,
    }


def list_access_keys(world: World, call: Call, caller: Caller) -> Answer:
    """ListAccessKeys, oldest first, late by the weather's `list_lag`."""
    user = user_of(call, caller)
    items = [(f"{entry.key.create_date:%Y%m%d%H%M%S}{entry.id}", entry) for entry in world.keyring.listed(user)]
    chosen, about = page(world, call, items)
    shown = [_metadata(entry, entry.key.status) for entry in chosen]
    return query_answer(call, {"UserName": user.name, "AccessKeyMetadata": shown, **about})


def _key_of(world: World, call: Call, user: Any) -> Key:
    key_id = call.params.get("AccessKeyId", "")
    for entry in world.keyring.of_user(user):
        if entry.id == key_id:
            return entry
    raise ServiceError("NoSuchEntity", f"The Access Key with id {key_id} cannot be found.", 404)


def update_access_key(world: World, call: Call, caller: Caller) -> Answer:
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
    return query_answer(call)


def delete_access_key(world: World, call: Call, caller: Caller) -> Answer:
    """DeleteAccessKey."""
    entry = _key_of(world, call, user_of(call, caller))
    backend_of(caller.account).delete_access_key_by_name(entry.id)
    world.keyring.changed(entry, "Deleted")
    return query_answer(call)


def get_access_key_last_used(world: World, call: Call, caller: Caller) -> Answer:
    """GetAccessKeyLastUsed: a key that is not there is AccessDenied, and a key never used has no date.

    The API reference names no error of its own; that a missing key is AccessDenied is what users report.
    """
    key_id = call.params.get("AccessKeyId", "")
    entry = world.keyring.find(key_id)
    if entry is None or entry.deleted or entry.account != caller.account:
        action = "iam:GetAccessKeyLastUsed"
        message = f"User: {caller.arn} is not authorized to perform: {action} on resource: access key {key_id}"
        raise ServiceError("AccessDenied", message, 403)
    use = world.keyring.visible_use(entry)
    shown = {
        "LastUsedDate": datetime.fromtimestamp(use.at, UTC) if use else None,
        "ServiceName": use.service if use else "N/A",
        "Region": use.region if use else "N/A",
    }
    return query_answer(call, {"UserName": entry.user.name, "AccessKeyLastUsed": shown})


OPERATIONS = {
    "iam:CreateAccessKey": create_access_key,
    "iam:ListAccessKeys": list_access_keys,
    "iam:UpdateAccessKey": update_access_key,
    "iam:DeleteAccessKey": delete_access_key,
    "iam:GetAccessKeyLastUsed": get_access_key_last_used,
}
