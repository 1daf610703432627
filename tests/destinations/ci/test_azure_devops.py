"""Azure DevOps' variable groups: the contract, and what is special to a group that is written as a whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import AccessDenied, Ambiguous, BadCredentials, NotFound, ServiceRejected, UsageError
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.destinations import registry
from twokey.testing.contract import (
    Backend,
    DestinationContract,
    Hurried,
    NamedValuesContract,
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


class Group(Backend):
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
            TOKEN={"value": "of another owner", "isSecret": True, "isReadOnly": True},
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
def backend(fake: AzureDevOps) -> Group:
    return Group(fake)


class TestAGroup(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, backend: Group) -> Backend:
        return backend


class TestTheWholeGroup:
    def test_is_sent_back_as_it_was_but_for_the_pair(self, backend: Group) -> None:
        before = backend.fake.groups[backend.id].copy()
        backend.open().deliver(fresh_credential())
        after = backend.fake.groups[backend.id]
        others = {name: one for name, one in after["variables"].items() if name not in NAMES}
        assert others == before["variables"]
        for kept in ("name", "description", "type", "variableGroupProjectReferences"):
            assert after[kept] == before[kept]

    def test_is_written_once_for_both_values(self, backend: Group) -> None:
        destination = backend.open()
        assert destination.traits.atomic
        destination.deliver(fresh_credential())
        assert backend.fake.count("PUT") == 1

    def test_gets_secret_variables(self, backend: Group) -> None:
        backend.open().deliver(fresh_credential())
        assert all(backend.fake.groups[backend.id]["variables"][name]["isSecret"] for name in NAMES)

    def test_keeps_how_the_operator_spelled_a_name_and_whether_it_is_secret(self, backend: Group) -> None:
        backend.fake.groups[backend.id]["variables"]["aws_access_key_id"] = {"value": "AKIAOLD", "isReadOnly": True}
        credential = fresh_credential()
        backend.open().deliver(credential)
        found = backend.fake.groups[backend.id]["variables"]
        assert found["aws_access_key_id"] == {"value": credential.access_key_id, "isReadOnly": True}
        assert NAMES[0] not in found

    def test_tells_what_it_holds_where_the_operator_made_both_variables_open(self, backend: Group) -> None:
        credential = fresh_credential()
        backend.plant(credential)
        for name in NAMES:
            del backend.fake.groups[backend.id]["variables"][name]["isSecret"]
        assert backend.open().held() == Held(credential.access_key_id)
        assert not backend.open().deliver(credential).written

    def test_keeps_what_others_wrote_between_two_attempts(self, backend: Group) -> None:
        backend.fake.add(Fault("PUT", "/variablegroups/", "lost_response"))
        backend.fake.then = lambda: backend.fake.set(backend.id, LATE="written meanwhile")
        credential = fresh_credential()
        backend.open().deliver(credential)
        assert backend.read() == pair(credential)
        assert backend.fake.value(backend.id, "LATE") == "written meanwhile"

    def test_of_two_deliveries_at_once_none_undoes_the_other(self, backend: Group) -> None:
        services = services_of(backend, Hurried())
        users = [f"USER{number}" for number in range(8)]
        urls = [f"{backend.url}?id={user}_ID&secret={user}_SECRET" for user in users]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda url: registry.open_destination(url, services).deliver(fresh_credential()), urls))
        assert {f"{user}_ID" for user in users} <= set(backend.fake.groups[backend.id]["variables"])

    def test_that_another_client_wrote_immediately_afterwards_is_in_doubt(self, backend: Group) -> None:
        backend.fake.then = lambda: backend.plant(fresh_credential())
        credential = fresh_credential()
        error = outcome(lambda: backend.open().deliver(credential))
        assert isinstance(error, Ambiguous)
        assert "another client" in error.message
        assert_silent(error, credential)

    def test_that_lost_the_pair_to_another_client_is_in_doubt(self, backend: Group) -> None:
        backend.fake.then = lambda: backend.fake.groups[backend.id].update(variables={"ONLY": {"value": "this"}})
        assert isinstance(outcome(lambda: backend.open().deliver(fresh_credential())), Ambiguous)


class TestTheGroupsName:
    def test_may_be_its_id(self, backend: Group) -> None:
        credential = fresh_credential()
        backend.open(f"azure-devops:acme/web shop/{backend.id}").deliver(credential)
        assert backend.read() == pair(credential)

    def test_may_differ_in_case(self, backend: Group) -> None:
        backend.open("azure-devops:acme/web shop/AWS Keys").preflight()

    def test_is_looked_for_once(self, backend: Group) -> None:
        destination = backend.open()
        destination.held()
        destination.deliver(fresh_credential())
        assert backend.fake.count("GET", "groupName=") == 1

    @pytest.mark.parametrize("group", ["none of this name", "99999"])
    def test_that_does_not_exist_is_an_error_and_not_empty(self, backend: Group, group: str) -> None:
        destination = backend.open(f"azure-devops:acme/web shop/{group}")
        for act in (destination.preflight, destination.held, lambda: destination.deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, NotFound)
            assert "Variable Groups" in error.remedy

    def test_finds_no_group_of_another_project(self, backend: Group) -> None:
        backend.fake.projects.add("acme/other")
        assert isinstance(outcome(backend.open(f"azure-devops:acme/other/{backend.id}").preflight), NotFound)


class TestAGroupFromAKeyVault:
    def test_is_refused_before_anything_is_written(self, backend: Group) -> None:
        backend.fake.groups[backend.id]["type"] = "AzureKeyVault"
        destination = backend.open()
        for act in (destination.preflight, destination.held, lambda: destination.deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert "key vault" in error.message
        assert backend.fake.count("PUT") == 0


class TestTheToken:
    def test_of_entra_is_sent_as_a_bearer(self, backend: Group, monkeypatch: pytest.MonkeyPatch) -> None:
        backend.fake.token = "no personal one"
        monkeypatch.setenv("TEST_AZURE_TOKEN", backend.fake.bearer)
        assert backend.open().held() == NotHeld()

    def test_that_is_not_accepted_is_answered_with_the_scope_that_it_needs(self, backend: Group) -> None:
        backend.spoil_token()
        error = outcome(backend.open().preflight)
        assert isinstance(error, BadCredentials)
        assert "read, create & manage" in error.remedy

    def test_of_a_user_without_the_role_is_denied_with_the_roles_name(self, backend: Group) -> None:
        backend.fake.role = "User"
        destination = backend.open()
        destination.preflight()
        error = outcome(lambda: destination.deliver(fresh_credential()))
        assert isinstance(error, AccessDenied)
        assert "Administrator" in error.remedy

    @pytest.mark.parametrize("variable", ["AZURE_DEVOPS_EXT_PAT", "SYSTEM_ACCESSTOKEN"])
    def test_comes_from_where_the_services_own_tools_look(
        self, variable: str, backend: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AZURE_DEVOPS_EXT_PAT", "SYSTEM_ACCESSTOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(variable, backend.fake.token)
        without = services_of(backend, Hurried())
        without.connections.configured = {}  # as without twokey.yaml
        assert registry.open_destination(backend.url, without).name == backend.url

    def test_that_is_named_nowhere_is_a_usage_error(self, backend: Group, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AZURE_DEVOPS_EXT_PAT", "SYSTEM_ACCESSTOKEN"):
            monkeypatch.delenv(name, raising=False)
        without = services_of(backend, Hurried())
        without.connections.configured = {}
        with pytest.raises(UsageError, match="AZURE_DEVOPS_EXT_PAT"):
            registry.open_destination(backend.url, without)


class TestTheStamp:
    def test_changes_with_anything_in_the_group(self, backend: Group) -> None:
        destination = backend.open()
        receipt = destination.deliver(fresh_credential())
        backend.fake.set(backend.id, REGION="eu-west-1")
        holding = destination.held()
        assert isinstance(holding, CannotTell)
        assert holding.stamp != receipt.stamp


class TestAnOlderServer:
    @pytest.mark.parametrize("versions", [("7.0", "6.1"), ("6.0-preview.2", "5.1")])
    def test_is_reached_by_a_version_that_it_knows_which_is_tried_once(
        self, fake: AzureDevOps, versions: tuple[str, ...]
    ) -> None:
        """Server 2022 and Server 2020 do not know 7.1."""
        fake.versions = versions
        group = Group(fake)
        destination = group.open()
        destination.preflight()
        credential = fresh_credential()
        assert destination.deliver(credential).written
        assert group.read() == pair(credential)
        assert fake.count("*", "api-version=7.1") == 1

    def test_that_knows_none_is_told(self, fake: AzureDevOps) -> None:
        fake.versions = ("5.1",)
        error = outcome(Group(fake).open().preflight)
        assert isinstance(error, ServiceRejected)
        assert "none of the versions 7.1, 7.0, 6.0-preview.2" in error.message
        assert "Azure DevOps Server 2020" in error.remedy


def test_a_good_response_that_asks_to_wait_is_obeyed(fake: AzureDevOps) -> None:
    """Azure DevOps delays a client by Retry-After in a 200, before it refuses anything."""
    group, hurried = Group(fake), Hurried()
    fake.throttling = 20
    destination = registry.open_destination(group.url, services_of(group, hurried))
    destination.deliver(fresh_credential())
    assert hurried.slept >= 20 * (len(fake.requests) - 1)


class TestEntra:
    """Without a personal access token: as an application, or as a managed identity."""

    APPLICATION: dict[str, Any] = {"tenant": "t-1", "client": "c-1", "client_secret": {"env": "TEST_CLIENT_SECRET"}}

    def open(self, fake: AzureDevOps, settings: dict[str, Any]) -> Destination:
        values = {"url": fake.url, "authority": fake.url, **settings}
        return registry.open_destination(Group(fake).url, services_of(Group(fake), Hurried(), values))

    @pytest.fixture(autouse=True)
    def _secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TEST_CLIENT_SECRET", "s-of-the-application")

    def test_an_application_gets_a_token_for_azure_devops(self, fake: AzureDevOps) -> None:
        destination = self.open(fake, self.APPLICATION)
        destination.preflight()
        assert destination.deliver(fresh_credential()).written
        assert fake.count("POST", "/t-1/oauth2/v2.0/token") == 1

    def test_a_wrong_secret_is_named_and_not_shown(self, fake: AzureDevOps, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TEST_CLIENT_SECRET", "s-of-another")
        error = outcome(self.open(fake, self.APPLICATION).preflight)
        assert isinstance(error, BadCredentials)
        assert "TEST_CLIENT_SECRET" in error.remedy
        assert "s-of-another" not in str(error)

    @pytest.mark.parametrize(
        ("settings", "sentence"),
        [
            ({}, "expected `token`, an application"),
            ({"client_secret": {"env": "TEST_CLIENT_SECRET"}}, "needs `tenant` and `client`"),
        ],
    )
    def test_settings_that_name_no_login_are_refused(
        self, fake: AzureDevOps, settings: dict[str, Any], sentence: str
    ) -> None:
        with pytest.raises(UsageError, match=sentence):
            self.open(fake, settings)
