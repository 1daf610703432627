"""Travis CI's variables: the contract for a repository and for one branch, and what is special to Travis CI."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import AccessDenied, Ambiguous, BadCredentials, NotFound, ServiceRejected, Throttled
from twokey.core.model import CannotTell, NotHeld
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
from twokey.testing.fakes.travis import Travis
from twokey.testing.server import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Destination
    from twokey.core.secret import Credential
    from twokey.destinations.registry import Services

NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class Variables(Backend):
    """Variables on the fake, as a job on a branch reads them."""

    writes = ("P*", "/env_var")
    bad_names = (
        "travis:acme",
        "travis:acme/site/more",
        "travis:acme/..",
        "travis:acme/site?id=1ST",
        "travis:acme/site?secret=WITH-DASH",
        "travis:acme/site?branch=",
        "travis:acme/site?provider=svn",
    )

    def __init__(self, fake: Travis, url: str = "travis:acme/site", branch: str = "any") -> None:
        self.fake: Travis = fake
        self.url = url
        self.branch = branch
        self.inside = "github/acme/site"

    def settings(self) -> dict[str, Any]:
        return {"token": {"env": "TEST_TRAVIS_TOKEN"}, "url": self.fake.url}

    def read(self) -> dict[str, str] | None:
        found = [self.fake.value(self.inside, name, self.branch) for name in NAMES]
        return None if None in found else {"AccessKeyId": str(found[0]), "SecretAccessKey": str(found[1])}

    def plant(self, credential: Credential) -> None:
        registry.open_destination(self.url, services_of(self, Hurried())).deliver(credential)

    def remove(self) -> None:
        self.fake.delete(self.inside)

    def spoil_token(self) -> None:
        self.fake.token = "another"

    def take_permission_away(self) -> None:
        self.fake.may = {"create_env_var": False, "write": False}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Travis]:
    with Travis() as travis:
        monkeypatch.setenv("TEST_TRAVIS_TOKEN", travis.token)
        yield travis


def opened(fake: Travis, url: str = "travis:acme/site", hurried: Hurried | None = None) -> Destination:
    return registry.open_destination(url, services_of(Variables(fake, url), hurried or Hurried()))


class TestARepository(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: Travis) -> Backend:
        return Variables(fake)


class TestABranch(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: Travis) -> Backend:
        return Variables(fake, "travis:acme/site?branch=release/1", "release/1")


class TestBranches:
    def test_each_branch_keeps_its_own_and_so_do_all_others(self, fake: Travis) -> None:
        for_all, for_main, for_next = fresh_credential(), fresh_credential(), fresh_credential()
        opened(fake).deliver(for_all)
        opened(fake, "travis:acme/site?branch=main").deliver(for_main)
        opened(fake, "travis:acme/site?branch=next").deliver(for_next)
        assert Variables(fake, branch="main").read() == pair(for_main)
        assert Variables(fake, branch="next").read() == pair(for_next)
        assert Variables(fake, branch="other").read() == pair(for_all)

    def test_a_branch_without_variables_is_empty_although_the_repository_is_not(self, fake: Travis) -> None:
        opened(fake).deliver(fresh_credential())
        assert opened(fake, "travis:acme/site?branch=main").held() == NotHeld()

    def test_of_two_with_the_same_name_the_one_that_jobs_see_is_replaced(self, fake: Travis) -> None:
        for value in ("first", "second"):
            for name in NAMES:
                fake.add_variable("github/acme/site", name, value)
        credential = fresh_credential()
        opened(fake).deliver(credential)
        assert Variables(fake).read() == pair(credential)


class TestPrivacy:
    def test_new_variables_are_private(self, fake: Travis) -> None:
        opened(fake).deliver(fresh_credential())
        assert [one["public"] for one in fake.repositories["github/acme/site"]] == [False, False]

    def test_a_public_variable_becomes_private_even_where_it_held_the_key_already(self, fake: Travis) -> None:
        credential = fresh_credential()
        for name, value in zip(NAMES, pair(credential).values(), strict=True):
            fake.add_variable("github/acme/site", name, value, public=True)
        assert isinstance(opened(fake).held(), CannotTell)
        assert opened(fake).deliver(credential).written
        assert [one["public"] for one in fake.repositories["github/acme/site"]] == [False, False]

    def test_a_value_with_a_meaning_to_the_shell_reaches_the_job_as_it_is(self, fake: Travis) -> None:
        credential = fresh_credential()
        opened(fake, "travis:acme/site?format=json&name=AWS").deliver(credential)
        assert json.loads(fake.value("github/acme/site", "AWS", "any") or "") == pair(credential)

    def test_id_and_secret_are_stored_without_quotes(self, fake: Travis) -> None:
        credential = fresh_credential()
        opened(fake).deliver(credential)
        assert {one["value"] for one in fake.repositories["github/acme/site"]} == set(pair(credential).values())


class TestCreating:
    @pytest.mark.parametrize("effect", ["lost_response", "error_after", "truncated"])
    def test_a_creation_whose_response_is_lost_is_found_again_and_not_repeated(self, fake: Travis, effect: Any) -> None:
        fake.add(Fault("POST", "/env_vars", effect))
        credential = fresh_credential()
        opened(fake).deliver(credential)
        assert Variables(fake).read() == pair(credential)
        assert fake.count("POST") == 2

    def test_a_creation_that_did_not_take_place_is_in_doubt_and_the_next_delivery_mends_it(self, fake: Travis) -> None:
        fake.add(Fault("POST", "/env_vars", "reset"))
        credential = fresh_credential()
        error = outcome(lambda: opened(fake).deliver(credential))
        assert isinstance(error, Ambiguous)
        assert_silent(error, credential)
        assert fake.count("POST") == 1
        opened(fake).deliver(credential)
        assert Variables(fake).read() == pair(credential)

    def test_a_variable_that_another_client_created_meanwhile_is_not_overwritten(self, fake: Travis) -> None:
        fake.add(Fault("GET", "/env_vars", "refuse", status=200, body={"@type": "env_vars", "env_vars": []}))
        fake.add_variable("github/acme/site", NAMES[0], "by-hand")
        assert isinstance(outcome(lambda: opened(fake).deliver(fresh_credential())), ServiceRejected)
        assert fake.value("github/acme/site", NAMES[0], "any") == "by-hand"


class TestOneDocument:
    def test_writes_to_a_repository_come_one_after_the_other(self, fake: Travis) -> None:
        """Two at once would each write the document that it read, and one variable would be lost."""
        urls = ("travis:acme/site", "travis:acme/site?branch=main")
        for url in urls:
            opened(fake, url).deliver(fresh_credential())
        services: Services = services_of(Variables(fake), Hurried())
        first, second = (registry.open_destination(url, services) for url in urls)
        fake.clear()
        fake.add(Fault("PATCH", "/env_var/", "stall", after=1.5))
        threads = [threading.Thread(target=one.deliver, args=(fresh_credential(),)) for one in (first, second)]
        threads[0].start()
        until(lambda: fake.count("PATCH") == 1)
        threads[1].start()
        until(lambda: fake.count("GET") == 2)
        time.sleep(0.1)
        assert fake.count("PATCH") == 1
        for thread in threads:
            thread.join(60)
        assert fake.count("PATCH") == 5


def until(true: Any) -> None:
    deadline = time.monotonic() + 600
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class TestRefusals:
    def test_a_token_is_refused_by_two_words_that_claim_to_be_a_page(self, fake: Travis) -> None:
        fake.token = "another"
        error = outcome(opened(fake).held)
        assert isinstance(error, BadCredentials)
        assert "TEST_TRAVIS_TOKEN" in error.remedy

    def test_an_api_that_asks_for_a_login_refuses_the_token_too(self, fake: Travis) -> None:
        body = {"@type": "error", "error_type": "login_required", "error_message": "login required"}
        fake.add(Fault("GET", "/env_vars", "refuse", times=None, status=403, body=body))
        assert isinstance(outcome(opened(fake).held), BadCredentials)

    def test_a_token_that_was_replaced_meanwhile_is_read_again(
        self, fake: Travis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        destination = opened(fake)
        destination.held()
        fake.token = "the-next"
        monkeypatch.setenv("TEST_TRAVIS_TOKEN", fake.token)
        assert destination.deliver(fresh_credential()).written

    def test_a_token_that_may_only_look_is_known_before_anything_is_created(self, fake: Travis) -> None:
        fake.may["create_env_var"] = False
        error = outcome(opened(fake).preflight)
        assert isinstance(error, AccessDenied)
        assert "repository's settings" in error.remedy

    def test_a_token_that_may_change_what_is_there_need_not_make_variables(self, fake: Travis) -> None:
        opened(fake).deliver(fresh_credential())
        fake.may["create_env_var"] = False
        opened(fake).preflight()
        fake.may["write"] = False
        assert isinstance(outcome(opened(fake).preflight), AccessDenied)

    def test_a_repository_of_another_provider_is_looked_for_there(self, fake: Travis) -> None:
        url = "travis:acme/site?provider=gitlab"
        assert isinstance(outcome(opened(fake, url).preflight), NotFound)
        fake.repositories["gitlab/acme/site"] = []
        opened(fake, url).deliver(fresh_credential())
        assert len(fake.repositories["gitlab/acme/site"]) == 2
        assert fake.repositories["github/acme/site"] == []

    def test_a_repository_that_has_moved_says_where_to(self, fake: Travis) -> None:
        fake.migrated = True
        error = outcome(lambda: opened(fake).deliver(fresh_credential()))
        assert isinstance(error, ServiceRejected)
        assert "travis-ci.com" in error.message

    def test_many_deliveries_do_not_get_the_token_shut_out(self, fake: Travis) -> None:
        hurried = Hurried()
        fake.monotonic = hurried.monotonic
        fake.documented_limits()
        services = services_of(Variables(fake), hurried)
        for number in range(40):
            url = f"travis:acme/site?branch=b{number}"
            registry.open_destination(url, services).deliver(fresh_credential())
        assert fake.count("POST") == 80

    def test_a_token_that_is_shut_out_is_reported_to_be_so_for_an_hour(self, fake: Travis) -> None:
        fake.add(Fault("GET", "/env_vars", "refuse", status=403, body=b"Forbidden\n"))
        error = outcome(opened(fake).held)
        assert isinstance(error, Throttled)
        assert "hour" in error.message
