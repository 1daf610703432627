"""Several items at a time, as an audit and a run over many accounts do them."""

from __future__ import annotations

import threading

import pytest

from twokey.inventory.audit import concurrently


def test_what_is_found_is_in_the_order_of_the_items_whichever_ends_first() -> None:
    last = threading.Event()

    def work(item: int) -> str:
        if item == 3:
            last.set()
        else:
            assert last.wait(timeout=30)
        return str(item)

    assert concurrently(work, range(4), 4) == ["0", "1", "2", "3"]


def test_no_more_items_than_wanted_are_worked_on_at_a_time() -> None:
    threads: set[int] = set()

    def work(item: int) -> int:
        threads.add(threading.get_ident())
        return item

    assert concurrently(work, range(20), 2) == [*range(20)]
    assert len(threads) <= 2
    assert threading.get_ident() not in threads
    assert (concurrently(work, [], 2), concurrently(work, [7], 2)) == ([], [7])
    assert threading.get_ident() in threads


def test_an_error_begins_no_further_item_and_that_of_the_first_item_is_raised() -> None:
    begun: list[int] = []
    both = threading.Barrier(2)

    def work(item: int) -> None:
        begun.append(item)
        both.wait(timeout=30)
        raise LookupError(item)

    with pytest.raises(LookupError, match=r"^0$"):
        concurrently(work, range(20), 2)
    assert sorted(begun) == [0, 1]
