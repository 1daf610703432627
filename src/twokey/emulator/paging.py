"""Pages of lists: MaxItems, Marker and IsTruncated of the query protocol, MaxResults and NextToken of the JSON one."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from twokey.emulator.responses import ServiceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

_DEFAULT = 100


def page(world: World, call: Call, items: Sequence[tuple[str, Any]]) -> tuple[list[Any], dict[str, Any]]:
    """The items of the requested page, and the fields of the response that describe the page (query protocol).

    `items` are pairs of a sort key and an item, in order. The marker names the last key of a page, so an item that
    is deleted between two pages makes no other item disappear.
    """
    chosen, marker = _cut(items, min(_max_items(call), world.page_size), call.params.get("Marker"))
    return chosen, {"IsTruncated": marker is not None, "Marker": marker}


def json_page(world: World, call: Call, items: Sequence[Any], default: int) -> tuple[list[Any], dict[str, Any]]:
    """The same for the JSON protocol; `default` is the page size of the operation."""
    size = min(int(call.params.get("MaxResults", default)), world.page_size)
    numbered = [(f"{number:08d}", item) for number, item in enumerate(items)]
    chosen, token = _cut(numbered, size, call.params.get("NextToken"))
    return chosen, {} if token is None else {"NextToken": token}


def _cut(items: Sequence[tuple[str, Any]], size: int, marker: str | None) -> tuple[list[Any], str | None]:
    """The next `size` items after the marker, and the marker of the page after them."""
    after = _read(marker)
    remaining = [(key, item) for key, item in items if after is None or key > after]
    chosen = remaining[:size]
    return [item for _, item in chosen], _write(chosen[-1][0]) if len(remaining) > size else None


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
