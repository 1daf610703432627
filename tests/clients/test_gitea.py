"""gitea-js and twokey send the same requests for secrets, and see what the other wrote."""

from __future__ import annotations

from clients.conversation import Recording, needs_node_clients
from clients.variables import NOTES, PAIRS, UPDATED, assert_same_requests, opened, twokey_delivers
from clients.variables import TOKEN as SESSION_TOKEN
from destinations.ci.test_gitea import Secrets
from support.token_backends import running
from twokey.core.model import CannotTell
from twokey.testing.contract import pair
from twokey.testing.fakes.gitea import Gitea

pytestmark = needs_node_clients
TARGETS = {"repository": ("gitea:acme/site", "repos/acme/site"), "organization": ("gitea:acme", "orgs/acme")}


fake = running(Gitea)


def test_a_client_writes_as_twokey_does_and_each_sees_what_the_other_wrote(fake: Gitea) -> None:
    recording = Recording(fake)
    backends = {name: Secrets(fake, url, inside) for name, (url, inside) in TARGETS.items()}
    for name, backend in backends.items():
        twokey_delivers(recording, backend, name)
    found = recording.run(
        "gitea.mjs", token=fake.token, pairs=PAIRS, notes=NOTES, names=[*Secrets.names, SESSION_TOKEN]
    )
    for name, backend in backends.items():
        assert_same_requests(recording, name)
        assert [found[name]["listed"][one] for one in Secrets.names] == [NOTES["updates"]] * 2
        assert backend.read() == pair(UPDATED)
        assert isinstance(opened(backend).held(), CannotTell)
