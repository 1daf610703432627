"""What twokey asks Vault, field by field, and which responses it believes: a fake may ignore what Vault does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twokey.core import lifetime
from twokey.core.errors import AccessDenied, Ambiguous, Conflict, ServiceError, ServiceRejected
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.destinations.registry import open_store
from twokey.testing.contract import Hurried, fresh_credential, outcome, pair, services_of
from twokey.testing.fakes.vault import Vault
from twokey.testing.server import Fault
from twokey.testing.stores import FULL

from .test_vault import PATH, URL, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twokey.core.destination import Store
    from twokey.testing.server import ReceivedRequest, Reply

DATA, JOURNAL = "secret/data/machine-users/ci", "secret/data/machine-users/ci.twokey-journal"
MOUNT = "/sys/internal/ui/mounts/"
ABLE = ["create", "read", "update"]


class Listening(Vault):
    """Keeps the requests that do not only read. ``before``: what others do just before the nth read of a secret."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[tuple[str, str, str, Any]] = []
        self.before: dict[int, Callable[[], None]] = {}
        self.reads = 0

    def handle(self, request: ReceivedRequest) -> Reply:
        if request.method != "GET":
            kind = request.headers.get("Content-Type", "")
            self.received.append((request.method, request.path, kind, request.json()))
        elif "/data/" in request.path:
            self.reads += 1
            self.before.get(self.reads, lambda: None)()
        return super().handle(request)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    monkeypatch.setenv("TEST_VAULT_TOKEN", "root-token")
    with Listening() as vault:
        yield vault


@pytest.fixture
def store(fake: Listening) -> Store:
    return open_store(URL, services_of(Secret(fake), Hurried()))


class TestRequests:
    def test_preflight_asks_what_the_token_may_do_with_both_secrets(self, fake: Listening, store: Store) -> None:
        store.preflight()
        asked = next(one for one in fake.received if one[1].endswith("/capabilities-self"))
        assert asked == ("POST", "/v1/sys/capabilities-self", "application/json", {"paths": [DATA, JOURNAL]})

    def test_a_put_follows_the_version_that_was_read_and_is_described_by_a_merge_patch(
        self, fake: Listening, store: Store
    ) -> None:
        credential = fresh_credential()
        Secret(fake).plant(fresh_credential())
        store.put(credential, store.load().revision)
        written, described = fake.received
        body = {"data": pair(credential), "options": {"cas": 1}}
        assert written == ("POST", f"/v1/{DATA}", "application/json", body)
        note = fake.metadata[PATH]["twokey"]
        patch = {"custom_metadata": {"twokey": note}}
        assert described == ("PATCH", "/v1/secret/metadata/machine-users/ci", "application/merge-patch+json", patch)

    def test_a_fence_writes_the_same_again(self, fake: Listening, store: Store) -> None:
        credential = fresh_credential()
        Secret(fake).plant(credential)
        store.fence(store.load().revision)
        ((_, _, _, body),) = fake.received
        assert body == {"data": pair(credential), "options": {"cas": 1}}

    @pytest.mark.parametrize("effect", ["refuse", "lost_response", "throttle"])
    def test_a_secret_that_cannot_be_described_is_delivered_all_the_same(
        self, fake: Listening, store: Store, effect: Any
    ) -> None:
        fake.add(Fault("PATCH", "/metadata/", effect, times=None, status=403, after=100_000))
        credential = fresh_credential()
        assert store.deliver(credential).written
        assert fake.data(PATH) == pair(credential)


class TestVersions:
    def test_a_secret_whose_latest_version_is_deleted_is_written_after_that_version(
        self, fake: Listening, store: Store
    ) -> None:
        fake.entries[PATH] = [{}, None]
        assert store.held() == NotHeld()
        credential = fresh_credential()
        store.put(credential, store.load().revision)
        assert fake.entries[PATH][2:] == [pair(credential)]

    def test_a_journal_that_comes_between_two_reads_of_a_put_is_a_conflict(self, fake: Listening, store: Store) -> None:
        revision = store.save_journal(FULL, store.load().revision)
        fake.before[fake.reads + 4] = lambda: Secret(fake).plant_journal("{}")
        assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), Conflict)
        assert fake.data(PATH) is None

    def test_a_credential_that_comes_between_two_reads_of_a_put_is_a_conflict(
        self, fake: Listening, store: Store
    ) -> None:
        revision, existing_key = store.save_journal(FULL, store.load().revision), fresh_credential()
        fake.before[fake.reads + 4] = lambda: Secret(fake).plant(existing_key)
        assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), Conflict)
        assert fake.data(PATH) == pair(existing_key)

    def test_only_a_refused_condition_is_a_conflict(self, fake: Listening, store: Store) -> None:
        revision = store.load().revision
        for status, message in ((400, "no data provided"), (403, "check-and-set parameter did not match")):
            fake.clear()
            fake.add(Fault("POST", "/data/", "refuse", times=None, status=status, body={"errors": [message]}))
            error = outcome(lambda: store.put(fresh_credential(), revision))
            assert isinstance(error, ServiceError)
            assert not isinstance(error, Conflict | Ambiguous)

    @pytest.mark.parametrize("body", [b"null", {"other": 1}, {"data": None}, {"data": {"version": "2"}}])
    def test_a_write_whose_number_is_missing_is_read_back(self, fake: Listening, store: Store, body: Any) -> None:
        fake.add(Fault("POST", "/data/", "error_after", times=None, status=200, body=body))
        credential = fresh_credential()
        assert isinstance(outcome(lambda: store.deliver(credential)), Ambiguous | None)
        assert fake.data(PATH) == pair(credential)

    def test_a_read_waits_for_the_version_that_was_written(self, fake: Listening) -> None:
        hurried = Hurried()
        store = open_store(URL, services_of(Secret(fake), hurried))
        revision = store.load().revision
        fake.lag, fake.indexed = 2, False
        store.put(fresh_credential(), revision)
        assert hurried.slept == pytest.approx(0.1 + 0.2)


