"""hvac and twokey send the same requests for a secret of Vault, and read what the other wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from clients.conversation import Recording, needs_python_clients
from clients.variables import CREATED, PAIRS, UPDATED, assert_same_requests, opened
from destinations.stores.test_vault import Secret
from twokey.core.model import Held
from twokey.testing.contract import pair
from twokey.testing.fakes.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_python_clients
UNKNOWN = (("PATCH", "/v1/secret/metadata/machine-users/ci"), ("GET", "/v1/sys/internal/ui/mounts/secret"))
"""Patches of metadata, and what Vault's own command line asks before it reads."""


class LoggedIn(Secret):
    """The secret, after a login."""

    def __init__(self, fake: Vault, **login: Any) -> None:
        super().__init__(fake)
        self._settings = {"url": fake.url, **login}

    def settings(self) -> dict[str, Any]:
        return self._settings


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    monkeypatch.setenv("TEST_VAULT_TOKEN", "root-token")
    with Vault() as vault:
        yield vault


def test_a_client_logs_in_and_writes_as_twokey_does_and_each_reads_what_the_other_wrote(
    fake: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_SECRET_ID", "the-secret-id")
    monkeypatch.setenv("TEST_JWT", "ey.jwt")
    (tmp_path / "pod").write_text("ey.pod", encoding="utf-8")
    (tmp_path / "pod").chmod(0o600)
    logins = {
        "approle": {"approle": {"role_id": "twokey", "secret_id": {"env": "TEST_SECRET_ID"}}},
        "jwt": {"jwt": {"role": "twokey", "jwt": {"env": "TEST_JWT"}}},
        "kubernetes": {"kubernetes": {"role": "twokey", "jwt": {"file": str(tmp_path / "pod")}}},
    }
    # A store reads its journal in the same way, beside the credential.
    recording = Recording(fake, {".twokey-journal": ""})
    for name, login in logins.items():
        recording.step = f"twokey {name} logs in"
        opened(LoggedIn(fake, **login)).held()
    backend = Secret(fake)
    recording.step = "twokey secret looks"
    opened(backend).preflight()
    asked = recording.writes("twokey secret looks")
    for step, credential in (("creates", CREATED), ("updates", UPDATED)):
        recording.step = f"twokey secret {step}"
        opened(backend).deliver(credential)
    found = recording.run("hvac_client", pairs=PAIRS)
    for name in logins:
        assert recording.sent(f"{name} logs in") == recording.writes(f"twokey {name} logs in") != []
    assert recording.writes("secret looks") == asked != []
    assert_same_requests(recording, "secret", unknown=UNKNOWN)
    assert found["read"] == pair(UPDATED)
    assert (found["version"], found["listed"], found["refused"]) == (2, ["ci"], True)
    assert backend.read() == pair(UPDATED)
    assert opened(backend).held() == Held(UPDATED.access_key_id)
    assert not opened(backend).deliver(UPDATED).written
