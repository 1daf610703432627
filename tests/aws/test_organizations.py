"""The accounts of an organization, as AWS Organizations lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twokey.aws.organizations import Organization
from twokey.core.errors import AccessDenied, NotFound, ServiceRejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.accounts import Account

from support.rig import Rig
from twokey.emulator import Emulator

ONE, OTHER, THIRD = "210987654321", "345678901234", "456789012345"


@pytest.fixture
def paged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """An AWS whose lists have one item a page."""
    with Emulator(page_size=1) as aws:
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        yield Rig(aws)


def listed(rig: Rig, *ous: str, tags: bool = False) -> dict[str, Account]:
    return {one.id: one for one in Organization(rig.clients()).accounts(ous, tags=tags)}


def test_lists_every_page_of_nested_units_with_what_contains_each_account(paged: Rig) -> None:
    organization = paged.aws.organization()
    outer = organization.unit("outer")
    inner = organization.unit("inner", outer)
    organization.account(ONE, "one", outer)
    organization.account(OTHER, "other", inner, tags={"stage": "prod", "team": "a"})
    organization.account(THIRD, "third")
    everything = listed(paged)
    assert sorted(everything) == sorted([paged.aws.account_id, ONE, OTHER, THIRD])
    assert everything[OTHER].ous == (organization.root, outer, inner)
    assert everything[OTHER].name == "other"
    assert sorted(listed(paged, outer)) == [ONE, OTHER]
    # A unit is listed once, whichever way it was named, and knows what contains it.
    below = listed(paged, inner, outer, tags=True)
    assert below[OTHER].ous == (organization.root, outer, inner)
    assert dict(below[OTHER].tags) == {"stage": "prod", "team": "a"}


@pytest.mark.parametrize("state", ["SUSPENDED", "PENDING_CLOSURE", "CLOSED", "PENDING_ACTIVATION"])
def test_leaves_out_accounts_that_are_not_active(rig: Rig, state: str) -> None:
    rig.aws.organization().account(ONE, "one", state=state)
    assert ONE not in listed(rig)


def test_names_a_unit_that_does_not_exist(rig: Rig) -> None:
    rig.aws.organization()
    with pytest.raises(NotFound, match="has no organizational unit ou-ab12-34cd56ef"):
        listed(rig, "ou-ab12-34cd56ef")


def test_says_who_may_list_accounts(rig: Rig) -> None:
    with pytest.raises(ServiceRejected, match="belongs to no organization") as error:
        listed(rig)
    assert "management account" in error.value.remedy
    rig.aws.organization(ONE).account(rig.aws.account_id, "member")
    with pytest.raises(AccessDenied) as denied:
        listed(rig)
    assert denied.value.action == "organizations:ListRoots"
    assert "delegated administrators" in denied.value.remedy
    rig.aws.organization(ONE).delegate(rig.aws.account_id)
    assert rig.aws.account_id in listed(rig)
