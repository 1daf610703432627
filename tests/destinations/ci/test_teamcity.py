"""TeamCity's parameters: the contract for a project, and what is special to TeamCity."""

from __future__ import annotations

import pytest

from support.token_backends import TokenBackend, running
from twokey.core.model import NotHeld
from twokey.testing.contract import (
    Backend,
    DestinationContract,
    NamedValuesContract,
    fresh_credential,
    opened,
    pair,
)
from twokey.testing.fakes.teamcity import TeamCity

PROJECT = "Acme_Site"
ID, SECRET = "env.AWS_ACCESS_KEY_ID", "env.AWS_SECRET_ACCESS_KEY"


class Parameters(TokenBackend):
    """Parameters on the fake, as a build gets them."""

    fake: TeamCity
    writes = ("PUT", "/parameters/")
    names = (ID, SECRET)
    bad_names = (
        "teamcity:acme/site",
        "teamcity:1st",
        "teamcity:Acme-Site",
        "teamcity:Acme,archived:any",
        "teamcity:Acme_Site?id=env.X",
        "teamcity:Acme_Site?secret=WITH-DASH",
    )

    def __init__(self, fake: TeamCity, url: str = f"teamcity:{PROJECT}") -> None:
        super().__init__(fake, url)

    def value(self, name: str) -> str | None:
        return self.fake.value(PROJECT, name)

    def remove(self) -> None:
        self.fake.delete(PROJECT)

    def take_permission_away(self) -> None:
        self.fake.may_edit = False


fake = running(TeamCity)


class TestAProject(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: TeamCity) -> Backend:
        return Parameters(fake)


class TestAType:
    def test_of_a_new_parameter_hides_its_value(self, fake: TeamCity) -> None:
        opened(Parameters(fake)).deliver(fresh_credential())
        kinds = {one["type"]["rawValue"] for one in fake.parameters[PROJECT].values()}
        assert kinds == {"password display='hidden'"}

    def test_of_an_existing_parameter_stays(self, fake: TeamCity) -> None:
        """A write without it would make the value visible to everyone."""
        kind = {"rawValue": "password label='Uploads' display='prompt'"}
        fake.parameters[PROJECT][SECRET] = {"name": SECRET, "value": "x", "type": kind}
        fake.parameters[PROJECT][ID] = {"name": ID, "value": "x", "type": None}
        backend = Parameters(fake)
        credential = fresh_credential()
        opened(backend).deliver(credential)
        assert backend.read() == pair(credential)
        assert fake.parameters[PROJECT][SECRET]["type"] == kind
        assert fake.parameters[PROJECT][ID]["type"] is None


class TestWhatAProjectInherits:
    def test_is_not_held_by_it_and_stays(self, fake: TeamCity) -> None:
        for name in (ID, SECRET, "env.AWS_SESSION_TOKEN"):
            fake.parameters["Acme"][name] = {"name": name, "value": "x", "type": None}
        backend = Parameters(fake)
        assert opened(backend).held() == NotHeld()
        credential = fresh_credential()
        opened(backend).deliver(credential)
        assert backend.read() == pair(credential)
        assert {one["value"] for one in fake.parameters["Acme"].values()} == {"x"}


def test_a_percent_sign_is_no_reference_to_another_parameter(fake: TeamCity) -> None:
    backend = Parameters(fake, "teamcity:Acme_Site?format=template&name=URL&template=100%25 $SecretAccessKey")
    credential = fresh_credential()
    opened(backend).deliver(credential)
    assert fake.parameters[PROJECT]["env.URL"]["value"] == f"100%% {credential.reveal()}"
    assert backend.value("env.URL") == f"100% {credential.reveal()}"
