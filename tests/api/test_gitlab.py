"""twokey and the fake GitLab, held to what is documented of GitLab's API, nothing unknown allowed.

GitLab describes its API for machines, but no package is known to carry that. So the requests are written down here,
after that description (``doc/api/openapi/openapi_v3.yaml`` of GitLab 19.5) and the code that it is made from.

Sources: "Project-level CI/CD variables API", "Group-level CI/CD variables API", "Instance-level CI/CD variables
API", "Personal access tokens API", "REST API troubleshooting" (errors), GitLab Docs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from api.prism import Prism, needs_prism
from api.written import ANYTHING, NUMBER, STRING, SWITCH, TEXTS, document, fields, operation, or_null, query, whole
from destinations.ci.test_gitlab import File, HiddenVariables, Instance, Variables
from twokey.core.errors import AccessDenied, BadCredentials, NotFound, ServiceRejected
from twokey.core.model import NotHeld
from twokey.destinations import registry
from twokey.testing.contract import Hurried, fresh_credential, outcome, pair, services_of
from twokey.testing.fakes.gitlab import GitLab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.descriptions import Document
    from twokey.core.destination import Destination

pytestmark = needs_prism

KIND = {**STRING, "enum": ["env_var", "file"]}
SETTINGS = {
    "protected": SWITCH,
    "masked": SWITCH,
    "raw": SWITCH,
    "variable_type": KIND,
    "environment_scope": STRING,
    "description": STRING,
}
MAKE = fields("key", "value", key=STRING, value=STRING, masked_and_hidden=SWITCH, **SETTINGS)
CHANGE = fields(value=STRING, **SETTINGS)
VARIABLE = whole(
    **{**SETTINGS, "description": or_null(STRING)},
    key=STRING,
    value=or_null(STRING),
    hidden=SWITCH,
)
"""A hidden one's value is null."""
OF_INSTANCE = ("key", "value", "protected", "masked", "raw", "variable_type", "description")
INSTANCE_VARIABLE = whole(**{name: one for name, one in VARIABLE["properties"].items() if name in OF_INSTANCE})
TOKEN = {
    **fields("id", "name", "scopes", "active", "revoked", id=NUMBER, name=STRING, scopes=TEXTS),
    "additionalProperties": True,
}
ERROR = {
    "oneOf": [
        whole(message={"oneOf": [STRING, ANYTHING]}),
        fields("error", error=STRING, error_description=STRING, scope=STRING),
    ]
}
SCOPE = query("filter[environment_scope]", STRING)
PLACES: dict[str, tuple[type[Variables], str, str]] = {
    "gitlab:acme/site": (Variables, "projects/acme/site", "*"),
    "gitlab:acme/site?scope=production/*": (Variables, "projects/acme/site", "production/*"),
    "gitlab:acme/site?type=file&format=credentials-file": (File, "projects/acme/site", "*"),
    "gitlab:acme/site?hidden=true": (HiddenVariables, "projects/acme/site", "*"),
    "gitlab:acme/site?protected=true&raw=false&masked=false": (Variables, "projects/acme/site", "*"),
    "gitlab-group:acme": (Variables, "groups/acme", "*"),
    "gitlab-group:acme/web?scope=production": (Variables, "groups/acme/web", "production"),
    "gitlab-instance:variables": (Instance, "admin/ci", "*"),
}


def description() -> Document:
    """Return the description of all that twokey asks of GitLab."""
    paths: dict[str, Document] = {
        "/api/v4/personal_access_tokens/self": {"get": operation({200: TOKEN, "4XX": ERROR})},
    }
    for kind, path in (("projects", "path_with_namespace"), ("groups", "full_path")):
        backend = {"type": "object", "required": ["id", path], "properties": {"id": NUMBER, path: STRING}}
        with_projects = query("with_projects", SWITCH)
        paths |= {
            f"/api/v4/{kind}/{{id}}": {"get": operation({200: backend, "4XX": ERROR}, None, with_projects)},
            f"/api/v4/{kind}/{{id}}/variables": {"post": operation({201: VARIABLE, "4XX": ERROR}, MAKE)},
            f"/api/v4/{kind}/{{id}}/variables/{{key}}": {
                "get": operation({200: VARIABLE, "4XX": ERROR}, None, SCOPE),
                "put": operation({200: VARIABLE, "4XX": ERROR}, CHANGE, SCOPE),
            },
        }
    create, change = (
        {**body, "properties": {name: one for name, one in body["properties"].items() if name in OF_INSTANCE}}
        for body in (MAKE, CHANGE)
    )
    paths |= {
        "/api/v4/admin/ci/variables": {"post": operation({201: INSTANCE_VARIABLE, "4XX": ERROR}, create)},
        "/api/v4/admin/ci/variables/{key}": {
            "get": operation({200: INSTANCE_VARIABLE, "4XX": ERROR}),
            "put": operation({200: INSTANCE_VARIABLE, "4XX": ERROR}, change),
        },
    }
    return document("GitLab", paths)


