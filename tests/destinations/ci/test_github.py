"""GitHub's secrets: the contract for every kind of target, and what is special to GitHub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import NotFound, ServiceRejected
from twokey.destinations import registry
from twokey.testing.contract import (
    Backend,
    DestinationContract,
    Hurried,
    NamedValuesContract,
    fresh_credential,
    opened,
    outcome,
    services_of,
)
from twokey.testing.fakes.github import GitHub

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.secret import Credential


class Secrets(Backend):
    """Secrets on the fake: ``inside`` is how the fake calls the set that they are in."""

    writes = ("PUT", "/secrets/")
    sealed = True
    bad_names = (
        "github:acme/site?id=GITHUB_ID",
        "github:acme/site?id=1ST",
        "github:acme/site?secret=WITH-DASH",
        "github:acme/site/more",
        "github:acme/site?set=action",
        "github:acme/site?set=dependabot&environment=x",
        "github:acme/site?visibility=all",
        "github:acme?visibility=selected",
        "github:acme?repositories=site",
        "github:-acme/site",
    )

    def __init__(self, fake: GitHub, url: str, inside: str) -> None:
        self.fake: GitHub = fake
        self.url = url
        self.inside = inside

    def settings(self) -> dict[str, Any]:
        return {"token": {"env": "TEST_GITHUB_TOKEN"}, "url": self.fake.url}

    def read(self) -> dict[str, str] | None:
        found = [self.fake.value(self.inside, name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
        return None if None in found else {"AccessKeyId": str(found[0]), "SecretAccessKey": str(found[1])}

    def plant(self, credential: Credential) -> None:
        fresh = services_of(self, Hurried())
        registry.open_destination(self.url, fresh).deliver(credential)

    def remove(self) -> None:
        self.fake.delete(self.url.removeprefix("github:").partition("?")[0])

    def spoil_token(self) -> None:
        self.fake.token = "another"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    with GitHub() as github:
        monkeypatch.setenv("TEST_GITHUB_TOKEN", github.token)
        github.add_repository("acme/api", "production")
        yield github


class TestARepository(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: GitHub) -> Backend:
        return Secrets(fake, "github:acme/site", "acme/site/actions")


class TestAnEnvironment(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: GitHub) -> Backend:
        return Secrets(fake, "github:acme/api?environment=production", "acme/api/environments/production")


class TestAnOrganization(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: GitHub) -> Backend:
        return Secrets(fake, "github:acme", "acme/actions")


@pytest.mark.parametrize("kind", ["dependabot", "codespaces"])
class TestAnotherSet(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: GitHub, kind: str) -> Backend:
        return Secrets(fake, f"github:acme/site?set={kind}", f"acme/site/{kind}")


def test_an_organization_that_cannot_be_seen_is_an_error_and_not_empty(fake: GitHub) -> None:
    backend = Secrets(fake, "github:acme", "acme/actions")
    backend.plant(fresh_credential())
    backend.remove()
    destination = registry.open_destination(backend.url, services_of(backend, Hurried()))
    assert isinstance(outcome(destination.held), NotFound)


class TestAnOrganizationsPair:
    URL = "github:acme?visibility=selected&repositories=site,api"

    def test_is_written_back_to_back_although_who_sees_it_is_asked_first(self, fake: GitHub) -> None:
        """Otherwise the pair is torn for as long as it takes to list all repositories that see the second value."""
        backend = Secrets(fake, self.URL, "acme/actions")
        for _ in range(2):
            fake.clear()
            registry.open_destination(backend.url, services_of(backend, Hurried())).deliver(fresh_credential())
            writes = [number for number, (method, _) in enumerate(fake.requests) if method == "PUT"]
            assert len(writes) == 2
            assert writes[1] - writes[0] == 1

    def test_is_not_written_where_the_token_sees_only_some_of_the_repositories_that_see_it(self, fake: GitHub) -> None:
        """A write contains all of them: those that are left out would lose the secret."""
        backend = Secrets(fake, self.URL, "acme/actions")
        opened(backend).deliver(fresh_credential())
        fake.unseen.add("acme/api")
        fake.clear()
        error = outcome(lambda: opened(backend).deliver(fresh_credential()))
        assert isinstance(error, ServiceRejected)
        assert "2 repositories may see AWS_ACCESS_KEY_ID of acme, but GitHub shows 1 of them" in error.message
        assert fake.count("PUT") == 0


def test_accounts_of_managed_users_have_an_underscore(fake: GitHub) -> None:
    fake.add_repository("mona_acme/dotfiles")
    backend = Secrets(fake, "github:mona_acme/dotfiles", "mona_acme/dotfiles/actions")
    assert opened(backend).deliver(fresh_credential()).written
