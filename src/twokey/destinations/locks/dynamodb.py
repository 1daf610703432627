"""A lock as an item of a DynamoDB table: ``dynamodb:TABLE/KEY``.

The partition key of the table is the string ``LockID``, as in tables with which Terraform locks its state. The lock
is read consistently and written by ``PutItem`` with a condition ("Condition expressions", DynamoDB Developer Guide).
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from twokey.aws.sending import Sender
from twokey.core.errors import Ambiguous, NotFound, ServiceRejected, UsageError
from twokey.destinations.kind import Permission
from twokey.destinations.locks.lock import Content, LockKind, decoded, encoded, not_a_lock, settled

if TYPE_CHECKING:
    from twokey.aws.clients import Clients
    from twokey.destinations.address import Address
    from twokey.destinations.kind import AwsScope, DestinationContext, Resources

KEY = "LockID"
_FAILED = "ConditionalCheckFailedException"
_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}", re.ASCII)
_LONGEST_KEY = 2048
"""Bytes of a partition key ("Constraints in Amazon DynamoDB", DynamoDB Developer Guide)."""
_on_table = partial(Permission, service="Amazon DynamoDB", resource="table", type="action")
PERMISSIONS = (
    _on_table(name="dynamodb:GetItem", uses=("load", "journal")),
    _on_table(name="dynamodb:PutItem", uses=("journal",)),
)


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that no table or key can have."""
    address.allow(())
    table, slash, key = address.plain.partition("/")
    if not (slash and key and _TABLE.fullmatch(table)) or len(key.encode()) > _LONGEST_KEY:
        raise UsageError(
            f"{address.url!r}: expected dynamodb:TABLE/KEY: a table's name of 3 to 255 letters, digits and characters "
            "_.-, and the key of the item.",
            remedy="Write dynamodb:twokey-locks/{user}, for example.",
        )


def _resources(address: Address, scope: AwsScope) -> Resources:
    """Return the ARN of the table."""
    return {"table": (scope.arn("dynamodb", f"table/{address.rest.partition('/')[0]}"),)}


def _open(address: Address, context: DestinationContext) -> Item:
    """Return the item as a lock. Nothing is called."""
    table, _, key = address.rest.partition("/")
    return Item(address.url, table, key, context.clients)


class Item:
    """One item of a table, as a lock."""

    def __init__(self, name: str, table: str, key: str, clients: Clients) -> None:
        self.name = name
        self._table = table
        self._key = {KEY: {"S": key}}
        self._sender = Sender(clients, "dynamodb")

    def read(self) -> Content | None:
        """Read the item, with a consistent read."""
        item = self._send("GetItem", mutates=False, Key=self._key, ConsistentRead=True).get("Item")
        if item is None:
            return None
        try:
            epoch, lease, fence = int(item["epoch"]["N"]), item["lease"]["S"], item["fence"]["S"]
        except (KeyError, ValueError):
            raise not_a_lock(self.name) from None
        return Content(epoch, decoded(lease, self.name), fence)

    def replace(self, seen: Content | None, content: Content) -> Content:
        """Write the item if its fence is the one that was seen, or if there is none."""
        condition: dict[str, Any] = {"ConditionExpression": f"attribute_not_exists({KEY})"}
        if seen is not None:
            condition = {
                "ConditionExpression": "fence = :seen",
                "ExpressionAttributeValues": {":seen": {"S": seen.fence}},
            }
        item = {
            **self._key,
            "fence": {"S": content.fence},
            "epoch": {"N": str(content.epoch)},
            "lease": {"S": encoded(content.lease)},
        }
        try:
            self._send("PutItem", Item=item, **condition)
        except (ServiceRejected, Ambiguous) as error:
            if isinstance(error, ServiceRejected) and _FAILED not in error.message:
                raise
            return settled(self, seen, content, error)
        return content

    def _send(self, operation: str, *, mutates: bool = True, **parameters: Any) -> Any:
        # Without the consumed capacity, the response of AWS may be empty, like one that is not from AWS.
        names: dict[str, Any] = {"TableName": self._table, "ReturnConsumedCapacity": "TOTAL"}
        try:
            return self._sender.send(operation, self._table, mutates=mutates, **names, **parameters)
        except NotFound:
            raise NotFound(
                f"There is no DynamoDB table {self._table} in this account and region.",
                state="Nothing was changed.",
                remedy=f"Create it with the partition key {KEY}, a string, or name another lock.",
            ) from None


KIND = LockKind(scheme="dynamodb", check=check, open=_open, permissions=PERMISSIONS, resources=_resources)
