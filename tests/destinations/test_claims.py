"""Two URLs that turn out to be one thing at the service are found in one run, before the second is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from destinations.ci import (
    test_azure_devops,
    test_circleci,
    test_github,
    test_gitlab,
    test_hcp_terraform,
    test_woodpecker,
)
from support.token_backends import TOKEN
from twokey.core.errors import ServiceRejected
from twokey.destinations import registry
from twokey.testing.contract import Backend, Hurried, fresh_credential, outcome, pair, services_of
from twokey.testing.fakes.azure_devops import AzureDevOps
from twokey.testing.fakes.circleci import CircleCI
from twokey.testing.fakes.github import GitHub
from twokey.testing.fakes.gitlab import GitLab
from twokey.testing.fakes.hcp_terraform import HcpTerraform
from twokey.testing.fakes.woodpecker import Woodpecker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Destination


class Names:
    """Two URLs of one thing; ``backend`` is reached by the first."""

    def __init__(self, backend: Backend, other: str) -> None:
        self.backend = backend
        self.other = other
        self.services = services_of(backend, Hurried())

    def open(self, url: str) -> Destination:
        return registry.open_destination(url, self.services)


def github(fake: GitHub) -> Names:
    fake.rename("acme/site", "acme/shop")
    return Names(test_github.Secrets(fake, "github:acme/shop", "acme/shop/actions"), "github:acme/site")


def environment(fake: GitHub) -> Names:
    fake.add_repository("acme/api", "production")
    fake.rename("acme/api", "acme/web")
    backend = test_github.Secrets(fake, "github:acme/web?environment=production", "acme/web/environments/production")
    return Names(backend, "github:acme/api?environment=production")


def azure_devops(fake: AzureDevOps) -> Names:
    group = test_azure_devops.Group(fake)
    return Names(group, f"azure-devops:acme/web shop/{group.id}")


def gitlab(fake: GitLab) -> Names:
    number = fake.targets["projects/acme/site"]["id"]
    return Names(test_gitlab.Variables(fake, "gitlab:acme/site", "projects/acme/site"), f"gitlab:{number}")


def gitlab_group(fake: GitLab) -> Names:
    number = fake.targets["groups/acme"]["id"]
    return Names(test_gitlab.Variables(fake, f"gitlab-group:{number}", "groups/acme"), "gitlab-group:acme")


def hcp_terraform(fake: HcpTerraform) -> Names:
    number = fake.add_set("acme", "aws keys")
    backend = test_hcp_terraform.Vars(fake, "hcp-terraform-varset:acme/aws keys", f"varsets/{number}")
    return Names(backend, f"hcp-terraform-varset:acme/{number}")


def circleci(fake: CircleCI) -> Names:
    number = fake.add_context("gh/acme", "keys")
    return Names(test_circleci.Variables(fake, "circleci-context:gh/acme/keys", number), f"circleci-context:{number}")


def circleci_project(fake: CircleCI) -> Names:
    return Names(test_circleci.site(fake), "circleci:github/acme/site")


def woodpecker(fake: Woodpecker) -> Names:
    fake.names["repos/acme/shop"] = fake.names["repos/acme/site"]
    return Names(test_woodpecker.Secrets(fake), "woodpecker:acme/shop")


KINDS: dict[str, tuple[Any, Any]] = {
    "a renamed repository": (GitHub, github),
    "an environment of a renamed repository": (GitHub, environment),
    "a variable group by name and id": (AzureDevOps, azure_devops),
    "a project by path and id": (GitLab, gitlab),
    "a group by id and path": (GitLab, gitlab_group),
    "a variable set by name and id": (HcpTerraform, hcp_terraform),
    "a context by name and id": (CircleCI, circleci),
    "a project of CircleCI by both names of GitHub": (CircleCI, circleci_project),
    "a repository of Woodpecker by two names": (Woodpecker, woodpecker),
}


@pytest.fixture(params=KINDS)
def names(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    service, made = KINDS[request.param]
    with service() as fake:
        for name in ("GITHUB", "AZURE", "GITLAB", "TFE", "CIRCLE"):
            monkeypatch.setenv(f"TEST_{name}_TOKEN", fake.token)
        monkeypatch.setenv(TOKEN, fake.token)
        yield made(fake)


@pytest.mark.parametrize("first", ["held", "preflight", "deliver"])
@pytest.mark.parametrize("then", ["preflight", "deliver"])
def test_the_second_url_is_refused_with_both_names(names: Names, first: str, then: str) -> None:
    one, two = names.open(names.backend.url), names.open(names.other)
    credential = fresh_credential()
    if first == "deliver":
        one.deliver(credential)
    else:
        getattr(one, first)()
    error = outcome(lambda: two.deliver(fresh_credential()) if then == "deliver" else two.preflight())
    assert isinstance(error, ServiceRejected)
    assert names.backend.url in error.message
    assert names.other in error.message
    assert "AWS_ACCESS_KEY_ID" in error.message
    assert names.backend.read() == (pair(credential) if first == "deliver" else None)


def test_either_one_alone_is_delivered_to_as_often_as_one_likes(names: Names) -> None:
    for _ in range(2):
        credential = fresh_credential()
        destination = names.open(names.other)
        destination.preflight()
        assert destination.deliver(credential).written
        assert names.backend.read() == pair(credential)


def test_other_variable_names_are_other_things(names: Names) -> None:
    names.open(names.backend.url).deliver(fresh_credential())
    mark = "&" if "?" in names.other else "?"
    assert names.open(f"{names.other}{mark}id=OTHER_ID&secret=OTHER_SECRET").deliver(fresh_credential()).written


def test_a_run_that_comes_later_knows_nothing_of_it(names: Names) -> None:
    names.open(names.backend.url).deliver(fresh_credential())
    later = registry.open_destination(names.other, services_of(names.backend, Hurried()))
    assert later.deliver(fresh_credential()).written
