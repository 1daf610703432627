"""1Password Connect: the contracts of a store and of a destination, and what is special to 1Password."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import AccessDenied, Ambiguous, Conflict, NotFound, ServiceRejected, UsageError
from twokey.core.journal import Delivery, Journal
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.destinations import registry
from twokey.destinations.registry import open_destination, open_store
from twokey.testing.contract import (
    Backend,
    DestinationContract,
    Hurried,
    fresh_credential,
    outcome,
    services_of,
)
from twokey.testing.fakes.onepassword import OnePassword
from twokey.testing.server import Fault
from twokey.testing.stores import AT, FULL, NamedValuesStoreContract, StoreBackend, StoreContract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Store
    from twokey.core.secret import Credential
    from twokey.destinations.registry import Services

URL = "onepassword:ops/ci"
ID, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
JOURNAL = f"twokey-journal {ID}"
NAMES = {"AccessKeyId": ID, "SecretAccessKey": SECRET}


def as_fields(credential: Credential) -> dict[str, str]:
    """Return the fields that readers find."""
    return {ID: credential.access_key_id, SECRET: str(credential.reveal())}


class Item(Backend):
    """An item of the fake's vault."""

    writes = ("P*", "/items")
    bad_names = (
        "onepassword:ci",
        "onepassword:ops/",
        "onepassword:/ci",
        "onepassword:ops/ci/more",
        'onepassword:ops/"ci"',
        "onepassword:ops/o'clock",
        "onepassword:ops/a\\b",
        "onepassword:ops/ ci",
        "onepassword:ops/ci?id=with/slash",
        "onepassword:ops/ci?id= x",
        f"onepassword:ops/ci?id={JOURNAL}",
    )

    def __init__(self, fake: OnePassword) -> None:
        self.fake: OnePassword = fake
        self.url = URL

    def settings(self) -> dict[str, Any]:
        return {"url": self.fake.url, "token": {"env": "TEST_CONNECT_TOKEN"}}

    def fields(self) -> dict[str, str]:
        """Return the item's fields by their labels, the journal left aside."""
        item = self.fake.titled("ci") or {"fields": []}
        return {one["label"]: one.get("value", "") for one in item["fields"] if one["label"] != JOURNAL}

    def read(self) -> dict[str, str] | None:
        found = self.fields()
        return {name: found[label] for name, label in NAMES.items()} if SECRET in found else None

    def plant(self, credential: Credential) -> None:
        self.fake.edit(self.fake.titled("ci") or self.fake.add_item("ci", []), as_fields(credential))

    tokens = ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION")

    def plant_value(self, name: str, text: str) -> None:
        self.fake.edit(self.fake.titled("ci") or self.fake.add_item("ci", []), {name: text})

    def value(self, name: str) -> str | None:
        return self.fields().get(name)

    def remove(self) -> None:
        self.fake.vaults.clear()

    def spoil_token(self) -> None:
        self.fake.tokens.clear()

    def text(self) -> str | None:
        found = self.fields()
        return json.dumps(self.read() or found) if found else None

    def plant_text(self, text: str) -> None:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        known = found if isinstance(found, dict) else {}
        values = {NAMES[name]: value for name, value in known.items() if isinstance(value, str)}
        self.fake.edit(self.fake.titled("ci") or self.fake.add_item("ci", []), values or {"value": text})

    def plant_journal(self, text: str) -> None:
        self.fake.edit(self.fake.titled("ci") or {}, {JOURNAL: text})

    def picture(self) -> Any:
        return json.dumps(self.fake.items)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[OnePassword]:
    monkeypatch.setenv("TEST_CONNECT_TOKEN", "connect-token")
    with OnePassword() as server:
        yield server


@pytest.fixture
def services(fake: OnePassword) -> Services:
    return services_of(Item(fake), Hurried())


@pytest.fixture
def store(services: Services) -> Store:
    return open_store(URL, services)


