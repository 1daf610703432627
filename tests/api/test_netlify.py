"""twokey and the fake Netlify, held to Netlify's own description of its API, nothing unknown allowed.

The description itself allows unknown fields, so the test forbids them. It names no error but "default".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from api import descriptions
from api.prism import Prism, needs_prism
from destinations.ci.test_netlify import SITE, Variables
from support.token_backends import TOKEN
from twokey.core.errors import AccessDenied, BadCredentials, NotFound
from twokey.testing.contract import fresh_credential, opened, outcome, pair
from twokey.testing.fakes.netlify import Netlify

if TYPE_CHECKING:
    from collections.abc import Iterator

DESCRIPTION = ("@netlify", "open-api", "dist", "swagger.json")
pytestmark = [
    needs_prism,
    pytest.mark.skipif(
        not descriptions.PACKAGES.joinpath(*DESCRIPTION).exists(),
        reason="Netlify's API description is not installed (make apis)",
    ),
]

ENV = "/accounts/{account_id}/env"
PATHS = (ENV, f"{ENV}/{{key}}", f"{ENV}/{{key}}/value/{{id}}")
PLACES = {
    f"netlify:acme/{SITE}": "production",
    "netlify:acme": "production",
    f"netlify:acme/{SITE}?context=deploy-preview": "deploy-preview",
    "netlify:acme?context=all": "all",
}


def description() -> descriptions.Document:
    """Return what Netlify describes of its environment variables."""
    whole = descriptions.read(*DESCRIPTION)
    kept = {f"{whole['basePath']}{path}": whole["paths"][path] for path in PATHS}
    _forbid_unknown_fields(kept)
    parts = {name: whole[name] for name in ("swagger", "info", "consumes", "produces")}
    return {**parts, "paths": kept}


def _forbid_unknown_fields(node: Any) -> None:
    if isinstance(node, dict):
        if node.get("type") == "object" and "properties" in node:
            node["additionalProperties"] = False
        for inner in node.values():
            _forbid_unknown_fields(inner)
    elif isinstance(node, list):
        for inner in node:
            _forbid_unknown_fields(inner)


class Described(Variables):
    """A destination that is reached through Prism."""

    prism: Prism

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "url": self.prism.url}


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    with Prism(description(), tmp_path_factory.mktemp("prism")) as running:
        yield running


@pytest.fixture
def fake(prism: Prism, monkeypatch: pytest.MonkeyPatch) -> Iterator[Netlify]:
    with Netlify() as netlify:
        monkeypatch.setenv(TOKEN, netlify.token)
        prism.lead_to(netlify.url)
        yield netlify
        assert prism.exchanges
        assert prism.violations() == []


def described(fake: Netlify, prism: Prism, url: str) -> Described:
    backend = Described(fake, url, PLACES[url])
    backend.prism = prism
    return backend


@pytest.mark.parametrize("url", PLACES)
def test_looking_creating_updating_and_removing(fake: Netlify, prism: Prism, url: str) -> None:
    backend = described(fake, prism, url)
    opened(backend).preflight()
    for method in ("POST", "PATCH"):
        prism.exchanges.clear()
        credential = fresh_credential()
        assert opened(backend).deliver(credential).written
        assert {(one.method, one.status) for one in prism.exchanges if one.method != "GET"} == {(method, 201)}
        assert backend.read() == pair(credential)
    secret = PLACES[url] != "all"
    fake.add_variable(backend.target, "MY_AWS_SESSION_TOKEN", {PLACES[url]: "x"}, secret=secret)
    opened(backend).deliver(fresh_credential())
    assert ("DELETE", 204) in {(one.method, one.status) for one in prism.exchanges}


def test_errors(fake: Netlify, prism: Prism) -> None:
    backend = described(fake, prism, f"netlify:acme/{SITE}")
    fake.may_write = False
    assert isinstance(outcome(lambda: opened(backend).deliver(fresh_credential())), AccessDenied)
    backend.remove()
    assert isinstance(outcome(opened(backend).preflight), NotFound)
    backend.spoil_token()
    assert isinstance(outcome(opened(backend).preflight), BadCredentials)
    assert {one.status for one in prism.exchanges} >= {401, 403, 404}
