"""pytfe and twokey send the same requests for variables, and see what the other wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from clients.conversation import Recording, needs_python_clients
from clients.variables import NOTES, PAIRS, UPDATED, assert_same_requests, opened, twokey_delivers
from destinations.ci.test_hcp_terraform import Vars
from twokey.core.model import CannotTell
from twokey.testing.contract import pair
from twokey.testing.fakes.hcp_terraform import HcpTerraform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.testing.server import ReceivedRequest

pytestmark = needs_python_clients


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[HcpTerraform]:
    with HcpTerraform() as terraform:
        monkeypatch.setenv("TEST_TFE_TOKEN", terraform.token)
        terraform.as_pytfe_expects = True
        for number in range(120):
            terraform.add_set("acme", f"aws keys {number}")
        yield terraform


def without_id(request: ReceivedRequest, body: Any) -> Any:
    """Leave the id out of an update: JSON:API wants it, pytfe sends it for sets only, and the path names it, too."""
    return {"data": {**body["data"], "id": None}} if request.method == "PATCH" else body


def test_a_client_writes_as_twokey_does_and_each_sees_what_the_other_wrote(fake: HcpTerraform) -> None:
    backends = {
        "workspace": Vars(fake, "hcp-terraform:acme/site", next(iter(fake.owners))),
        "set": Vars(fake, "hcp-terraform-varset:acme/aws keys", f"varsets/{fake.add_set('acme', 'aws keys')}"),
    }
    recording = Recording(fake, opened=without_id, numbers=r"\bvar-\d+")
    for name, backend in backends.items():
        twokey_delivers(recording, backend, name)
    found = recording.run("pytfe_client", token=fake.token, pairs=PAIRS, notes=NOTES)
    for name, backend in backends.items():
        assert_same_requests(recording, name, besides=("page[size]", "page[number]"))
        assert found[name]["read"] == [None, True, NOTES["updates"]]
        assert found[name]["listed"] > 120
        assert backend.read() == pair(UPDATED)
        assert isinstance(opened(backend).held(), CannotTell)
