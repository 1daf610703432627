"""twokey and the fake Vault, held to what is documented of Vault's API, nothing unknown allowed.

HashiCorp describes the API for machines, but no package is known to carry that. So the requests are written down here,
and ``test_what_is_written_here_is_what_hashicorp_describes`` compares, if the developer has put the description to
``FILE``. It leaves out what stands around a response's data, errors, and patches.

Sources: "HTTP API" (the envelope, errors), "KV secrets engine - version 2 (API)", the pages of the auth methods and of
``/sys/capabilities-self``, Vault documentation.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from api import descriptions
from api.prism import Exchange, Prism, needs_prism
from api.written import (
    ANYTHING,
    NUMBER,
    STRING,
    SWITCH,
    TEXTS,
    Schema,
    document,
    fields,
    operation,
    or_null,
    whole,
)
from destinations.stores.test_vault import URL, Secret
from twokey.core.errors import AccessDenied, BadCredentials, Conflict, NotFound, ServiceRejected
from twokey.core.model import Held, NotHeld
from twokey.destinations import registry
from twokey.testing.contract import Hurried, fresh_credential, outcome, pair, services_of
from twokey.testing.fakes.vault import Vault
from twokey.testing.stores import FULL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Store

pytestmark = needs_prism

FILE = descriptions.INSTALLED / "vault.json"
MOUNT = "/v1/secret"
KEY = "machine-users/{name}"
"""A secret's path has several parts, which no parameter of OpenAPI's can have."""
VERSION = whole(
    created_time={**STRING, "format": "date-time"},
    custom_metadata=or_null(ANYTHING),
    deletion_time=STRING,
    destroyed=SWITCH,
    version=NUMBER,
)
READ = whole(data=or_null(ANYTHING), metadata=VERSION)
WRITE = fields("data", data=ANYTHING, options=ANYTHING, version=NUMBER)
DESCRIBE = fields(cas_required=SWITCH, custom_metadata=ANYTHING, delete_version_after=STRING, max_versions=NUMBER)
CAPABILITIES = fields(path=TEXTS, paths=TEXTS, token=STRING)
LOGINS: dict[str, tuple[Schema, dict[str, Any]]] = {
    "approle": (
        fields(role_id=STRING, secret_id=STRING),
        {"role_id": "twokey", "secret_id": {"env": "TEST_SECRET_ID"}},
    ),
    "jwt": (fields(role=STRING, jwt=STRING), {"role": "twokey", "jwt": {"env": "TEST_JWT"}}),
    "kubernetes": (fields(role=STRING, jwt=STRING), {"role": "twokey", "jwt": {"env": "TEST_POD_JWT"}}),
    "aws": (
        fields(
            role=STRING,
            iam_http_request_method=STRING,
            iam_request_url=STRING,
            iam_request_body=STRING,
            iam_request_headers=STRING,
            identity=STRING,
            nonce=STRING,
            pkcs7=STRING,
            signature=STRING,
        ),
        {"role": "twokey", "server_id": "vault.example"},
    ),
}
"""The requests of each way to log in, and the settings of a connection that uses it."""
LOGGED_IN = whole(
    client_token=STRING,
    accessor=STRING,
    policies=TEXTS,
    token_policies=TEXTS,
    metadata=or_null(ANYTHING),
    lease_duration=NUMBER,
    renewable=SWITCH,
    entity_id=STRING,
    token_type=STRING,
    orphan=SWITCH,
)
ERRORS = whole(errors=TEXTS)


def envelope(data: Schema, auth: Schema = ANYTHING) -> Schema:
    """Describe a good response with this data."""
    return whole(
        request_id=STRING,
        lease_id=STRING,
        renewable=SWITCH,
        lease_duration=NUMBER,
        data=or_null(data),
        wrap_info=or_null(ANYTHING),
        warnings=or_null(TEXTS),
        auth=or_null(auth),
    )


def description() -> descriptions.Document:
    """Return the description of all that twokey asks of Vault."""
    # The capabilities stand beside the envelope's fields too.
    able = {**envelope(ANYTHING), "additionalProperties": TEXTS}
    # A version that is deleted is answered with 404 and what is known of it.
    gone = {"oneOf": [ERRORS, envelope(READ)]}
    logins = {
        f"/v1/auth/{method}/login": {"post": operation({200: envelope(ANYTHING, LOGGED_IN), "4XX": ERRORS}, body)}
        for method, (body, _) in LOGINS.items()
    }
    patch = operation({204: None, "4XX": ERRORS}, DESCRIBE, kind="application/merge-patch+json")
    paths = {
        f"{MOUNT}/data/{KEY}": {
            "get": operation({200: envelope(READ), 404: gone, "4XX": ERRORS}),
            "post": operation({200: envelope(VERSION), "4XX": ERRORS}, WRITE),
        },
        f"{MOUNT}/metadata/{KEY}": {"patch": patch},
        "/v1/sys/capabilities-self": {"post": operation({200: able, "4XX": ERRORS}, CAPABILITIES)},
        "/v1/sys/internal/ui/mounts/secret": {"get": operation({200: envelope(ANYTHING), "4XX": ERRORS})},
        "/v1/auth/token/lookup-self": {"get": operation({200: envelope(ANYTHING), "4XX": ERRORS})},
    }
    return document("Vault", {**paths, **logins})


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
def backend(fake: Vault, prism: Prism) -> Described:
    return Described(fake, prism)


def test_looking_creating_and_updating(backend: Described, prism: Prism) -> None:
    backend.opened().preflight()
    assert backend.opened().held() == NotHeld()
    for _ in range(2):
        prism.exchanges.clear()
        credential = fresh_credential()
        assert backend.opened().deliver(credential).written
        assert {(one.method, one.status) for one in prism.exchanges} >= {("POST", 200), ("PATCH", 204)}
        assert backend.read() == pair(credential)
        assert backend.opened().held() == Held(credential.access_key_id)


def test_the_journal(backend: Described) -> None:
    store = backend.opened()
    revision = store.put(fresh_credential(), store.save_journal(FULL, store.load().revision))
    assert store.fence(revision)
    assert store.load().journal == FULL


def test_a_version_that_is_deleted(backend: Described, fake: Vault, prism: Prism) -> None:
    backend.plant(fresh_credential())
    fake.entries["machine-users/ci"].append(None)
    assert backend.opened().held() == NotHeld()
    assert 404 in {one.status for one in prism.exchanges}


@pytest.mark.parametrize("method", LOGINS)
def test_a_login(fake: Vault, prism: Prism, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    for name, value in {"SECRET_ID": "the-secret-id", "JWT": "ey.jwt", "POD_JWT": "ey.pod"}.items():
        monkeypatch.setenv(f"TEST_{name}", value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s" * 40)
    settings = {"url": prism.url, method: LOGINS[method][1]}
    store = registry.open_store(URL, services_of(Secret(fake), Hurried(), settings))
    assert store.held() == NotHeld()
    assert prism.exchanges[0] == Exchange("POST", f"/v1/auth/{method}/login", 200, ())
    fake.tokens.clear()
    fake.logins.clear()
    assert isinstance(outcome(store.held), BadCredentials)


class TestErrors:
    def test_a_mount_that_is_not_there(self, backend: Described, prism: Prism) -> None:
        backend.remove()
        assert isinstance(outcome(lambda: backend.opened().deliver(fresh_credential())), NotFound | AccessDenied)

    def test_a_token_that_is_not_valid(self, backend: Described, prism: Prism) -> None:
        backend.spoil_token()
        assert isinstance(outcome(backend.opened().held), BadCredentials)
        assert {one.status for one in prism.exchanges} == {403}

    def test_a_path_that_may_not_be_written(self, backend: Described, fake: Vault) -> None:
        fake.denied.add("machine-users/ci")
        assert isinstance(outcome(lambda: backend.opened().deliver(fresh_credential())), AccessDenied)

    def test_another_client_wrote_in_the_meantime(self, backend: Described) -> None:
        store = backend.opened()
        seen = store.load().revision
        backend.plant(fresh_credential())
        assert isinstance(outcome(lambda: store.put(fresh_credential(), seen)), Conflict | ServiceRejected)


@pytest.mark.skipif(
    not FILE.exists(),
    reason="no package carries Vault's description: put openapi.json of hashicorp/vault-client-go to .apis/vault.json",
)
@pytest.mark.parametrize(
    ("name", "written"),
    {
        "KvV2WriteRequest": WRITE,
        "KvV2WriteResponse": VERSION,
        "KvV2ReadResponse": READ,
        "KvV2WriteMetadataRequest": DESCRIBE,
        "QueryTokenSelfCapabilitiesRequest": CAPABILITIES,
        "AppRoleLoginRequest": LOGINS["approle"][0],
        "JwtLoginRequest": LOGINS["jwt"][0],
        "KubernetesLoginRequest": LOGINS["kubernetes"][0],
        "AwsLoginRequest": LOGINS["aws"][0],
    }.items(),
)
def test_what_is_written_here_is_what_hashicorp_describes(name: str, written: Schema) -> None:
    described = json.loads(FILE.read_text(encoding="utf-8"))["components"]["schemas"][name]["properties"]
    assert {field: about["type"] for field, about in written["properties"].items()} == {
        field: about["type"] for field, about in described.items()
    }
