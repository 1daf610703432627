"""What a store does besides that keeps id and secret as values of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twokey.core.errors import ServiceRejected
from twokey.core.model import CannotTell, Held
from twokey.core.secret import Credential
from twokey.destinations.registry import Services, open_store
from twokey.testing.contract import SECRET, assert_silent, fresh_credential, outcome, pair
from twokey.testing.stores.values import OTHERS, UNMANAGED_TEXTS, NamedValuesBackend, with_option

if TYPE_CHECKING:
    from twokey.core.destination import Store


class NamedValuesStoreContract:
    """What a store does besides that has named values, of which twokey writes some. To be inherited beside another."""

    def test_other_values_stay(self, first: Store, backend: NamedValuesBackend) -> None:
        backend.plant_value("DB_PASSWORD", "x")
        first.preflight()
        for _ in range(2):
            credential = fresh_credential()
            first.deliver(credential)
            assert (backend.read() or {}).items() >= pair(credential).items()
        assert backend.value("DB_PASSWORD") == "x"

    def test_a_session_token_beside_the_pair_is_not_held_and_is_gone_after_a_delivery(
        self, first: Store, backend: NamedValuesBackend
    ) -> None:
        credential = fresh_credential()
        receipt = first.deliver(credential)
        assert backend.tokens
        for name in backend.tokens:
            backend.plant_value(name, "IQoJb3JpZ2luX2VjEXAMPLE")
            holding = first.held()
            assert isinstance(holding, CannotTell)
            assert name in holding.why
            assert holding.stamp not in ("", receipt.stamp)
            first.preflight()
            receipt = first.deliver(credential)
            assert receipt.written
            assert backend.value(name) is None
            assert backend.read() == pair(credential)
            assert first.held() == Held(credential.access_key_id)

    def test_a_put_removes_a_session_token_too(self, first: Store, backend: NamedValuesBackend) -> None:
        first.deliver(fresh_credential())
        backend.plant_value(backend.tokens[0], "IQoJb3JpZ2luX2VjEXAMPLE")
        credential = fresh_credential()
        first.put(credential, first.load().revision)
        assert backend.value(backend.tokens[0]) is None
        assert first.held() == Held(credential.access_key_id)

    def test_other_members_of_a_single_value_stay(self, backend: NamedValuesBackend, services: Services) -> None:
        store = open_store(with_option(backend.url, "format=json&name=ONE"), services)
        backend.plant_value("ONE", OTHERS % "AKIAIOSFODNN7EXAMPLE")
        store.preflight()
        credential = fresh_credential()
        assert store.deliver(credential).written
        expected = OTHERS % credential.access_key_id
        assert backend.value("ONE") == expected.replace(SECRET, str(credential.reveal()))
        assert not store.deliver(credential).written

    @pytest.mark.parametrize("text", UNMANAGED_TEXTS)
    def test_a_single_value_that_is_not_ours_is_refused_before_anything_is_changed(
        self, backend: NamedValuesBackend, services: Services, text: str
    ) -> None:
        store = open_store(with_option(backend.url, "format=json&name=ONE"), services)
        backend.plant_value("ONE", text)
        for act in (store.preflight, lambda: store.deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert error.remedy
            assert_silent(error, Credential("", SECRET))
        assert backend.value("ONE") == text
