"""azure-devops and twokey send the same requests for a variable group, and see what the other wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clients.conversation import Recording, needs_python_clients, without_nulls
from clients.variables import PAIRS, UPDATED, assert_same_requests, opened, twokey_delivers
from destinations.ci.test_azure_devops import Group
from twokey.core.model import CannotTell
from twokey.testing.contract import pair
from twokey.testing.fakes.azure_devops import AzureDevOps

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_python_clients


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureDevOps]:
    with AzureDevOps() as azure:
        monkeypatch.setenv("TEST_AZURE_TOKEN", azure.token)
        yield azure


def test_a_client_writes_as_twokey_does_and_each_sees_what_the_other_wrote(fake: AzureDevOps) -> None:
    backend = Group(fake)
    # A secret variable without a value keeps the one that it has.
    recording = Recording(fake, opened=without_nulls)
    twokey_delivers(recording, backend, "group")
    found = recording.run("azure_devops", token=fake.token, pairs=PAIRS)
    assert_same_requests(recording, "group", besides=("api-version",))
    assert found["listed"]["AWS_ACCESS_KEY_ID"] == [None, True]
    assert found["listed"]["REGION"] == ["eu-central-1", None]
    assert backend.read() == pair(UPDATED)
    assert isinstance(opened(backend).held(), CannotTell)
