"""Which key is which: a journal explains the rows of a report completely, or the keys have to be listed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from inventory.cases import DAY, NEW, NOW, OLD, REPORT, THIRD, managed, reported, rotated, row
from twokey.core.journal import Intent, Journal, Retiring
from twokey.core.model import AccessKey, Held
from twokey.inventory import decision
from twokey.inventory.credential_report import ReportedKey, Row

if TYPE_CHECKING:
    from twokey.inventory.decision import Managed

PAIR = (reported(5.001, 0.1), reported(20, 3))
"""CURRENT, created shortly before the commit five days ago, and LAST."""


def explained(of: Row, by: Managed) -> list[str | None] | None:
    found = decision.explained(of, by, REPORT, NOW)
    return None if found is None else [key.id for key in found]


class TestAJournalExplains:
    @pytest.mark.parametrize("keys", [PAIR, PAIR[::-1]])
    def test_current_and_last_whatever_their_order(self, keys: tuple[ReportedKey, ...]) -> None:
        found = decision.explained(row(*keys), managed(rotated()), REPORT, NOW)
        assert found is not None
        assert [(key.id, key.use.at) for key in found] == [(OLD, NOW - 3 * DAY), (NEW, NOW - 0.1 * DAY)]

    def test_a_single_current(self) -> None:
        assert explained(row(PAIR[0]), managed(rotated(last=""))) == [NEW]

    def test_a_current_whose_last_was_removed_before_the_report(self) -> None:
        assert explained(row(PAIR[0]), managed(rotated(removed={OLD: NOW - DAY}))) == [NEW]

    def test_an_adopted_single_key_that_is_much_older_than_the_journal(self) -> None:
        assert explained(row(reported(300)), managed(rotated(last=""))) == [NEW]


LIST_THEM = {
    "the store could not be read": (PAIR, managed()),
    "there is no journal": (PAIR, managed(Journal(), Held(NEW))),
    "the store holds another key than the journal says": (PAIR, managed(rotated(), Held(OLD))),
    "the rotation is more recent than the report": (PAIR, managed(rotated(0.01))),
    "the rotation was committed while the report was made": (PAIR, managed(rotated(1 / 24 + 0.001))),
    "a key was removed after the report": (PAIR, managed(rotated(removed={THIRD: NOW - 0.01 * DAY}))),
    "a rotation is not finished": (PAIR, managed(rotated(intent=Intent((OLD,), NOW - 4 * DAY)))),
    "LAST is Inactive for its soak": (PAIR, managed(rotated(retiring={OLD: Retiring(NOW - DAY)}))),
    "a key is Inactive": ((PAIR[0], reported(20, active=False)), managed(rotated())),
    "a key is missing": (PAIR[:1], managed(rotated())),
    "there is a key too many": (PAIR, managed(rotated(last=""))),
    "there is no key": ((), managed(rotated())),
    "a key was changed after the commit": ((reported(1), PAIR[1]), managed(rotated())),
    "both were changed at the same time": ((reported(5.001), reported(5.001)), managed(rotated())),
    "the newer is much older than the commit": ((reported(9), reported(20)), managed(rotated())),
    "a key has no date": ((PAIR[0], ReportedKey(True, None, PAIR[0].use)), managed(rotated())),
}


@pytest.mark.parametrize("why", LIST_THEM)
def test_the_keys_have_to_be_listed_where(why: str) -> None:
    keys, by = LIST_THEM[why]
    assert explained(row(*keys), by) is None


class TestAListedKey:
    def uses(self, of: Row, *keys: AccessKey) -> dict[str | None, object]:
        return {key.id: key.use.at for key in decision.listed(of, keys)}

    def key(self, key_id: str, age: float) -> AccessKey:
        return AccessKey(key_id, True, NOW - age * DAY)

    def test_has_the_last_use_of_the_row_with_its_creation(self) -> None:
        new, old = self.key(NEW, 5.001), self.key(OLD, 20)
        assert self.uses(row(*PAIR), old, new) == {OLD: NOW - 3 * DAY, NEW: NOW - 0.1 * DAY}

    def test_has_the_only_row_that_is_left(self) -> None:
        """Its status was changed, so the report has another moment than its creation."""
        new, old = self.key(NEW, 5.001), self.key(OLD, 30)
        assert self.uses(row(*PAIR), old, new) == {OLD: NOW - 3 * DAY, NEW: NOW - 0.1 * DAY}

    def test_has_none_of_a_row_that_is_older_than_itself(self) -> None:
        """It was created after the report; the row is about a key that is deleted by now."""
        assert self.uses(row(PAIR[1]), self.key(NEW, 0.01)) == {NEW: None}

    def test_has_none_where_two_rows_may_be_meant(self) -> None:
        new, old = self.key(NEW, 40), self.key(OLD, 41)
        assert self.uses(row(*PAIR), new, old) == {NEW: None, OLD: None}

    def test_has_none_where_it_has_a_twin(self) -> None:
        twins = self.key(NEW, 20), self.key(OLD, 20)
        assert self.uses(row(*PAIR), *twins) == {NEW: None, OLD: None}


def test_roles_are_unknown_where_an_id_is() -> None:
    keys = decision.reported(row(*PAIR))
    assert decision.with_roles(managed(rotated()), keys, NOW) is None


def test_the_margin_covers_what_a_report_that_is_being_made_may_miss() -> None:
    assert timedelta(minutes=1) <= decision.MARGIN < timedelta(minutes=15)
