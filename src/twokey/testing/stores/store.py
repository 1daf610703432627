"""What every store does, and one whose service has conditional writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from twokey.core.errors import Conflict, ServiceRejected, UsageError
from twokey.core.journal import Journal
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.secret import Credential
from twokey.destinations.registry import Services, names_user, open_store
from twokey.testing.contract import SECRET, assert_silent, fresh_credential, pair
from twokey.testing.stores.values import FULL, StoreBackend, with_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.destination import Store


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

    def test_a_format_that_cannot_be_read_back_is_refused(self, backend: StoreBackend, services: Services) -> None:
        url = with_option(backend.url, "format=ses-smtp&region=eu-central-1")
        with pytest.raises(UsageError, match="cannot be a store") as raised:
            open_store(url, services)
        assert url in raised.value.message

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


def _writes(store: Store) -> list[Callable[[object], object]]:
    return [
        lambda revision: store.put(fresh_credential(), revision),
        lambda revision: store.save_journal(Journal(), revision),
        store.fence,
    ]