class TestAsADestination(DestinationContract):
    @pytest.fixture
    def backend(self, fake: OnePassword) -> Backend:
        return Item(fake)


class TestAsAStore(NamedValuesStoreContract, StoreContract):
    @pytest.fixture
    def backend(self, fake: OnePassword) -> StoreBackend:
        return Item(fake)


def test_says_that_its_writes_are_not_conditional(store: Store) -> None:
    assert not store.traits.conditional
    assert store.traits.atomic


def test_the_pair_and_the_journal_are_one_item(store: Store, fake: OnePassword) -> None:
    store.put(fresh_credential(), store.save_journal(FULL, store.load().revision))
    assert len(fake.items) == 1
    item = fake.titled("ci")
    assert item is not None
    assert {one["label"]: one["type"] for one in item["fields"]} == {
        JOURNAL: "STRING",
        ID: "STRING",
        SECRET: "CONCEALED",
    }


def test_everything_else_of_an_item_stays(store: Store, fake: OnePassword) -> None:
    notes = {"id": "notesPlain", "type": "STRING", "purpose": "NOTES", "label": "notesPlain", "value": "Ask the team."}
    region = {"id": "f1", "type": "MENU", "label": "region", "value": "eu", "section": {"id": "s1"}}
    concealed = {"id": "f2", "type": "CONCEALED", "label": ID, "value": "", "section": {"id": "s1"}}
    others = {
        "category": "SERVER",
        "tags": ["team"],
        "favorite": True,
        "sections": [{"id": "s1", "label": "AWS"}],
        "urls": [{"href": "https://example.com", "primary": True}],
        "files": [{"id": "file", "name": "x", "size": 3}],
    }
    fake.add_item("ci", [notes, region, concealed], **others)
    credential = fresh_credential()
    store.deliver(credential)
    item = fake.titled("ci") or {}
    assert {name: item[name] for name in others} == others
    assert item["fields"][:3] == [notes, region, {**concealed, "value": credential.access_key_id}]
    assert item["fields"][3]["label"] == SECRET


def test_what_a_person_edits_while_a_write_gets_no_answer_is_not_lost(store: Store, fake: OnePassword) -> None:
    item = fake.add_item("ci", [])
    fake.add(Fault("PUT", "", "reset"))
    first = fake.strike

    def strike(method: str, path: str) -> Fault | None:
        fault = first(method, path)
        if fault is not None:
            fake.edit(item, {"region": "eu-central-1"})
        return fault

    fake.strike = strike  # type: ignore[method-assign]
    credential = fresh_credential()
    store.deliver(credential)
    assert Item(fake).fields() == {"region": "eu-central-1", **as_fields(credential)}


def test_a_write_that_took_effect_without_an_answer_is_not_sent_again(store: Store, fake: OnePassword) -> None:
    store.deliver(fresh_credential())
    fake.clear()
    fake.add(Fault("PUT", "", "lost_response"))
    store.deliver(fresh_credential())
    assert fake.count("PUT") == 1


@pytest.mark.parametrize(
    "then",
    [
        Fault("GET", "/items/", "refuse", nth=3, times=None, status=403),
        Fault("GET", "/items/", "throttle", nth=3, times=None, after=100_000),
        Fault("PUT", "", "throttle", nth=1, times=None, after=100_000),
        Fault("PUT", "", "refuse", nth=1, times=None, status=403),
        Fault("PUT", "", "refuse", nth=1, times=None, status=409),
    ],
    ids=lambda fault: f"{fault.method} {fault.effect} {fault.status}",
)
def test_a_write_in_doubt_stays_in_doubt_whatever_fails_after_it(store: Store, fake: OnePassword, then: Fault) -> None:
    revision = store.put(fresh_credential(), store.save_journal(FULL, store.load().revision))
    fake.add(Fault("PUT", "", "reset"))
    fake.add(replace(then, seen=0))
    assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), Ambiguous)


