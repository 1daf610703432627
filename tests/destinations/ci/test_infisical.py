"""Infisical's secrets: the contract for a folder, and what is special to Infisical."""

from __future__ import annotations

from typing import Any

import pytest

from support.token_backends import TOKEN, TokenBackend, running
from twokey.core.errors import Ambiguous, BadCredentials, NotFound, ServiceRejected, UsageError
from twokey.core.model import CannotTell, Held
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
from twokey.testing.fakes.infisical import PROJECT, Infisical

URL = f"infisical:{PROJECT}/prod"


class Secrets(TokenBackend):
    """Secrets of a folder on the fake."""

    fake: Infisical
    writes = ("PATCH", "/batch")
    bad_names = (
        f"infisical:{PROJECT}",
        "infisical:site/prod",
        f"infisical:{PROJECT}/Prod",
        f"infisical:{PROJECT}/prod/",
        f"infisical:{PROJECT}/prod/../ci",
        f"infisical:{PROJECT}/prod?id=1ST",
        f"infisical:{PROJECT}/prod?secret=WITH-DASH",
        f"infisical:{PROJECT}/prod?path=/ci",
    )

    def __init__(self, fake: Infisical, url: str = URL, path: str = "/") -> None:
        super().__init__(fake, url)
        self.path = path

    def value(self, name: str) -> str | None:
        return self.fake.value(self.path, name)

    def remove(self) -> None:
        self.fake.delete(self.path)

    def take_permission_away(self) -> None:
        self.fake.may_write = False


class WithUniversalAuth(Secrets):
    """The same, reached with a client secret."""

    def settings(self) -> dict[str, Any]:
        return {"client_id": self.fake.client[0], "client_secret": {"env": TOKEN}, "url": f"{self.fake.url}/api"}


fake = running(Infisical)


class TestAFolder(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: Infisical) -> Backend:
        return Secrets(fake)


class TestADelivery:
    def test_is_one_request_for_a_folder_by_its_path(self, fake: Infisical) -> None:
        backend = Secrets(fake, f"{URL}/ci", "/ci")
        credential = fresh_credential()
        destination = opened(backend)
        assert destination.traits.atomic
        destination.deliver(credential)
        assert backend.read() == pair(credential)
        assert fake.count("PATCH") == 1
        assert destination.held() == Held(credential.access_key_id)

    def test_keeps_a_comment_of_the_operator(self, fake: Infisical) -> None:
        folder = fake.folders[PROJECT, "prod", "/"]
        fake.write(folder, "AWS_ACCESS_KEY_ID", "x", "for uploads")
        credential = fresh_credential()
        opened(Secrets(fake)).deliver(credential)
        assert folder["AWS_ACCESS_KEY_ID"]["secretComment"] == "for uploads"
        note = f"Access key {credential.access_key_id}, rotated by twokey"
        assert folder["AWS_SECRET_ACCESS_KEY"]["secretComment"] == note

    def test_never_overwrites_a_reference(self, fake: Infisical) -> None:
        fake.write(fake.folders[PROJECT, "prod", "/"], "AWS_ACCESS_KEY_ID", "${shared.AWS_ACCESS_KEY_ID}")
        for act in (opened(Secrets(fake)).preflight, lambda: opened(Secrets(fake)).deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert "reference" in error.message
        assert fake.count("PATCH") == 0

    def test_that_waits_for_approval_is_in_doubt(self, fake: Infisical) -> None:
        """It may take effect later: its key must not be deleted."""
        fake.protected = True
        error = outcome(lambda: opened(Secrets(fake)).deliver(fresh_credential()))
        assert isinstance(error, Ambiguous)
        assert "approval" in error.message
        assert "approves" in error.state

    def test_of_an_identity_that_may_not_read_values_is_confirmed_by_the_version(self, fake: Infisical) -> None:
        fake.may_read_values = False
        destination = opened(Secrets(fake))
        receipt = destination.deliver(fresh_credential())
        holding = destination.held()
        assert isinstance(holding, CannotTell)
        assert holding.stamp == receipt.stamp
        fake.write(fake.folders[PROJECT, "prod", "/"], "AWS_SECRET_ACCESS_KEY", "by hand")
        later = destination.held()
        assert isinstance(later, CannotTell)
        assert later.stamp != receipt.stamp

    def test_to_another_project_is_not_found(self, fake: Infisical) -> None:
        other = Secrets(fake, URL.replace(PROJECT, "00000000-0000-0000-0000-000000000000"))
        assert isinstance(outcome(opened(other).preflight), NotFound)


class TestUniversalAuth:
    def test_logs_in_once_and_again_when_the_token_is_refused(
        self, fake: Infisical, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(TOKEN, fake.client[1])
        destination = opened(WithUniversalAuth(fake))
        destination.preflight()
        destination.deliver(fresh_credential())
        assert fake.logins == 1
        fake.token = "eyJthe-next"
        destination.preflight()
        assert fake.logins == 2

    def test_that_is_refused_names_the_client_secret(self, fake: Infisical, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(TOKEN, "another")
        error = outcome(opened(WithUniversalAuth(fake)).preflight)
        assert isinstance(error, BadCredentials)
        assert TOKEN in error.remedy

    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"token": {"env": TOKEN}, "client_secret": {"env": TOKEN}, "client_id": "x"},
            {"client_secret": {"env": TOKEN}},
            {"token": {"env": TOKEN}, "client_id": "x"},
        ],
    )
    def test_needs_both_settings_and_no_token(self, fake: Infisical, settings: dict[str, Any]) -> None:
        services = services_of(Secrets(fake), Hurried(), {"url": fake.url, **settings})
        with pytest.raises(UsageError, match="either token, or client_id and client_secret"):
            registry.open_destination(URL, services)
