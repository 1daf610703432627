"""What destinations do that keep values of their own for id and secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twokey.core.errors import Ambiguous
from twokey.core.model import CannotTell
from twokey.destinations import registry
from twokey.destinations.ci.named_values import NamedValues
from twokey.testing.contract.backends import Backend, Hurried, fresh_credential, outcome, pair, services_of
from twokey.testing.server import Fault

if TYPE_CHECKING:
    from twokey.core.destination import Destination


class NamedValuesContract:
    """What a destination of a CI system's variables does besides. To be inherited beside ``DestinationContract``."""

    @pytest.mark.parametrize("name", ["AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"])
    def test_a_session_token_beside_the_pair_is_not_held_and_is_gone_after_a_delivery(
        self, destination: Destination, second: Destination, backend: Backend, name: str
    ) -> None:
        credential = fresh_credential()
        receipt = destination.deliver(credential)
        others = f"{backend.url}{'&' if '?' in backend.url else '?'}id={name}&secret=DB_PASSWORD"
        beside = registry.open_destination(others, services_of(backend, Hurried()))
        assert isinstance(beside, NamedValues)
        beside.deliver(fresh_credential())
        holding = second.held()
        assert isinstance(holding, CannotTell)
        assert name in holding.why
        assert holding.stamp not in ("", receipt.stamp)
        second.preflight()
        assert second.deliver(credential).written
        assert backend.read() == pair(credential)
        assert set(beside._look()) == {"DB_PASSWORD"}  # noqa: SLF001  what the service shows
        holding = second.held()
        assert not isinstance(holding, CannotTell) or name not in holding.why

    def test_a_session_token_that_cannot_be_removed_is_named(self, destination: Destination, backend: Backend) -> None:
        others = f"{backend.url}{'&' if '?' in backend.url else '?'}id=AWS_SESSION_TOKEN&secret=DB_PASSWORD"
        registry.open_destination(others, services_of(backend, Hurried())).deliver(fresh_credential())
        backend.fake.add(Fault("DELETE", "", "refuse", times=None, status=403, body={"message": "Forbidden"}))
        error = outcome(lambda: destination.deliver(fresh_credential()))
        if error is not None:
            assert isinstance(error, Ambiguous)
            assert "AWS_SESSION_TOKEN" in error.message
            assert "AWS_SESSION_TOKEN" in error.remedy