def test_an_item_whose_creation_got_no_answer_is_not_made_twice(store: Store, fake: OnePassword) -> None:
    fake.add(Fault("POST", "", "lost_response"))
    store.deliver(fresh_credential())
    assert len(fake.items) == 1
    assert fake.count("POST") == 1


def test_an_item_that_was_not_created_and_got_no_answer_is_left_to_the_next_run(
    store: Store, fake: OnePassword
) -> None:
    fake.add(Fault("POST", "", "reset"))
    assert isinstance(outcome(lambda: store.deliver(fresh_credential())), Ambiguous)
    assert fake.count("POST") == 1


def test_a_write_is_not_repeated_late(store: Store, fake: OnePassword) -> None:
    """Only the lease keeps others out: a run that repeats a write must still have it."""
    store.deliver(fresh_credential())
    hurried = Hurried()
    late = open_store(URL, services_of(Item(fake), hurried))
    fake.clear()
    fake.add(Fault("PUT", "", "reset", times=None))
    fake.add(Fault("GET", "/items/", "throttle", nth=3, after=35))
    assert isinstance(outcome(lambda: late.deliver(fresh_credential())), Ambiguous)
    assert hurried.slept > 35
    assert fake.count("PUT") == 1


@pytest.mark.parametrize("status", [409, 412])
def test_a_vault_that_is_being_written_is_tried_again(store: Store, fake: OnePassword, status: int) -> None:
    store.deliver(fresh_credential())
    fake.add(Fault("PUT", "", "refuse", status=status, body={"status": status, "message": "Internal server conflict"}))
    credential = fresh_credential()
    store.deliver(credential)
    assert Item(fake).fields() == as_fields(credential)


def test_a_vault_that_never_rests_is_given_up(store: Store, fake: OnePassword) -> None:
    store.deliver(fresh_credential())
    fake.add(Fault("PUT", "", "refuse", times=None, status=409))
    error = outcome(lambda: store.deliver(fresh_credential()))
    assert isinstance(error, ServiceRejected)
    assert "Other programs changed" in error.message


def test_a_write_over_another_run_is_seen_before_it_is_sent(store: Store, fake: OnePassword) -> None:
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    other = open_store(URL, services_of(Item(fake), Hurried()))
    other.save_journal(Journal(epoch=2), other.load().revision)
    assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), Conflict)
    assert Item(fake).fields() == {}


