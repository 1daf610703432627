"""twokey and the fake GitHub, held to GitHub's own description of its API."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from api import descriptions
from api.prism import Prism, needs_prism
from destinations.ci.test_github import Secrets
from destinations.logins.test_github_app import key
from twokey.core.errors import AccessDenied, Ambiguous, BadCredentials, NotFound, ServiceRejected, Throttled
from twokey.core.model import CannotTell, NotHeld
from twokey.destinations import registry
from twokey.testing.contract import Hurried, fresh_credential, outcome, pair, services_of
from twokey.testing.fakes.github import GitHub

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Destination

pytestmark = [needs_prism, pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits long")]

REPOSITORY = "/repos/{owner}/{repo}"
ORGANIZATION = "/orgs/{org}"
KINDS = ("actions", "dependabot", "codespaces")
PATHS = (
    REPOSITORY,
    *(
        f"{backend}/{kind}/secrets{below}"
        for backend, kinds in (
            (REPOSITORY, (*KINDS, "environments/{environment_name}")),
            (ORGANIZATION, KINDS),
        )
        for kind in kinds
        for below in ("", "/public-key", "/{secret_name}")
        if below or backend == REPOSITORY
    ),
    *(f"{ORGANIZATION}/{kind}/secrets/{{secret_name}}/repositories" for kind in KINDS),
    *(f"{account}/installation" for account in (REPOSITORY, ORGANIZATION, "/users/{username}")),
    "/app/installations/{installation_id}/access_tokens",
)
PLACES = {
    "github:acme/site": "acme/site/actions",
    "github:acme/site?set=dependabot": "acme/site/dependabot",
    "github:acme/site?set=codespaces": "acme/site/codespaces",
    "github:acme/api?environment=production": "acme/api/environments/production",
    "github:acme/api?environment=blue%2Fgreen": "acme/api/environments/blue/green",
    "github:acme": "acme/actions",
    "github:acme?set=dependabot": "acme/dependabot",
    "github:acme?set=codespaces": "acme/codespaces",
    "github:acme?visibility=all": "acme/actions",
    **{f"github:acme?set={kind}&visibility=selected&repositories=site,api": f"acme/{kind}" for kind in KINDS},
}
"""Every kind of target, and the fake's name for it."""
SOME = (
    "github:acme/site",
    "github:acme/api?environment=production",
    "github:acme?set=dependabot",
    "github:acme?set=codespaces",
)


class Described(Secrets):
    """Secrets that are reached through Prism."""

    def __init__(self, fake: GitHub, url: str, prism: Prism, inside: str = "") -> None:
        super().__init__(fake, url, inside or PLACES[url])
        self.prism = prism

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "url": self.prism.url}

    def opened(self) -> Destination:
        """Return the destination, as a run of its own sees it."""
        return registry.open_destination(self.url, services_of(self, Hurried()))


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    found = descriptions.cut(descriptions.read("@octokit", "openapi", "generated", "api.github.com.json"), PATHS)
    # Nearly no operation describes its errors; GitHub's own form for them is this one.
    descriptions.answers_to_errors(found, "validation-error")
    descriptions.drop_nullable_without_type(found)
    with Prism(found, tmp_path_factory.mktemp("prism")) as running:
        yield running


