"""HCP Terraform's variables: the contract for workspaces and variable sets, and what is special to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import AccessDenied, Ambiguous, NotFound, ServiceRejected
from twokey.core.model import CannotTell, Held
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
from twokey.testing.fakes.hcp_terraform import HcpTerraform
from twokey.testing.server import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Destination
    from twokey.core.secret import Credential

NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class Vars(Backend):
    """Variables on the fake: ``owner`` is how its paths name the workspace or the set."""

    writes = ("P*", "/vars")
    bad_names = (
        "hcp-terraform:acme",
        "hcp-terraform:acme/",
        "hcp-terraform:acme/si te",
        "hcp-terraform:acme/site/more",
        "hcp-terraform:ac.me/site",
        "hcp-terraform:acme/site?id=WITH-DASH",
        "hcp-terraform:acme/site?id=" + "A" * 129,
        "hcp-terraform-varset:acme",
        "hcp-terraform-varset:acme/a/b",
    )

    def __init__(self, fake: HcpTerraform, url: str, owner: str) -> None:
        self.fake: HcpTerraform = fake
        self.url = url
        self.owner = owner
        for number in range(120):
            fake.variables[owner].append(
                {"id": f"var-other{number}", "key": f"OTHER_{number}", "category": "env", "sensitive": False}
            )

    def settings(self) -> dict[str, Any]:
        return {"token": {"env": "TEST_TFE_TOKEN"}, "url": self.fake.url}

    def read(self) -> dict[str, str] | None:
        found = [self.fake.variable(self.owner, name) for name in NAMES]
        if found[0] is None or found[1] is None:
            return None
        return {"AccessKeyId": found[0]["value"], "SecretAccessKey": found[1]["value"]}

    def plant(self, credential: Credential) -> None:
        self.open().deliver(credential)

    def remove(self) -> None:
        del self.fake.owners[self.owner]

    def spoil_token(self) -> None:
        self.fake.token = "another"

    def open(self, url: str = "", hurried: Hurried | None = None) -> Destination:
        return registry.open_destination(url or self.url, services_of(self, hurried or Hurried()))

    def variable(self, name: str) -> dict[str, Any]:
        found = self.fake.variable(self.owner, name)
        assert found is not None
        return found


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[HcpTerraform]:
    with HcpTerraform() as terraform:
        monkeypatch.setenv("TEST_TFE_TOKEN", terraform.token)
        for number in range(120):
            terraform.add_set("acme", f"aws keys {number}")
        yield terraform


@pytest.fixture
def workspace(fake: HcpTerraform) -> Vars:
    return Vars(fake, "hcp-terraform:acme/site", next(iter(fake.owners)))


@pytest.fixture
def by_name(fake: HcpTerraform) -> Vars:
    return Vars(fake, "hcp-terraform-varset:acme/aws keys", f"varsets/{fake.add_set('acme', 'aws keys')}")


class TestAWorkspace(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, workspace: Vars) -> Backend:
        return workspace


class TestASetByName(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, by_name: Vars) -> Backend:
        return by_name


class TestAVariable:
    def test_is_made_sensitive_with_the_keys_id_beside_it(self, workspace: Vars) -> None:
        credential = fresh_credential()
        workspace.open().deliver(credential)
        for name in NAMES:
            made = workspace.variable(name)
            assert made["sensitive"]
            assert made["category"] == "env"
            assert credential.access_key_id in made["description"]
            assert credential.reveal() not in made["description"]

    def test_whose_key_is_replaced_gets_the_id_of_the_other(self, workspace: Vars) -> None:
        older, newer = fresh_credential(), fresh_credential()
        workspace.open().deliver(older)
        workspace.open().deliver(newer)
        assert newer.access_key_id in workspace.variable(NAMES[1])["description"]
        assert older.access_key_id not in workspace.variable(NAMES[1])["description"]

    def test_keeps_what_people_wrote_beside_it_and_whether_it_is_sensitive(self, workspace: Vars) -> None:
        workspace.open().deliver(fresh_credential())
        for name in NAMES:
            workspace.variable(name).update(description="Ask the platform team", sensitive=False)
        credential = fresh_credential()
        workspace.open().deliver(credential)
        for name in NAMES:
            assert workspace.variable(name)["description"] == "Ask the platform team"
            assert not workspace.variable(name)["sensitive"]
        assert workspace.open().held() == Held(credential.access_key_id)

    def test_that_is_shown_and_right_is_not_written(self, workspace: Vars) -> None:
        credential = fresh_credential()
        workspace.open().deliver(credential)
        workspace.variable(NAMES[0])["sensitive"] = False
        workspace.fake.clear()
        workspace.open().deliver(credential)
        assert workspace.fake.count("PATCH") == 1

    def test_of_terraform_itself_with_the_same_name_is_left_alone(self, workspace: Vars) -> None:
        own = {"id": "var-own", "key": NAMES[0], "category": "terraform", "value": "mine", "sensitive": False}
        workspace.fake.variables[workspace.owner].append(dict(own))
        credential = fresh_credential()
        workspace.open().deliver(credential)
        assert workspace.fake.variable(workspace.owner, NAMES[0], "terraform") == own
        assert workspace.read() == pair(credential)

    def test_names_the_key_that_its_description_names(self, workspace: Vars) -> None:
        credential = fresh_credential()
        workspace.open().deliver(credential)
        holding = workspace.open().held()
        assert isinstance(holding, CannotTell)
        assert credential.access_key_id in holding.why

    @pytest.mark.parametrize("effect", ["lost_response", "error_after"])
    def test_that_was_made_without_a_response_is_found_and_written_again(self, workspace: Vars, effect: Any) -> None:
        workspace.fake.add(Fault("POST", "/vars", effect))
        credential = fresh_credential()
        assert workspace.open().deliver(credential).written
        assert workspace.read() == pair(credential)
        assert workspace.fake.count("POST", "/vars") == len(NAMES)

    def test_that_may_yet_be_made_is_in_doubt(self, workspace: Vars) -> None:
        workspace.fake.add(Fault("POST", "/vars", "reset"))
        credential = fresh_credential()
        error = outcome(lambda: workspace.open().deliver(credential))
        assert isinstance(error, Ambiguous)
        assert_silent(error, credential)
        assert workspace.fake.count("POST", "/vars") == 1

    def test_that_was_made_without_a_response_stays_in_doubt_whatever_else_fails(self, workspace: Vars) -> None:
        workspace.fake.add(Fault("POST", "/vars", "lost_response"))
        workspace.fake.add(Fault("PATCH", "/vars", "refuse", times=None, status=422))
        assert isinstance(outcome(lambda: workspace.open().deliver(fresh_credential())), Ambiguous)

    def test_longer_than_the_service_takes_is_refused_before_it_is_sent(self, workspace: Vars) -> None:
        long = "x" * (256 * 1024)
        url = f"{workspace.url}?format=template&template=$AccessKeyId-{long}"
        assert isinstance(outcome(lambda: workspace.open(url).deliver(fresh_credential())), ServiceRejected)
        assert workspace.fake.count(*workspace.writes) == 0


class TestASet:
    def test_may_be_named_by_its_id(self, by_name: Vars) -> None:
        credential = fresh_credential()
        by_name.open(f"hcp-terraform-varset:acme/{by_name.owner.partition('/')[2]}").deliver(credential)
        assert by_name.read() == pair(credential)

    def test_of_another_organization_is_not_found_by_its_id(self, by_name: Vars) -> None:
        destination = by_name.open(f"hcp-terraform-varset:other/{by_name.owner.partition('/')[2]}")
        assert isinstance(outcome(destination.preflight), NotFound)

    def test_that_does_not_exist_is_an_error_and_not_empty(self, by_name: Vars) -> None:
        destination = by_name.open("hcp-terraform-varset:acme/aws")
        for act in (destination.preflight, destination.held, lambda: destination.deliver(fresh_credential())):
            assert isinstance(outcome(act), NotFound)

    def test_whose_name_two_have_is_refused_with_both_ids(self, by_name: Vars) -> None:
        other = by_name.fake.add_set("acme", "aws keys")
        error = outcome(by_name.open().preflight)
        assert isinstance(error, ServiceRejected)
        assert other in error.remedy
        assert by_name.owner.partition("/")[2] in error.remedy


class TestATokenWithoutTheRight:
    def test_is_denied_before_a_rotation_where_the_workspace_says_so(self, workspace: Vars) -> None:
        workspace.fake.may_write = False
        error = outcome(workspace.open().preflight)
        assert isinstance(error, AccessDenied)
        assert "the permission Variables: read and write on the workspace" in error.remedy

    def test_can_still_look(self, workspace: Vars) -> None:
        workspace.open().deliver(fresh_credential())
        workspace.fake.may_write = False
        assert isinstance(workspace.open().held(), CannotTell)

    def test_names_the_permission_where_the_service_says_that_there_is_nothing(self, by_name: Vars) -> None:
        by_name.fake.may_write = False
        error = outcome(lambda: by_name.open().deliver(fresh_credential()))
        assert isinstance(error, NotFound)
        assert "manage variable sets" in error.remedy


class TestTheRateLimit:
    def test_is_kept_by_waiting_beforehand(self, workspace: Vars) -> None:
        hurried = Hurried()
        workspace.fake.monotonic = hurried.monotonic
        workspace.fake.documented_limits()
        destination = workspace.open(hurried=hurried)
        for _ in range(20):
            destination.deliver(fresh_credential())
        look, write = 2, 2
        assert workspace.fake.count("*") == 1 + 20 * (look + write + look), "none was refused and sent again"
        assert hurried.slept > 1