class TestNames:
    def test_vault_and_item_may_be_given_by_their_ids(self, store: Store, fake: OnePassword) -> None:
        credential = fresh_credential()
        store.deliver(credential)
        item = (fake.titled("ci") or {})["id"]
        by_id = open_store(f"onepassword:{fake.vault}/{item}", services_of(Item(fake), Hurried()))
        fake.clear()
        assert by_id.held() == Held(credential.access_key_id)
        assert fake.count("GET", "filter") == 0

    def test_two_names_of_one_item_in_one_run_are_refused(self, fake: OnePassword, services: Services) -> None:
        open_store(URL, services).deliver(fresh_credential())
        item = (fake.titled("ci") or {})["id"]
        by_id = open_store(f"onepassword:{fake.vault}/{item}", services)
        error = outcome(by_id.load)
        assert isinstance(error, ServiceRejected)
        assert f"{by_id.name} and {URL} are two names of the same thing" in error.message

    def test_an_id_that_is_not_there_is_no_empty_store(self, services: Services) -> None:
        missing = open_store(f"onepassword:ops/{'a' * 26}", services)
        for act in (missing.load, missing.held, missing.preflight):
            assert isinstance(outcome(act), NotFound)

    def test_a_name_in_another_case_is_another_item(self, store: Store, fake: OnePassword) -> None:
        fake.add_item("CI", [{"id": "x", "type": "STRING", "label": ID, "value": "AKIAOTHER"}])
        assert store.held() == NotHeld()
        store.deliver(fresh_credential())
        assert [item["title"] for item in fake.items.values()] == ["CI", "ci"]

    def test_two_items_of_one_name_are_refused(self, store: Store, fake: OnePassword) -> None:
        for _ in range(2):
            fake.add_item("ci", [])
        for act in (store.preflight, store.load, lambda: store.deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert "2 items 'ci'" in error.message

    def test_an_archived_item_does_not_count(self, store: Store, fake: OnePassword) -> None:
        archived = fake.add_item("ci", [], state="ARCHIVED")
        fake.edit(archived, as_fields(fresh_credential()))
        assert store.held() == NotHeld()

    def test_two_vaults_of_one_name_are_refused(self, store: Store, fake: OnePassword) -> None:
        fake.add_vault("ops")
        error = outcome(store.load)
        assert isinstance(error, ServiceRejected)
        assert "2 vaults" in error.message

    def test_a_vault_that_the_token_may_not_see_is_not_an_empty_store(self, store: Store, fake: OnePassword) -> None:
        fake.vaults.clear()
        for act in (store.load, store.held):
            error = outcome(act)
            assert isinstance(error, NotFound)
            assert "vault ops" in error.remedy

    def test_two_fields_of_one_name_are_refused(self, store: Store, fake: OnePassword) -> None:
        fake.add_item("ci", [{"id": number, "type": "STRING", "label": ID, "value": "x"} for number in "ab"])
        error = outcome(store.held)
        assert isinstance(error, ServiceRejected)
        assert f"2 fields {ID}" in error.message

    def test_spaces_may_stand_in_names(self, services: Services, fake: OnePassword) -> None:
        fake.add_vault("Team Site")
        spaced = "onepassword:Team Site/The key?id=access key id&secret=secret access key"
        credential = fresh_credential()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fake, "vault", next(key for key, name in fake.vaults.items() if name == "Team Site"))
            open_destination(spaced, services).deliver(credential)
            labels = [one["label"] for one in (fake.titled("The key") or {})["fields"]]
        assert labels == ["access key id", "secret access key"]

    def test_a_name_that_is_filled_in_is_checked_again(self) -> None:
        with pytest.raises(UsageError):
            registry.fill("onepassword:ops/{path}/{user}", user="ci", path="/a/", account="123456789012")


def test_an_item_with_notes_only_holds_no_key(store: Store, fake: OnePassword) -> None:
    fake.add_item(
        "ci", [{"id": "notesPlain", "type": "STRING", "purpose": "NOTES", "label": "notesPlain", "value": "x"}]
    )
    assert store.held() == NotHeld()


def test_an_item_with_another_credential_is_unknown_and_not_empty(store: Store, fake: OnePassword) -> None:
    fake.add_item("ci", [{"id": "credential", "type": "CONCEALED", "label": "credential", "value": "x"}])
    assert isinstance(store.held(), CannotTell)


def test_a_token_that_may_only_read_is_told_what_it_needs(store: Store, fake: OnePassword) -> None:
    fake.read_only = True
    assert outcome(store.preflight) is None
    error = outcome(lambda: store.deliver(fresh_credential()))
    assert isinstance(error, AccessDenied)
    assert "write access to the vault ops" in error.remedy


@pytest.mark.parametrize("path", ["/v1/vaults?", "/items?", "/items/"])
def test_an_answer_of_another_service_is_not_an_empty_store(store: Store, fake: OnePassword, path: str) -> None:
    store.deliver(fresh_credential())
    again = open_store(URL, services_of(Item(fake), Hurried()))
    fake.add(Fault("GET", path, "refuse", times=None, status=200, body={"status": "ok"}))
    assert isinstance(outcome(again.load), ServiceRejected)


def test_a_journal_that_is_too_long_is_refused(store: Store) -> None:
    long = Journal(
        delivered={f"file:{number:05d}": Delivery(key="AKIAEXAMPLE000000001", at=AT) for number in range(700)}
    )
    assert isinstance(outcome(lambda: store.room_for(long)), ServiceRejected)