def described(fake: GitLab, prism: Prism, url: str) -> Variables:
    """Return a destination that is reached through Prism."""
    kind, inside, scope = PLACES[url]

    class Described(kind):  # type: ignore[valid-type,misc]
        def settings(self) -> dict[str, Any]:
            return {**super().settings(), "url": prism.url}

    backend: Variables = Described(fake, *(() if kind is Instance else (url, inside, scope)))
    return backend


def opened(backend: Variables) -> Destination:
    """Return the destination, as a run of its own sees it."""
    return registry.open_destination(backend.url, services_of(backend, Hurried()))


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    with Prism(description(), tmp_path_factory.mktemp("prism")) as running:
        yield running


@pytest.fixture
def fake(prism: Prism, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitLab]:
    with GitLab() as gitlab:
        monkeypatch.setenv("TEST_GITLAB_TOKEN", gitlab.token)
        gitlab.add_target("groups", "acme/web")
        prism.lead_to(gitlab.url)
        yield gitlab
        assert prism.exchanges
        assert prism.violations() == []


@pytest.mark.parametrize("url", PLACES)
def test_looking_creating_and_updating(fake: GitLab, prism: Prism, url: str) -> None:
    backend = described(fake, prism, url)
    opened(backend).preflight()
    assert opened(backend).held() == NotHeld()
    for method, status in (("POST", 201), ("PUT", 200)):
        prism.exchanges.clear()
        credential = fresh_credential()
        assert opened(backend).deliver(credential).written
        assert {(one.method, one.status) for one in prism.exchanges if one.method != "GET"} == {(method, status)}
        assert backend.read() == pair(credential)
        opened(backend).held()


@pytest.mark.parametrize("url", ["gitlab:acme/site", "gitlab-group:acme", "gitlab-instance:variables"])
class TestErrors:
    def test_a_missing_target(self, fake: GitLab, prism: Prism, url: str) -> None:
        backend = described(fake, prism, url)
        backend.remove()
        assert isinstance(outcome(opened(backend).preflight), NotFound)
        assert isinstance(outcome(lambda: opened(backend).deliver(fresh_credential())), NotFound)

    def test_a_token_that_is_not_valid(self, fake: GitLab, prism: Prism, url: str) -> None:
        backend = described(fake, prism, url)
        backend.spoil_token()
        assert isinstance(outcome(opened(backend).held), BadCredentials)
        assert {one.status for one in prism.exchanges} == {401}

    def test_a_token_that_only_reads(self, fake: GitLab, prism: Prism, url: str) -> None:
        fake.scopes = ["read_api"]
        assert isinstance(outcome(opened(described(fake, prism, url)).preflight), AccessDenied)
        assert isinstance(
            outcome(lambda: opened(described(fake, prism, url)).deliver(fresh_credential())), AccessDenied
        )
        assert prism.exchanges[-1].status == 403

    def test_a_role_that_is_not_enough(self, fake: GitLab, prism: Prism, url: str) -> None:
        fake.manages = False
        assert isinstance(outcome(opened(described(fake, prism, url)).held), AccessDenied)

    def test_as_many_variables_as_there_may_be(self, fake: GitLab, prism: Prism, url: str) -> None:
        fake.most = dict.fromkeys(fake.most, 0)
        assert isinstance(
            outcome(lambda: opened(described(fake, prism, url)).deliver(fresh_credential())), ServiceRejected
        )
        assert prism.exchanges[-1].status == 400
