"""Doppler's SDK and twokey send the same requests for secrets, and read what the other wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clients.conversation import Recording, needs_python_clients, without_nulls
from clients.variables import CREATED, PAIRS, UPDATED, assert_same_requests, opened
from destinations.stores.test_doppler import CONFIG, ID, JOURNAL, SECRET, Secrets
from twokey.core.model import Held
from twokey.testing.contract import pair
from twokey.testing.fakes.doppler import Doppler

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_python_clients


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Doppler]:
    with Doppler() as doppler:
        monkeypatch.setenv("TEST_DOPPLER_TOKEN", next(iter(doppler.tokens)))
        yield doppler


def test_a_client_writes_as_twokey_does_and_each_reads_what_the_other_wrote(fake: Doppler) -> None:
    backend = Secrets(fake)
    recording = Recording(fake, opened=without_nulls)
    for step, credential in (("creates", CREATED), ("updates", UPDATED)):
        recording.step = f"twokey config {step}"
        opened(backend).deliver(credential)
    looked_for = [ID, SECRET, JOURNAL, *Secrets.tokens]
    found = recording.run("doppler", token=next(iter(fake.tokens)), pairs=PAIRS, looked_for=looked_for)
    assert_same_requests(recording, "config")
    assert found["read"] == {ID: UPDATED.access_key_id, SECRET: str(UPDATED.reveal())}
    assert {ID, SECRET} <= set(found["names"])
    assert fake.configs[CONFIG][SECRET]["visibility"] == "masked"
    assert backend.read() == pair(UPDATED)
    assert opened(backend).held() == Held(UPDATED.access_key_id)
    assert not opened(backend).deliver(UPDATED).written
