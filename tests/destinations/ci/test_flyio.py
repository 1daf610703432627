"""Fly.io's secrets: the contract for an app, and what is special to Fly.io."""

from __future__ import annotations

import pytest

from support.token_backends import TOKEN, TokenBackend, running
from twokey.testing.contract import Backend, DestinationContract, NamedValuesContract, fresh_credential, opened
from twokey.testing.fakes.flyio import FlyIo


class Secrets(TokenBackend):
    """Secrets on the fake."""

    fake: FlyIo
    writes = ("POST", "/secrets")
    bad_names = ("flyio:acme/site", "flyio:Site", "flyio:-site", "flyio:site?id=1ST", "flyio:site?secret=WITH-DASH")

    def __init__(self, fake: FlyIo, url: str = "flyio:site") -> None:
        super().__init__(fake, url)

    def value(self, name: str) -> str | None:
        found = self.fake.apps.get("site", {}).get(name)
        return found["value"] if found else None

    def remove(self) -> None:
        del self.fake.apps["site"]

    def take_permission_away(self) -> None:
        self.fake.may_write = False


fake = running(FlyIo)


class TestAnApp(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: FlyIo) -> Backend:
        return Secrets(fake)

    def test_gets_both_values_by_one_request_and_keeps_its_others(self, fake: FlyIo) -> None:
        destination = opened(Secrets(fake))
        assert destination.traits.atomic
        destination.deliver(fresh_credential())
        assert fake.count("POST") == 1
        assert fake.apps["site"]["OTHER"]["value"] == "x"


@pytest.mark.parametrize("token", ["fm2_abc,fm2_def", "FlyV1 fm2_abc", "fo1_oauth"])
def test_each_kind_of_token_is_sent_with_its_scheme(fake: FlyIo, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv(TOKEN, token)
    fake.token = token.removeprefix("FlyV1 ")
    assert opened(Secrets(fake)).deliver(fresh_credential()).written
