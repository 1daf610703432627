"""Bitbucket's Pipelines variables: the contract for every kind of target, and what is special to Bitbucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import AccessDenied, Ambiguous, BadCredentials, NotFound, ServiceRejected, TwokeyError
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
from twokey.testing.fakes.bitbucket import Bitbucket
from twokey.testing.server import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Destination
    from twokey.core.secret import Credential

ID, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"


class Variables(Backend):
    """Variables on the fake: ``inside`` is the fake's name for the target that they are in."""

    writes = ("P*", "/variables")
    bad_names = (
        "bitbucket:acme/site/more",
        "bitbucket:acme/",
        "bitbucket:acme/..",
        "bitbucket:ac me",
        "bitbucket:acme/site?id=WITH-DASH",
        "bitbucket:acme/site?secret=1ST",
        "bitbucket:acme?deployment=production",
    )

    def __init__(self, fake: Bitbucket, url: str, inside: str, email: str = "") -> None:
        self.fake: Bitbucket = fake
        self.url = url
        self.inside = inside
        self.email = email

    def settings(self) -> dict[str, Any]:
        return {"token": {"env": "TEST_BITBUCKET_TOKEN"}, "url": self.fake.url, "email": self.email}

    def read(self) -> dict[str, str] | None:
        found = [self.fake.value(self.inside, name) for name in (ID, SECRET)]
        return None if None in found else {"AccessKeyId": str(found[0]), "SecretAccessKey": str(found[1])}

    def plant(self, credential: Credential) -> None:
        self.fake.put(self.inside, ID, credential.access_key_id)
        self.fake.put(self.inside, SECRET, str(credential.reveal()))

    def remove(self) -> None:
        for backend in [one for one in self.fake.targets if one.startswith(self.inside.partition("{")[0].rstrip("/"))]:
            del self.fake.targets[backend]

    def spoil_token(self) -> None:
        self.fake.token = "another"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bitbucket]:
    with Bitbucket() as bitbucket:
        monkeypatch.setenv("TEST_BITBUCKET_TOKEN", bitbucket.token)
        bitbucket.add_repository("acme/api", "Test", "Staging", "Production")
        yield bitbucket


def opened(fake: Bitbucket, url: str, email: str = "") -> Destination:
    return registry.open_destination(url, services_of(Variables(fake, url, "", email), Hurried()))


def failed(act: Any) -> TwokeyError:
    error = outcome(act)
    assert error is not None
    return error


class TestARepository(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: Bitbucket) -> Backend:
        return Variables(fake, "bitbucket:acme/site", "acme/site")


class TestAWorkspace(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: Bitbucket) -> Backend:
        return Variables(fake, "bitbucket:acme", "acme")


class TestADeployment(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: Bitbucket) -> Backend:
        inside = fake.environment("acme/api", "Production")
        return Variables(fake, "bitbucket:acme/api?deployment=Production", inside)


class TestSecuredValues:
    def test_id_and_secret_are_secured_and_what_stands_beside_them_is_not(self, fake: Bitbucket) -> None:
        opened(fake, "bitbucket:acme/site?extra.AWS_REGION=eu-central-1").deliver(fresh_credential())
        secured = {one["key"]: one["secured"] for one in fake.targets["acme/site"]}
        assert secured == {ID: True, SECRET: True, "AWS_REGION": False}

    @pytest.mark.parametrize("secured", [True, False])
    def test_what_is_there_stays_secured_or_not(self, fake: Bitbucket, secured: bool) -> None:
        for key in (ID, SECRET):
            fake.put("acme/site", key, "by hand", secured=secured)
        uuids = [one["uuid"] for one in fake.targets["acme/site"]]
        credential = fresh_credential()
        opened(fake, "bitbucket:acme/site").deliver(credential)
        assert [one["uuid"] for one in fake.targets["acme/site"]] == uuids
        assert {one["secured"] for one in fake.targets["acme/site"]} == {secured}
        assert Variables(fake, "", "acme/site").read() == pair(credential)

    def test_open_values_tell_which_key_is_there_and_are_written_only_if_they_differ(self, fake: Bitbucket) -> None:
        credential = fresh_credential()
        fake.put("acme/site", ID, credential.access_key_id, secured=False)
        fake.put("acme/site", SECRET, str(credential.reveal()), secured=False)
        destination = opened(fake, "bitbucket:acme/site")
        assert destination.held() == Held(credential.access_key_id)
        assert not destination.deliver(credential).written
        assert fake.count("P*") == 0

    def test_secured_values_tell_nothing_and_are_written_again(self, fake: Bitbucket) -> None:
        destination = opened(fake, "bitbucket:acme/site")
        credential = fresh_credential()
        destination.deliver(credential)
        assert isinstance(destination.held(), CannotTell)
        assert destination.deliver(credential).written
        assert fake.count("POST") == 2
        assert fake.count("PUT") == 2

    def test_a_lost_response_is_made_good_by_writing_to_what_is_there(self, fake: Bitbucket) -> None:
        fake.add(Fault("POST", "/variables", "lost_response"))
        credential = fresh_credential()
        assert opened(fake, "bitbucket:acme/site").deliver(credential).written
        assert Variables(fake, "", "acme/site").read() == pair(credential)
        assert len(fake.targets["acme/site"]) == 2

    def test_a_response_that_is_never_there_is_ambiguous(self, fake: Bitbucket) -> None:
        fake.add(Fault("POST", "/variables", "reset", times=None))
        error = failed(lambda: opened(fake, "bitbucket:acme/site").deliver(fresh_credential()))
        assert isinstance(error, Ambiguous)
        assert f"create the variable {ID}" in error.message
        assert fake.targets["acme/site"] == []

    def test_another_client_that_created_it_at_the_same_time_is_named(self, fake: Bitbucket) -> None:
        fake.add(Fault("POST", "/variables", "refuse", status=409, body={"type": "error"}))
        credential = fresh_credential()
        error = failed(lambda: opened(fake, "bitbucket:acme/site").deliver(credential))
        assert isinstance(error, ServiceRejected)
        assert "at the same time" in error.message
        assert_silent(error, credential)


