"""What a run keeps of every user comes back as it was, and takes a fraction of the memory."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, cast

import pytest

from fleet.test_roster import ONE, OTHER, job
from twokey.core.hooks import Hook
from twokey.core.model import UserKey
from twokey.core.reasons import Outcome, Reason
from twokey.fleet import packed
from twokey.fleet.roster import Job
from twokey.planning.policy import RotationPolicy
from twokey.rotation.results import DeliveryResult, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.core.hooks import HookName

DUE = datetime(2026, 12, 5, 1, 2, 3, 456789, tzinfo=UTC)
POLICY = RotationPolicy(window=timedelta(days=20))


def result(
    number: int, message: str = "CURRENT has not reached the end of its period: nothing is to be done."
) -> Result:
    user = job(UserKey(ONE.account, f"machine-{number}")).user
    held = (DeliveryResult(f"ssm:/machine-users/{user.name}", "held"),)
    key, last = (f"AKIA{kind}{number * 7919:015d}" for kind in "AB")
    due = DUE + timedelta(seconds=number)
    return Result(user, Outcome.NOT_DUE, Reason.NOT_DUE, message, key, last, next_due=due, destinations=held)


FULL = Result(
    job(ONE).user,
    Outcome.FAILED,
    Reason.DELIVERY_FAILED,
    "It failed: “größer”.",
    "AKIA1",
    "AKIA2",
    ("AKIA3", "AKIA4"),
    datetime(2026, 12, 5, 3, tzinfo=timezone(timedelta(hours=2))),
    (DeliveryResult("ssm:/a", "delivered"), DeliveryResult("ssm:/b", "failed", "No.")),
    ("A warning.",),
)


def sizes(items: packed.Packed[Any]) -> list[int]:
    return [row & packed._LONGEST for row in items._rows if row >= 0]


def test_results_come_back_as_they_were() -> None:
    bare = Result(job(OTHER).user, Outcome.REFUSED, Reason.LEASE_HELD, "")
    several = [FULL, bare, *map(result, range(20)), FULL]
    kept = packed.results(several)
    assert [*kept] == several
    assert len(sizes(kept)) == len(kept) == 23


def test_a_result_takes_a_quarter_of_its_own_size_and_shares_its_sentence() -> None:
    kept = packed.results(map(result, range(200)))
    assert max(sizes(kept)[1:]) < 110
    assert kept[7].message is kept[8].message


def test_results_that_are_not_alike_come_back_too_and_few_of_them_are_samples() -> None:
    several = [result(number, hashlib.shake_256(bytes((number,))).hexdigest(300)) for number in range(40)]
    kept = packed.results(several)
    assert [*kept] == several
    assert len(kept._kept._samples) == packed.MOST_SAMPLES


def test_what_no_bytes_can_hold_and_what_is_no_result_of_a_rotation_is_kept_as_it_is() -> None:
    odd, other = result(1, "a file named \udcff"), object()
    unknown: Any = replace(result(2), message=cast("str", object()))
    several = (odd, unknown, other, None)
    kept: packed.Packed[Any] = packed.results(several)
    assert [one is expected for one, expected in zip(kept, several, strict=True)] == [True] * 4
    assert sizes(kept) == []


def test_a_result_that_is_too_long_to_be_packed_is_kept_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    long = result(1, hashlib.shake_256(b"").hexdigest(300))
    [size] = sizes(packed.results([long]))
    monkeypatch.setattr(packed, "_LONGEST", size)
    assert packed.results([long])._rows[0] > 0
    monkeypatch.setattr(packed, "_LONGEST", size - 1)
    assert packed.results([long])[0] is long


class Watched:
    """A lock that tells whether it is held."""

    held = False

    def __enter__(self) -> None:
        self.held = True

    def __exit__(self, *_: object) -> None:
        self.held = False


class Bytes(bytearray):
    lock: Watched

    def extend(self, more: Any) -> None:
        assert self.lock.held
        super().extend(more)


class Items(list[Any]):
    def __init__(self, lock: Watched, items: Sequence[Any] = ()) -> None:
        super().__init__(items)
        self._lock = lock

    def append(self, item: Any) -> None:
        assert self._lock.held
        super().append(item)


def test_one_thread_at_a_time_adds_to_what_is_kept() -> None:
    kept: packed.Packed[Any] = packed.results()
    inside: Any = kept._kept
    inside._lock = lock = Watched()
    inside._packed, inside._samples, inside._others = Bytes(), Items(lock), Items(lock, [None])
    inside._packed.lock = lock
    other = object()
    kept.extend([result(1), result(2), other, None])
    assert [*kept] == [result(1), result(2), other, None]
    assert (len(inside._packed) > 0, len(inside._samples), len(inside._others)) == (True, 1, 2)


def test_users_come_back_with_all_that_those_of_one_entry_share() -> None:
    hooks: dict[HookName, Hook] = {"before": Hook(("/bin/true",), 1.0)}
    first: Job = replace(
        job(ONE, "ssm:/a", ("ssm:/b",)), policy=POLICY, hooks=hooks, positions=("line 4: ", "line 5: ")
    )
    second = replace(first, user=job(OTHER).user, store="ssm:/c", deliver=(), lock="file:/lock")
    others = [
        replace(first, store_account="central"),
        replace(first, deliver_account="central"),
        replace(first, positions=("line 7: ",)),
        replace(first, hooks={}),
        replace(first, policy=RotationPolicy()),
        replace(first, targets=("ssm:/b",)),
    ]
    kept = packed.jobs([first, second, *others])
    assert [*kept] == [first, second, *others]
    assert [one.positions for one in kept] == [one.positions for one in (first, second, *others)]
    assert (kept[1].policy is POLICY, kept[1].hooks is hooks) == (True, True)


def test_every_field_of_a_user_is_its_own_or_shared() -> None:
    assert sorted((*packed._Jobs.OWN, *packed._Jobs.SHARED)) == sorted(field.name for field in fields(Job))


def test_the_rules_of_an_entry_are_kept_once_by_one_thread_at_a_time() -> None:
    hooks: dict[HookName, Hook] = {}
    several = [
        replace(job(UserKey(ONE.account, name)), policy=POLICY, hooks=hooks, positions=tuple(map(str, (4, 5))))
        for name in ("one", "two", "three")
    ]
    kept: packed.Packed[Job] = packed.jobs()
    codec: Any = kept._codec
    codec._lock = lock = Watched()
    codec._patterns = Items(lock)
    kept.extend(several)
    assert ([*kept], codec._patterns) == (several, several[:1])


def test_a_user_takes_little_memory() -> None:
    several = [replace(job(UserKey(ONE.account, f"machine-{number}")), policy=POLICY) for number in range(200)]
    kept = packed.jobs(several)
    assert [*kept] == several
    assert max(sizes(kept)[1:]) < 60
    assert kept._rows.itemsize == 8, "besides, each takes one number"


class TestTheList:
    KEPT = packed.results(map(result, range(5)))

    def test_is_equal_to_any_sequence_of_the_same(self) -> None:
        same = [*map(result, range(5))]
        assert same == self.KEPT
        assert tuple(same) == self.KEPT
        assert packed.results(same) == self.KEPT
        assert same[:4] != self.KEPT
        assert self.KEPT != 5

    def test_has_a_length_positions_and_parts(self) -> None:
        assert (len(self.KEPT), self.KEPT[3], self.KEPT[-1]) == (5, result(3), result(4))
        assert self.KEPT[1:3] == [result(1), result(2)]
        with pytest.raises(IndexError):
            self.KEPT[5]

    def test_takes_another_item_and_further_ones(self) -> None:
        kept = packed.results(map(result, range(2)))
        kept[0] = FULL
        kept.extend([result(9)])
        assert kept == [FULL, result(1), result(9)]

    def test_takes_those_of_a_list_beside_it_as_they_are(self) -> None:
        kept, others = packed.results([result(1)]), packed.results([result(2)])
        beside = kept.beside([result(3)])
        kept.extend(beside)
        kept.extend(others)
        assert kept == [result(1), result(3), result(2)]
        assert kept._rows[1] == beside._rows[0]

    def test_is_filled_by_many_threads(self) -> None:
        kept: packed.Packed[Any] = packed.results([None] * 400)

        def fill(number: int) -> None:
            kept[number] = result(number, "abcdefgh"[number % 8] * 200)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(fill, range(400)))
        assert kept == [result(number, "abcdefgh"[number % 8] * 200) for number in range(400)]


def test_users_of_several_accounts_become_one_list() -> None:
    first = packed.jobs([job(ONE)])
    one = packed.joined([(), first, first.beside([job(OTHER)]), (job(ONE, "ssm:/x"),)])
    assert one == [job(ONE), job(OTHER), job(ONE, "ssm:/x")]
    assert one._rows[0] == first._rows[0]
    assert len(first) == 1
    assert len(packed.joined([])) == 0


def test_some_items_of_a_sequence_are_found_by_their_positions() -> None:
    some = packed.Picked("abcdef", [4, 0, 2])
    assert ([*some], len(some), some[1], [*some[1:]]) == (["e", "a", "c"], 3, "a", ["a", "c"])
