"""The objects of an execution in S3, which is all that its functions share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from twokey.aws.sending import Sender
from twokey.core.errors import NotFound, UsageError
from twokey.http import paging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.aws.clients import Clients

_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>.+)", re.ASCII)
PREFIX = "executions"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of S3."""

    clients: Clients
    name: str

    def read(self, key: str) -> bytes:
        """Return an object; raises ``NotFound``."""
        sender = Sender(self.clients, "s3")
        response = sender.send("GetObject", f"{self.name}/{key}", mutates=False, Bucket=self.name, Key=key)
        return bytes(response["Body"])

    def find(self, key: str) -> bytes | None:
        """Return an object, or None where there is none. Without permission to list the bucket, that is denied."""
        try:
            return self.read(key)
        except NotFound as error:
            if "NoSuchBucket" in error.message:
                raise
            return None

    def write(self, key: str, body: bytes) -> None:
        """Write an object: the same one again where the first response is lost."""
        sender = Sender(self.clients, "s3")
        resource = f"{self.name}/{key}"
        sender.send("PutObject", resource, Bucket=self.name, Key=key, Body=body, ContentType="application/json")

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with a prefix, every page."""
        sender = Sender(self.clients, "s3")
        send = partial(sender.send, "ListObjectsV2", self.name, mutates=False, Bucket=self.name, Prefix=prefix)
        for page in paging.of_aws(send, "ContinuationToken", following="NextContinuationToken"):
            yield from (str(one["Key"]) for one in page.get("Contents", ()))


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one execution's objects."""

    execution: str

    @property
    def items(self) -> str:
        """The items of the Distributed Map."""
        return self._key("items.json")

    @property
    def listing(self) -> str:
        """The results of the accounts and users that were not found."""
        return self._key("listing.json")

    @property
    def map_runs(self) -> str:
        """The prefix below which Step Functions writes how each item ended."""
        return self._key("map/")

    @property
    def result(self) -> str:
        """The result document."""
        return self._key("result.json")

    def users(self, account: str) -> str:
        """Return the key of the names of an account's users."""
        return self._key(f"users/{account}.json")

    def chunk(self, account: str, first: int) -> str:
        """Return the key of the results of a chunk."""
        return self._key(f"chunks/{account}/{first:06}.json")

    def _key(self, name: str) -> str:
        return f"{PREFIX}/{self.execution}/{name}"


def read_url(url: str, field: str, clients: Clients) -> bytes:
    """Return the object at an s3:// URL; raises ``UsageError`` that names the field."""
    found = _URL.fullmatch(url)
    if found is None:
        raise UsageError(f"{field}: expected s3://BUCKET/KEY, got {url!r}.", state="Nothing was called.")
    return Bucket(clients, found["bucket"]).read(found["key"])
