"""pycircleci and twokey send the same requests for a context's variables, and see what the other wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clients.conversation import Recording, needs_python_clients
from clients.variables import PAIRS, UPDATED, assert_same_requests, opened, twokey_delivers
from destinations.ci.test_circleci import named
from twokey.core.model import CannotTell
from twokey.testing.contract import pair
from twokey.testing.fakes.circleci import CircleCI

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_python_clients


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[CircleCI]:
    with CircleCI() as circleci:
        monkeypatch.setenv("TEST_CIRCLE_TOKEN", circleci.token)
        yield circleci


def test_a_client_writes_as_twokey_does_and_each_sees_what_the_other_wrote(fake: CircleCI) -> None:
    backend = named(fake)
    fake.page_size = 2  # so that both ask for another page
    recording = Recording(fake)
    twokey_delivers(recording, backend, "context")
    variables = fake.contexts[fake.context]["variables"]
    written = {name: one["updated_at"] for name, one in variables.items()}
    found = recording.run("circleci", token=fake.token, pairs=PAIRS)
    assert_same_requests(recording, "context", besides=("owner-type",))
    assert found["listed"] == written
    assert backend.read() == pair(UPDATED)
    assert isinstance(opened(backend).held(), CannotTell)
