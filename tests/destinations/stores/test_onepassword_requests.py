"""What twokey writes into an item of 1Password, field by field, and how long it tries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import AccessDenied, Ambiguous, Conflict, ServiceRejected
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.destinations.registry import open_store
from twokey.testing.contract import Hurried, fresh_credential, outcome, services_of
from twokey.testing.fakes.onepassword import OnePassword
from twokey.testing.server import Fault
from twokey.testing.stores import FULL

from .test_onepassword import ID, JOURNAL, SECRET, URL, Item, as_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Store
    from twokey.testing.server import ReceivedRequest, Reply


class Listening(OnePassword):
    """Keeps the bodies of the writes."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[Any] = []

    def handle(self, request: ReceivedRequest) -> Reply:
        if request.method != "GET":
            self.received.append(request.json())
        return super().handle(request)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    monkeypatch.setenv("TEST_CONNECT_TOKEN", "connect-token")
    with Listening() as server:
        yield server


@pytest.fixture
def hurried() -> Hurried:
    return Hurried()


@pytest.fixture
def store(fake: Listening, hurried: Hurried) -> Store:
    return open_store(URL, services_of(Item(fake), hurried))


def test_a_new_item_has_the_name_of_the_url_and_conceals_the_secret_only(fake: Listening, store: Store) -> None:
    credential = fresh_credential()
    store.deliver(credential)
    (made,) = fake.received
    assert (made["title"], made["category"]) == ("ci", "API_CREDENTIAL")
    assert made["fields"] == [
        {"type": "STRING", "label": ID, "value": credential.access_key_id},
        {"type": "CONCEALED", "label": SECRET, "value": credential.reveal()},
    ]


def test_a_field_that_holds_the_whole_pair_is_concealed(fake: Listening) -> None:
    open_store(f"{URL}?format=json&name=aws", services_of(Item(fake), Hurried())).deliver(fresh_credential())
    assert [(one["type"], one["label"]) for one in fake.received[0]["fields"]] == [("CONCEALED", "aws")]


def test_an_item_without_fields_holds_nothing_and_gets_them(fake: Listening, store: Store) -> None:
    item = fake.add_item("ci", [])
    fake.add(Fault("GET", f"/items/{item['id']}", "refuse", times=4, status=200, body={**item, "fields": None}))
    assert store.held() == NotHeld()
    credential = fresh_credential()
    store.deliver(credential)
    assert store.held() == Held(credential.access_key_id)


def test_a_field_without_a_label_or_a_value_is_none_of_the_pair(fake: Listening, store: Store) -> None:
    fake.add_item("ci", [{"id": "f1", "type": "STRING"}, {"id": "f2", "type": "STRING", "label": "empty"}])
    assert store.held() == NotHeld()
    credential = fresh_credential()
    store.deliver(credential)
    assert [one.get("label") for one in fake.received[0]["fields"]] == [None, "empty", ID, SECRET]


@pytest.mark.parametrize("name", [ID, SECRET])
def test_half_a_pair_without_a_value_is_empty(fake: Listening, store: Store, name: str) -> None:
    item = fake.add_item("ci", [])
    fake.edit(item, {**as_fields(fresh_credential()), name: ""})
    assert store.held() == CannotTell(f"its {name} is empty")


def test_a_journal_without_a_value_cannot_be_read(fake: Listening, store: Store) -> None:
    fake.add_item("ci", [{"id": "f1", "type": "STRING", "label": JOURNAL}])
    error = outcome(store.load)
    assert isinstance(error, ServiceRejected)
    assert URL in error.message


def test_a_field_that_is_there_twice_is_named(fake: Listening, store: Store) -> None:
    twice = [{"id": f"f{number}", "type": "STRING", "label": JOURNAL, "value": "{}"} for number in (1, 2)]
    fake.add_item("ci", twice)
    error = outcome(store.preflight)
    assert isinstance(error, ServiceRejected)
    assert f"the item ci of the vault ops has 2 fields {JOURNAL}" in error.message


def test_two_items_in_one_run_are_two_stores(fake: Listening) -> None:
    services = services_of(Item(fake), Hurried())
    for title in ("ci", "site"):
        fake.add_item(title, [])
        assert open_store(f"onepassword:ops/{title}", services).held() == NotHeld()


def test_an_item_that_was_created_again_is_not_the_one_that_was_read(fake: Listening, store: Store) -> None:
    revision = store.put(fresh_credential(), store.save_journal(FULL, store.load().revision))
    (before,) = fake.items.values()
    fake.items.clear()
    fake.add_item("ci", before["fields"])
    assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), Conflict)


class TestAWriteThatIsTriedAgain:
    def test_pauses_longer_and_longer_and_is_given_up(self, fake: Listening, store: Store, hurried: Hurried) -> None:
        store.deliver(fresh_credential())
        before = hurried.slept
        fake.clear()
        fake.add(Fault("PUT", "", "refuse", times=None, status=409))
        error = outcome(lambda: store.deliver(fresh_credential()))
        assert isinstance(error, ServiceRejected)
        assert "the item ci of the vault ops during each of 4 attempts" in error.message
        assert fake.count("PUT") == 4
        assert hurried.slept - before == pytest.approx(0.5 + 1 + 1.5)

    def test_is_not_sent_again_for_another_refusal(self, fake: Listening, store: Store) -> None:
        revision = store.put(fresh_credential(), store.save_journal(FULL, store.load().revision))
        fake.clear()
        fake.add(Fault("PUT", "", "refuse", times=None, status=403))
        error = outcome(lambda: store.put(fresh_credential(), revision))
        assert isinstance(error, AccessDenied)
        assert "the item ci of the vault ops" in error.message
        assert fake.count("PUT") == 1

    def test_is_sent_until_half_a_minute_has_passed(self, fake: Listening, store: Store) -> None:
        store.deliver(fresh_credential())
        fake.clear()
        fake.add(Fault("PUT", "", "refuse", times=None, status=409))
        fake.add(Fault("GET", "/items/", "throttle", nth=3, after=29))
        assert isinstance(outcome(lambda: store.deliver(fresh_credential())), ServiceRejected)
        assert fake.count("PUT") == 2

    def test_that_gets_no_response_is_in_doubt(self, fake: Listening, store: Store) -> None:
        fake.add(Fault("P*", "", "reset"))
        fake.add(Fault("PUT", "", "reset", times=None))
        for _ in range(2):  # nothing is created, then nothing is replaced
            error = outcome(lambda: store.deliver(fresh_credential()))
            assert isinstance(error, Ambiguous)
            assert "write the item ci of the vault ops" in error.message
            fake.add_item("ci", [])

    def test_is_in_doubt_for_the_first_reason(self, fake: Listening, store: Store) -> None:
        store.deliver(fresh_credential())
        fake.add(Fault("PUT", "", "error_before", status=500))
        fake.add(Fault("PUT", "", "reset", times=None))
        error = outcome(lambda: store.deliver(fresh_credential()))
        assert isinstance(error, Ambiguous)
        assert "it responded with 500" in error.message
