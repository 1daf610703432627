"""GitHub's clients and twokey send the same requests for secrets, and see what the other wrote."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from nacl.public import SealedBox

from clients.conversation import Recording, needs_node_clients, needs_python_clients
from clients.variables import CREATED, PAIRS, UPDATED, assert_same_requests, opened, twokey_delivers
from destinations.ci.test_github import Secrets
from twokey.core.model import CannotTell
from twokey.testing.contract import pair
from twokey.testing.fakes.github import GitHub

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.testing.server import ReceivedRequest

COMMON = {
    "repository": ("github:acme/site", "acme/site/actions"),
    "environment": ("github:acme/api?environment=production", "acme/api/environments/production"),
    "organization": ("github:acme?visibility=all", "acme/actions"),
}
OTHERS = {
    "dependabot": ("github:acme/site?set=dependabot", "acme/site/dependabot"),
    "codespaces": ("github:acme/site?set=codespaces", "acme/site/codespaces"),
    "selected": ("github:acme?set=dependabot&visibility=selected&repositories=site,api", "acme/dependabot"),
}
"""What only one of the clients knows in full."""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    with GitHub() as github:
        monkeypatch.setenv("TEST_GITHUB_TOKEN", github.token)
        github.add_repository("acme/api", "production")
        yield github


@pytest.mark.parametrize(
    ("program", "targets"),
    [
        pytest.param("pygithub", COMMON, marks=needs_python_clients, id="pygithub"),
        pytest.param("octokit.mjs", COMMON | OTHERS, marks=needs_node_clients, id="octokit"),
    ],
)
def test_a_client_writes_as_twokey_does_and_each_sees_what_the_other_wrote(
    fake: GitHub, program: str, targets: dict[str, tuple[str, str]]
) -> None:
    def unsealed(request: ReceivedRequest, body: Any) -> Any:
        if request.method != "PUT":
            return body
        target = request.path.split("/", 2)[2].replace("/secrets/", "/").rpartition("/")[0]
        box = SealedBox(fake._key(target))
        return {**body, "encrypted_value": box.decrypt(base64.b64decode(body["encrypted_value"])).decode()}

    recording = Recording(fake, opened=unsealed)
    written = {}
    for name, (url, inside) in targets.items():
        twokey_delivers(recording, Secrets(fake, url, inside), name)
        written[name] = {one: secret["updated_at"] for one, secret in fake.secrets[inside].items()}
    found = recording.run(program, token=fake.token, pairs=PAIRS)
    for name, (url, inside) in targets.items():
        backend = Secrets(fake, url, inside)
        assert_same_requests(recording, name)
        assert found[name]["listed"] == written[name]
        assert found[name]["read"] == written[name]["AWS_ACCESS_KEY_ID"]
        assert found[name].get("seen") in (None, ["acme/site", "acme/api"])
        assert backend.read() == pair(UPDATED)
        assert isinstance(opened(backend).held(), CannotTell)
        assert opened(backend).deliver(CREATED).written
