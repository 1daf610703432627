"""hvac and twokey send the same requests for a secret of Vault, and read what the other wrote.

Once on the fake, and once on a real OpenBao, through a relay that records both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from clients.conversation import Recording, needs_python_clients
from clients.variables import CREATED, PAIRS, UPDATED, assert_same_requests, opened
from destinations.stores import test_openbao
from destinations.stores.test_vault import Secret
from support.openbao import OpenBao, Relay, needs_openbao
from twokey.core.model import Held
from twokey.destinations import registry
from twokey.testing.contract import Hurried, pair, services_of
from twokey.testing.fakes.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from twokey.testing.contract import Backend

pytestmark = needs_python_clients
PATH = "machine-users/ci"


class Login(NamedTuple):
    """The same login as a setting of twokey's connection, and as what hvac's function is given."""

    setting: dict[str, Any]
    arguments: dict[str, str]


def test_a_client_logs_in_and_writes_as_twokey_does_and_each_reads_what_the_other_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_VAULT_TOKEN", "root-token")
    monkeypatch.setenv("TEST_SECRET_ID", "the-secret-id")
    monkeypatch.setenv("TEST_JWT", "ey.jwt")
    (tmp_path / "pod").write_text("ey.pod", encoding="utf-8")
    (tmp_path / "pod").chmod(0o600)
    role, pod = {"role": "twokey"}, str(tmp_path / "pod")
    role_id = {"role_id": "twokey"}
    logins = {
        "approle": Login(
            {**role_id, "secret_id": {"env": "TEST_SECRET_ID"}}, {**role_id, "secret_id": "the-secret-id"}
        ),
        "jwt": Login({**role, "jwt": {"env": "TEST_JWT"}}, {**role, "jwt": "ey.jwt"}),
        "kubernetes": Login({**role, "jwt": {"file": pod}}, {**role, "jwt": "ey.pod"}),
    }
    with Vault() as fake:
        assert_same(Secret(fake), "secret", logins)


@needs_openbao
def test_a_client_does_so_on_a_real_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenBao(tmp_path) as server, Relay(server) as relay:
        backend = test_openbao.Secret(server, relay, monkeypatch)
        server.policy(backend.mount, metadata=("patch", "list", "delete"))
        role_id, secret_id = server.approle(backend.mount)
        monkeypatch.setenv("TEST_SECRET_ID", secret_id)
        method = f"approle-{backend.mount}"
        approle = Login(
            {"role_id": role_id, "secret_id": {"env": "TEST_SECRET_ID"}, "mount": method},
            {"role_id": role_id, "secret_id": secret_id, "mount_point": method},
        )
        assert_same(backend, backend.mount, {"approle": approle})


def assert_same(backend: Backend, mount: str, logins: dict[str, Login]) -> None:
    """Assert that hvac and twokey send the same requests, and that each reads what the other wrote."""
    # A store reads its journal in the same way, beside the credential.
    recording = Recording(backend.fake, {".twokey-journal": ""})
    for name, login in logins.items():
        recording.step = f"twokey {name} logs in"
        settings = {"url": backend.fake.url, name: login.setting}
        registry.open_destination(backend.url, services_of(backend, Hurried(), settings)).held()
    recording.step = "twokey secret looks"
    opened(backend).preflight()
    asked = recording.writes("twokey secret looks")
    for step, credential in (("creates", CREATED), ("updates", UPDATED)):
        recording.step = f"twokey secret {step}"
        opened(backend).deliver(credential)
    found = recording.run(
        "hvac_client", pairs=PAIRS, mount=mount, logins={name: login.arguments for name, login in logins.items()}
    )
    for name in logins:
        assert recording.sent(f"{name} logs in") == recording.writes(f"twokey {name} logs in") != []
    assert recording.writes("secret looks") == asked != []
    # hvac has no function for patches of metadata, nor for what Vault's own command line asks before it reads.
    unknown = (("PATCH", f"/v1/{mount}/metadata/{PATH}"), ("GET", f"/v1/sys/internal/ui/mounts/{mount}"))
    assert_same_requests(recording, "secret", unknown=unknown)
    assert found["read"] == pair(UPDATED)
    assert (found["version"], found["listed"], found["refused"]) == (2, ["ci"], True)
    assert backend.read() == pair(UPDATED)
    assert opened(backend).held() == Held(UPDATED.access_key_id)
    assert not opened(backend).deliver(UPDATED).written
