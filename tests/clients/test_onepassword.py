"""1Password's client for Connect and twokey send the same requests for an item, and read what the other wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from clients.conversation import Recording, needs_python_clients
from clients.variables import CREATED, PAIRS, UPDATED, assert_same_requests, opened
from destinations.stores.test_onepassword import Item, as_fields
from twokey.core.model import Held
from twokey.testing.fakes.onepassword import OnePassword

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.testing.server import ReceivedRequest

pytestmark = needs_python_clients
OF_THE_SERVER = ("createdAt", "updatedAt")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[OnePassword]:
    with OnePassword() as server:
        monkeypatch.setenv("TEST_CONNECT_TOKEN", next(iter(server.tokens)))
        yield server


def as_meant(_request: ReceivedRequest, body: Any) -> Any:
    """Leave out the times, which the server sets, and what is false: the client sends each switch that is off."""
    if isinstance(body, list):
        return [as_meant(_request, one) for one in body]
    if not isinstance(body, dict):
        return body
    return {name: as_meant(_request, one) for name, one in body.items() if name not in OF_THE_SERVER and one}


def test_a_client_writes_as_twokey_does_and_each_reads_what_the_other_wrote(fake: OnePassword) -> None:
    backend = Item(fake)
    recording = Recording(fake, opened=as_meant, numbers=r"\b[if]\d{25}\b")
    for step, credential in (("creates", CREATED), ("updates", UPDATED)):
        recording.step = f"twokey item {step}"
        opened(backend).deliver(credential)
    found = recording.run("onepassword", token=next(iter(fake.tokens)), pairs=PAIRS)
    assert_same_requests(recording, "item")
    assert found == {"read": as_fields(UPDATED), "titles": ["ci"]}
    assert backend.fields() == as_fields(UPDATED)
    assert opened(backend).held() == Held(UPDATED.access_key_id)
    assert not opened(backend).deliver(UPDATED).written
