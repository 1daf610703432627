"""Reads state and plan files of Terraform: from this machine, or as objects in S3."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from twokey.core.errors import UsageError
from twokey.inventory.state_files import LARGEST, StateKey, find

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twokey.aws.clients import Clients

_S3 = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>.+)", re.ASCII)


def read(names: Iterable[str], clients: Clients) -> list[StateKey]:
    """Return the keys in all these files.

    Raises ``UsageError`` for one that cannot be read or is no state, and a ``ServiceError`` for an object.
    """
    return [key for name in names for key in find(name, _content(name, clients))]


def _content(name: str, clients: Clients) -> bytes:
    if name.startswith("s3:"):
        return _object(name, clients)
    try:
        path = Path(name)
        if path.stat().st_size > LARGEST:
            raise UsageError(f"--state: {name} is larger than {LARGEST >> 20} MiB.", state="Nothing was called.")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"--state: {name} cannot be read: {error.strerror}.",
            state="Nothing was called.",
            remedy="Name a state file, a plan file, or s3://BUCKET/KEY.",
        ) from None


def _object(name: str, clients: Clients) -> bytes:
    from twokey.aws.sending import Sender

    found = _S3.fullmatch(name)
    if found is None:
        raise UsageError(f"--state: {name!r}: expected s3://BUCKET/KEY.", state="Nothing was called.")
    where = f"{found['bucket']}/{found['key']}"
    response = Sender(clients, "s3").send("GetObject", where, mutates=False, Bucket=found["bucket"], Key=found["key"])
    return bytes(response["Body"])