class TestLag:
    """Bitbucket's lists lag by seconds when a variable was created: it exists, and is not listed yet."""

    @pytest.fixture
    def hurried(self) -> Hurried:
        return Hurried()

    @pytest.fixture
    def fake(self, monkeypatch: pytest.MonkeyPatch, hurried: Hurried) -> Iterator[Bitbucket]:
        with Bitbucket(hurried.monotonic) as bitbucket:
            monkeypatch.setenv("TEST_BITBUCKET_TOKEN", bitbucket.token)
            bitbucket.lag = 5
            yield bitbucket

    def open(self, fake: Bitbucket, hurried: Hurried) -> Destination:
        backend = Variables(fake, "bitbucket:acme/site", "acme/site")
        return registry.open_destination(backend.url, services_of(backend, hurried))

    def test_what_bitbucket_created_has_arrived_although_no_list_shows_it(
        self, fake: Bitbucket, hurried: Hurried
    ) -> None:
        credential = fresh_credential()
        assert self.open(fake, hurried).deliver(credential).written
        assert Variables(fake, "", "acme/site").read() == pair(credential)

    def test_a_second_delivery_of_the_run_writes_to_what_the_first_created(
        self, fake: Bitbucket, hurried: Hurried
    ) -> None:
        destination, credential = self.open(fake, hurried), fresh_credential()
        destination.deliver(fresh_credential())
        assert destination.deliver(credential).written
        assert Variables(fake, "", "acme/site").read() == pair(credential)
        assert (fake.count("POST"), len(fake.targets["acme/site"])) == (2, 2)

    def test_a_run_that_follows_at_once_looks_again_after_the_conflict(self, fake: Bitbucket, hurried: Hurried) -> None:
        self.open(fake, hurried).deliver(fresh_credential())
        credential = fresh_credential()
        assert self.open(fake, hurried).deliver(credential).written
        assert Variables(fake, "", "acme/site").read() == pair(credential)
        assert hurried.slept < 15

    def test_a_lost_response_is_looked_for_until_the_list_shows_it(self, fake: Bitbucket, hurried: Hurried) -> None:
        fake.add(Fault("POST", "/variables", "lost_response"))
        credential = fresh_credential()
        assert self.open(fake, hurried).deliver(credential).written
        assert Variables(fake, "", "acme/site").read() == pair(credential)

    def test_a_conflict_with_what_is_never_listed_is_an_error(self, fake: Bitbucket, hurried: Hurried) -> None:
        self.open(fake, hurried).deliver(fresh_credential())
        fake.lag = 1e6
        error = failed(lambda: self.open(fake, hurried).deliver(fresh_credential()))
        assert isinstance(error, ServiceRejected)
        assert "another client changed it" in error.message

    def test_what_another_client_deletes_meanwhile_is_not_taken_to_be_there(
        self, fake: Bitbucket, hurried: Hurried
    ) -> None:
        destination = self.open(fake, hurried)
        destination.deliver(fresh_credential())
        fake.targets["acme/site"].clear()
        assert destination.held() == NotHeld()


