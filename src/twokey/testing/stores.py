"""The contract of a store, as tests that every store passes.

A module of tests names a class ``Test…(StoreContract)``, or ``(ConditionalContract)`` where the service has conditional
writes, and gives it the fixtures ``backend`` and ``services``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from twokey.core.errors import Conflict, ServiceRejected
from twokey.core.journal import Delivery, Intent, Journal, Lease
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.secret import Credential
from twokey.destinations.registry import Services, names_user, open_store
from twokey.testing.contract import SECRET, assert_silent, fresh_credential, fresh_name, outcome, pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.destination import Store

__all__ = [
    "FULL",
    "SECRET",
    "ConditionalContract",
    "NamedValuesBackend",
    "NamedValuesStoreContract",
    "OneTextContract",
    "StoreBackend",
    "StoreContract",
    "assert_silent",
    "fresh_credential",
    "fresh_name",
    "outcome",
    "pair",
    "with_option",
]

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
FULL = Journal(
    epoch=7,
    user="AIDAEXAMPLE",
    current="AKIAEXAMPLE000000001",
    last="AKIAEXAMPLE000000000",
    committed=AT,
    lease=Lease(run="r1", host="h", process=42, start="boot/1", until=AT),
    intent=Intent(known=("AKIAEXAMPLE000000001",), at=AT),
    delivered={"github:acme/site": Delivery(key="AKIAEXAMPLE000000001", at=AT)},
)


FOREIGN = (
    "something else",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n",
    json.dumps([SECRET]),
    f'"{SECRET}"',
    "DB_PASSWORD=x\n",
    "[database]\npassword = x\n",
    f"AKIAIOSFODNN7EXAMPLE:{SECRET}",
)
"""Values of others, in a store whose format is a JSON object."""
OTHERS = (
    '{"z": 1.10, "big": 123456789012345678901234567890, "tiny": 1e-400, "one": 1.0, "SecretAccessKey" :"'
    + SECRET
    + '",\n  "name": "J\u00fcrgen \\u00fc \\/ \\ud83d\\ude00", "twice": 1, "twice": 2,\t'
    '"in": {"AccessKeyId": "not this", "deep": [1.50, {"a": null}]}, "AccessKeyId":  "%s", "": false , "last": [ ] }\n'
)
"""A JSON object with a pair, and everything that a program may lose when it decodes and encodes one."""


class StoreBackend(Protocol):
    """The service behind a store, as its readers and its administrators see it."""

    url: str

    def text(self) -> str | None:
        """Return what a job reads there, or None."""

    def plant_text(self, text: str) -> None:
        """Write there as an operator would, with the service's own tools."""

    def plant_journal(self, text: str) -> None:
        """Write a text to where the journal is stored."""

    def picture(self) -> Any:
        """Return everything that is stored there, to be compared with a later picture."""


class NamedValuesBackend(Protocol):
    """The service behind a store of named values."""

    url: str
    tokens: tuple[str, ...]
    """The names of session tokens beside the pair."""

    def read(self) -> dict[str, str] | None:
        """Return the pair that a job reads here, as ``AccessKeyId`` and ``SecretAccessKey``; None without one."""

    def plant_value(self, name: str, text: str) -> None:
        """Write a value as an operator would, with the service's own tools."""

    def value(self, name: str) -> str | None:
        """Return a value that a job reads here, or None."""


