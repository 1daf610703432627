"""Octopus Deploy's AWS accounts: the contract for an account, and what is special to documents that are sent back."""

from __future__ import annotations

import pytest

from support.token_backends import TokenBackend, running
from twokey.core.errors import ServiceRejected
from twokey.core.model import CannotTell, Held
from twokey.testing.contract import Backend, DestinationContract, fresh_credential, opened, outcome, pair
from twokey.testing.fakes.octopus import Octopus


class Account(TokenBackend):
    """The account ``aws deploy`` on the fake."""

    fake: Octopus
    writes = ("P*", "/accounts")
    names = ("AccessKey", "secret")
    bad_names = (
        "octopus:aws",
        "octopus:Default/aws",
        "octopus:Spaces-1/",
        "octopus:Spaces-1/ aws",
        "octopus:Spaces-1/a/b",
        "octopus:Spaces-1/aws?format=json",
    )

    def __init__(self, fake: Octopus, url: str = "octopus:Spaces-1/aws deploy") -> None:
        super().__init__(fake, url)

    def value(self, name: str) -> str | None:
        found = self.fake.account("aws deploy")
        return found[name] if found else None

    def remove(self) -> None:
        del self.fake.spaces["Spaces-1"]

    def take_permission_away(self) -> None:
        self.fake.may_write = False


fake = running(Octopus)


class TestAnAccount(DestinationContract):
    compares_secrets = False

    @pytest.fixture
    def backend(self, fake: Octopus) -> Backend:
        return Account(fake)


class TestAnExistingAccount:
    def test_keeps_everything_else_as_it_is(self, fake: Octopus) -> None:
        kept = {
            "EnvironmentIds": ["Environments-2"],
            "TenantTags": ["Region/EU"],
            "Description": "uploads",
            "Region": "x",
        }
        fake.add_account("aws deploy", AccessKey="AKIAOLD", secret="x", **kept)
        backend = Account(fake)
        credential = fresh_credential()
        opened(backend).deliver(credential)
        assert backend.read() == pair(credential)
        found = fake.account("aws deploy")
        assert found is not None
        assert {name: found[name] for name in kept} == kept

    def test_whose_description_is_twokeys_names_the_key(self, fake: Octopus) -> None:
        for _ in range(2):
            credential = fresh_credential()
            opened(Account(fake)).deliver(credential)
            found = fake.account("aws deploy")
            assert found is not None
            assert found["Description"] == f"Access key {credential.access_key_id}, rotated by twokey"

    def test_of_another_type_is_refused_before_anything_is_created(self, fake: Octopus) -> None:
        fake.add_account("aws deploy", AccountType="UsernamePassword")
        error = outcome(opened(Account(fake)).preflight)
        assert isinstance(error, ServiceRejected)
        assert "UsernamePassword" in error.message

    def test_without_a_key_cannot_tell(self, fake: Octopus) -> None:
        fake.add_account("aws deploy")
        assert isinstance(opened(Account(fake)).held(), CannotTell)


class TestAName:
    def test_is_found_among_names_that_contain_it_on_every_page(self, fake: Octopus) -> None:
        for number in range(5):
            fake.add_account(f"aws deploy {number}", AccessKey="AKIAOTHER", secret="x")
        fake.add_account("aws deploy", AccessKey="AKIAOLD", secret="x")
        fake.most = 2
        assert opened(Account(fake)).held() == Held("AKIAOLD")

    def test_is_the_same_in_another_case(self, fake: Octopus) -> None:
        fake.add_account("aws deploy", AccessKey="AKIAOLD", secret="x")
        assert opened(Account(fake, "octopus:Spaces-1/AWS Deploy")).held() == Held("AKIAOLD")
