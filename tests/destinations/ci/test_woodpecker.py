"""Woodpecker's secrets: the contract for a repository, and what is special to Woodpecker."""

from __future__ import annotations

import pytest

from support.token_backends import TokenBackend, running
from twokey.core.errors import NotFound, ServiceRejected, UsageError
from twokey.destinations import registry
from twokey.testing.contract import (
    Backend,
    DestinationContract,
    NamedValuesContract,
    fresh_credential,
    opened,
    outcome,
    pair,
)
from twokey.testing.fakes.woodpecker import MOST, Woodpecker
from twokey.testing.server import Fault


class Secrets(TokenBackend):
    """Secrets on the fake, as pipelines see them: without regard to case."""

    fake: Woodpecker
    writes = ("P*", "/secrets")
    bad_names = (
        "woodpecker:site",
        "woodpecker:acme/..",
        "woodpecker:acme/si te",
        "woodpecker-org:acme/",
        "woodpecker:acme/site?events=push,merge",
        "woodpecker:acme/site?id=1ST",
        "woodpecker:acme/site?secret=WITH-DASH",
    )

    def __init__(self, fake: Woodpecker, url: str = "woodpecker:acme/site", owner: str = "repos/7") -> None:
        super().__init__(fake, url)
        self.owner = owner

    def value(self, name: str) -> str | None:
        found = self.fake.secrets.get(self.owner, {})
        return next((one["value"] for one in found.values() if one["name"].lower() == name.lower()), None)

    def remove(self) -> None:
        self.fake.delete("repos/acme/site")


fake = running(Woodpecker)


class TestARepository(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: Woodpecker) -> Backend:
        return Secrets(fake)


def test_an_organization_gets_the_pair(fake: Woodpecker) -> None:
    backend = Secrets(fake, "woodpecker-org:acme", "orgs/3")
    credential = fresh_credential()
    opened(backend).deliver(credential)
    assert backend.read() == pair(credential)
    assert fake.secrets["repos/7"] == {}


class TestANewSecret:
    def test_is_for_all_events_but_those_of_pull_requests(self, fake: Woodpecker) -> None:
        opened(Secrets(fake)).deliver(fresh_credential())
        for one in fake.secrets["repos/7"].values():
            assert one["events"] == ["push", "tag", "release", "deployment", "cron", "manual"]

    def test_is_for_the_events_of_the_option(self, fake: Woodpecker) -> None:
        opened(Secrets(fake, "woodpecker:acme/site?events=push,pull_request")).deliver(fresh_credential())
        for one in fake.secrets["repos/7"].values():
            assert one["events"] == ["push", "pull_request"]

    def test_whose_response_is_lost_is_created_once_and_then_written(self, fake: Woodpecker) -> None:
        fake.add(Fault("POST", "/secrets", "lost_response"))
        backend = Secrets(fake)
        credential = fresh_credential()
        opened(backend).deliver(credential)
        assert backend.read() == pair(credential)
        assert (fake.count("POST"), fake.count("PATCH")) == (2, 1)


class TestAnExistingSecret:
    def test_keeps_its_events_images_and_a_note_of_the_operator(self, fake: Woodpecker) -> None:
        kept = {"events": ["cron"], "images": ["plugins/s3"], "note": "for uploads"}
        fake.add_secret("repos/7", "AWS_ACCESS_KEY_ID", "x", **kept)
        credential = fresh_credential()
        opened(Secrets(fake)).deliver(credential)
        first, second = fake.secrets["repos/7"].values()
        assert {name: first[name] for name in kept} == kept
        assert second["note"] == f"Access key {credential.access_key_id}, rotated by twokey"

    def test_with_a_name_in_another_case_is_the_one_that_is_written(self, fake: Woodpecker) -> None:
        fake.add_secret("repos/7", "aws_access_key_id", "x")
        backend = Secrets(fake)
        credential = fresh_credential()
        opened(backend).deliver(credential)
        assert backend.read() == pair(credential)
        assert set(fake.secrets["repos/7"]) == {"aws_access_key_id", "AWS_SECRET_ACCESS_KEY"}
        with pytest.raises(UsageError, match="the name of two values"):
            registry.parse("woodpecker:acme/site?id=AWS_KEY&secret=aws_key")

    def test_with_a_twin_is_refused_before_anything_is_created(self, fake: Woodpecker) -> None:
        for name in ("aws_access_key_id", "AWS_ACCESS_KEY_ID"):
            fake.add_secret("repos/7", name, "x")
        error = outcome(opened(Secrets(fake)).preflight)
        assert isinstance(error, ServiceRejected)
        assert "differ in case only" in error.message

    def test_is_found_on_a_later_page(self, fake: Woodpecker) -> None:
        for number in range(MOST):
            fake.add_secret("repos/7", f"A{number}", "x")
        fake.add_secret("repos/7", "AWS_SESSION_TOKEN", "x")
        opened(Secrets(fake)).deliver(fresh_credential())
        assert "AWS_SESSION_TOKEN" not in fake.secrets["repos/7"]


def test_a_user_who_may_not_push_is_told_so_before_anything_is_created(fake: Woodpecker) -> None:
    fake.pushes = False
    error = outcome(opened(Secrets(fake)).preflight)
    assert isinstance(error, NotFound)
    assert "the permission push on the repository" in error.remedy