class TestPages:
    @pytest.mark.parametrize("most", [100, 30])
    def test_variables_on_later_pages_are_found(self, fake: Bitbucket, most: int) -> None:
        fake.most_on_a_page = most
        for number in range(250):
            fake.put("acme/site", f"OTHER_{number}", "not ours")
        fake.put("acme/site", ID, "by hand")
        fake.put("acme/site", SECRET, "by hand")
        credential = fresh_credential()
        opened(fake, "bitbucket:acme/site").deliver(credential)
        assert fake.count("POST") == 0
        assert Variables(fake, "", "acme/site").read() == pair(credential)

    def test_one_page_is_one_request(self, fake: Bitbucket) -> None:
        for number in range(100):
            fake.put("acme/site", f"OTHER_{number}", "not ours")
        opened(fake, "bitbucket:acme/site").held()
        assert fake.count("GET") == 1

    @pytest.mark.parametrize("others", [9, 10, 25])
    def test_a_deployment_is_found_in_a_list_that_does_not_say_where_it_ends(
        self, fake: Bitbucket, others: int
    ) -> None:
        fake.add_repository("acme/many", *(f"Test {number}" for number in range(others)), "Production")
        credential = fresh_credential()
        opened(fake, "bitbucket:acme/many?deployment=Production").deliver(credential)
        assert fake.value(fake.environment("acme/many", "Production"), ID) == credential.access_key_id

    def test_a_list_whose_end_is_a_missing_page_ends(self, fake: Bitbucket) -> None:
        fake.add_repository("acme/ten", *(f"Test {number}" for number in range(10)))
        error = failed(opened(fake, "bitbucket:acme/ten?deployment=Production").preflight)
        assert isinstance(error, NotFound)

    def test_a_page_that_was_announced_and_is_missing_is_no_end(self, fake: Bitbucket) -> None:
        for number in range(150):
            fake.put("acme/site", f"OTHER_{number}", "not ours")
        fake.add(Fault("GET", "page=2", "refuse", status=404, body={"type": "error"}))
        assert isinstance(failed(opened(fake, "bitbucket:acme/site").held), NotFound)


class TestDeployments:
    def test_the_variables_of_environments_are_apart(self, fake: Bitbucket) -> None:
        credential = fresh_credential()
        opened(fake, "bitbucket:acme/api?deployment=Staging").deliver(credential)
        assert fake.value(fake.environment("acme/api", "Staging"), ID) == credential.access_key_id
        assert fake.value(fake.environment("acme/api", "Production"), ID) is None
        assert fake.value("acme/api", ID) is None

    def test_one_that_is_not_there_is_named_with_those_that_are(self, fake: Bitbucket) -> None:
        destination = opened(fake, "bitbucket:acme/api?deployment=production")
        for act in (destination.preflight, destination.held):
            error = failed(act)
            assert isinstance(error, NotFound)
            assert "Production, Staging, Test" in error.remedy

    def test_it_is_looked_up_once_for_a_delivery(self, fake: Bitbucket) -> None:
        destination = opened(fake, "bitbucket:acme/api?deployment=Test")
        destination.deliver(fresh_credential())
        destination.deliver(fresh_credential())
        assert fake.count("GET", "/environments?") == 1


class TestTokens:
    def test_an_api_token_goes_with_the_accounts_address(self, fake: Bitbucket) -> None:
        fake.email = "ci@acme.example"
        opened(fake, "bitbucket:acme/site", "ci@acme.example").preflight()
        error = failed(opened(fake, "bitbucket:acme/site").preflight)
        assert isinstance(error, BadCredentials)
        assert "`email`" in error.remedy

    def test_the_token_comes_from_the_environment(self, fake: Bitbucket, monkeypatch: pytest.MonkeyPatch) -> None:
        from twokey.destinations.ci import bitbucket

        monkeypatch.setenv("BITBUCKET_ACCESS_TOKEN", fake.token)
        found = bitbucket.CONNECTION.from_environment()
        assert isinstance(found, bitbucket.Settings)
        assert found.token.env == "BITBUCKET_ACCESS_TOKEN"

    @pytest.mark.parametrize(
        ("scopes", "missing"), [(("repository",), "pipeline"), (("pipeline",), "pipeline:variable")]
    )
    def test_the_scope_that_bitbucket_misses_is_named(
        self, fake: Bitbucket, scopes: tuple[str, ...], missing: str
    ) -> None:
        fake.scopes = scopes
        credential = fresh_credential()
        error = failed(lambda: opened(fake, "bitbucket:acme/site").deliver(credential))
        assert isinstance(error, AccessDenied)
        assert f"lacks the scope {missing};" in error.remedy
        assert "Edit variables" in error.remedy
        assert_silent(error, credential)

    def test_only_a_scope_is_quoted_of_what_bitbucket_says(self, fake: Bitbucket) -> None:
        credential = fresh_credential()
        body = {"error": {"message": "no", "detail": {"required": [str(credential.reveal())]}}}
        fake.add(Fault("POST", "/variables", "refuse", status=403, body=body))
        error = failed(lambda: opened(fake, "bitbucket:acme/site").deliver(credential))
        assert isinstance(error, AccessDenied)
        assert "Edit variables" in error.remedy
        assert_silent(error, credential)
