"""What twokey asks Key Vault, field by field, and which responses it believes: a fake may ignore what matters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import AccessDenied, Ambiguous, Conflict, ServiceError, ServiceRejected
from twokey.core.model import CannotTell, Held
from twokey.destinations.registry import open_store, parse
from twokey.testing.contract import Hurried, fresh_credential, outcome, pair, services_of
from twokey.testing.fakes.azure_keyvault import KeyVault
from twokey.testing.server import Fault
from twokey.testing.stores import FULL

from .test_azure_keyvault import JOURNAL, NAME, URL, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twokey.core.destination import Store
    from twokey.testing.server import ReceivedRequest, Reply

VERSION = {"api-version": "7.4"}
VAULT = "https://site-prd.vault.azure.net/secrets"
FOUND = {"id": f"{VAULT}/{NAME}/9", "value": "{}"}


class Listening(KeyVault):
    """Keeps the writes. ``before``: what others do just before the nth read of a secret."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[tuple[str, dict[str, str], Any]] = []
        self.before: dict[int, Callable[[], None]] = {}
        self.reads = 0

    def handle(self, request: ReceivedRequest) -> Reply:
        if request.method == "PUT":
            self.received.append((request.path, dict(request.query), request.json()))
        elif request.path.startswith("/secrets/"):
            self.reads += 1
            self.before.get(self.reads, lambda: None)()
        return super().handle(request)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    monkeypatch.setenv("TEST_AZURE_TOKEN", "ey.vault")
    with Listening() as vault:
        yield vault


@pytest.fixture
def store(fake: Listening) -> Store:
    return open_store(URL, services_of(Secret(fake), Hurried()))


class TestRequests:
    def test_a_credential_and_a_journal_are_secrets_that_say_what_they_are(self, fake: Listening, store: Store) -> None:
        credential = fresh_credential()
        store.put(credential, store.save_journal(FULL, store.load().revision))
        journal, value = fake.received
        assert journal[:2] == (f"/secrets/{JOURNAL}", VERSION)
        assert journal[2].keys() == {"value", "contentType", "tags"}
        assert (journal[2]["contentType"], journal[2]["tags"]) == ("application/json", {"twokey": "journal"})
        assert value[:2] == (f"/secrets/{NAME}", VERSION)
        assert json.loads(value[2].pop("value")) == pair(credential)
        note = value[2]["tags"]["twokey"]
        assert value[2] == {"contentType": "application/json", "tags": {"twokey": note}}
        assert credential.access_key_id in note

    def test_the_times_of_the_former_version_stay_and_nothing_else_of_its_attributes(
        self, fake: Listening, store: Store
    ) -> None:
        fake.put(NAME, "{}", attributes={"enabled": True, "exp": 2, "nbf": 1, "created": 0})
        store.deliver(fresh_credential())
        assert fake.received[-1][2]["attributes"] == {"exp": 2, "nbf": 1}

    def test_fourteen_tags_of_others_leave_room_for_a_note_which_later_versions_keep(
        self, fake: Listening, store: Store
    ) -> None:
        others = {f"tag{number}": "x" for number in range(14)}
        fake.put(NAME, "{}", tags=others)
        for _ in range(2):
            credential = fresh_credential()
            store.deliver(credential)
            tags = fake.received[-1][2]["tags"]
            assert fake.received[-1][2]["contentType"] == "application/json"
            assert credential.access_key_id in tags.pop("twokey")
            assert tags == others

    def test_preflight_looks_for_a_deleted_secret_and_reads_the_rest_once_more_only(
        self, fake: Listening, store: Store
    ) -> None:
        store.preflight()
        assert [path for _, path in fake.requests] == [
            f"/secrets/{NAME}?api-version=7.4",
            f"/secrets/{JOURNAL}?api-version=7.4",
            f"/secrets/{NAME}?api-version=7.4",
            f"/deletedsecrets/{NAME}?api-version=7.4",
        ]

    def test_a_denied_request_is_named_with_what_it_needs(self, fake: Listening, store: Store) -> None:
        store.deliver(fresh_credential())
        for permission, message in (("set", "write"), ("get", "read")):
            fake.denied.add(permission)
            error = outcome(lambda: store.deliver(fresh_credential()))
            assert isinstance(error, AccessDenied)
            assert f"{message} the secret {NAME}" in error.message
            assert "on secrets of Key Vault site-prd" in error.remedy

    def test_a_disabled_secret_is_named_before_and_at_a_write(self, fake: Listening, store: Store) -> None:
        fake.put(NAME, "{}", attributes={"enabled": False})
        for act, state in (
            (store.preflight, ""),
            (lambda: store.put(fresh_credential(), store.load().revision), "Nothing was written there."),
        ):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert f"write the secret {NAME}" in error.message
            assert error.state == state
        assert fake.received == []

    def test_a_reserved_name_is_named(self, fake: Listening, store: Store) -> None:
        fake.put(NAME, "{}")
        fake.deleted.add(NAME)
        error = outcome(store.preflight)
        assert isinstance(error, ServiceRejected)
        assert f"write the secret {NAME}" in error.message
        assert error.state == ""

    def test_a_deleted_secret_is_looked_for_only_where_there_is_none(self, fake: Listening, store: Store) -> None:
        store.deliver(fresh_credential())
        store.preflight()
        assert fake.count("GET", "/deletedsecrets/") == 0

    def test_a_look_for_a_deleted_secret_that_gets_no_response_changes_nothing(
        self, fake: Listening, store: Store
    ) -> None:
        fake.add(Fault("GET", "/deletedsecrets/", "reset", times=None))
        error = outcome(store.preflight)
        assert isinstance(error, Ambiguous)
        assert f"look for the secret {NAME}" in error.message
        assert error.state == "This call changes nothing."