class TestResponses:
    @pytest.mark.parametrize("body", [None, {}, {"data": None}, {"data": {"metadata": None}}])
    def test_a_404_without_a_version_is_a_secret_that_was_never_written(
        self, fake: Listening, store: Store, body: Any
    ) -> None:
        fake.add(Fault("GET", "/data/", "refuse", times=None, status=404, body=body))
        assert store.held() == NotHeld()

    @pytest.mark.parametrize("body", [None, {}, {"data": None}, {"data": {"a": "b"}}])
    def test_a_200_without_metadata_is_another_kind_of_mount(self, fake: Listening, store: Store, body: Any) -> None:
        fake.add(Fault("GET", "/data/", "refuse", times=None, status=200, body=body))
        error = outcome(store.held)
        assert isinstance(error, ServiceRejected)
        assert "secret/machine-users/ci is not in a KV version 2 mount" in error.message

    @pytest.mark.parametrize("status", [403, 410])
    def test_a_refused_read_is_named_whatever_comes_with_it(self, fake: Listening, store: Store, status: int) -> None:
        body = {"data": {"metadata": {"version": 1}, "data": {}}}
        fake.add(Fault("GET", "/data/", "refuse", times=None, status=status, body=body))
        error = outcome(store.held)
        assert isinstance(error, ServiceError)
        assert "read secret/machine-users/ci" in error.message

    def test_a_field_that_is_no_text_is_not_a_key(self, fake: Listening, store: Store) -> None:
        fake.entries[PATH] = [{**pair(fresh_credential()), "SecretAccessKey": 5}]  # type: ignore[dict-item]
        assert isinstance(store.held(), CannotTell)

    def test_a_journal_without_its_field_cannot_be_read(self, fake: Listening, store: Store) -> None:
        fake.entries[f"{PATH}.twokey-journal"] = [{}]
        assert isinstance(outcome(store.load), ServiceRejected)


class TestTheMount:
    @pytest.mark.parametrize(
        ("status", "body"), [(200, None), (200, {}), (200, {"data": None}), (403, {"data": {"options": None}})]
    )
    def test_a_mount_about_which_nothing_is_told_is_used(
        self, fake: Listening, store: Store, status: int, body: Any
    ) -> None:
        fake.add(Fault("GET", MOUNT, "refuse", times=None, status=status, body=body))
        assert store.held() == NotHeld()

    def test_a_question_without_a_response_changes_nothing(self, fake: Listening, store: Store) -> None:
        fake.add(Fault("GET", MOUNT, "reset", times=None))
        error = outcome(store.held)
        assert isinstance(error, Ambiguous)
        assert error.state == "This call changes nothing."

    def test_is_not_asked_for_where_a_journal_is(self, fake: Listening, store: Store) -> None:
        store.save_journal(FULL, store.load().revision)
        fake.clear()
        open_store(URL, services_of(Secret(fake), Hurried())).load()
        assert fake.count("GET", MOUNT) == 0


class TestCapabilities:
    @pytest.mark.parametrize(
        "body",
        [
            {"data": {DATA: ABLE, JOURNAL: ABLE}},
            {DATA: ABLE, JOURNAL: ABLE},
            {DATA: ["root"], JOURNAL: ["root"]},
        ],
    )
    def test_are_read_as_each_release_returns_them(self, fake: Listening, store: Store, body: Any) -> None:
        fake.add(Fault("POST", "/capabilities-self", "refuse", times=None, status=200, body=body))
        assert outcome(store.preflight) is None

    @pytest.mark.parametrize(
        ("body", "lacks"),
        [
            (None, f"create and read and update on {DATA}"),
            ({DATA: ABLE}, f"create and read and update on {JOURNAL}"),
            ({DATA: ["create", "update"], JOURNAL: ABLE}, f"read on {DATA}"),
        ],
    )
    def test_that_lack_are_named(self, fake: Listening, store: Store, body: Any, lacks: str) -> None:
        fake.add(Fault("POST", "/capabilities-self", "refuse", times=None, status=200, body=body))
        error = outcome(store.preflight)
        assert isinstance(error, AccessDenied)
        assert lacks in error.message

    def test_are_unknown_to_a_token_that_may_not_ask(self, fake: Listening, store: Store) -> None:
        fake.add(Fault("POST", "/capabilities-self", "refuse", times=None, status=403))
        assert outcome(store.preflight) is None

    def test_that_cannot_be_asked_for_are_an_error(self, fake: Listening, store: Store) -> None:
        fake.add(Fault("POST", "/capabilities-self", "refuse", times=None, status=400))
        assert isinstance(outcome(store.preflight), ServiceRejected)


def test_a_token_that_ends_too_soon_is_renewed_before_a_rotation(fake: Listening, store: Store) -> None:
    fake.ttl = 1
    with lifetime.needing(180):
        store.preflight()
    assert fake.ttl > 1


def test_what_was_read_is_held(fake: Listening, store: Store) -> None:
    credential = fresh_credential()
    Secret(fake).plant(credential)
    assert store.held() == Held(credential.access_key_id)
