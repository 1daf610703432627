"""twokey and the fake Vault, held to HashiCorp's description of Vault's API, nothing unknown allowed.

No package registry carries that description; who has it puts it where ``FILE`` says. It does not describe what stands
around an answer's data, errors, and patches: these are written down here.

Sources: "HTTP API" (the envelope, errors) and "KV secrets engine - version 2 (API)", Vault documentation.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from api import descriptions
from api.prism import Exchange, Prism, needs_prism
from contract.test_vault import URL, Secret
from twokey.destinations import registry
from twokey.errors import AccessDenied, BadCredentials, Conflict, NotFound, Rejected
from twokey.model import Held, NotHeld
from twokey.testing.contract import Hurried, fresh_credential, outcome, pair, services_of
from twokey.testing.fakes.vault import Vault
from twokey.testing.stores import FULL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.destinations.base import Store

FILE = descriptions.INSTALLED / "vault.json"
pytestmark = [
    needs_prism,
    pytest.mark.skipif(
        not FILE.exists(),
        reason="no registry has Vault's description: put openapi.json of hashicorp/vault-client-go to .apis/vault.json",
    ),
]

DATA = "/{kv_v2_mount_path}/data/{path}"
METADATA = "/{kv_v2_mount_path}/metadata/{path}"
LOGINS: dict[str, dict[str, Any]] = {
    "approle": {"role_id": "twokey", "secret_id": {"env": "TEST_SECRET_ID"}},
    "jwt": {"role": "twokey", "jwt": {"env": "TEST_JWT"}},
    "kubernetes": {"role": "twokey", "jwt": {"env": "TEST_POD_JWT"}},
    "aws": {"role": "twokey", "server_id": "vault.example"},
}
LOGIN = "/auth/{%s_mount_path}/login"
PATHS = (
    DATA,
    METADATA,
    "/sys/capabilities-self",
    "/auth/token/lookup-self",
    *(LOGIN % method for method in LOGINS),
)
STRING, NUMBER, SWITCH = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
LOGGED_IN = {
    "type": "object",
    "required": ["request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings", "auth"],
    "properties": {
        "auth": {
            "type": "object",
            "required": ["client_token", "accessor", "policies", "metadata", "lease_duration", "renewable"],
            "properties": {"client_token": STRING, "lease_duration": NUMBER, "renewable": SWITCH},
        }
    },
}
ERRORS = {"type": "object", "required": ["errors"], "properties": {"errors": {"type": "array", "items": STRING}}}


def envelope(data: Any, *needed: str) -> dict[str, Any]:
    """Return the content of a good answer with this data."""
    properties = {
        "request_id": STRING,
        "lease_id": STRING,
        "renewable": SWITCH,
        "lease_duration": NUMBER,
        "data": {"allOf": [data, {"required": needed}]},
        "wrap_info": {"type": "object", "nullable": True},
        "warnings": {"type": "array", "nullable": True, "items": STRING},
        "auth": {"type": "object", "nullable": True},
        "mount_type": STRING,
    }
    required = ["request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings", "auth"]
    return {"application/json": {"schema": {"type": "object", "required": required, "properties": properties}}}


def description() -> descriptions.Document:
    """Return Vault's description, with what it leaves out."""
    found = descriptions.cut(json.loads(FILE.read_text(encoding="utf-8")), PATHS)
    schemas, paths = found["components"]["schemas"], found["paths"]
    for schema in schemas.values():
        schema.setdefault("additionalProperties", False)
    written = {"$ref": "#/components/schemas/KvV2WriteResponse"}
    version = ("created_time", "custom_metadata", "deletion_time", "destroyed", "version")
    schemas["KvV2WriteResponse"]["properties"]["custom_metadata"]["nullable"] = True
    schemas["KvV2ReadResponse"]["properties"]["metadata"] = {"allOf": [written, {"required": version}]}
    schemas["KvV2ReadResponse"]["properties"]["data"]["nullable"] = True
    read = envelope({"$ref": "#/components/schemas/KvV2ReadResponse"}, "data", "metadata")
    paths[DATA]["get"]["responses"] = {
        "200": {"description": "", "content": read},
        # A version that is deleted is answered with 404 and what is known of it.
        "404": {"description": "", "content": _either(ERRORS, read["application/json"]["schema"])},
    }
    paths[DATA]["post"]["responses"]["200"]["content"] = envelope(written, *version)
    paths[METADATA]["patch"] = {
        "requestBody": {
            "required": True,
            "content": {
                "application/merge-patch+json": {"schema": {"$ref": "#/components/schemas/KvV2WriteMetadataRequest"}}
            },
        },
        "responses": {"204": {"description": ""}},
    }
    schemas["Errors"] = ERRORS
    descriptions.answers_to_errors(found, "Errors")
    # Each login's mount is a parameter, by which Prism could not tell them apart.
    for method in LOGINS:
        about = paths.pop(LOGIN % method)
        about.pop("parameters")
        about["post"]["responses"]["200"]["content"] = {"application/json": {"schema": LOGGED_IN}}
        paths[f"/auth/{method}/login"] = about
    # A secret's path has several parts, which no parameter of OpenAPI's can have.
    found["paths"] = {f"/v1{path.replace('{path}', 'machine-users/{path}')}": about for path, about in paths.items()}
    return found


