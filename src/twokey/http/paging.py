"""Lists that a service returns page by page.

Two styles cover the services: a page with fewer items than requested is the last one (``numbered``), or each page says
which one follows, by a number or by a token (``chained``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from twokey.core.errors import ServiceRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MOST_PAGES = 1000
"""Pages after which a list is taken to be endless. It is never cut: what is missing in it might be there."""
Item = TypeVar("Item")
Key = TypeVar("Key", str, int)


def chained(read: Callable[[Key | None], tuple[Iterable[Item], Key | None]]) -> Iterator[Item]:
    """Return all items of a list whose pages name their successor.

    ``read`` reads one page: the first for None, otherwise the one of this number or token. It returns the page's items,
    and the number or token of the next page, None for the last one. Raises ``ServiceRejected`` for an endless list.
    """
    key: Key | None = None
    for _ in range(MOST_PAGES):
        items, key = read(key)
        yield from items
        if key is None:
            return
    raise ServiceRejected(f"A list of the service has more than {MOST_PAGES} pages.")


def numbered(read: Callable[[int], Sequence[Item]], size: int) -> Iterator[Item]:
    """Return all items of a list whose pages have numbers, from 1, and ``size`` items each, the last one fewer."""

    def page(number: int | None) -> tuple[Sequence[Item], int | None]:
        this = number or 1
        items = read(this)
        return items, this + 1 if len(items) >= size else None

    return chained(page)
