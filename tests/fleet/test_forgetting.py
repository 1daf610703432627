"""A destination to forget is read like the others where this run can still see it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from fleet.test_lookup import ACCOUNT, user
from twokey.aws.clients import Clients
from twokey.destinations import registry
from twokey.destinations.identity import identity
from twokey.destinations.registry import Services
from twokey.fleet.forgetting import name_of, with_candidate
from twokey.rotation.world import World


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Services:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    return Services(Clients("run"))


@pytest.fixture
def world(services: Services) -> World:
    """A world with two destinations."""
    nothing = cast("Any", None)
    destinations = tuple(registry.open_destination(url, services) for url in ("file:a.json", "ssm:/a"))
    identities = {one.name: identity(one, services, ACCOUNT) for one in destinations}
    return World(nothing, nothing, nothing, nothing, destinations, identities)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("file:{user}.json", "file:ci.json"),
        ("gone:{user}", "gone:{user}"),
        ("ssm:/x (in eu-west-1)", "ssm:/x (in eu-west-1)"),
    ],
)
def test_it_is_known_by_the_name_that_a_run_gave_it_or_by_what_the_operator_typed(url: str, name: str) -> None:
    assert name_of(url, user("ci")) == name


def test_it_joins_the_others_with_its_identity(world: World, services: Services) -> None:
    found = with_candidate(world, "ssm:/b", services, ACCOUNT)
    assert [one.name for one in found.destinations] == ["file:a.json", "ssm:/a", "ssm:/b"]
    meant = identity(registry.open_destination("ssm:/b", services), services, ACCOUNT)
    assert meant != identity(registry.open_destination("ssm:/b", services), services, "")
    assert found.identities == {**world.identities, "ssm:/b": meant}


@pytest.mark.parametrize(
    "name",
    ["ssm:/a", "file:b.json (in another folder)", "file:./a.json", "github:acme/site", "gone:x"],
    ids=["configured", "elsewhere", "another name", "no connection", "no such kind"],
)
def test_what_is_configured_or_cannot_be_opened_changes_nothing(world: World, services: Services, name: str) -> None:
    assert with_candidate(world, name, services, ACCOUNT) is world
