"""Lists that a service returns page by page.

Two styles cover the services: a page with fewer items than requested is the last one (``numbered``), or each page says
which one follows, by a number or by a token (``chained``). ``of_aws`` is the latter, in the words of AWS.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from twokey.core.errors import ServiceRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MOST_PAGES = 1000
"""Pages after which a list is taken to be endless. It is never cut: what is missing in it might be there."""
Item = TypeVar("Item")
Key = TypeVar("Key", str, int)


def chained(
    read: Callable[[Key | None], tuple[Iterable[Item], Key | None]], most: float = MOST_PAGES
) -> Iterator[Item]:
    """Return all items of a list whose pages name their successor.

    ``read`` reads one page: the first for None, otherwise the one of this number or token. It returns the page's items,
    and the number or token of the next page, None for the last one. Raises ``ServiceRejected`` for an endless list: one
    with ``most`` pages and another one.
    """
    key: Key | None = None
    for number in count(1):
        items, key = read(key)
        yield from items
        if key is None:
            return
        if number >= most:
            raise ServiceRejected(f"A list of the service has more than {most} pages.")


def of_aws(
    send: Callable[..., Any], parameter: str = "NextToken", *, following: str = "", most: float = MOST_PAGES
) -> Iterator[Any]:
    """Return all pages of a list of AWS. A page may be empty although another one follows.

    ``send`` requests a page; ``parameter`` is the one that names a later page, and ``following`` the member of a
    response that has its value, by default of the same name. Where a response says whether
    it is truncated, that counts.
    """
    member = following or parameter

    def page(key: str | None) -> tuple[tuple[Any], str | None]:
        found = send(**({parameter: key} if key is not None else {}))
        if "IsTruncated" in found:
            return (found,), found[member] if found["IsTruncated"] else None
        return (found,), found.get(member) or None

    return chained(page, most)


def numbered(read: Callable[[int], Sequence[Item]], size: int) -> Iterator[Item]:
    """Return all items of a list whose pages have numbers, from 1, and ``size`` items each, the last one fewer."""

    def page(number: int | None) -> tuple[Sequence[Item], int | None]:
        this = number or 1
        items = read(this)
        return items, this + 1 if len(items) >= size else None

    return chained(page)