class StoreContract:
    """What every store does. ``first`` and ``second`` are two runs with the same backend."""

    @pytest.fixture
    def backend(self) -> StoreBackend:
        raise NotImplementedError

    @pytest.fixture
    def first(self, backend: StoreBackend, services: Services) -> Store:
        return open_store(backend.url, services)

    @pytest.fixture
    def second(self, backend: StoreBackend, services: Services) -> Store:
        return open_store(backend.url, services)

    @pytest.fixture
    def held_key(self, first: Store) -> Credential:
        """A credential that the store holds, beside a journal."""
        credential = fresh_credential()
        revision = first.save_journal(Journal(epoch=1), first.load().revision)
        first.put(credential, revision)
        return credential

    def test_carries_the_url_as_its_name(self, first: Store, backend: StoreBackend) -> None:
        assert first.name == backend.url

    def test_a_store_that_is_not_there_yet_is_an_empty_record(self, first: Store) -> None:
        record = first.load()
        assert (record.holding, record.journal) == (NotHeld(), Journal())
        assert first.held() == NotHeld()
        assert first.credential() is None

    def test_looking_at_a_missing_store_does_not_create_it(self, first: Store, backend: StoreBackend) -> None:
        before = backend.picture()
        first.load()
        first.held()
        first.preflight()
        assert backend.picture() == before

    def test_a_journal_is_read_back_as_it_was_saved(self, first: Store, second: Store) -> None:
        revision = first.save_journal(FULL, first.load().revision)
        record = second.load()
        assert record.journal == FULL
        assert record.revision == revision
        assert record.holding == NotHeld()

    def test_a_store_with_a_journal_only_holds_no_key(self, first: Store) -> None:
        revision = first.load().revision
        for epoch in (1, 2, 3):
            revision = first.save_journal(Journal(epoch=epoch), revision)
            assert first.load().holding == NotHeld()
            assert first.held() == NotHeld()
            assert first.credential() is None

    def test_a_credential_is_read_back_as_it_was_put(self, first: Store, second: Store) -> None:
        credential = fresh_credential()
        revision = first.put(credential, first.save_journal(FULL, first.load().revision))
        record = second.load()
        assert record.holding == Held(credential.access_key_id) == second.held()
        assert record.journal == FULL
        assert record.revision == revision
        assert second.credential() == credential

    def test_readers_see_one_json_object_with_exactly_the_pair(
        self, first: Store, backend: StoreBackend, held_key: Credential
    ) -> None:
        first.save_journal(FULL, first.load().revision)
        assert json.loads(backend.text() or "") == pair(held_key)

    @pytest.mark.usefixtures("held_key")
    def test_a_later_put_replaces_the_pair_and_keeps_the_journal(self, first: Store, backend: StoreBackend) -> None:
        newer = fresh_credential()
        revision = first.save_journal(FULL, first.load().revision)
        first.put(newer, revision)
        assert json.loads(backend.text() or "") == pair(newer)
        assert first.load().journal == FULL

    def test_a_revision_goes_on_from_write_to_write_without_a_new_load(self, first: Store) -> None:
        revision = first.load().revision
        for epoch in range(3):
            revision = first.save_journal(Journal(epoch=epoch), revision)
            revision = first.put(fresh_credential(), revision)
        assert first.load().revision == revision

    def test_putting_the_same_pair_again_leaves_it_there(self, first: Store, held_key: Credential) -> None:
        revision = first.put(held_key, first.load().revision)
        assert first.load().revision == revision
        assert first.credential() == held_key

    def test_a_key_that_the_journal_names_is_recognized(self, first: Store, held_key: Credential) -> None:
        first.save_journal(Journal(current=held_key.access_key_id), first.load().revision)
        assert first.load().holding == Held(held_key.access_key_id)

    def test_delivering_creates_what_is_missing(self, first: Store, backend: StoreBackend) -> None:
        credential = fresh_credential()
        receipt = first.deliver(credential)
        assert (receipt.key_id, receipt.written) == (credential.access_key_id, True)
        assert json.loads(backend.text() or "") == pair(credential)

    def test_delivering_twice_writes_once(self, first: Store, second: Store, backend: StoreBackend) -> None:
        credential = fresh_credential()
        first.deliver(credential)
        before = backend.picture()
        assert not second.deliver(credential).written
        assert backend.picture() == before

    def test_delivering_another_key_replaces_the_first(self, first: Store, backend: StoreBackend) -> None:
        older, newer = fresh_credential(), fresh_credential()
        first.deliver(older)
        assert first.deliver(newer).written
        assert json.loads(backend.text() or "") == pair(newer)

    def test_a_pair_that_the_operator_wrote_is_recognized(self, first: Store, backend: StoreBackend) -> None:
        credential = fresh_credential()
        backend.plant_text(
            json.dumps({"SecretAccessKey": credential.reveal(), "AccessKeyId": credential.access_key_id})
        )
        assert first.load().holding == Held(credential.access_key_id)
        assert first.credential() == credential

    @pytest.mark.parametrize(
        "text",
        [
            f"not json {SECRET}",
            f'"{SECRET}"',
            json.dumps([SECRET]),
            json.dumps({"SecretAccessKey": SECRET}),
            json.dumps({"AccessKeyId": "AKIAX"}),
            json.dumps({"AccessKeyId": 5, "SecretAccessKey": SECRET}),
            json.dumps({"AccessKeyId": "", "SecretAccessKey": SECRET}),
            json.dumps({"AccessKeyId": "AKIAX", "SecretAccessKey": ""}),
            "{}",
        ],
    )
    def test_content_that_is_not_a_pair_is_unknown_and_never_empty(
        self, first: Store, backend: StoreBackend, text: str
    ) -> None:
        backend.plant_text(text)
        for holding in (first.load().holding, first.held()):
            assert isinstance(holding, CannotTell)
            assert SECRET not in repr(holding)
        with pytest.raises(ServiceRejected) as raised:
            first.credential()
        assert_silent(raised.value, Credential("", SECRET))

    @pytest.mark.parametrize("text", [SECRET, "{}", '{"twokey-journal": 5}', '{"twokey-journal": {"version": 99}}'])
    @pytest.mark.usefixtures("held_key")
    def test_a_journal_that_cannot_be_read_is_refused(self, first: Store, backend: StoreBackend, text: str) -> None:
        backend.plant_journal(text)
        with pytest.raises(ServiceRejected, match="journal") as raised:
            first.load()
        assert_silent(raised.value, Credential("", SECRET))

    def test_the_second_of_two_writers_of_a_journal_is_refused(self, first: Store, second: Store) -> None:
        seen, also_seen = first.load().revision, second.load().revision
        first.save_journal(Journal(epoch=1), seen)
        with pytest.raises(Conflict):
            second.save_journal(Journal(epoch=2), also_seen)
        assert first.load().journal == Journal(epoch=1)

    def test_a_writer_that_saw_an_older_journal_is_refused(self, first: Store, second: Store) -> None:
        revision = first.save_journal(Journal(epoch=1), first.load().revision)
        seen = second.load().revision
        first.save_journal(Journal(epoch=2), revision)
        with pytest.raises(Conflict):
            second.save_journal(Journal(epoch=3), seen)
        assert first.load().journal == Journal(epoch=2)

    @pytest.mark.usefixtures("held_key")
    def test_the_second_of_two_puts_is_refused_and_readers_keep_what_they_see(
        self, first: Store, second: Store, backend: StoreBackend
    ) -> None:
        winner, loser = fresh_credential(), fresh_credential()
        seen, also_seen = first.load().revision, second.load().revision
        first.put(winner, seen)
        with pytest.raises(Conflict) as raised:
            second.put(loser, also_seen)
        assert json.loads(backend.text() or "") == pair(winner)
        assert_silent(raised.value, winner, loser)

    def test_the_second_of_two_first_puts_is_refused(self, first: Store, second: Store, backend: StoreBackend) -> None:
        winner, loser = fresh_credential(), fresh_credential()
        seen, also_seen = first.load().revision, second.load().revision
        first.put(winner, seen)
        with pytest.raises(Conflict):
            second.put(loser, also_seen)
        assert json.loads(backend.text() or "") == pair(winner)

    @pytest.mark.usefixtures("held_key")
    def test_a_put_prepared_before_the_operator_wrote_is_refused(self, first: Store, backend: StoreBackend) -> None:
        seen = first.load().revision
        existing_key = fresh_credential()
        backend.plant_text(json.dumps(pair(existing_key)))
        with pytest.raises(Conflict):
            first.put(fresh_credential(), seen)
        assert json.loads(backend.text() or "") == pair(existing_key)

    def test_a_fence_keeps_credential_and_journal(self, first: Store, held_key: Credential) -> None:
        revision = first.save_journal(FULL, first.load().revision)
        fenced = first.fence(revision)
        record = first.load()
        assert (record.holding, record.journal, record.revision) == (Held(held_key.access_key_id), FULL, fenced)
        assert first.credential() == held_key

    def test_preflight_changes_nothing(self, first: Store, backend: StoreBackend, held_key: Credential) -> None:
        before = backend.picture()
        first.preflight()
        assert backend.picture() == before
        assert json.loads(backend.text() or "") == pair(held_key)

    def test_a_revision_of_another_store_is_a_mistake_of_the_caller(self, first: Store) -> None:
        for act in _writes(first):
            with pytest.raises(TypeError):
                act("revision of something else")

    def test_its_url_is_the_same_for_every_user_only_without_the_field(self, backend: StoreBackend) -> None:
        assert not names_user(backend.url)
        assert names_user(backend.url + "-{user}")


