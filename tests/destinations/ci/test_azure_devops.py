"""Azure DevOps' variable groups: the contract, and what is special to a group that is written as a whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import AccessDenied, Ambiguous, BadCredentials, NotFound, ServiceRejected, UsageError
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.destinations import registry
from twokey.testing.contract import (
    DestinationContract,
    Hurried,
    Place,
    assert_silent,
    fresh_credential,
    outcome,
    pair,
    services_of,
)
from twokey.testing.fakes.azure_devops import AzureDevOps
from twokey.testing.server import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Destination
    from twokey.core.secret import Credential

NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class Group(Place):
    """A group on the fake that holds other people's variables, too."""

    writes = ("PUT", "/variablegroups/")
    bad_names = (
        "azure-devops:acme",
        "azure-devops:acme/shop",
        "azure-devops:acme/shop/",
        "azure-devops:/shop/aws",
        "azure-devops:acme/_shop/aws",
        "azure-devops:acme/a:b/aws",
        "azure-devops:acme/shop/aws*",
        "azure-devops:acme/shop/aws?id=secretKey",
        "azure-devops:acme/shop/aws?id=PATH_ID",
        "azure-devops:acme/shop/aws?secret=WITH-DASH",
    )

    def __init__(self, fake: AzureDevOps, url: str = "azure-devops:acme/web shop/aws keys") -> None:
        self.fake: AzureDevOps = fake
        self.url = url
        self.id = fake.add_group(
            "acme/web shop",
            "aws keys",
            "acme/api",
            REGION={"value": "eu-central-1"},
            TOKEN={"value": "another person's", "isSecret": True, "isReadOnly": True},
        )

    def settings(self) -> dict[str, Any]:
        return {"token": {"env": "TEST_AZURE_TOKEN"}, "url": self.fake.url}

    def read(self) -> dict[str, str] | None:
        found = [self.fake.value(self.id, name) for name in NAMES]
        return None if None in found else {"AccessKeyId": str(found[0]), "SecretAccessKey": str(found[1])}

    def plant(self, credential: Credential) -> None:
        self.fake.set(self.id, **dict(zip(NAMES, pair(credential).values(), strict=True)))

    def remove(self) -> None:
        self.fake.projects.clear()

    def spoil_token(self) -> None:
        self.fake.token = "another"

    def open(self, url: str = "") -> Destination:
        return registry.open_destination(url or self.url, services_of(self, Hurried()))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureDevOps]:
    with AzureDevOps() as azure:
        monkeypatch.setenv("TEST_AZURE_TOKEN", azure.token)
        azure.add_group("acme/web shop", "another")
        yield azure


@pytest.fixture
def place(fake: AzureDevOps) -> Group:
    return Group(fake)


class TestAGroup(DestinationContract):
    @pytest.fixture
    def place(self, place: Group) -> Place:
        return place


class TestTheWholeGroup:
    def test_is_sent_back_as_it_was_but_for_the_pair(self, place: Group) -> None:
        before = place.fake.groups[place.id].copy()
        place.open().deliver(fresh_credential())
        after = place.fake.groups[place.id]
        others = {name: one for name, one in after["variables"].items() if name not in NAMES}
        assert others == before["variables"]
        for kept in ("name", "description", "type", "variableGroupProjectReferences"):
            assert after[kept] == before[kept]

    def test_is_written_once_for_both_values(self, place: Group) -> None:
        destination = place.open()
        assert destination.traits.atomic
        destination.deliver(fresh_credential())
        assert place.fake.count("PUT") == 1

    def test_gets_secret_variables(self, place: Group) -> None:
        place.open().deliver(fresh_credential())
        assert all(place.fake.groups[place.id]["variables"][name]["isSecret"] for name in NAMES)

    def test_keeps_how_a_person_spelled_a_name_and_whether_it_is_secret(self, place: Group) -> None:
        place.fake.groups[place.id]["variables"]["aws_access_key_id"] = {"value": "AKIAOLD", "isReadOnly": True}
        credential = fresh_credential()
        place.open().deliver(credential)
        found = place.fake.groups[place.id]["variables"]
        assert found["aws_access_key_id"] == {"value": credential.access_key_id, "isReadOnly": True}
        assert NAMES[0] not in found

    def test_tells_what_it_holds_where_a_person_made_both_variables_open(self, place: Group) -> None:
        credential = fresh_credential()
        place.plant(credential)
        for name in NAMES:
            del place.fake.groups[place.id]["variables"][name]["isSecret"]
        assert place.open().held() == Held(credential.access_key_id)
        assert not place.open().deliver(credential).written

    def test_keeps_what_others_wrote_between_two_attempts(self, place: Group) -> None:
        place.fake.add(Fault("PUT", "/variablegroups/", "lost_answer"))
        place.fake.then = lambda: place.fake.set(place.id, LATE="written meanwhile")
        credential = fresh_credential()
        place.open().deliver(credential)
        assert place.read() == pair(credential)
        assert place.fake.value(place.id, "LATE") == "written meanwhile"

    def test_of_two_deliveries_at_once_none_undoes_the_other(self, place: Group) -> None:
        services = services_of(place, Hurried())
        users = [f"USER{number}" for number in range(8)]
        urls = [f"{place.url}?id={user}_ID&secret={user}_SECRET" for user in users]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda url: registry.open_destination(url, services).deliver(fresh_credential()), urls))
        assert {f"{user}_ID" for user in users} <= set(place.fake.groups[place.id]["variables"])

    def test_that_somebody_else_wrote_immediately_afterwards_is_in_doubt(self, place: Group) -> None:
        place.fake.then = lambda: place.plant(fresh_credential())
        credential = fresh_credential()
        error = outcome(lambda: place.open().deliver(credential))
        assert isinstance(error, Ambiguous)
        assert "somebody else" in error.message
        assert_silent(error, credential)

    def test_that_lost_the_pair_to_somebody_else_is_in_doubt(self, place: Group) -> None:
        place.fake.then = lambda: place.fake.groups[place.id].update(variables={"ONLY": {"value": "this"}})
        assert isinstance(outcome(lambda: place.open().deliver(fresh_credential())), Ambiguous)


