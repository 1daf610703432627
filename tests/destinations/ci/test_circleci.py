"""CircleCI's contexts and projects: the contract for each, and what is special to CircleCI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import AccessDenied, Ambiguous, BadCredentials, NotFound, ServiceRejected
from twokey.core.model import CannotTell
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
from twokey.testing.fakes.circleci import MOST, CircleCI
from twokey.testing.server import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Destination
    from twokey.core.secret import Credential


class Variables(Backend):
    """Variables on the fake: ``inside`` is the context's id or the project's slug."""

    bad_names = (
        "circleci-context:deploy",
        "circleci-context:gh/acme",
        "circleci-context:gh/acme/ deploy",
        "circleci-context:gh/acme/deploy ",
        "circleci-context:gh/acme/" + "x" * 201,
        "circleci-context:gh/../deploy",
        "circleci-context:svn/acme/deploy",
        "circleci-context:00000000-0000-0000-0000-00000000000g",
        "circleci:acme/site",
        "circleci:gh/acme/site/more",
        "circleci:gh/acme/..",
        "circleci:gh/./site",
        "circleci:gitlab/acme/site",
        "circleci:gh/acme/site?id=1ST",
        "circleci:gh/acme/site?secret=WITH-DASH",
        "circleci:gh/acme/site?id=" + "X" * 301,
        "circleci:gh/acme/site?environment=production",
    )

    def __init__(self, fake: CircleCI, url: str, inside: str) -> None:
        self.fake: CircleCI = fake
        self.url = url
        self.inside = inside
        self.writes = ("PUT", "/environment-variable/") if url.startswith("circleci-context") else ("POST", "/envvar")

    def settings(self) -> dict[str, Any]:
        return {"token": {"env": "TEST_CIRCLE_TOKEN"}, "url": self.fake.url}

    def read(self) -> dict[str, str] | None:
        found = [self.fake.value(self.inside, name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
        return None if None in found else {"AccessKeyId": str(found[0]), "SecretAccessKey": str(found[1])}

    def plant(self, credential: Credential) -> None:
        registry.open_destination(self.url, services_of(self, Hurried())).deliver(credential)

    def remove(self) -> None:
        self.fake.delete(self.inside)

    def spoil_token(self) -> None:
        self.fake.token = "another"

    def take_permission_away(self) -> None:
        self.fake.role = "Viewer"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[CircleCI]:
    with CircleCI() as circleci:
        monkeypatch.setenv("TEST_CIRCLE_TOKEN", circleci.token)
        yield circleci


def opened(backend: Backend, hurried: Hurried | None = None) -> Destination:
    return registry.open_destination(backend.url, services_of(backend, hurried or Hurried()))


def named(fake: CircleCI, name: str = "deploy", context: str | None = None) -> Variables:
    return Variables(fake, f"circleci-context:gh/acme/{name}", context or fake.context)


def site(fake: CircleCI) -> Variables:
    return Variables(fake, "circleci:gh/acme/site", "gh/acme/site")


class TestAContext(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: CircleCI) -> Backend:
        return named(fake)


class TestAProject(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: CircleCI) -> Backend:
        return site(fake)


class TestFindingAContext:
    def test_an_id_needs_no_look_at_the_organization(self, fake: CircleCI) -> None:
        backend = Variables(fake, f"circleci-context:{fake.context}", fake.context)
        credential = fresh_credential()
        opened(backend).deliver(credential)
        assert backend.read() == pair(credential)
        assert fake.count("GET", "owner-slug") == 0

    def test_a_name_is_looked_for_on_every_page_of_its_organization(self, fake: CircleCI) -> None:
        fake.page_size = 3
        elsewhere = fake.add_context("gh/other", "release keys")
        for number in range(10):
            fake.add_context("gh/acme", f"other-{number}")
        here = fake.add_context("gh/acme", "release keys")
        backend = named(fake, "release keys", here)
        credential = fresh_credential()
        opened(backend).deliver(credential)
        assert backend.read() == pair(credential)
        assert fake.value(elsewhere, "AWS_ACCESS_KEY_ID") is None

    def test_many_contexts_of_an_organization_are_listed_once_in_a_run(self, fake: CircleCI) -> None:
        fake.add_context("gh/acme", "second")
        services = services_of(named(fake), Hurried())
        for name in ("deploy", "second"):
            registry.open_destination(f"circleci-context:gh/acme/{name}", services).held()
        assert fake.count("GET", "owner-slug") == 1

    def test_a_slash_belongs_to_a_contexts_name(self, fake: CircleCI) -> None:
        backend = named(fake, "team/deploy", fake.add_context("gh/acme", "team/deploy"))
        credential = fresh_credential()
        opened(backend).deliver(credential)
        assert backend.read() == pair(credential)

    def test_a_name_that_is_not_there_is_named_with_its_organization(self, fake: CircleCI) -> None:
        error = outcome(opened(named(fake, "depoly")).preflight)
        assert isinstance(error, NotFound)
        assert "depoly" in error.message
        assert "gh/acme" in error.message

    def test_an_unknown_organization_is_reported(self, fake: CircleCI) -> None:
        error = outcome(opened(Variables(fake, "circleci-context:gh/nobody/deploy", fake.context)).held)
        assert isinstance(error, NotFound)
        assert "gh/nobody" in error.message


class TestRoom:
    def fill(self, fake: CircleCI, count: int) -> None:
        for number in range(count):
            entry = {"value": "x", "created_at": fake.stamp(), "updated_at": fake.stamp()}
            fake.contexts[fake.context]["variables"][f"V{number}"] = entry

    def test_a_full_context_is_known_before_anything_is_created(self, fake: CircleCI) -> None:
        self.fill(fake, MOST - 1)
        error = outcome(opened(named(fake)).preflight)
        assert isinstance(error, ServiceRejected)
        assert "AWS_SECRET_ACCESS_KEY" in error.message
        assert "100" in error.message

    def test_the_last_two_variables_of_the_limit_fit(self, fake: CircleCI) -> None:
        self.fill(fake, MOST - 2)
        destination = opened(named(fake))
        destination.preflight()
        destination.deliver(fresh_credential())
        destination.preflight()

    def test_a_context_that_fills_up_meanwhile_refuses_the_delivery(self, fake: CircleCI) -> None:
        self.fill(fake, MOST)
        credential = fresh_credential()
        error = outcome(lambda: opened(named(fake)).deliver(credential))
        assert isinstance(error, ServiceRejected)
        assert_silent(error, credential)

    def test_a_value_that_is_too_long_is_refused_before_it_is_sent(self, fake: CircleCI) -> None:
        backend = named(fake)
        backend.url += "?format=template&template=$SecretAccessKey-" + "x" * 32 * 1024
        error = outcome(lambda: opened(backend).deliver(fresh_credential()))
        assert isinstance(error, ServiceRejected)
        assert fake.count("PUT") == 0


class TestWhatItShows:
    def test_no_part_of_the_secret_is_in_the_stamp(self, fake: CircleCI) -> None:
        credential = fresh_credential()
        stamp = opened(site(fake)).deliver(credential).stamp
        assert credential.reveal()[-4:] not in stamp

    def test_variables_on_later_pages_are_seen(self, fake: CircleCI) -> None:
        fake.page_size = 1
        fake.projects["gh/acme/site"] = {"A": {"value": "x", "created": "t"}, "B": {"value": "x", "created": "t"}}
        destination = opened(site(fake))
        receipt = destination.deliver(fresh_credential())
        holding = destination.held()
        assert isinstance(holding, CannotTell)
        assert holding.stamp == receipt.stamp

    def test_another_id_shows_by_its_last_four_characters_although_the_time_stays(self, fake: CircleCI) -> None:
        destination = opened(site(fake))
        stamp = destination.deliver(fresh_credential()).stamp
        fake.projects["gh/acme/site"]["AWS_ACCESS_KEY_ID"]["value"] = "by hand"
        holding = destination.held()
        assert isinstance(holding, CannotTell)
        assert holding.stamp != stamp

    def test_a_value_of_a_context_that_is_written_again_shows_by_its_time(self, fake: CircleCI) -> None:
        destination = opened(named(fake))
        stamp = destination.deliver(fresh_credential()).stamp
        fake.contexts[fake.context]["variables"]["AWS_SECRET_ACCESS_KEY"]["updated_at"] = fake.stamp()
        holding = destination.held()
        assert isinstance(holding, CannotTell)
        assert holding.stamp != stamp

    @pytest.mark.parametrize("options", ["?format=json", "?format=env"])
    def test_one_value_of_a_project_has_no_stamp_for_its_time_may_stay_when_it_is_replaced(
        self, fake: CircleCI, options: str
    ) -> None:
        """An equal stamp would say that no other client has written."""
        backend = Variables(fake, f"circleci:gh/acme/site{options}", "gh/acme/site")
        assert opened(backend).deliver(fresh_credential()).stamp == ""
        assert getattr(opened(backend).held(), "stamp", None) == ""

    @pytest.mark.parametrize("make", [named, site])
    def test_a_delivery_that_another_client_overwrites_at_once_is_not_confirmed(
        self, fake: CircleCI, monkeypatch: pytest.MonkeyPatch, make: Any
    ) -> None:
        destination = opened(make(fake))
        monkeypatch.setattr("twokey.testing.fakes.circleci._value", lambda _request: "by hand")
        assert isinstance(outcome(lambda: destination.deliver(fresh_credential())), Ambiguous)

    def test_a_server_that_shows_no_character_of_a_value_is_believed(
        self, fake: CircleCI, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        masked = {"value": "xxxx"}
        from twokey.testing.fakes import circleci

        shown = circleci._masked
        monkeypatch.setattr(circleci, "_masked", lambda name, one: {**shown(name, one), **masked})
        assert opened(site(fake)).deliver(fresh_credential()).written

    def test_a_response_of_another_shape_is_an_error_of_ours(self, fake: CircleCI) -> None:
        fake.add(Fault("GET", "/envvar", "refuse", status=200, body={"items": [{"nonsense": 1}]}))
        assert isinstance(outcome(opened(site(fake)).held), Ambiguous)


class TestRefusals:
    def test_a_wrong_token_is_replaced_by_a_personal_one_in_the_remedy(self, fake: CircleCI) -> None:
        fake.token = "another"
        error = outcome(opened(site(fake)).held)
        assert isinstance(error, BadCredentials)
        assert "personal API token" in error.remedy
        assert "TEST_CIRCLE_TOKEN" in error.remedy

    @pytest.mark.parametrize(("make", "role"), [(named, "organization role Contributor"), (site, "project role Admin")])
    def test_a_missing_role_is_named(self, fake: CircleCI, make: Any, role: str) -> None:
        fake.role = "Viewer"
        error = outcome(lambda: opened(make(fake)).deliver(fresh_credential()))
        assert isinstance(error, AccessDenied)
        assert role in error.remedy

    def test_a_budget_that_is_used_up_is_waited_for(self, fake: CircleCI) -> None:
        hurried = Hurried()
        fake.monotonic = hurried.monotonic
        fake.limit(lambda _: True, 3, 60)
        destination = opened(named(fake), hurried)
        destination.deliver(fresh_credential())
        assert hurried.slept > 50

    def test_a_token_that_was_replaced_meanwhile_is_read_again(
        self, fake: CircleCI, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        destination = opened(site(fake))
        destination.held()
        fake.token = "CCIPAT_the_next"
        monkeypatch.setenv("TEST_CIRCLE_TOKEN", fake.token)
        assert destination.deliver(fresh_credential()).written