@pytest.fixture
def fake(prism: Prism, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    with GitHub() as github:
        monkeypatch.setenv("TEST_GITHUB_TOKEN", github.token)
        github.add_repository("acme/api", "production", "blue/green")
        prism.lead_to(github.url)
        yield github
        assert prism.exchanges
        assert prism.violations() == []


@pytest.mark.parametrize("url", PLACES)
def test_looking_creating_and_updating_are_as_github_describes_them(fake: GitHub, prism: Prism, url: str) -> None:
    backend = Described(fake, url, prism)
    backend.opened().preflight()
    assert backend.opened().held() == NotHeld()
    for expected in (201, 204):
        prism.exchanges.clear()
        credential = fresh_credential()
        assert backend.opened().deliver(credential).written
        assert {one.status for one in prism.exchanges if one.method == "PUT"} == {expected}
        assert prism.violations() == []
        assert backend.read() == pair(credential)
        assert isinstance(backend.opened().held(), CannotTell)


def test_an_update_asks_which_repositories_see_an_organizations_secret(fake: GitHub, prism: Prism) -> None:
    backend = Described(fake, "github:acme?set=actions&visibility=selected&repositories=site,api", prism)
    backend.opened().deliver(fresh_credential())
    prism.exchanges.clear()
    backend.opened().deliver(fresh_credential())
    assert [one.status for one in prism.exchanges if "/repositories?" in one.path] == [200, 200]
    ids = [fake.repositories[name]["id"] for name in ("acme/site", "acme/api")]
    assert fake.secrets["acme/actions"]["AWS_ACCESS_KEY_ID"]["repositories"] == ids


@pytest.mark.parametrize(("account", "user"), [("acme/site", False), ("acme", False), ("mona_acme/dotfiles", True)])
def test_the_login_of_an_app_is_as_github_describes_it(
    fake: GitHub, prism: Prism, monkeypatch: pytest.MonkeyPatch, account: str, user: bool
) -> None:
    fake.app_key = key()[1]
    monkeypatch.setenv("APP_KEY", key()[0])
    backend = Described(fake, f"github:{account}", prism, f"{account}/actions")
    app = {"id": fake.app_id, "private_key": {"env": "APP_KEY"}}
    services = services_of(backend, Hurried(), {"app": app, "url": prism.url})
    if user:
        fake.add_repository(account)
        fake.install("mona_acme", permissions={"secrets": "write", "metadata": "read"}, user=True)
    else:
        fake.install("other", permissions={})
        assert isinstance(outcome(registry.open_destination(backend.url, services).preflight), NotFound)
        fake.install("acme", permissions={"secrets": "write", "organization_secrets": "write", "metadata": "read"})
    destination = registry.open_destination(backend.url, services)
    destination.preflight()
    assert destination.deliver(fresh_credential()).written


@pytest.mark.parametrize("url", SOME)
class TestErrors:
    def test_a_missing_target(self, fake: GitHub, prism: Prism, url: str) -> None:
        backend = Described(fake, url, prism)
        backend.remove()
        assert isinstance(outcome(backend.opened().preflight), NotFound)
        assert isinstance(outcome(lambda: backend.opened().deliver(fresh_credential())), NotFound)
        assert {one.status for one in prism.exchanges} == {404}

    def test_a_token_that_is_not_valid(self, fake: GitHub, prism: Prism, url: str) -> None:
        backend = Described(fake, url, prism)
        backend.spoil_token()
        assert isinstance(outcome(lambda: backend.opened().deliver(fresh_credential())), BadCredentials)
        assert {one.status for one in prism.exchanges} == {401}

    def test_a_token_without_the_scope(self, fake: GitHub, prism: Prism, url: str) -> None:
        backend = Described(fake, url, prism)
        fake.scopes = ""
        assert isinstance(outcome(lambda: backend.opened().deliver(fresh_credential())), AccessDenied | NotFound)
        assert {one.status for one in prism.exchanges} <= {403, 404}

    def test_a_secret_that_is_refused(self, fake: GitHub, prism: Prism, url: str) -> None:
        backend = Described(fake, url, prism)
        opened = backend.opened()
        opened.preflight()
        fake.change_key(backend.inside)
        assert isinstance(outcome(lambda: opened.deliver(fresh_credential())), ServiceRejected)
        assert prism.exchanges[-1].status == 422


@pytest.mark.parametrize("kind", [*KINDS, "environments/production"])
def test_one_secret_of_a_repository_is_shown_as_github_describes_it(fake: GitHub, prism: Prism, kind: str) -> None:
    """twokey lists them; the fake answers this too."""
    options = f"set={kind}" if kind in KINDS else f"environment={kind.partition('/')[2]}"
    Described(fake, f"github:acme/api?{options}", prism, f"acme/api/{kind}").opened().deliver(fresh_credential())
    path = f"{prism.url}/repos/acme/api/{kind}/secrets/AWS_ACCESS_KEY_ID"
    asked = urllib.request.Request(path, headers={"Authorization": f"Bearer {fake.token}"})
    with urllib.request.urlopen(asked) as response:
        assert json.load(response)["name"] == "AWS_ACCESS_KEY_ID"


def test_an_archived_repository(fake: GitHub, prism: Prism) -> None:
    fake.repositories["acme/site"]["archived"] = True
    backend = Described(fake, "github:acme/site", prism)
    assert isinstance(outcome(backend.opened().preflight), ServiceRejected)
    assert isinstance(outcome(lambda: backend.opened().deliver(fresh_credential())), ServiceRejected)
    assert prism.exchanges[-1].status == 403


def test_a_limit_that_is_reached(fake: GitHub, prism: Prism) -> None:
    fake.limit(lambda request: request.method == "PUT", 1, 1e6)
    backend = Described(fake, "github:acme/site", prism)
    assert isinstance(outcome(lambda: backend.opened().deliver(fresh_credential())), Ambiguous | Throttled)
    assert prism.exchanges[-1].status == 403
