"""Gitea's and Forgejo's secrets: the contract for a repository, and what is special to them."""

from __future__ import annotations

import pytest

from support.token_backends import TokenBackend, running
from twokey.core.errors import AccessDenied, NotFound, ServiceRejected, UsageError
from twokey.core.model import CannotTell
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
from twokey.testing.fakes.gitea import LONGEST, Gitea


class Secrets(TokenBackend):
    """Secrets on the fake: ``inside`` is the repository or the organization."""

    fake: Gitea
    writes = ("PUT", "/secrets/")
    bad_names = (
        "gitea:acme/site/more",
        "gitea:acme/..",
        "gitea:./site",
        "gitea:ac me/site",
        "gitea:acme/site?id=GITEA_ID",
        "gitea:acme/site?id=gitHub_id",
        "gitea:acme/site?id=FORGEJO_ID",
        "gitea:acme/site?id=1ST",
        "gitea:acme/site?secret=WITH-DASH",
        "gitea:acme/site?environment=production",
    )

    def __init__(self, fake: Gitea, url: str = "gitea:acme/site", inside: str = "repos/acme/site") -> None:
        super().__init__(fake, url)
        self.inside = inside

    def value(self, name: str) -> str | None:
        found = self.fake.secret(self.inside, name)
        return found["data"] if found else None

    def remove(self) -> None:
        self.fake.delete(self.inside)

    def take_permission_away(self) -> None:
        self.fake.scopes = {"read:repository"}


fake = running(Gitea)


class TestARepository(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: Gitea) -> Backend:
        return Secrets(fake)


class TestAnOrganization:
    def test_gets_the_pair(self, fake: Gitea) -> None:
        backend = Secrets(fake, "gitea:acme", "orgs/acme")
        credential = fresh_credential()
        opened(backend).deliver(credential)
        assert backend.read() == pair(credential)
        assert fake.targets["repos/acme/site"] == {}

    def test_needs_a_scope_of_its_own_and_an_owner(self, fake: Gitea) -> None:
        fake.scopes = {"write:repository"}
        error = outcome(opened(Secrets(fake, "gitea:acme", "orgs/acme")).preflight)
        assert isinstance(error, AccessDenied)
        assert "the scope write:organization and the role owner on the organization" in error.remedy


class TestTheDescription:
    def test_names_the_key_and_never_the_secret(self, fake: Gitea) -> None:
        credential = fresh_credential()
        opened(Secrets(fake)).deliver(credential)
        found = fake.targets["repos/acme/site"]["AWS_SECRET_ACCESS_KEY"]["description"]
        assert found == f"Access key {credential.access_key_id}, rotated by twokey"
        holding = opened(Secrets(fake)).held()
        assert isinstance(holding, CannotTell)
        assert credential.access_key_id in holding.why

    def test_of_the_operator_stays(self, fake: Gitea) -> None:
        destination = opened(Secrets(fake))
        destination.deliver(fresh_credential())
        fake.targets["repos/acme/site"]["AWS_ACCESS_KEY_ID"]["description"] = "for the deployment"
        newer = fresh_credential()
        destination.deliver(newer)
        shown = [one["description"] for one in fake.targets["repos/acme/site"].values()]
        assert shown == ["for the deployment", f"Access key {newer.access_key_id}, rotated by twokey"]

    def test_does_not_exist_in_forgejo(self, fake: Gitea) -> None:
        fake.describes = False
        backend = Secrets(fake)
        credential = fresh_credential()
        opened(backend).deliver(credential)
        assert backend.read() == pair(credential)
        assert isinstance(opened(backend).held(), CannotTell)


class TestPages:
    def test_are_all_read_also_where_the_server_makes_them_shorter_than_requested(self, fake: Gitea) -> None:
        """Otherwise a session token on a later page would stay, and the pair would be useless."""
        fake.most = 3
        backend = Secrets(fake)
        for number in range(10):
            fake.targets["repos/acme/site"][f"A{number}"] = {
                "name": f"A{number}",
                "data": "x",
                "description": "",
                "created_at": fake.stamp(),
            }
        session = {"name": "AWS_SESSION_TOKEN", "data": "x", "description": "", "created_at": fake.stamp()}
        fake.targets["repos/acme/site"]["AWS_SESSION_TOKEN"] = session
        credential = fresh_credential()
        assert opened(backend).deliver(credential).written
        assert backend.read() == pair(credential)
        assert "AWS_SESSION_TOKEN" not in fake.targets["repos/acme/site"]


class TestNames:
    def test_differ_only_in_case_for_one_secret(self, fake: Gitea) -> None:
        backend = Secrets(fake)
        opened(backend).deliver(fresh_credential())
        lower = Secrets(fake, "gitea:acme/site?id=aws_access_key_id&secret=aws_secret_access_key")
        credential = fresh_credential()
        opened(lower).deliver(credential)
        assert backend.read() == pair(credential)
        assert len(fake.targets["repos/acme/site"]) == 2
        with pytest.raises(UsageError, match="the name of two values"):
            registry.parse("gitea:acme/site?id=AWS_KEY&secret=aws_key")


class TestRefusals:
    def test_a_renamed_repository_is_known_before_anything_is_created(self, fake: Gitea) -> None:
        """Gitea redirects; a write by the old name may not reach the repository."""
        fake.renamed = {"repos/acme/old": "repos/acme/site"}
        error = outcome(opened(Secrets(fake, "gitea:acme/old", "repos/acme/site")).preflight)
        assert isinstance(error, ServiceRejected)
        assert "/repos/acme/site/" in error.remedy

    def test_a_user_who_is_no_owner_is_known_before_anything_is_created(self, fake: Gitea) -> None:
        fake.owner = False
        error = outcome(opened(Secrets(fake)).preflight)
        assert isinstance(error, AccessDenied)
        assert "the scope write:repository and the role owner on the repository" in error.remedy

    def test_a_missing_organization_is_not_found(self, fake: Gitea) -> None:
        assert isinstance(outcome(opened(Secrets(fake, "gitea:nobody", "orgs/nobody")).preflight), NotFound)

    def test_a_value_that_is_too_long_is_refused_before_it_is_sent(self, fake: Gitea) -> None:
        backend = Secrets(fake, f"gitea:acme/site?format=template&template=$SecretAccessKey-{'x' * LONGEST}")
        assert isinstance(outcome(lambda: opened(backend).deliver(fresh_credential())), ServiceRejected)
        assert fake.count("PUT") == 0
