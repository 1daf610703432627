"""Lists that come page by page are read to their end, and never cut."""

from __future__ import annotations

import pytest

from twokey.core.errors import ServiceRejected
from twokey.http import paging


@pytest.mark.parametrize(("count", "pages"), [(0, [1]), (1, [1]), (3, [1, 2]), (4, [1, 2, 3]), (5, [1, 2, 3])])
def test_numbered_pages_end_with_one_that_is_not_full(count: int, pages: list[int]) -> None:
    requested: list[int] = []

    def read(number: int) -> list[int]:
        requested.append(number)
        return list(range(count))[(number - 1) * 2 : number * 2]

    assert list(paging.numbered(read, 2)) == list(range(count))
    assert requested == pages


def test_chained_pages_end_with_one_that_names_no_successor() -> None:
    pages: dict[str | None, tuple[list[str], str | None]] = {
        None: (["a", "b"], "second"),
        "second": ([], "third"),
        "third": (["c"], None),
    }
    assert list(paging.chained(pages.__getitem__)) == ["a", "b", "c"]


def test_a_page_is_read_only_when_it_is_needed() -> None:
    def read(number: int) -> list[int]:
        assert number == 1
        return [1, 2]

    assert next(paging.numbered(read, 2)) == 1


def test_an_endless_list_is_an_error_instead_of_a_list_that_lacks_something() -> None:
    with pytest.raises(ServiceRejected, match="more than 1000 pages"):
        list(paging.numbered(lambda _number: [0], 1))


@pytest.mark.parametrize(
    "pages",
    [
        ({"items": "a", "NextToken": "1"}, {"items": "", "NextToken": "2"}, {"items": "b"}),
        ({"items": "a", "IsTruncated": True, "Marker": "1"}, {"items": "b", "IsTruncated": False, "Marker": "2"}),
    ],
)
def test_pages_of_aws_end_where_the_response_says_so(pages: tuple[dict[str, object], ...]) -> None:
    parameter = "Marker" if "Marker" in pages[0] else "NextToken"

    def send(**more: str) -> dict[str, object]:
        return pages[int(more.get(parameter, 0))]

    assert [page["items"] for page in paging.of_aws(send, parameter)] == [page["items"] for page in pages]


def test_a_truncated_page_of_aws_without_a_marker_is_not_taken_for_the_last() -> None:
    with pytest.raises(KeyError):
        list(paging.of_aws(lambda **_more: {"IsTruncated": True}, "Marker"))