class ConditionalContract(StoreContract):
    """What a store with conditional writes does besides: it stops a run that was paused."""

    def test_says_that_its_writes_are_conditional(self, first: Store) -> None:
        assert first.traits.conditional

    @pytest.mark.parametrize("prepare", ["missing", "journal", "key"])
    def test_a_fence_makes_an_older_prepared_put_fail(
        self, first: Store, second: Store, backend: StoreBackend, prepare: str
    ) -> None:
        if prepare != "missing":
            revision = first.save_journal(Journal(epoch=1), first.load().revision)
            if prepare == "key":
                first.put(fresh_credential(), revision)
        prepared = second.load().revision
        content = backend.text()
        fenced = first.fence(first.load().revision)
        with pytest.raises(Conflict):
            second.put(fresh_credential(), prepared)
        assert first.load().revision == fenced
        if prepare == "key":
            assert backend.text() == content
        else:
            assert first.load().holding == NotHeld()
        newer = fresh_credential()
        first.put(newer, fenced)
        assert json.loads(backend.text() or "") == pair(newer)

    @pytest.mark.usefixtures("held_key")
    def test_a_fence_at_an_older_revision_is_refused(self, first: Store, second: Store) -> None:
        seen = second.load().revision
        first.put(fresh_credential(), first.load().revision)
        with pytest.raises(Conflict):
            second.fence(seen)

    @pytest.mark.usefixtures("held_key")
    def test_every_fence_is_a_new_one(self, first: Store, second: Store) -> None:
        first.fence(first.load().revision)
        prepared = second.load().revision
        first.fence(prepared)
        with pytest.raises(Conflict):
            second.put(fresh_credential(), prepared)


class OneTextContract:
    """What a store does besides whose value is one text, by default a JSON object. To be inherited beside another."""

    @pytest.mark.parametrize("text", FOREIGN)
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

    @pytest.mark.parametrize("text", FOREIGN)
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


def with_option(url: str, option: str) -> str:
    """Return a URL with a further option."""
    return f"{url}{'&' if '?' in url else '?'}{option}"


def _writes(store: Store) -> list[Callable[[object], object]]:
    return [
        lambda revision: store.put(fresh_credential(), revision),
        lambda revision: store.save_journal(Journal(), revision),
        store.fence,
    ]
