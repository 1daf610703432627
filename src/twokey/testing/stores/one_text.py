"""What a store does besides whose credential is one text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from twokey.core.errors import Conflict, ServiceRejected
from twokey.core.model import CannotTell, Held
from twokey.core.secret import Credential
from twokey.destinations.registry import Services, open_store
from twokey.testing.contract import SECRET, assert_silent, fresh_credential, outcome, pair
from twokey.testing.stores.values import OTHERS, UNMANAGED_TEXTS, StoreBackend, with_option

if TYPE_CHECKING:
    from twokey.core.destination import Store


class OneTextContract:
    """What a store does besides whose value is one text, by default a JSON object. To be inherited beside another."""

    @pytest.mark.parametrize("text", UNMANAGED_TEXTS)
    def test_a_value_that_is_not_ours_is_refused_before_anything_is_changed(
        self, first: Store, backend: StoreBackend, text: str
    ) -> None:
        backend.plant_text(text)
        before = backend.picture()
        for act in (first.preflight, lambda: first.deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert "did not write" in error.message
            assert error.remedy
            assert_silent(error, Credential("", SECRET))
        assert backend.picture() == before
        assert backend.text() == text

    @pytest.mark.parametrize("text", ["{}", " ", "{ }\n"])
    def test_a_value_without_content_is_replaced(self, first: Store, backend: StoreBackend, text: str) -> None:
        backend.plant_text(text)
        first.preflight()
        credential = fresh_credential()
        assert first.deliver(credential).written
        assert json.loads(backend.text() or "") == pair(credential)

    @pytest.mark.parametrize("name", ["env", "credentials-file"])
    def test_a_credential_in_another_format_is_ours_and_is_replaced(
        self, first: Store, backend: StoreBackend, services: Services, name: str
    ) -> None:
        first.deliver(fresh_credential())
        changed = open_store(with_option(backend.url, f"format={name}"), services)
        changed.preflight()
        credential = fresh_credential()
        assert changed.deliver(credential).written
        assert credential.access_key_id in (backend.text() or "")
        assert not (backend.text() or "").startswith("{")
        first.preflight()
        assert first.deliver(credential).written
        assert json.loads(backend.text() or "") == pair(credential)

    def test_other_members_stay_exactly_as_they_are_written(self, first: Store, backend: StoreBackend) -> None:
        backend.plant_text(OTHERS % "AKIAIOSFODNN7EXAMPLE")
        for write in (first.deliver, lambda one: first.put(one, first.load().revision)):
            credential = fresh_credential()
            first.preflight()
            write(credential)
            expected = OTHERS % credential.access_key_id
            assert backend.text() == expected.replace(SECRET, str(credential.reveal()))
            assert first.held() == Held(credential.access_key_id)
        before = backend.picture()
        assert not first.deliver(credential).written
        assert backend.picture() == before

    def test_members_are_added_to_an_object_without_a_pair(self, first: Store, backend: StoreBackend) -> None:
        backend.plant_text('{"DB_PASSWORD": "x", "DB_PORT": 5432}')
        credential = fresh_credential()
        first.preflight()
        first.deliver(credential)
        found = json.loads(backend.text() or "")
        assert found == {"DB_PASSWORD": "x", "DB_PORT": 5432, **pair(credential)}

    @pytest.mark.usefixtures("held_key")
    def test_a_member_that_another_program_adds_in_the_meantime_is_not_lost(
        self, first: Store, backend: StoreBackend
    ) -> None:
        first.deliver(fresh_credential())
        seen = first.load().revision
        found = json.loads(backend.text() or "")
        backend.plant_text(json.dumps({**found, "DB_PASSWORD": "x"}))
        with pytest.raises(Conflict):
            first.put(fresh_credential(), seen)
        first.put(fresh_credential(), first.load().revision)
        assert json.loads(backend.text() or "")["DB_PASSWORD"] == "x"  # noqa: S105

    @pytest.mark.parametrize("name", ["SessionToken", "SecurityToken", "Token"])
    def test_a_session_token_beside_the_pair_is_not_held_and_is_gone_after_a_delivery(
        self, first: Store, backend: StoreBackend, name: str
    ) -> None:
        credential = fresh_credential()
        left = {name: "IQoJb3JpZ2luX2VjEXAMPLE", "Expiration": "2020-01-01T00:00:00Z", "region": "eu-central-1"}
        backend.plant_text(json.dumps({**pair(credential), **left}))
        holding = first.held()
        assert isinstance(holding, CannotTell)
        assert name in holding.why
        first.preflight()
        receipt = first.deliver(credential)
        assert receipt.written
        assert json.loads(backend.text() or "") == {**pair(credential), "region": "eu-central-1"}
        assert first.held() == Held(credential.access_key_id)

    def test_a_token_of_another_service_is_refused_and_not_removed(self, first: Store, backend: StoreBackend) -> None:
        backend.plant_text(json.dumps({**pair(fresh_credential()), "Token": "xoxb-of-another-service"}))
        before = backend.picture()
        for act in (first.preflight, lambda: first.deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert "Token" in error.message
            assert error.remedy
        assert backend.picture() == before