class TestOneRunAmongOthers:
    @pytest.mark.parametrize("what", ["journal", "credential"])
    @pytest.mark.parametrize("write", ["journal", "credential"])
    def test_what_comes_between_two_reads_of_a_write_is_a_conflict(
        self, fake: Listening, store: Store, what: str, write: str
    ) -> None:
        revision = store.save_journal(FULL, store.load().revision)
        backend, existing_key = Secret(fake), fresh_credential()
        fake.received.clear()
        first = fake.reads + (1 if write == "journal" else 3)
        plant = (lambda: backend.plant_journal("{}")) if what == "journal" else (lambda: backend.plant(existing_key))
        fake.before[first] = plant
        acts = {
            "journal": lambda: store.save_journal(FULL, revision),
            "credential": lambda: store.put(fresh_credential(), revision),
        }
        assert isinstance(outcome(acts[write]), Conflict)
        assert fake.received == []


class TestResponses:
    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (410, {"error": {"code": "SecretNotFound"}}),
            (410, {"error": {"code": "Forbidden", "innererror": {"code": "SecretDisabled"}}}),
            (410, FOUND),
            (200, None),
            (200, []),
            (200, "id"),
        ],
    )
    def test_what_key_vault_does_not_send_proves_nothing(
        self, fake: Listening, store: Store, status: int, body: Any
    ) -> None:
        fake.add(Fault("GET", "/secrets/", "refuse", times=None, status=status, body=body))
        assert isinstance(outcome(store.preflight), ServiceError)
        assert isinstance(outcome(store.held), ServiceError)

    def test_a_200_without_an_object_is_in_doubt(self, fake: Listening, store: Store) -> None:
        fake.add(Fault("GET", "/secrets/", "refuse", times=None, status=200, body=[]))
        assert isinstance(outcome(store.preflight), Ambiguous)

    @pytest.mark.parametrize("body", [{**FOUND, "attributes": None, "tags": None}, {"id": FOUND["id"]}])
    def test_fields_that_are_left_out_are_empty(self, fake: Listening, store: Store, body: Any) -> None:
        fake.add(Fault("GET", f"/secrets/{NAME}?", "refuse", times=None, status=200, body=body))
        assert isinstance(store.held(), CannotTell)
        assert outcome(store.preflight) is None

    def test_an_empty_journal_cannot_be_read(self, fake: Listening, store: Store) -> None:
        fake.put(JOURNAL, "")
        assert isinstance(outcome(store.load), ServiceRejected)


def test_one_text_can_be_a_pair_under_names_of_its_own(fake: Listening) -> None:
    credential = fresh_credential()
    store = open_store(f"{URL}?format=pair&id=i&secret=s", services_of(Secret(fake), Hurried()))
    assert store.deliver(credential).written
    assert json.loads(fake.text(NAME) or "") == {"i": credential.access_key_id, "s": credential.reveal()}
    assert store.held() == Held(credential.access_key_id)


def test_a_value_may_be_as_long_as_key_vault_allows(fake: Listening, store: Store) -> None:
    credential = fresh_credential()
    beside = len(json.dumps({**pair(credential), "other": ""}))
    for spare, written in ((0, True), (1, False)):
        fake.put(NAME, json.dumps({**pair(fresh_credential()), "other": "x" * ((25 << 10) - beside + spare)}))
        error = outcome(lambda: store.deliver(credential))
        assert (error is None) == written
    assert isinstance(store.held(), Held)


def test_names_may_be_as_long_as_key_vault_allows(fake: Listening) -> None:
    parse(f"azure-keyvault:{'a' * 24}/{'b' * 127}")
    open_store(f"azure-keyvault:site-prd/{'b' * (127 - len('-twokey-journal'))}", services_of(Secret(fake), Hurried()))
