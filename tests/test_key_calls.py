"""The calls that change access keys, against the strict emulator: what their answers prove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.aws.iam import Iam
from twokey.emulator import Rule

if TYPE_CHECKING:
    from rig import Rig


class TestADeletion:
    def test_says_that_it_deleted_the_key(self, rig: Rig) -> None:
        last, current = rig.settled()
        assert Iam(rig.clients()).delete_key("ci", last.access_key_id) is True
        assert rig.ids() == [current.access_key_id]

    def test_says_that_iam_knows_no_such_key_even_where_there_is_one(self, rig: Rig) -> None:
        last, _ = rig.settled()
        unknown = Rule("iam:DeleteAccessKey", effect="error_before", status=404, code="NoSuchEntity")
        rig.aws.weather.add(unknown)
        assert Iam(rig.clients()).delete_key("ci", last.access_key_id) is False
        assert last.access_key_id in rig.ids()

    def test_says_the_same_of_a_key_that_is_gone_and_of_a_user_that_is_gone(self, rig: Rig) -> None:
        last, _ = rig.settled()
        iam = Iam(rig.clients())
        iam.delete_key("ci", last.access_key_id)
        assert iam.delete_key("ci", last.access_key_id) is False
        assert iam.delete_key("nobody", last.access_key_id) is False
