"""Kubernetes' client and twokey send the same requests for a Secret, and read what the other wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from clients.conversation import Recording, needs_python_clients
from clients.variables import CREATED, NOTES, PAIRS, UPDATED, assert_same_requests, opened
from destinations.stores.test_kubernetes import TARGET, Secret, as_data
from twokey.core.model import Held
from twokey.destinations.stores.kubernetes import MANAGER, NOTE, _manager_of
from twokey.testing.contract import pair
from twokey.testing.fakes.kubernetes import Kubernetes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.testing.server import ReceivedRequest

pytestmark = needs_python_clients


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubernetes]:
    with Kubernetes() as cluster:
        monkeypatch.setenv("TEST_KUBERNETES_TOKEN", next(iter(cluster.tokens)))
        yield cluster


def of_any_version(_request: ReceivedRequest, body: Any) -> Any:
    """Leave out which object and which version of it is meant: two writes that are otherwise the same differ in it."""
    if isinstance(body, dict) and {"uid", "resourceVersion"} <= (body.get("metadata") or {}).keys():
        return {**body, "metadata": {**body["metadata"], "uid": "", "resourceVersion": ""}}
    return body


def test_a_client_writes_as_twokey_does_and_each_reads_what_the_other_wrote(fake: Kubernetes) -> None:
    backend = Secret(fake)
    recording = Recording(fake, opened=of_any_version, untyped="application/json")
    recording.step = "twokey secret looks"
    opened(backend).preflight()
    recording.step = "twokey secret creates"
    opened(backend).deliver(CREATED)
    backend.plant_value("AWS_SESSION_TOKEN", "a token")
    recording.step = "twokey secret updates"
    opened(backend).deliver(UPDATED)
    found = recording.run(
        "kubernetes_client",
        token=next(iter(fake.tokens)),
        pairs=PAIRS,
        notes=NOTES,
        annotation=NOTE,
        manager=_manager_of(as_data(CREATED)),
        cleaner=f"{MANAGER}-cleanup",
    )
    assert_same_requests(recording, "secret")
    reviews = recording.writes("secret looks")
    assert [one for one in recording.writes("twokey secret looks") if "selfsubjectaccessreviews" in one.path] == reviews
    assert found == {"read": as_data(UPDATED), "note": NOTES["updates"], "listed": ["ci"]}
    assert backend.read() == pair(UPDATED)
    assert fake.annotations(TARGET)[NOTE] == NOTES["updates"]
    assert opened(backend).held() == Held(UPDATED.access_key_id)
    assert not opened(backend).deliver(UPDATED).written
