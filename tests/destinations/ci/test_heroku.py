"""Heroku's config vars: the contract for an app, and what is special to Heroku."""

from __future__ import annotations

import pytest

from support.token_backends import TokenBackend, running
from twokey.core.errors import ServiceRejected
from twokey.core.model import Held
from twokey.testing.contract import (
    Backend,
    DestinationContract,
    NamedValuesContract,
    fresh_credential,
    opened,
    outcome,
)
from twokey.testing.fakes.heroku import LONGEST, Heroku


class ConfigVars(TokenBackend):
    """Config vars on the fake."""

    fake: Heroku
    writes = ("PATCH", "/config-vars")
    bad_names = (
        "heroku:acme/site",
        "heroku:Site",
        "heroku:-site",
        "heroku:" + "s" * 31,
        "heroku:site?id=HEROKU_ID",
        "heroku:site?id=__ID",
        "heroku:site?secret=WITH-DASH",
        "heroku:site?stage=review",
    )

    def __init__(self, fake: Heroku, url: str = "heroku:site") -> None:
        super().__init__(fake, url)

    def value(self, name: str) -> str | None:
        return self.fake.apps.get("site", {}).get(name)

    def remove(self) -> None:
        del self.fake.apps["site"]

    def take_permission_away(self) -> None:
        self.fake.may_write = False


fake = running(Heroku)


class TestAnApp(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: Heroku) -> Backend:
        return ConfigVars(fake)


class TestAnAppOnHeroku:
    def test_is_restarted_once_by_a_delivery_and_not_at_all_by_the_next(self, fake: Heroku) -> None:
        credential = fresh_credential()
        destination = opened(ConfigVars(fake))
        assert destination.traits.atomic
        destination.deliver(credential)
        destination.deliver(credential)
        assert fake.releases == 1
        assert destination.held() == Held(credential.access_key_id)

    def test_keeps_its_other_config_vars(self, fake: Heroku) -> None:
        opened(ConfigVars(fake)).deliver(fresh_credential())
        assert fake.apps["site"]["DATABASE_URL"] == "postgres://site"

    def test_takes_no_more_than_heroku_allows(self, fake: Heroku) -> None:
        backend = ConfigVars(fake, f"heroku:site?format=template&template=$SecretAccessKey-{'x' * LONGEST}")
        assert isinstance(outcome(lambda: opened(backend).deliver(fresh_credential())), ServiceRejected)
        assert fake.count("PATCH") == 0

    def test_that_has_another_value_in_the_place_of_a_pair_keeps_it(self, fake: Heroku) -> None:
        """A single value that is not twokey's is refused before anything is created."""
        fake.apps["site"]["AWS"] = "-----BEGIN PRIVATE KEY-----"
        destination = opened(ConfigVars(fake, "heroku:site?format=json&name=AWS"))
        assert isinstance(outcome(destination.preflight), ServiceRejected)
        assert fake.releases == 0