def _either(*schemas: Any) -> dict[str, Any]:
    return {"application/json": {"schema": {"oneOf": list(schemas)}}}


class Described(Secret):
    """A secret that is reached through Prism."""

    def __init__(self, fake: Vault, prism: Prism) -> None:
        super().__init__(fake)
        self.prism = prism

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "url": self.prism.url}

    def opened(self) -> Store:
        """Return the secret as a store, as a run of its own sees it."""
        return registry.open_store(URL, services_of(self, Hurried()))


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    with Prism(description(), tmp_path_factory.mktemp("prism")) as running:
        yield running


@pytest.fixture
def fake(prism: Prism, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    monkeypatch.setenv("TEST_VAULT_TOKEN", "root-token")
    with Vault() as vault:
        prism.lead_to(vault.url)
        yield vault
        assert prism.exchanges
        assert prism.violations() == []


@pytest.fixture
def place(fake: Vault, prism: Prism) -> Described:
    return Described(fake, prism)


def test_looking_creating_and_updating(place: Described, prism: Prism) -> None:
    place.opened().preflight()
    assert place.opened().held() == NotHeld()
    for _ in range(2):
        prism.exchanges.clear()
        credential = fresh_credential()
        assert place.opened().deliver(credential).written
        assert {(one.method, one.status) for one in prism.exchanges} >= {("POST", 200), ("PATCH", 204)}
        assert place.read() == pair(credential)
        assert place.opened().held() == Held(credential.access_key_id)


def test_the_journal(place: Described) -> None:
    store = place.opened()
    revision = store.put(fresh_credential(), store.save_journal(FULL, store.load().revision))
    assert store.fence(revision)
    assert store.load().journal == FULL


def test_a_version_that_is_deleted(place: Described, fake: Vault, prism: Prism) -> None:
    place.plant(fresh_credential())
    fake.entries["machine-users/ci"].append(None)
    assert place.opened().held() == NotHeld()
    assert 404 in {one.status for one in prism.exchanges}


@pytest.mark.parametrize("method", LOGINS)
def test_a_login(fake: Vault, prism: Prism, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    for name, value in {"SECRET_ID": "the-secret-id", "JWT": "ey.jwt", "POD_JWT": "ey.pod"}.items():
        monkeypatch.setenv(f"TEST_{name}", value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s" * 40)
    settings = {"url": prism.url, method: LOGINS[method]}
    store = registry.open_store(URL, services_of(Secret(fake), Hurried(), settings))
    assert store.held() == NotHeld()
    assert prism.exchanges[0] == Exchange("POST", f"/v1/auth/{method}/login", 200, ())
    fake.tokens.clear()
    fake.logins.clear()
    assert isinstance(outcome(store.held), BadCredentials)


class TestErrors:
    def test_a_mount_that_is_not_there(self, place: Described, prism: Prism) -> None:
        place.remove()
        assert isinstance(outcome(lambda: place.opened().deliver(fresh_credential())), NotFound | AccessDenied)

    def test_a_token_that_is_not_valid(self, place: Described, prism: Prism) -> None:
        place.spoil_token()
        assert isinstance(outcome(place.opened().held), BadCredentials)
        assert {one.status for one in prism.exchanges} == {403}

    def test_a_path_that_may_not_be_written(self, place: Described, fake: Vault) -> None:
        fake.denied.add("machine-users/ci")
        assert isinstance(outcome(lambda: place.opened().deliver(fresh_credential())), AccessDenied)

    def test_somebody_else_wrote_in_the_meantime(self, place: Described) -> None:
        store = place.opened()
        seen = store.load().revision
        place.plant(fresh_credential())
        assert isinstance(outcome(lambda: store.put(fresh_credential(), seen)), Conflict | Rejected)
