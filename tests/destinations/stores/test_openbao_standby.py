"""The Vault destination through the standby of a real OpenBao cluster, which answers reads before it has the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from destinations.stores.test_openbao import Reached
from support.openbao import Cluster, needs_openbao
from twokey.core.journal import Journal
from twokey.core.model import Held
from twokey.destinations.registry import open_store
from twokey.testing.contract import Hurried, fresh_credential, services_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Store

pytestmark = [needs_openbao, pytest.mark.first]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def store(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("TEST_VAULT_TOKEN", cluster.root)
    settings = {"url": cluster.standby, "token": {"env": "TEST_VAULT_TOKEN"}}
    backend = Reached("vault:kv/ci")
    return open_store(backend.url, services_of(backend, Hurried(), settings))


def test_what_is_written_through_a_standby_is_read_back(cluster: Cluster, store: Store) -> None:
    revision = store.load().revision
    for epoch in range(1, 11):
        credential = fresh_credential()
        revision = store.fence(store.put(credential, store.save_journal(Journal(epoch=epoch), revision)))
        assert store.held() == Held(credential.access_key_id)
        written = cluster.send(f"{cluster.standby}/v1/kv/data/x", {"data": {"epoch": epoch}})
        assert written["index"].startswith("eyJ")  # JSON in Base64: how twokey tells OpenBao from Vault
    assert store.load().journal == Journal(epoch=10)
