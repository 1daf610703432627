"""Netlify's client and twokey send the same requests for variables, and see what the other wrote."""

from __future__ import annotations

from clients.conversation import Recording, needs_node_clients
from clients.variables import PAIRS, UPDATED, assert_same_requests, opened, twokey_delivers
from destinations.ci.test_netlify import ID, SECRET, SITE, Variables
from support.token_backends import running
from twokey.core.model import CannotTell
from twokey.testing.contract import pair
from twokey.testing.fakes.netlify import Netlify

pytestmark = needs_node_clients
TARGETS = {
    "site": (f"netlify:acme/{SITE}", {"account_id": "acme", "site_id": SITE}),
    "team": ("netlify:acme", {"account_id": "acme"}),
}
SESSION_TOKEN = "MY_AWS_SESSION_TOKEN"
IDS = r"(?<=/value/)[0-9a-f-]{36}"


fake = running(Netlify)


def test_a_client_writes_as_twokey_does_and_each_sees_what_the_other_wrote(fake: Netlify) -> None:
    recording = Recording(fake, numbers=IDS)
    backends = {name: Variables(fake, url) for name, (url, _) in TARGETS.items()}
    for name, backend in backends.items():
        twokey_delivers(recording, backend, name, SESSION_TOKEN)
    written = {name: fake.targets[backend.target] for name, backend in backends.items()}
    stamps = {name: {one["key"]: one["updated_at"] for one in there} for name, there in written.items()}
    found = recording.run(
        "netlify.mjs",
        token=fake.token,
        pairs=PAIRS,
        names=[ID, SECRET, SESSION_TOKEN],
        targets={name: at for name, (_, at) in TARGETS.items()},
    )
    for name, backend in backends.items():
        assert_same_requests(recording, name)
        assert found[name]["listed"] == stamps[name]
        assert backend.read() == pair(UPDATED)
        assert isinstance(opened(backend).held(), CannotTell)
