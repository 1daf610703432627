"""Buildkite's secrets: the contract for a cluster, and what is special to Buildkite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import AccessDenied, Ambiguous, NotFound, ServiceRejected
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
from twokey.testing.fakes.buildkite import LONGEST, Buildkite
from twokey.testing.server import Fault, ReceivedRequest, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Destination
    from twokey.core.secret import Credential

NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
CLUSTER = "00000000-0000-0000-0000-0000000000c1"


class Secrets(Backend):
    """Secrets on the fake."""

    writes = ("P*", "/secrets")
    bad_names = (
        "buildkite:acme",
        "buildkite:acme/default",
        f"buildkite:acme/{CLUSTER}/more",
        f"buildkite:-acme/{CLUSTER}",
        f"buildkite:acme/{CLUSTER}?id=BUILDKITE_ID",
        f"buildkite:acme/{CLUSTER}?id=bkId",
        f"buildkite:acme/{CLUSTER}?id=_ID",
        f"buildkite:acme/{CLUSTER}?secret=WITH-DASH",
        f"buildkite:acme/{CLUSTER}?secret=" + "X" * 256,
    )

    def __init__(self, fake: Buildkite, url: str = f"buildkite:acme/{CLUSTER}") -> None:
        self.fake: Buildkite = fake
        self.url = url

    def settings(self) -> dict[str, Any]:
        return {"token": {"env": "TEST_BUILDKITE_TOKEN"}, "url": self.fake.url}

    def read(self) -> dict[str, str] | None:
        found = [self.fake.secret(name) for name in NAMES]
        values = [one["value"] for one in found if one]
        return {"AccessKeyId": values[0], "SecretAccessKey": values[1]} if len(values) == 2 else None

    def plant(self, credential: Credential) -> None:
        registry.open_destination(self.url, services_of(self, Hurried())).deliver(credential)

    def remove(self) -> None:
        self.fake.delete(f"acme/{CLUSTER}")

    def spoil_token(self) -> None:
        self.fake.token = "another"

    def take_permission_away(self) -> None:
        self.fake.maintainer = False


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Buildkite]:
    with Buildkite() as buildkite:
        monkeypatch.setenv("TEST_BUILDKITE_TOKEN", buildkite.token)
        yield buildkite


def opened(fake: Buildkite, options: str = "", hurried: Hurried | None = None) -> Destination:
    backend = Secrets(fake, f"buildkite:acme/{CLUSTER}{options}")
    return registry.open_destination(backend.url, services_of(backend, hurried or Hurried()))


def shown(fake: Buildkite, name: str) -> Any:
    return {one: value for one, value in (fake.secret(name) or {}).items() if one in {"description", "policy"}}


class TestACluster(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: Buildkite) -> Backend:
        return Secrets(fake)


class TestAPair:
    @pytest.mark.parametrize("already", range(45, 51))
    def test_is_written_back_to_back_however_little_of_the_minute_is_left(
        self, fake: Buildkite, monkeypatch: pytest.MonkeyPatch, already: int
    ) -> None:
        """Descriptions count as requests, too, and leave before both values."""
        hurried, moments = Hurried(), []
        opened(fake).deliver(fresh_credential())
        destination: Any = opened(fake, hurried=hurried)
        for _ in range(already):
            destination.pace.wait(write=True)
        handle = fake.handle

        def timed(request: ReceivedRequest) -> Reply:
            if request.path.endswith("/value"):
                moments.append(hurried.slept)
            return handle(request)

        monkeypatch.setattr(fake, "handle", timed)
        destination.deliver(fresh_credential())
        assert len(moments) == 2
        assert moments[1] - moments[0] < 1
        assert hurried.slept > 30


def test_a_secret_is_found_whatever_its_case(fake: Buildkite) -> None:
    """Buildkite would take no second one."""
    for name in NAMES:
        fake.add_secret(name.lower())
    credential = fresh_credential()
    destination = opened(fake)
    assert isinstance(destination.held(), CannotTell)
    assert destination.deliver(credential).written
    assert (fake.secret(NAMES[0].lower()) or {})["value"] == credential.access_key_id


class TestDescriptions:
    def test_they_name_the_key_that_was_delivered_last(self, fake: Buildkite) -> None:
        destination = opened(fake)
        for credential in (fresh_credential(), fresh_credential()):
            destination.deliver(credential)
            for name in NAMES:
                described = f"Access key {credential.access_key_id}, rotated by twokey"
                assert shown(fake, name) == {"description": described, "policy": None}
            holding = destination.held()
            assert isinstance(holding, CannotTell)
            assert credential.access_key_id in holding.why

    def test_what_the_operator_wrote_stays_and_so_does_the_policy(self, fake: Buildkite) -> None:
        for name in NAMES:
            fake.add_secret(name, description="Deploys the site", policy="- pipeline_slug: site")
        credential = fresh_credential()
        opened(fake).deliver(credential)
        assert Secrets(fake).read() == pair(credential)
        for name in NAMES:
            assert shown(fake, name) == {"description": "Deploys the site", "policy": "- pipeline_slug: site"}

    def test_the_operators_words_around_the_keys_id_stay(self, fake: Buildkite) -> None:
        fake.add_secret(NAMES[0], description="Site. Access key AKIAOLD, rotated by twokey. Ask ops.")
        credential = fresh_credential()
        opened(fake).deliver(credential)
        described = f"Site. Access key {credential.access_key_id}, rotated by twokey. Ask ops."
        assert shown(fake, NAMES[0])["description"] == described

    def test_a_refused_description_means_that_no_value_was_written(self, fake: Buildkite) -> None:
        destination = opened(fake)
        older = fresh_credential()
        destination.deliver(older)
        fake.add(Fault("PUT", "/secrets/", "refuse", nth=2, status=422, body={"message": "Validation failed"}))
        assert isinstance(outcome(lambda: destination.deliver(fresh_credential())), ServiceRejected)
        assert Secrets(fake).read() == pair(older)

    def test_the_two_values_are_written_back_to_back(self, fake: Buildkite) -> None:
        destination = opened(fake)
        destination.deliver(fresh_credential())
        fake.clear()
        destination.deliver(fresh_credential())
        writes = [path.rpartition("/")[2] == "value" for method, path in fake.requests if method == "PUT"]
        assert writes == [False, False, True, True]


class TestValues:
    @pytest.mark.parametrize("effect", ["lost_response", "reset", "error_before", "error_after", "html", "truncated"])
    @pytest.mark.parametrize("nth", [1, 2])
    def test_one_bad_response_to_a_value_does_no_harm(self, fake: Buildkite, effect: Any, nth: int) -> None:
        destination = opened(fake)
        destination.deliver(fresh_credential())
        fake.add(Fault("PUT", "/value", effect, nth=nth))
        credential = fresh_credential()
        destination.deliver(credential)
        assert Secrets(fake).read() == pair(credential)

    @pytest.mark.parametrize("effect", ["lost_response", "error_after", "truncated"])
    def test_a_creation_whose_response_is_lost_is_found_again_and_not_repeated(
        self, fake: Buildkite, effect: Any
    ) -> None:
        fake.add(Fault("POST", "/secrets", effect))
        credential = fresh_credential()
        opened(fake).deliver(credential)
        assert Secrets(fake).read() == pair(credential)
        assert fake.count("POST") == 2

    def test_a_creation_that_did_not_take_place_is_in_doubt_and_the_next_delivery_mends_it(
        self, fake: Buildkite
    ) -> None:
        fake.add(Fault("POST", "/secrets", "reset"))
        credential = fresh_credential()
        error = outcome(lambda: opened(fake).deliver(credential))
        assert isinstance(error, Ambiguous)
        assert_silent(error, credential)
        assert fake.count("POST") == 1
        opened(fake).deliver(credential)
        assert Secrets(fake).read() == pair(credential)

    def test_what_the_service_says_of_a_replaced_value_never_brings_it_along(self, fake: Buildkite) -> None:
        destination = opened(fake)
        destination.deliver(fresh_credential())
        credential = fresh_credential()
        body = {"message": f"Validation failed: {credential.reveal()}"}
        fake.add(Fault("PUT", "/value", "refuse", nth=2, status=422, body=body))
        error = outcome(lambda: destination.deliver(credential))
        assert isinstance(error, Ambiguous)
        assert_silent(error, credential)

    @pytest.mark.parametrize("length", [LONGEST, LONGEST - 1])
    def test_a_value_that_is_too_long_is_refused_before_anything_is_written(self, fake: Buildkite, length: int) -> None:
        credential = fresh_credential()
        template = "$SecretAccessKey-" + "x" * (length - len(credential.reveal()) - 1)
        error = outcome(lambda: opened(fake, f"?format=template&template={template}&name=X").deliver(credential))
        assert isinstance(error, ServiceRejected) == (length == LONGEST)
        assert fake.count("P*") == (0 if length == LONGEST else 1)

    def test_secrets_on_later_pages_are_found(self, fake: Buildkite) -> None:
        for number in range(250):
            fake.add_secret(f"S{number}")
        destination = opened(fake)
        destination.deliver(fresh_credential())
        credential = fresh_credential()
        destination.deliver(credential)
        assert Secrets(fake).read() == pair(credential)

    def test_a_write_by_hand_shows_by_its_time(self, fake: Buildkite) -> None:
        destination = opened(fake)
        stamp = destination.deliver(fresh_credential()).stamp
        secret = fake.secret(NAMES[1])
        assert secret
        secret["updated_at"] = fake.stamp()
        holding = destination.held()
        assert isinstance(holding, CannotTell)
        assert holding.stamp != stamp


class TestRights:
    def test_a_token_without_the_scope_to_write_is_known_before_anything_is_created(self, fake: Buildkite) -> None:
        fake.scopes = ["read_secret_details"]
        error = outcome(opened(fake).preflight)
        assert isinstance(error, AccessDenied)
        assert "write_secrets" in error.remedy

    def test_a_token_without_the_scope_to_read_names_what_it_needs(self, fake: Buildkite) -> None:
        fake.scopes = ["write_secrets"]
        error = outcome(opened(fake).held)
        assert isinstance(error, AccessDenied)
        assert "read_secret_details" in error.remedy

    def test_a_user_who_does_not_maintain_the_cluster_is_denied_with_the_role(self, fake: Buildkite) -> None:
        fake.maintainer = False
        error = outcome(lambda: opened(fake).deliver(fresh_credential()))
        assert isinstance(error, AccessDenied)
        assert "the role maintainer on the cluster" in error.remedy

    def test_a_cluster_of_another_organization_is_not_found(self, fake: Buildkite) -> None:
        backend = Secrets(fake, f"buildkite:other/{CLUSTER}")
        error = outcome(registry.open_destination(backend.url, services_of(backend, Hurried())).preflight)
        assert isinstance(error, NotFound)

    def test_the_scopes_are_asked_for_once_in_a_run(self, fake: Buildkite) -> None:
        services = services_of(Secrets(fake), Hurried())
        for options in ("", "?id=OTHER"):
            registry.open_destination(f"buildkite:acme/{CLUSTER}{options}", services).preflight()
        assert fake.count("GET", "access-token") == 1


class TestLimits:
    def test_many_deliveries_all_arrive(self, fake: Buildkite) -> None:
        hurried = Hurried()
        fake.monotonic = hurried.monotonic
        fake.documented_limits()
        services = services_of(Secrets(fake), hurried)
        for number in range(20):
            url = f"buildkite:acme/{CLUSTER}?id=ID{number}&secret=SECRET{number}"
            registry.open_destination(url, services).deliver(fresh_credential())
        assert len(fake.clusters[f"acme/{CLUSTER}"]) == 40

    def test_the_51st_request_waits_for_a_minute_before_buildkite_has_to_refuse_it(self, fake: Buildkite) -> None:
        hurried = Hurried()
        destination = opened(fake, hurried=hurried)
        for _ in range(50):
            destination.held()
        assert hurried.slept == 0
        destination.held()
        assert 55 < hurried.slept <= 60

    def test_a_budget_that_others_used_up_is_waited_for_without_retry_after(self, fake: Buildkite) -> None:
        hurried = Hurried()
        fake.monotonic = hurried.monotonic
        fake.limit(lambda _: True, 1, 47)
        destination = opened(fake, hurried=hurried)
        destination.held()
        destination.held()
        assert 44 < hurried.slept < 50

    def test_a_budget_that_a_good_response_tells_is_used_up_is_heeded(
        self, fake: Buildkite, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hurried = Hurried()
        handle = fake.handle

        def spent(request: Any) -> Any:
            reply = handle(request)
            budget = {"RateLimit-Remaining": "0", "RateLimit-Reset": "12", "RateLimit-User-Remaining": "0"}
            return type(reply)(reply.status, reply.body, {**budget, "RateLimit-User-Reset": "42"})

        monkeypatch.setattr(fake, "handle", spent)
        destination = opened(fake, hurried=hurried)
        destination.held()
        assert hurried.slept == 0
        destination.held()
        assert 41 < hurried.slept < 43
