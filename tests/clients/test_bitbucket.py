"""atlassian-python-api and twokey send the same requests for variables, and see what the other wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from clients.conversation import Recording, needs_python_clients
from clients.variables import PAIRS, UPDATED, assert_same_requests, opened, twokey_delivers
from destinations.ci.test_bitbucket import Variables
from twokey.core.model import CannotTell
from twokey.destinations.ci.bitbucket import PUBLIC
from twokey.testing.contract import pair
from twokey.testing.fakes.bitbucket import Bitbucket

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_python_clients


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bitbucket]:
    with Bitbucket() as bitbucket:
        monkeypatch.setenv("TEST_BITBUCKET_TOKEN", bitbucket.token)
        bitbucket.add_repository("acme/api", "Production")
        yield bitbucket


def test_a_client_writes_as_twokey_does_and_each_sees_what_the_other_wrote(fake: Bitbucket) -> None:
    backends = {
        "repository": Variables(fake, "bitbucket:acme/site", "acme/site"),
        "environment": Variables(
            fake, "bitbucket:acme/api?deployment=Production", fake.environment("acme/api", "Production")
        ),
    }
    recording = Recording(fake, base=urlsplit(PUBLIC).path, numbers=r"\{[0-9a-f-]{36}\}")
    for name, backend in backends.items():
        twokey_delivers(recording, backend, name)
    found = recording.run("atlassian", token=fake.token, pairs=PAIRS)
    for name, backend in backends.items():
        assert_same_requests(recording, name, besides=("page", "pagelen"))
        assert found[name]["listed"]["AWS_ACCESS_KEY_ID"] == [None, True]
        assert found[name]["listed"]["AWS_SECRET_ACCESS_KEY"] == [None, True]
        assert backend.read() == pair(UPDATED)
        assert isinstance(opened(backend).held(), CannotTell)
