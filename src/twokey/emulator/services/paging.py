"""Pages of lists in the query protocol: MaxItems, Marker, IsTruncated."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from twokey.emulator.answers import ServiceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

_DEFAULT = 100


def page(world: World, call: Call, items: Sequence[tuple[str, Any]]) -> tuple[list[Any], dict[str, Any]]:
    """The items of the page that was asked for, and what an answer says of it.

    `items` are pairs of a sort key and the thing itself, in order; the marker names the last key of a page,
    so that something deleted between two pages makes nothing else disappear.
    """
    size = min(_max_items(call), world.page_size)
    after = _read(call.params.get("Marker"))
    rest = [(key, item) for key, item in items if after is None or key > after]
    chosen = rest[:size]
    truncated = len(rest) > size
    marker = _write(chosen[-1][0]) if truncated else None
    return [item for _, item in chosen], {"IsTruncated": truncated, "Marker": marker}


def _max_items(call: Call) -> int:
    text = call.params.get("MaxItems", str(_DEFAULT))
    number = int(text) if text.isdigit() else 0
    if not 1 <= number <= 1000:
        bound = "greater than or equal to 1" if number < 1 else "less than or equal to 1000"
        raise ServiceError(
            "ValidationError",
            f"1 validation error detected: Value '{text}' at 'maxItems' failed to satisfy constraint: "
            f"Member must have value {bound}",
        )
    return number


def _write(key: str) -> str:
    return base64.urlsafe_b64encode(f"v1:{key}".encode()).decode()


def _read(marker: str | None) -> str | None:
    if marker is None:
        return None
    try:
        version, _, key = base64.urlsafe_b64decode(marker.encode()).decode().partition(":")
    except ValueError:
        version, key = "", ""
    if version != "v1":
        raise ServiceError("ValidationError", "Invalid Marker.")
    return key
