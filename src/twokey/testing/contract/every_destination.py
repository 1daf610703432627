"""What every destination does, wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.secret import Credential
from twokey.destinations import registry
from twokey.destinations.identity import identity
from twokey.testing.contract.backends import ACCOUNT, BackendView, fresh_credential, pair

if TYPE_CHECKING:
    from twokey.core.destination import Destination
    from twokey.destinations.registry import Services


class EveryDestinationContract:
    """What every destination does, wherever it is. ``backend`` is its service, as the tests see it.

    ``destination`` and ``second`` are two runs with the same backend; ``services`` is what they are opened with.
    ``compares_secrets``: False where the service shows the id but never the secret, and takes both in one write: then
    a delivery that finds its id there has nothing to do.
    """

    compares_secrets: ClassVar[bool] = True

    @pytest.fixture
    def backend(self) -> BackendView:
        """Return a backend of this test's own."""
        raise NotImplementedError

    @pytest.fixture
    def destination(self) -> Destination:
        """Return the destination."""
        raise NotImplementedError

    @pytest.fixture
    def second(self) -> Destination:
        """Return the destination as another run sees it."""
        raise NotImplementedError

    def test_carries_the_url_as_its_name(self, destination: Destination, backend: BackendView) -> None:
        assert destination.name == backend.url

    def test_its_url_means_the_same_in_every_run(self, destination: Destination, services: Services) -> None:
        again = registry.open_destination(destination.name, services)
        assert identity(destination, services, ACCOUNT) == identity(again, services, ACCOUNT)

    def test_an_empty_destination_holds_no_key(self, destination: Destination) -> None:
        assert destination.held() == NotHeld()

    def test_looking_and_preflight_change_nothing(self, destination: Destination, backend: BackendView) -> None:
        before = backend.written()
        destination.held()
        destination.preflight()
        assert backend.read() is None
        assert backend.written() == before

    def test_a_delivery_creates_what_is_missing(self, destination: Destination, backend: BackendView) -> None:
        credential = fresh_credential()
        receipt = destination.deliver(credential)
        assert (receipt.key_id, receipt.written) == (credential.access_key_id, True)
        assert backend.read() == pair(credential)

    def test_a_delivery_replaces_another_key(self, destination: Destination, backend: BackendView) -> None:
        older, newer = fresh_credential(), fresh_credential()
        destination.deliver(older)
        assert destination.deliver(newer).written
        assert backend.read() == pair(newer)

    def test_a_delivery_replaces_what_the_operator_wrote(self, destination: Destination, backend: BackendView) -> None:
        backend.plant(fresh_credential())
        credential = fresh_credential()
        assert destination.deliver(credential).written
        assert backend.read() == pair(credential)

    def test_a_wrong_secret_beside_the_right_id_is_replaced(
        self, destination: Destination, backend: BackendView
    ) -> None:
        credential = fresh_credential()
        backend.plant(Credential(credential.access_key_id, fresh_credential().reveal()))
        written = destination.deliver(credential).written
        assert written == self.compares_secrets
        assert (backend.read() == pair(credential)) == self.compares_secrets

    def test_it_reports_the_key_that_it_holds_or_that_it_cannot_tell(
        self, destination: Destination, second: Destination
    ) -> None:
        credential = fresh_credential()
        destination.deliver(credential)
        holding = second.held()
        if isinstance(holding, CannotTell):
            assert holding.why
            assert not holding.failed
        else:
            assert holding == Held(credential.access_key_id)

    def test_delivering_twice_writes_once_where_it_shows_what_it_holds(
        self, destination: Destination, second: Destination, backend: BackendView
    ) -> None:
        credential = fresh_credential()
        destination.deliver(credential)
        writes = backend.written()
        receipt = second.deliver(credential)
        if isinstance(second.held(), CannotTell):
            assert receipt.written
        else:
            assert not receipt.written
            assert backend.written() == writes
        assert backend.read() == pair(credential)

    def test_the_stamp_of_a_delivery_is_what_it_shows_until_another_client_writes(
        self, destination: Destination, second: Destination, backend: BackendView
    ) -> None:
        receipt = destination.deliver(fresh_credential())
        shown = second.held()
        if not isinstance(shown, CannotTell) or destination.traits.confirms == "nothing":
            return
        assert shown.stamp == receipt.stamp != ""
        backend.plant(fresh_credential())
        again = second.held()
        assert isinstance(again, CannotTell)
        assert again.stamp != receipt.stamp

    def test_a_key_that_the_operator_wrote_is_never_taken_for_another(
        self, destination: Destination, backend: BackendView
    ) -> None:
        existing_key = fresh_credential()
        destination.deliver(fresh_credential())
        backend.plant(existing_key)
        holding = destination.held()
        assert isinstance(holding, CannotTell) or holding == Held(existing_key.access_key_id)
