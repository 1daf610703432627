"""api4jenkins and twokey send the same requests for credentials, and read what the other wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clients.conversation import Recording, needs_python_clients
from clients.variables import CREATED, NOTES, PAIRS, UPDATED, assert_same_requests, opened
from destinations.ci.test_jenkins import PARTS, OneCredential
from twokey.core.model import Held
from twokey.testing.contract import pair
from twokey.testing.fakes.jenkins import AWS, USERNAME, Jenkins

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_python_clients


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jenkins]:
    with Jenkins() as jenkins:
        monkeypatch.setenv("TEST_JENKINS_TOKEN", jenkins.token)
        jenkins.permissions.add("Delete")
        yield jenkins


def test_a_client_writes_as_twokey_does_and_each_reads_what_the_other_wrote(fake: Jenkins) -> None:
    url = "jenkins:ci?folder=shop&domain=production&kind=username-password"
    backends = {
        "system": OneCredential(fake, "jenkins:ci", "|system|_"),
        "folder": OneCredential(fake, url, fake.add_domain("shop", "folder", "production"), USERNAME),
    }
    recording = Recording(fake)
    for name, backend in backends.items():
        for step, credential in (("creates", CREATED), ("updates", UPDATED)):
            recording.step = f"twokey {name} {step}"
            opened(backend).deliver(credential)
    elements = {"system": [AWS, *PARTS[AWS]], "folder": [USERNAME, *PARTS[USERNAME]]}
    found = recording.run("api4jenkins_client", token=fake.token, pairs=PAIRS, notes=NOTES, elements=elements)
    for name, backend in backends.items():
        assert_same_requests(recording, name, besides=("depth",))
        assert UPDATED.access_key_id in found[name]
        assert UPDATED.reveal() not in found[name]
        assert backend.read() == pair(UPDATED)
        assert opened(backend).held() == Held(UPDATED.access_key_id)
        assert not opened(backend).deliver(UPDATED).written