class TestTheGroupsName:
    def test_may_be_its_id(self, place: Group) -> None:
        credential = fresh_credential()
        place.open(f"azure-devops:acme/web shop/{place.id}").deliver(credential)
        assert place.read() == pair(credential)

    def test_may_differ_in_capitals(self, place: Group) -> None:
        place.open("azure-devops:acme/web shop/AWS Keys").preflight()

    def test_is_looked_for_once(self, place: Group) -> None:
        destination = place.open()
        destination.held()
        destination.deliver(fresh_credential())
        assert place.fake.count("GET", "groupName=") == 1

    @pytest.mark.parametrize("group", ["none of this name", "99999"])
    def test_that_nobody_made_is_an_error_and_not_empty(self, place: Group, group: str) -> None:
        destination = place.open(f"azure-devops:acme/web shop/{group}")
        for act in (destination.preflight, destination.held, lambda: destination.deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, NotFound)
            assert "Variable Groups" in error.remedy

    def test_finds_no_group_of_another_project(self, place: Group) -> None:
        place.fake.projects.add("acme/other")
        assert isinstance(outcome(place.open(f"azure-devops:acme/other/{place.id}").preflight), NotFound)


class TestAGroupFromAKeyVault:
    def test_is_refused_before_anything_is_written(self, place: Group) -> None:
        place.fake.groups[place.id]["type"] = "AzureKeyVault"
        destination = place.open()
        for act in (destination.preflight, destination.held, lambda: destination.deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert "key vault" in error.message
        assert place.fake.count("PUT") == 0


class TestTheToken:
    def test_of_entra_is_sent_as_a_bearer(self, place: Group, monkeypatch: pytest.MonkeyPatch) -> None:
        place.fake.token = "no personal one"
        monkeypatch.setenv("TEST_AZURE_TOKEN", place.fake.bearer)
        assert place.open().held() == NotHeld()

    def test_that_is_not_accepted_is_answered_with_the_scope_that_it_needs(self, place: Group) -> None:
        place.spoil_token()
        error = outcome(place.open().preflight)
        assert isinstance(error, BadCredentials)
        assert "read, create & manage" in error.remedy

    def test_of_somebody_without_the_role_is_denied_with_the_roles_name(self, place: Group) -> None:
        place.fake.role = "User"
        destination = place.open()
        destination.preflight()
        error = outcome(lambda: destination.deliver(fresh_credential()))
        assert isinstance(error, AccessDenied)
        assert "Administrator" in error.remedy

    @pytest.mark.parametrize("variable", ["AZURE_DEVOPS_EXT_PAT", "SYSTEM_ACCESSTOKEN"])
    def test_comes_from_where_the_services_own_tools_look(
        self, variable: str, place: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AZURE_DEVOPS_EXT_PAT", "SYSTEM_ACCESSTOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(variable, place.fake.token)
        without = services_of(place, Hurried())
        without.connections.configured = {}  # as without twokey.yaml
        assert registry.open_destination(place.url, without).name == place.url

    def test_that_is_named_nowhere_is_a_usage_error(self, place: Group, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AZURE_DEVOPS_EXT_PAT", "SYSTEM_ACCESSTOKEN"):
            monkeypatch.delenv(name, raising=False)
        without = services_of(place, Hurried())
        without.connections.configured = {}
        with pytest.raises(UsageError, match="AZURE_DEVOPS_EXT_PAT"):
            registry.open_destination(place.url, without)


class TestTheStamp:
    def test_changes_with_anything_in_the_group(self, place: Group) -> None:
        destination = place.open()
        receipt = destination.deliver(fresh_credential())
        place.fake.set(place.id, REGION="eu-west-1")
        holding = destination.held()
        assert isinstance(holding, CannotTell)
        assert holding.stamp != receipt.stamp
