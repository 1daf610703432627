"""A run over many accounts: which they are, how each is reached, and that none stops another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.commands import twokey
from support.fleets import HOME, ONE, OTHER, Fleet

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

ORGANIZATION = "{organizations: {role: TwokeyMember}}"


@pytest.fixture
def fleet(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.chdir(tmp_path)
    return Fleet(rig.aws, tmp_path)


def test_rotates_users_of_one_name_in_every_account_of_the_organization(fleet: Fleet) -> None:
    fleet.account(ONE, "one", "ci")
    fleet.account(OTHER, "other", "ci")
    fleet.user(HOME, "ci")
    fleet.configure(ORGANIZATION)
    ran = twokey("rotate", "--json")
    results = {one["account"]: one for one in ran.document["results"]}
    assert ran.code == 0, ran.out
    for account in (HOME, ONE, OTHER):
        assert results[account]["outcome"] == "rotated"
        assert fleet.held(account) == results[account]["current"] == fleet.ids(account)[-1]
