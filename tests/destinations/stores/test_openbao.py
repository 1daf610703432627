"""The Vault destination against a real OpenBao: both contracts, logins, TLS, namespaces, other kinds of mounts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from support.openbao import OpenBao, Relay, needs_openbao
from twokey.core.errors import AccessDenied, BadCredentials, Conflict, ServiceRejected
from twokey.core.journal import Journal
from twokey.core.model import Held, NotHeld
from twokey.destinations.registry import open_destination, open_store
from twokey.testing.contract import Backend, DestinationContract, Hurried, fresh_credential, outcome, pair, services_of
from twokey.testing.stores import ConditionalContract, NamedValuesStoreContract, StoreBackend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from twokey.core.destination import Store
    from twokey.core.secret import Credential
    from twokey.destinations.registry import Services

pytestmark = needs_openbao

PATH = "machine-users/ci"
JOURNAL = f"{PATH}.twokey-journal"


class Secret(Backend):
    """A secret in a mount of this test's own."""

    writes = ("POST", "/data/")
    bad_names = ("vault:ci",)
    tokens = ("SessionToken", "SecurityToken", "Token")

    def __init__(self, server: OpenBao, relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server, self.fake = server, relay
        self.mount = server.mount()
        self.url = f"vault:{self.mount}/{PATH}"
        self._token = server.token(self.mount)
        monkeypatch.setenv("TEST_VAULT_TOKEN", self._token)

    def settings(self) -> dict[str, Any]:
        return {"url": self.fake.url, "token": {"env": "TEST_VAULT_TOKEN"}}

    def read(self) -> dict[str, str] | None:
        return self.server.data(self.mount, PATH)

    def plant(self, credential: Credential) -> None:
        self.server.put(self.mount, PATH, pair(credential))

    def plant_value(self, name: str, text: str) -> None:
        self.server.put(self.mount, PATH, {**(self.read() or {}), name: text})

    def value(self, name: str) -> str | None:
        return (self.read() or {}).get(name)

    def remove(self) -> None:
        self.server.send("DELETE", f"sys/mounts/{self.mount}")

    def spoil_token(self) -> None:
        self.server.send("POST", "auth/token/revoke", {"token": self._token})

    def take_permission_away(self) -> None:
        self.server.policy(self.mount, ("read",))

    def text(self) -> str | None:
        found = self.read() or {}
        shown = {name: value for name, value in found.items() if name in ("AccessKeyId", "SecretAccessKey")} or found
        return json.dumps(shown) if shown else None

    def plant_text(self, text: str) -> None:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        self.server.put(self.mount, PATH, found if isinstance(found, dict) and found else {"value": text})

    def plant_journal(self, text: str) -> None:
        self.server.put(self.mount, JOURNAL, {"journal": text})

    def picture(self) -> Any:
        server, mount = self.server, self.mount
        return [(server.version(mount, path), server.data(mount, path)) for path in (PATH, JOURNAL)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with OpenBao(tmp_path_factory.mktemp("openbao")) as running:
        yield running


@pytest.fixture
def backend(server: OpenBao, monkeypatch: pytest.MonkeyPatch) -> Iterator[Secret]:
    with Relay(server) as relay:
        yield Secret(server, relay, monkeypatch)


@pytest.fixture
def store(backend: Secret) -> Store:
    return open_store(backend.url, services_of(backend, Hurried()))


class TestAsADestination(DestinationContract):
    @pytest.fixture
    def backend(self, server: OpenBao, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
        with Relay(server) as relay:
            yield Secret(server, relay, monkeypatch)


class TestAsAStore(NamedValuesStoreContract, ConditionalContract):
    @pytest.fixture
    def backend(self, server: OpenBao, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreBackend]:
        with Relay(server) as relay:
            yield Secret(server, relay, monkeypatch)

    @pytest.fixture
    def services(self, backend: Secret) -> Services:
        return services_of(backend, Hurried())


def delivered(server: OpenBao, mount: str, settings: Mapping[str, Any]) -> None:
    """Deliver with these settings of the connection, and see that it arrived."""
    backend = Reached(f"vault:{mount}/{PATH}")
    credential = fresh_credential()
    destination = open_destination(backend.url, services_of(backend, Hurried(), dict(settings)))
    destination.preflight()
    assert destination.deliver(credential).written
    assert destination.held() == Held(credential.access_key_id)
    namespace = str(settings.get("namespace", ""))
    found = server.send("GET", f"{mount}/data/{PATH}", namespace=namespace)
    assert found["data"]["data"] == pair(credential)


class Reached(Secret):
    """What ``services_of`` needs: the URL."""

    def __init__(self, url: str) -> None:
        self.url = url


class TestLogins:
    """Each method against the server's own, with the policy that the destination's page shows."""

    @pytest.fixture
    def mount(self, server: OpenBao) -> str:
        mount = server.mount()
        server.policy(mount)
        return mount

    def test_approle(self, server: OpenBao, mount: str, monkeypatch: pytest.MonkeyPatch) -> None:
        role, made = server.approle(mount)
        monkeypatch.setenv("TEST_SECRET_ID", made)
        method = {"role_id": role, "secret_id": {"env": "TEST_SECRET_ID"}, "mount": f"approle-{mount}"}
        delivered(server, mount, {"url": server.url, "approle": method})

    def test_a_jwt(self, server: OpenBao, mount: str, monkeypatch: pytest.MonkeyPatch) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        server.send("POST", f"sys/auth/jwt-{mount}", {"type": "jwt"})
        server.send("POST", f"auth/jwt-{mount}/config", {"jwt_validation_pubkeys": [public.decode()]})
        role = {
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": ["vault.example"],
            "token_policies": [mount],
            "bound_subject": "repo:acme/site",
        }
        server.send("POST", f"auth/jwt-{mount}/role/twokey", role)
        claims = {"sub": "repo:acme/site", "aud": "vault.example", "exp": 4_000_000_000, "iat": 1_700_000_000}
        monkeypatch.setenv("TEST_JWT", _jwt(key, claims))
        method = {"role": "twokey", "jwt": {"env": "TEST_JWT"}, "mount": f"jwt-{mount}"}
        delivered(server, mount, {"url": server.url, "jwt": method})

    def test_a_client_certificate_over_tls(self, server: OpenBao, mount: str, tmp_path: Path) -> None:
        server.send("POST", f"sys/auth/cert-{mount}", {"type": "cert"})
        role = {"certificate": server.authority.pem, "token_policies": [mount], "allowed_common_names": ["twokey"]}
        server.send("POST", f"auth/cert-{mount}/certs/twokey", role)
        delivered(server, mount, {**certified(server, tmp_path), "cert": {"role": "twokey", "mount": f"cert-{mount}"}})

    def test_another_client_certificate_is_refused_with_the_servers_reason(
        self, server: OpenBao, mount: str, tmp_path: Path
    ) -> None:
        server.send("POST", f"sys/auth/cert-{mount}", {"type": "cert"})
        role = {"certificate": server.authority.pem, "token_policies": [mount], "allowed_common_names": ["another"]}
        server.send("POST", f"auth/cert-{mount}/certs/twokey", role)
        settings = {**certified(server, tmp_path), "cert": {"mount": f"cert-{mount}"}}
        url = f"vault:{mount}/{PATH}"
        error = outcome(open_destination(url, services_of(Reached(url), Hurried(), settings)).held)
        assert isinstance(error, BadCredentials)
        assert "no chain matching all constraints" in error.message

    def test_a_password(self, server: OpenBao, mount: str, monkeypatch: pytest.MonkeyPatch) -> None:
        server.send("POST", f"sys/auth/userpass-{mount}", {"type": "userpass"})
        user = {"password": "the password", "token_policies": [mount]}
        server.send("POST", f"auth/userpass-{mount}/users/two.key", user)
        monkeypatch.setenv("TEST_PASSWORD", "the password")
        method = {"username": "two.key", "password": {"env": "TEST_PASSWORD"}, "mount": f"userpass-{mount}"}
        delivered(server, mount, {"url": server.url, "userpass": method})

    def test_a_token_over_tls(
        self, server: OpenBao, mount: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TEST_VAULT_TOKEN", server.token(mount))
        settings = certified(server, tmp_path)
        settings = {name: settings[name] for name in ("url", "ca")}
        delivered(server, mount, {**settings, "token": {"env": "TEST_VAULT_TOKEN"}})

    def test_a_token_that_ends_is_replaced_by_another_login(
        self, server: OpenBao, mount: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        role, made = server.approle(mount, token_num_uses=3)
        monkeypatch.setenv("TEST_SECRET_ID", made)
        method = {"role_id": role, "secret_id": {"env": "TEST_SECRET_ID"}, "mount": f"approle-{mount}"}
        delivered(server, mount, {"url": server.url, "approle": method})


class TestNamespaces:
    @pytest.fixture
    def team(self, server: OpenBao) -> str:
        """A namespace with a mount, and tokens of the parent that may use it."""
        name = f"team-{server.mount()}"
        server.send("POST", f"sys/namespaces/{name}", {})
        return name

    def test_a_secret_in_a_namespace_and_the_auth_method_in_its_parent(
        self, server: OpenBao, team: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mount = server.mount(namespace=team)
        rules = {f"{team}/{mount}/data/*": {"capabilities": ["create", "read", "update"]}}
        server.send("PUT", f"sys/policies/acl/{team}", {"policy": json.dumps({"path": rules})})
        server.send("POST", f"sys/auth/userpass-{team}", {"type": "userpass"})
        user = {"password": "the password", "token_policies": [team]}
        server.send("POST", f"auth/userpass-{team}/users/twokey", user)
        monkeypatch.setenv("TEST_PASSWORD", "the password")
        method = {"username": "twokey", "password": {"env": "TEST_PASSWORD"}, "mount": f"userpass-{team}"}
        settings = {"url": server.url, "namespace": team, "login_namespace": "root", "userpass": method}
        delivered(server, mount, settings)

    def test_a_login_in_the_namespace_of_the_secret(
        self, server: OpenBao, team: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mount = server.mount(namespace=team)
        rules = {f"{mount}/data/*": {"capabilities": ["create", "read", "update"]}}
        server.send("PUT", "sys/policies/acl/twokey", {"policy": json.dumps({"path": rules})}, namespace=team)
        server.send("POST", "sys/auth/userpass", {"type": "userpass"}, namespace=team)
        user = {"password": "the password", "token_policies": ["twokey"]}
        server.send("POST", "auth/userpass/users/twokey", user, namespace=team)
        monkeypatch.setenv("TEST_PASSWORD", "the password")
        method = {"username": "twokey", "password": {"env": "TEST_PASSWORD"}}
        delivered(server, mount, {"url": server.url, "namespace": team, "userpass": method})


def test_a_permission_that_lacks_in_a_namespace_is_not_taken_for_a_bad_token(
    server: OpenBao, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is looked up where it is from: the parent's token may do nothing in the namespace."""
    team = f"team-{server.mount()}"
    server.send("POST", f"sys/namespaces/{team}", {})
    url = f"vault:{server.mount(namespace=team)}/{PATH}"
    monkeypatch.setenv("TEST_VAULT_TOKEN", server.token(server.mount()))
    settings = {"url": server.url, "namespace": team, "login_namespace": "root", "token": {"env": "TEST_VAULT_TOKEN"}}
    assert isinstance(outcome(open_destination(url, services_of(Reached(url), Hurried(), settings)).held), AccessDenied)


def test_a_mount_that_requires_check_and_set(backend: Secret, store: Store) -> None:
    backend.server.send("POST", f"{backend.mount}/config", {"cas_required": True})
    for epoch in (1, 2):
        credential = fresh_credential()
        store.put(credential, store.save_journal(Journal(epoch=epoch), store.load().revision))
        assert store.held() == Held(credential.access_key_id)


def test_a_version_that_was_deleted_holds_nothing_and_is_followed_by_another(backend: Secret, store: Store) -> None:
    store.put(fresh_credential(), store.load().revision)
    backend.server.send("DELETE", f"{backend.mount}/data/{PATH}")
    assert store.held() == NotHeld()
    credential = fresh_credential()
    store.put(credential, store.load().revision)
    assert backend.read() == pair(credential)


def test_a_write_of_another_program_is_noticed(backend: Secret, store: Store) -> None:
    revision = store.put(fresh_credential(), store.load().revision)
    existing_key = fresh_credential()
    backend.plant(existing_key)
    for write in (
        lambda: store.put(fresh_credential(), revision),
        lambda: store.save_journal(Journal(), revision),
        lambda: store.fence(revision),
    ):
        assert isinstance(outcome(write), Conflict)
    assert backend.read() == pair(existing_key)


def test_a_mount_of_version_1_is_refused(backend: Secret) -> None:
    mount = backend.server.mount(version=1)
    backend.server.policy(mount)
    url = f"vault:{mount}/{PATH}"
    assert isinstance(outcome(open_store(url, services_of(backend, Hurried())).load), AccessDenied)
    backend.server.send("PUT", f"sys/policies/acl/{backend.mount}", {"policy": 'path "*" { capabilities = ["read"] }'})
    error = outcome(open_store(url, services_of(backend, Hurried())).load)
    assert isinstance(error, ServiceRejected)
    assert "not in a KV version 2 mount" in error.message


def test_the_custom_metadata_names_the_key(backend: Secret, store: Store) -> None:
    credential = fresh_credential()
    store.deliver(credential)
    found = backend.server.send("GET", f"{backend.mount}/metadata/{PATH}")["data"]["custom_metadata"]
    assert credential.access_key_id in found["twokey"]


def test_other_fields_of_every_type_stay_as_they_are(backend: Secret, store: Store) -> None:
    written = {"port": 5432, "big": 2**70, "ratio": 0.1, "in": {"deep": [None, True, 2**65]}, "text": "Jürgen"}
    backend.server.put(backend.mount, PATH, written)
    others = backend.read() or {}  # OpenBao itself keeps 64 bits of a number
    credential = fresh_credential()
    store.deliver(credential)
    assert backend.read() == {**others, **pair(credential)}


def certified(server: OpenBao, folder: Path) -> dict[str, str]:
    """Return the settings of a connection through TLS, with a certificate of the test's authority."""
    signed = server.authority.sign("twokey")
    files = {"ca": server.authority.pem, "client_certificate": signed.certificate, "client_key": signed.key}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return {"url": server.tls_url, **{name: str(folder / name) for name in files}}


def _jwt(key: ec.EllipticCurvePrivateKey, claims: dict[str, Any]) -> str:
    """Return a JWT, signed as ES256 (RFC 7515, RFC 7518)."""
    from base64 import urlsafe_b64encode

    def encoded(data: bytes) -> str:
        return urlsafe_b64encode(data).rstrip(b"=").decode()

    head = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "ES256", "typ": "JWT"}, claims))
    numbers = utils.decode_dss_signature(key.sign(head.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{head}.{encoded(b''.join(number.to_bytes(32, 'big') for number in numbers))}"
