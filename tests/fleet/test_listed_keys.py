"""IAM that remembers which keys it listed last."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from unittest.mock import Mock, create_autospec

import pytest

from fleet.test_lookup import user
from twokey.core.errors import ServiceError
from twokey.core.model import AccessKey
from twokey.core.ports import Iam
from twokey.fleet.listed_keys import ListsKeys

if TYPE_CHECKING:
    from collections.abc import Callable

ONE, TWO = (AccessKey(key_id, True, datetime(2026, 6, day, tzinfo=UTC)) for day, key_id in ((1, "ONE"), (2, "TWO")))


@pytest.fixture
def iam() -> Mock:
    made: Mock = create_autospec(Iam, instance=True)
    return made


def remembered(lists: ListsKeys) -> tuple[AccessKey, ...]:
    return lists.listed


def test_the_keys_that_were_listed_last_are_remembered(iam: Mock) -> None:
    lists = ListsKeys(iam)
    assert remembered(lists) == ()
    for found in ((ONE,), (ONE, TWO)):
        iam.keys.return_value = found
        assert lists.keys("ci") == remembered(lists) == found
    iam.keys.assert_called_with("ci")


def test_keys_that_cannot_be_listed_leave_those_that_were_listed_before(iam: Mock) -> None:
    lists = ListsKeys(iam)
    iam.keys.side_effect = [(ONE,), ServiceError("Denied.")]
    lists.keys("ci")
    with pytest.raises(ServiceError):
        lists.keys("ci")
    assert remembered(lists) == (ONE,)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("last_use", lambda iam: iam.last_use("ONE")),
        ("may_create", lambda iam: iam.may_create(user("ci"))),
        ("create_key", lambda iam: iam.create_key("ci", print)),
        ("deactivate_key", lambda iam: iam.deactivate_key("ci", "ONE")),
        ("delete_key", lambda iam: iam.delete_key("ci", "ONE")),
    ],
)
def test_every_other_call_is_that_of_iam_itself(iam: Mock, name: str, call: Callable[[Iam], object]) -> None:
    assert call(ListsKeys(iam)) is getattr(iam, name).return_value
    [one] = iam.mock_calls
    call(iam)
    assert iam.mock_calls == [one, one]


def test_nothing_is_called_before_a_key_is_created_unless_the_caller_says_what(iam: Mock) -> None:
    ListsKeys(iam).create_key("ci")
    [(_, (_, just_before), _)] = iam.create_key.mock_calls
    assert just_before() is None
