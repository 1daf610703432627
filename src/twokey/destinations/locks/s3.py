"""A lock as an object in S3: ``s3:BUCKET/KEY``.

The object is written with ``If-None-Match: *`` or with ``If-Match`` and the ETag that was read ("How to prevent object
overwrites with conditional writes", Amazon S3 User Guide). Reads are strongly consistent.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace as changed
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

_FAILED = ("PreconditionFailed", "ConditionalRequestConflict")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_LONGEST_KEY = 1024
"""Bytes of an object's key ("Naming Amazon S3 objects", Amazon S3 User Guide)."""
_on_object = partial(Permission, service="Amazon S3", resource="object", type="action", uses=("load", "journal"))
_on_kms_key = partial(
    Permission,
    service="AWS KMS",
    resource="key",
    type="action",
    uses=("load", "journal"),
    condition="a customer managed key",
)
PERMISSIONS = (
    _on_object(name="s3:GetObject"),
    _on_object(name="s3:PutObject", uses=("journal",)),
    Permission(service="Amazon S3", resource="bucket", type="action", uses=("load", "journal"), name="s3:ListBucket"),
    _on_kms_key(name="kms:Decrypt"),
    _on_kms_key(name="kms:GenerateDataKey", uses=("journal",)),
)


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that no bucket or object can have."""
    address.allow(())
    bucket, slash, key = address.plain.partition("/")
    if not (slash and key and _BUCKET.fullmatch(bucket)) or len(key.encode()) > _LONGEST_KEY:
        raise UsageError(
            f"{address.url!r}: expected s3:BUCKET/KEY: a bucket's name of 3 to 63 lowercase letters, digits, dots and "
            "dashes, and the key of the object.",
            remedy="Write s3:my-bucket/twokey-locks/{user}, for example.",
        )


def _resources(address: Address, scope: AwsScope) -> Resources:
    """Return the ARNs of the bucket and of the object."""
    bucket = f"arn:{scope.partition}:s3:::{address.rest.partition('/')[0]}"
    return {"bucket": (bucket,), "object": (f"arn:{scope.partition}:s3:::{address.rest}",)}


def _open(address: Address, context: DestinationContext) -> LockObject:
    """Return the object as a lock. Nothing is called."""
    bucket, _, key = address.rest.partition("/")
    return LockObject(address.url, bucket, key, context.clients)


class LockObject:
    """One object of a bucket, as a lock."""

    def __init__(self, name: str, bucket: str, key: str, clients: Clients) -> None:
        self.name = name
        self._names: dict[str, Any] = {"Bucket": bucket, "Key": key}
        self._resource = f"{bucket}/{key}"
        self._sender = Sender(clients, "s3")

    def read(self) -> Content | None:
        """Read the object. Without permission to list the bucket, AWS does not say that it is missing."""
        try:
            found = self._sender.send("GetObject", self._resource, mutates=False, **self._names)
        except NotFound:
            return None
        try:
            content = json.loads(found["Body"])
            epoch, lease, fence = int(content["epoch"]), json.dumps(content["lease"]), str(content["fence"])
        except (KeyError, TypeError, ValueError):
            raise not_a_lock(self.name) from None
        return Content(epoch, decoded(lease, self.name), fence, found["ETag"])

    def replace(self, seen: Content | None, content: Content) -> Content:
        """Write the object if it has the ETag that was seen, or if it does not exist."""
        condition: dict[str, Any] = {"IfMatch": seen.tag} if seen else {"IfNoneMatch": "*"}
        body = json.dumps({"fence": content.fence, "epoch": content.epoch, "lease": json.loads(encoded(content.lease))})
        try:
            written = self._sender.send(
                "PutObject",
                self._resource,
                **self._names,
                Body=body.encode(),
                ContentType="application/json",
                **condition,
            )
        except (ServiceRejected, NotFound, Ambiguous) as error:
            if isinstance(error, ServiceRejected) and not any(code in error.message for code in _FAILED):
                raise
            return settled(self, seen, content, error)
        return changed(content, tag=written["ETag"])


KIND = LockKind(scheme="s3", check=check, open=_open, permissions=PERMISSIONS, resources=_resources)
