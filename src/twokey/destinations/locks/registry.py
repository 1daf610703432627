"""Finds the kind of a lock by its URL's scheme, and opens locks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from twokey.core.errors import UsageError
from twokey.core.sentences import nearest
from twokey.destinations import address as addresses
from twokey.destinations.locks.locked_store import LockedStore

if TYPE_CHECKING:
    from twokey.core.destination import Store
    from twokey.destinations.address import Address
    from twokey.destinations.kind import DestinationContext
    from twokey.destinations.locks.lock import LockKind

SCHEMES = {"dynamodb": "twokey.destinations.locks.dynamodb", "s3": "twokey.destinations.locks.s3"}
"""Scheme to module."""


def parse(url: str) -> Address:
    """Split the URL of a lock and check all that can be checked without a call; raises ``UsageError``."""
    scheme, colon, _ = url.partition(":")
    if not colon:
        raise UsageError(f"{url!r}: expected scheme:name, with one of the schemes {', '.join(SCHEMES)}.")
    if scheme not in SCHEMES:
        raise UsageError(f"{url!r}: there is no lock of the kind {scheme!r}; {nearest(scheme, SCHEMES)}")
    address = addresses.take_apart(url)
    kind_of(scheme).check(address)
    return address


def kind_of(scheme: str) -> LockKind:
    """Return the kind of a scheme that exists."""
    return cast("LockKind", vars(import_module(SCHEMES[scheme]))["KIND"])


def locked(store: Store, url: str, context: DestinationContext) -> Store:
    """Return the store, guarded by the lock of a URL whose fields are filled in. Nothing is called."""
    address = parse(url)
    return LockedStore(store, kind_of(address.scheme).open(address, context))
