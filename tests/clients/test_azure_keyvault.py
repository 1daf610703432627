"""Microsoft's clients and twokey log in to Azure and write secrets with the same requests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from clients.conversation import Recording, needs_python_clients
from clients.variables import CREATED, NOTES, UPDATED, assert_same_requests, opened
from destinations.stores.test_azure_keyvault import NAME, Secret
from support.certificates import Authority
from twokey.core.model import Held
from twokey.testing.contract import pair
from twokey.testing.fakes.azure_keyvault import CLIENT, TENANT, KeyVault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_python_clients
APP_SERVICE = {"IDENTITY_HEADER": "h-of-the-app"}


class LoggedIn(Secret):
    """The secret, as an identity sees it that logs in."""

    def __init__(self, fake: KeyVault, ca: Path, **login: Any) -> None:
        super().__init__(fake)
        self._settings = {"url": fake.url, "authority": fake.url, "ca": str(ca), **login}

    def settings(self) -> dict[str, Any]:
        return self._settings


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    return tmp_path / "ca.pem"


@pytest.fixture
def fake(ca: Path) -> Iterator[KeyVault]:
    authority = Authority()
    ca.write_text(authority.pem, encoding="utf-8")
    vault = KeyVault()
    vault.tls = authority.server(ca.parent)
    with vault:
        yield vault


def test_a_client_logs_in_and_writes_as_twokey_does_and_each_reads_what_the_other_wrote(
    fake: KeyVault, ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("ey.federated", encoding="utf-8")
    token_file.chmod(0o600)
    monkeypatch.setenv("TEST_AZURE_SECRET", fake.client_secret)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca))
    application = {"tenant": TENANT, "client": CLIENT}
    app_service = {"IDENTITY_ENDPOINT": f"{fake.url}/msi/token", **APP_SERVICE}
    logins = {
        "secret": LoggedIn(fake, ca, **application, client_secret={"env": "TEST_AZURE_SECRET"}),
        "federated": LoggedIn(fake, ca, **application, federated_token_file=str(token_file)),
        "metadata": LoggedIn(fake, ca, identity=fake.url),
        "app service": LoggedIn(fake, ca),
    }
    # A store reads its journal in the same way, beside the credential.
    recording = Recording(fake, {"-twokey-journal": ""})
    for name, login in logins.items():
        with monkeypatch.context() as patch:
            for variable, value in app_service.items() if name == "app service" else ():
                patch.setenv(variable, value)
            recording.step = f"twokey {name} logs in"
            opened(login).held()
    monkeypatch.setenv("TEST_AZURE_TOKEN", fake.token)
    backend = LoggedIn(fake, ca, token={"env": "TEST_AZURE_TOKEN"})
    for step, credential in (("creates", CREATED), ("updates", UPDATED)):
        recording.step = f"twokey secret {step}"
        opened(backend).deliver(credential)
    found = recording.run(
        "azure_keyvault",
        name=NAME,
        **application,
        client_secret=fake.client_secret,
        token_file=str(token_file),
        variables={"metadata": {"AZURE_POD_IDENTITY_AUTHORITY_HOST": fake.url}, "app service": app_service},
        texts={"creates": json.dumps(pair(CREATED)), "updates": json.dumps(pair(UPDATED))},
        notes=NOTES,
        environment={"SSL_CERT_FILE": str(ca), "REQUESTS_CA_BUNDLE": str(ca)},
    )
    for name in logins:
        assert_same_login(recording, name)
    assert_same_requests(recording, "secret", besides=("api-version",))
    assert found["read"] == [json.dumps(pair(UPDATED)), "application/json", {"twokey": NOTES["updates"]}]
    assert found["listed"] == [NAME]
    assert backend.read() == pair(UPDATED)
    assert opened(backend).held() == Held(UPDATED.access_key_id)


def assert_same_login(recording: Recording, name: str) -> None:
    """Assert that the client sends what twokey sends; it may say more about itself."""
    ours = recording.sent(f"twokey {name} logs in")[0]
    theirs = recording.sent(f"{name} logs in")[-1]
    assert (ours.method, ours.path, ours.query, ours.media_type) == (
        theirs.method,
        theirs.path,
        theirs.query,
        theirs.media_type,
    )
    assert (ours.body or {}).items() <= (theirs.body or {}).items()
