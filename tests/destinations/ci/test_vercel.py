"""Vercel's environment variables: the contract for a project, and what is special to Vercel."""

from __future__ import annotations

import pytest

from support.token_backends import TOKEN, TokenBackend, running
from twokey.core.errors import Ambiguous, BadCredentials, ServiceRejected
from twokey.core.model import CannotTell, NotHeld
from twokey.destinations import registry
from twokey.testing.contract import (
    Backend,
    DestinationContract,
    Hurried,
    NamedValuesContract,
    fresh_credential,
    opened,
    outcome,
    pair,
    services_of,
)
from twokey.testing.fakes.vercel import Vercel


class Variables(TokenBackend):
    """Variables on the fake, as a new deployment in the first of the environments sees them."""

    fake: Vercel
    writes = ("POST", "/env")
    bad_names = (
        "vercel:acme/site/more",
        "vercel:acme/..",
        "vercel:ac me",
        "vercel:acme/site?target=staging",
        "vercel:acme/site?target=production,",
        "vercel:acme/site?target=production,production",
        "vercel:acme/site?target=preview,production",
        "vercel:acme/site?id=_ID",
        "vercel:acme/site?id=AWS_LAMBDA_ID",
        "vercel:acme/site?secret=AWS_SECRET_KEY",
        "vercel:acme/site?secret=WITH-DASH",
    )

    def __init__(self, fake: Vercel, url: str = "vercel:acme/site", target: str = "production") -> None:
        super().__init__(fake, url)
        team, _, project = url.removeprefix("vercel:").partition("?")[0].rpartition("/")
        self.project = (team, project)
        self.target = target

    def value(self, name: str) -> str | None:
        return self.fake.value(*self.project, name, self.target)

    def remove(self) -> None:
        self.fake.delete(*self.project)

    def take_permission_away(self) -> None:
        self.fake.may_write = False


fake = running(Vercel)


class TestTwoNamesOfAProject:
    def test_are_found_as_soon_as_its_variables_exist(self, fake: Vercel) -> None:
        fake.projects["team_1", "prj_1"] = fake.projects["acme", "site"]
        services = services_of(Variables(fake), Hurried())
        one, two = (registry.open_destination(url, services) for url in ("vercel:acme/site", "vercel:team_1/prj_1"))
        one.preflight()
        two.preflight()
        credential = fresh_credential()
        assert one.deliver(credential).written
        for act in (two.preflight, two.held, lambda: two.deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert "vercel:team_1/prj_1 and vercel:acme/site are two names of the same thing" in error.message
        assert Variables(fake).read() == pair(credential)


class TestAProject(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: Vercel) -> Backend:
        return Variables(fake)


class TestEnvironments:
    def test_are_those_of_the_option_and_new_values_are_secret_where_vercel_allows_it(self, fake: Vercel) -> None:
        for target, kind in (("production,preview", "sensitive"), ("development", "encrypted")):
            backend = Variables(fake, f"vercel:acme/site?target={target}", target.partition(",")[0])
            credential = fresh_credential()
            opened(backend).deliver(credential)
            assert backend.read() == pair(credential)
            written = fake.projects["acme", "site"][-1]
            assert (set(written["target"]), written["type"]) == ({*target.split(",")}, kind)

    def test_of_a_personal_account_need_no_team(self, fake: Vercel) -> None:
        backend = Variables(fake, "vercel:hobby")
        credential = fresh_credential()
        opened(backend).deliver(credential)
        assert backend.read() == pair(credential)

    def test_that_share_a_variable_with_others_are_refused_before_anything_is_created(self, fake: Vercel) -> None:
        """A write would give the preview environment the key too, or create a second variable."""
        fake.add_variable("AWS_ACCESS_KEY_ID", ["production", "preview"])
        for act in (opened(Variables(fake)).preflight, lambda: opened(Variables(fake)).deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert "belongs to preview, production together" in error.message
        assert fake.count("POST") == 0

    def test_that_are_others_and_branches_keep_their_variables(self, fake: Vercel) -> None:
        fake.add_variable("AWS_ACCESS_KEY_ID", ["production"])
        fake.add_variable("AWS_SECRET_ACCESS_KEY", ["preview"], gitBranch="next")
        before = [dict(one) for one in fake.projects["acme", "site"]]
        destination = opened(Variables(fake, "vercel:acme/site?target=preview", "preview"))
        assert destination.held() == NotHeld()
        for _ in range(2):
            destination.deliver(fresh_credential())
        assert fake.projects["acme", "site"][:2] == before
        assert len(fake.projects["acme", "site"]) == 4


class TestAnExistingVariable:
    def test_keeps_its_type_and_a_comment_of_the_operator(self, fake: Vercel) -> None:
        fake.add_variable("AWS_ACCESS_KEY_ID", ["production"], type="plain", comment="for uploads")
        credential = fresh_credential()
        opened(Variables(fake)).deliver(credential)
        kept, made = fake.projects["acme", "site"]
        assert (kept["type"], kept["comment"]) == ("plain", "for uploads")
        assert made["comment"] == f"Access key {credential.access_key_id}, rotated by twokey"

    def test_is_found_on_a_later_page(self, fake: Vercel) -> None:
        for number in range(5):
            fake.add_variable(f"A{number}", ["production"])
        fake.page_size = 2
        receipt = opened(Variables(fake)).deliver(fresh_credential())
        holding = opened(Variables(fake)).held()
        assert isinstance(holding, CannotTell)
        assert holding.stamp == receipt.stamp


class TestOneRequest:
    def test_carries_both_values(self, fake: Vercel) -> None:
        opened(Variables(fake)).deliver(fresh_credential())
        assert fake.count("POST") == 1

    def test_of_which_a_part_was_refused_is_in_doubt(self, fake: Vercel) -> None:
        fake.refused = {"AWS_SECRET_ACCESS_KEY"}
        error = outcome(lambda: opened(Variables(fake)).deliver(fresh_credential()))
        assert isinstance(error, Ambiguous)
        assert "ENV_CONFLICT" in error.message

    def test_of_which_all_was_refused_wrote_nothing(self, fake: Vercel) -> None:
        fake.refused = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
        assert isinstance(outcome(lambda: opened(Variables(fake)).deliver(fresh_credential())), ServiceRejected)

    def test_with_more_than_a_deployment_takes_is_not_sent(self, fake: Vercel) -> None:
        backend = Variables(fake, f"vercel:acme/site?format=template&template=$SecretAccessKey-{'x' * 64 * 1024}")
        assert isinstance(outcome(lambda: opened(backend).deliver(fresh_credential())), ServiceRejected)
        assert fake.count("POST") == 0


def test_a_token_that_vercel_refuses_with_403_is_no_missing_permission(fake: Vercel) -> None:
    fake.token = "another"
    error = outcome(opened(Variables(fake)).held)
    assert isinstance(error, BadCredentials)
    assert TOKEN in error.remedy
