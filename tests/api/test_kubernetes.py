"""twokey and the fake Kubernetes, held to Kubernetes' own description of its objects, nothing unknown allowed.

The objects are those of Kubernetes 1.37, from PyPI's ``kubernetes-validate``, which takes them out of the API server's
OpenAPI description. That leaves out the requests; the four of them are written down here.

Source of the requests: "Secret" and "SelfSubjectAccessReview", Kubernetes API reference; "Server-Side Apply" and
"Kubernetes API Concepts" (dry runs), Kubernetes' documentation.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from api import descriptions
from api.prism import Prism, needs_prism
from destinations.stores.test_kubernetes import URL, Secret, as_data
from twokey.core.errors import AccessDenied, BadCredentials, NotFound, ServiceRejected
from twokey.core.model import Held, NotHeld
from twokey.destinations import registry
from twokey.testing.contract import Hurried, fresh_credential, outcome, pair, services_of
from twokey.testing.fakes.kubernetes import Kubernetes
from twokey.testing.stores import FULL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Store

pytestmark = needs_prism

FOLDER = "python/kubernetes_validate/kubernetes-json-schema/v1.37.0-local-strict"
SECRETS = "/api/v1/namespaces/{namespace}/secrets"
SECRET = f"{SECRETS}/{{name}}"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
APPLIES = "application/apply-patch+yaml"


def whole(schema: str, *needed: str) -> dict[str, Any]:
    """Return what the content of a response is: an object with at least these fields."""
    both = {"allOf": [{"$ref": f"#/components/schemas/{schema}"}, {"required": ["apiVersion", "kind", *needed]}]}
    return {"application/json": {"schema": both}}


def operation(responses: tuple[int, ...], content: Any, body: Any = None) -> dict[str, Any]:
    """Describe a request, whose errors are status objects."""
    error = {"description": "", "content": whole("Status", "metadata", "status", "message", "reason", "code")}
    good = {str(status): {"description": "", "content": content} for status in responses}
    takes = {"requestBody": {"required": True, "content": body}} if body else {}
    return {"responses": {**good, "4XX": error}, **takes}


def named(*names: str) -> list[dict[str, Any]]:
    """Describe parts of a path."""
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def writing(*, manager: bool = False) -> list[dict[str, Any]]:
    """Describe what stands behind the path of a request that writes; ``manager``: whether it must name one."""
    return [
        {"name": "dryRun", "in": "query", "schema": {"type": "string", "enum": ["All"]}},
        {"name": "fieldManager", "in": "query", "required": manager, "schema": {"type": "string", "maxLength": 128}},
    ]


def description() -> descriptions.Document:
    """Return the objects of Kubernetes' own description and the requests that twokey sends."""
    secret = whole("Secret", "metadata")
    schema = {"allOf": [{"$ref": "#/components/schemas/Secret"}, {"required": ["apiVersion", "kind", "metadata"]}]}
    force = {"name": "force", "in": "query", "schema": {"type": "boolean"}}
    parameters = [*writing(manager=True), force]
    apply = {**operation((200,), secret, {APPLIES: {"schema": schema}}), "parameters": parameters}
    review = whole("SelfSubjectAccessReview", "spec")
    paths = {
        SECRETS: {
            "parameters": named("namespace"),
            "post": {**operation((201,), secret, secret), "parameters": writing()},
        },
        SECRET: {
            "parameters": named("namespace", "name"),
            "get": operation((200,), secret),
            "patch": apply,
        },
        REVIEWS: {"post": operation((201,), review, review)},
    }
    schemas = {
        **_objects("_definitions")["$defs"],
        "Secret": _objects("secret-v1"),
        "Status": _objects("status-meta-v1"),
        "SelfSubjectAccessReview": _objects("selfsubjectaccessreview-authorization-v1"),
    }
    found = {
        "openapi": "3.1.0",
        "info": {"title": "Kubernetes", "version": "v1.37.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    }
    return descriptions.cut(found, paths)


def _objects(file: str) -> dict[str, Any]:
    text = (descriptions.INSTALLED / FOLDER / f"{file}.json").read_text(encoding="utf-8")
    text = text.replace("/api/_definitions.json#/$defs/", "#/$defs/").replace("#/$defs/", "#/components/schemas/")
    found: dict[str, Any] = json.loads(text)
    return {name: value for name, value in found.items() if name not in {"$id", "$schema"}}


class Described(Secret):
    """A Secret that is reached through Prism."""

    def __init__(self, fake: Kubernetes, prism: Prism) -> None:
        super().__init__(fake)
        self.prism = prism

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "url": self.prism.url}

    def opened(self) -> Store:
        """Return the Secret as a store, as a run of its own sees it."""
        return registry.open_store(URL, services_of(self, Hurried()))


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    with Prism(description(), tmp_path_factory.mktemp("prism")) as running:
        yield running


@pytest.fixture
def fake(prism: Prism, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubernetes]:
    monkeypatch.setenv("TEST_KUBERNETES_TOKEN", "sa-token")
    with Kubernetes() as kubernetes:
        prism.lead_to(kubernetes.url)
        yield kubernetes
        assert prism.exchanges
        assert prism.violations() == []


@pytest.fixture
def backend(fake: Kubernetes, prism: Prism) -> Described:
    return Described(fake, prism)


def statuses(prism: Prism, method: str) -> list[int]:
    """Return the statuses of the responses to requests with this method."""
    return [one.status for one in prism.exchanges if one.method == method]


def test_looking_creating_and_updating(backend: Described, prism: Prism) -> None:
    backend.opened().preflight()
    assert statuses(prism, "POST") == [201, 201, 201]
    assert backend.opened().held() == NotHeld()
    for method, status in (("POST", 201), ("PATCH", 200)):
        prism.exchanges.clear()
        credential = fresh_credential()
        assert backend.opened().deliver(credential).written
        assert statuses(prism, method) == [status]
        assert backend.read() == pair(credential)
        assert backend.opened().held() == Held(credential.access_key_id)
    prism.exchanges.clear()
    backend.opened().preflight()
    assert statuses(prism, "PATCH") == [200]


def test_the_journal(backend: Described, prism: Prism) -> None:
    store = backend.opened()
    revision = store.save_journal(FULL, store.load().revision)
    revision = store.put(fresh_credential(), revision)
    assert store.fence(revision)
    assert store.load().journal == FULL
    assert set(statuses(prism, "PATCH")) == {200}


class TestErrors:
    def test_a_namespace_that_is_not_there(self, backend: Described) -> None:
        backend.remove()
        assert isinstance(outcome(lambda: backend.opened().deliver(fresh_credential())), NotFound)

    def test_a_token_that_is_not_valid(self, backend: Described, prism: Prism) -> None:
        backend.spoil_token()
        assert isinstance(outcome(backend.opened().held), BadCredentials)
        assert {one.status for one in prism.exchanges} == {401}

    @pytest.mark.parametrize("verb", ["get", "create", "review"])
    def test_a_verb_that_is_not_allowed(self, backend: Described, fake: Kubernetes, prism: Prism, verb: str) -> None:
        fake.denied.add(verb)
        error = outcome(backend.opened().preflight)
        assert isinstance(error, AccessDenied) or verb == "review"
        assert 403 in {one.status for one in prism.exchanges} or verb == "create"

    def test_another_client_writes_in_the_meantime(self, backend: Described, fake: Kubernetes, prism: Prism) -> None:
        backend.plant(fresh_credential())
        fake.before_patch.append(lambda: backend.plant(fresh_credential()))
        assert isinstance(outcome(lambda: backend.opened().deliver(fresh_credential())), ServiceRejected)
        assert 409 in statuses(prism, "PATCH")

    def test_an_object_that_is_refused(self, backend: Described, fake: Kubernetes, prism: Prism) -> None:
        fake.apply("apps/ci", {"BIG": "x" * (1 << 20)})
        assert isinstance(outcome(lambda: backend.opened().deliver(fresh_credential())), ServiceRejected)
        assert 422 in statuses(prism, "PATCH")

    def test_a_policy(self, backend: Described, fake: Kubernetes) -> None:
        fake.policy = "no secrets on Fridays"
        assert outcome(backend.opened().preflight) is not None

    def test_a_webhook_that_cannot_be_tried(self, backend: Described, fake: Kubernetes, prism: Prism) -> None:
        fake.tries = False
        backend.opened().preflight()
        assert 400 in statuses(prism, "POST")


def test_what_the_operator_applied(backend: Described, fake: Kubernetes) -> None:
    credential = fresh_credential()
    fake.apply("apps/ci", as_data(credential), immutable=False)
    fake.annotate("apps/ci", {"owner": "site"})
    assert backend.opened().held() == Held(credential.access_key_id)
