"""python-gitlab and twokey send the same requests for variables, and read what the other wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clients.conversation import Recording, needs_python_clients
from clients.variables import NOTES, PAIRS, UPDATED, assert_same_requests, opened, twokey_delivers
from destinations.ci.test_gitlab import Variables
from twokey.core.model import Held
from twokey.testing.contract import pair
from twokey.testing.fakes.gitlab import GitLab

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_python_clients
TARGETS = {
    "project": ("gitlab:acme/site", "projects", "acme/site", "*"),
    "environment": ("gitlab:acme/site?scope=production%2Feu", "projects", "acme/site", "production/eu"),
    "group": ("gitlab-group:acme", "groups", "acme", "*"),
    "instance": ("gitlab-instance:variables", "admin", "ci", "*"),
}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitLab]:
    with GitLab() as gitlab:
        monkeypatch.setenv("TEST_GITLAB_TOKEN", gitlab.token)
        yield gitlab


def test_a_client_writes_as_twokey_does_and_each_reads_what_the_other_wrote(fake: GitLab) -> None:
    # The client names an owner by its number as soon as it knows that.
    numbers = {
        f"/{kind}/{fake.targets[f'{kind}/{path}']['id']}/": f"/{kind}/{path.replace('/', '%2F')}/"
        for _, kind, path, _ in TARGETS.values()
    }
    recording = Recording(fake, numbers)
    backends = {
        name: Variables(fake, url, f"{kind}/{path}", scope) for name, (url, kind, path, scope) in TARGETS.items()
    }
    for name, backend in backends.items():
        twokey_delivers(recording, backend, name)
    found = recording.run(
        "python_gitlab",
        token=fake.token,
        pairs=PAIRS,
        notes=NOTES,
        targets={name: target[1:] for name, target in TARGETS.items()},
    )
    for name, backend in backends.items():
        assert_same_requests(recording, name)
        assert found[name]["read"] == [UPDATED.access_key_id, NOTES["updates"], True]
        assert (
            found[name]["listed"].items()
            >= {
                "AWS_ACCESS_KEY_ID": UPDATED.access_key_id,
                "AWS_SECRET_ACCESS_KEY": str(UPDATED.reveal()),
            }.items()
        )
        assert backend.read() == pair(UPDATED)
        assert opened(backend).held() == Held(UPDATED.access_key_id)
        assert not opened(backend).deliver(UPDATED).written
