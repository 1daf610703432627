"""At a terminal, ``twokey revoke`` shows which keys it means, and does nothing without the operator's word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.ptys import in_terminal

if TYPE_CHECKING:
    from support.rig import Rig

STORE = ("--store", "secretsmanager:machine-users/{user}")
CONTAINMENT = "iam:UpdateAccessKey"


@pytest.fixture
def leaked(rig: Rig) -> list[str]:
    """Return CURRENT of two users that have no other key."""
    found = []
    for user in ("one", "two"):
        [key] = rig.aws.make_user(user, path="/m/", keys=1)
        rig.fill(key, user)
        found.append(key.access_key_id)
    return found


def test_one_key_is_shown_with_the_steps_and_left_alone_until_the_operator_agrees(rig: Rig, leaked: list[str]) -> None:
    with in_terminal("revoke", leaked[0], *STORE, columns=100) as terminal:
        terminal.read_until("Do this now? [y/N]:")
        assert f"1. make {leaked[0]} Inactive" in terminal.plain
        assert rig.aws.count(CONTAINMENT) == 0
        terminal.type("n")
        assert terminal.read_all() == 1
    assert "You did not confirm. Nothing was changed." in terminal.plain
    assert rig.aws.count(CONTAINMENT) == rig.aws.count("iam:CreateAccessKey") == 0


def test_all_keys_are_shown_and_after_the_operator_s_word_they_are_inactive(rig: Rig, leaked: list[str]) -> None:
    with in_terminal("revoke", "--all", "--path", "/m/", *STORE, columns=100) as terminal:
        terminal.read_until("Do this now? [y/N]:")
        assert "2 keys of 2 users would be made Inactive, in this order" in terminal.plain
        assert all(key_id in terminal.plain for key_id in leaked)
        assert rig.aws.count(CONTAINMENT) == 0
        terminal.type("y")
        assert terminal.read_all() == 0
    assert "2 revoked." in terminal.plain
    assert rig.aws.count(CONTAINMENT) == 2
