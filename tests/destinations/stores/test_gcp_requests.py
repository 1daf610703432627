"""What twokey asks Google, field by field, and which responses it believes: a fake may ignore what Google does not."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import AccessDenied, Ambiguous, ServiceError
from twokey.core.journal import Journal
from twokey.core.model import CannotTell, NotHeld
from twokey.destinations.registry import open_store, parse
from twokey.destinations.stores.gcp_secretmanager import CLAIM, JOURNAL, NEWEST, NOTE
from twokey.testing.contract import Hurried, fresh_credential, outcome, pair, services_of
from twokey.testing.fakes.gcp_secretmanager import Google
from twokey.testing.server import Fault, Reply
from twokey.testing.stores import FULL

from .test_gcp_secretmanager import BY_ALIAS, TARGET, URL, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twokey.core.destination import Store
    from twokey.testing.server import ReceivedRequest

SECRETS = "/v1/projects/site-prd/secrets"
READ = ["secretmanager.secrets.get", "secretmanager.versions.access", "secretmanager.versions.add"]
UPDATE = "secretmanager.secrets.update"


class Listening(Google):
    """Keeps the requests that do not only read.

    ``stale``: how the next read of the secret is answered. ``before_create``: what others do just before a creation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.received: list[tuple[str, str, dict[str, str], Any]] = []
        self.stale: Reply | None = None
        self.before_create: list[Callable[[], None]] = []

    def handle(self, request: ReceivedRequest) -> Reply:
        if request.method == "GET" and self.stale is not None and request.path.endswith("/secrets/ci"):
            stale, self.stale = self.stale, None
            return stale
        if "secretId" in request.query and self.before_create:
            self.before_create.pop()()
        if request.method != "GET":
            self.received.append((request.method, request.path, dict(request.query), request.json()))
        return super().handle(request)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    monkeypatch.setenv("TEST_GOOGLE_TOKEN", "ya29.token")
    with Listening() as google:
        yield google


@pytest.fixture
def store(fake: Listening) -> Store:
    return opened(fake, URL)


def opened(fake: Google, url: str) -> Store:
    """Return the store as another run sees it."""
    return open_store(url, services_of(Secret(fake, url), Hurried()))


class TestRequests:
    @pytest.mark.parametrize(
        ("url", "journal", "needed"),
        [(URL, False, READ), (URL, True, [*READ, UPDATE]), (BY_ALIAS, False, [*READ, UPDATE])],
    )
    def test_preflight_asks_for_the_permissions_that_a_write_needs(
        self, fake: Listening, url: str, journal: bool, needed: list[str]
    ) -> None:
        fake.put(TARGET, "{}")
        if journal:
            Secret(fake).plant_journal("{}")
        opened(fake, url).preflight()
        assert fake.received == [("POST", f"{SECRETS}/ci:testIamPermissions", {}, {"permissions": needed})]

    def test_a_delivery_to_latest_creates_the_secret_and_adds_a_version(self, fake: Listening, store: Store) -> None:
        credential = fresh_credential()
        store.deliver(credential)
        created, added = fake.received
        assert created == ("POST", SECRETS, {"secretId": "ci"}, {"replication": {"automatic": {}}, "annotations": {}})
        assert added[:3] == ("POST", f"{SECRETS}/ci:addVersion", {})
        assert list(added[3]) == ["payload"]
        assert json.loads(base64.b64decode(added[3]["payload"].pop("data"))) == pair(credential)
        assert added[3] == {"payload": {}}

    def test_a_journal_is_written_on_condition_of_the_etag_and_names_the_newest_version(
        self, fake: Listening, store: Store
    ) -> None:
        credential = fresh_credential()
        revision = store.put(credential, store.load().revision)
        etag = fake.secrets[TARGET]["etag"]
        store.save_journal(FULL, revision)
        method, path, query, body = fake.received[-1]
        assert (method, path, query) == ("PATCH", f"{SECRETS}/ci", {"updateMask": "annotations"})
        assert body.keys() == {"etag", "annotations"}
        assert body["etag"] == etag
        assert body["annotations"].keys() == {JOURNAL, NOTE, NEWEST}
        assert body["annotations"][NEWEST] == "1"
        assert credential.access_key_id in body["annotations"][NOTE]

    def test_an_alias_moves_together_with_the_note_and_needs_no_number(self, fake: Listening) -> None:
        fake.put(TARGET, "{}")
        opened(fake, BY_ALIAS).deliver(fresh_credential())
        method, path, query, body = fake.received[-1]
        assert (method, path, query) == ("PATCH", f"{SECRETS}/ci", {"updateMask": "annotations,versionAliases"})
        assert body["versionAliases"] == {"current": "2"}
        assert body["annotations"].keys() == {NOTE}

    def test_claims_and_fences_are_random_words(self, fake: Listening, store: Store) -> None:
        revision = store.save_journal(FULL, store.load().revision)
        revision = store.put(fresh_credential(), revision)
        claim = fake.secrets[TARGET]["annotations"][CLAIM]
        store.fence(opened(fake, URL).load().revision)
        assert re.fullmatch("[0-9a-f]{16}", claim)

    def test_a_claim_that_is_not_shown_yet_is_looked_for_again(self, fake: Listening, store: Store) -> None:
        revision = store.save_journal(FULL, store.load().revision)

        def show_this_again() -> None:
            fake.stale = Reply(200, fake._shown(TARGET))

        fake.before_patch.append(show_this_again)
        credential = fresh_credential()
        store.put(credential, revision)
        assert Secret(fake).read() == pair(credential)

    def test_a_move_of_an_alias_is_conditional_and_needs_no_claim(self, fake: Listening) -> None:
        store = opened(fake, BY_ALIAS)
        store.put(fresh_credential(), store.save_journal(FULL, store.load().revision))
        assert CLAIM not in fake.secrets[TARGET]["annotations"]

    def test_a_journal_alone_is_the_only_annotation(self, fake: Listening, store: Store) -> None:
        fake.put(TARGET, "{}")
        store.save_journal(FULL, store.load().revision)
        assert fake.received[-1][3]["annotations"].keys() == {JOURNAL, NEWEST}

    def test_the_number_of_no_version_is_not_noted(self, fake: Listening, store: Store) -> None:
        fake.annotate(TARGET, {"owner": "someone"})
        store.save_journal(FULL, store.load().revision)
        assert fake.received[-1][3]["annotations"].keys() == {"owner", JOURNAL}

    def test_a_secret_that_another_program_creates_meanwhile_is_used(self, fake: Listening, store: Store) -> None:
        fake.before_create.append(lambda: fake.annotate(TARGET, {"owner": "someone"}))
        store.save_journal(FULL, store.load().revision)
        assert fake.secrets[TARGET]["annotations"].keys() == {"owner", JOURNAL}

    def test_looking_at_a_secret_reads_it_and_one_version(self, fake: Listening, store: Store) -> None:
        fake.annotate(TARGET, {"owner": "someone"})
        for act in (store.load, store.preflight):
            fake.clear()
            act()
            assert fake.count("GET") == 2

    def test_an_alias_that_is_not_there_is_not_looked_up(self, fake: Listening) -> None:
        fake.put(TARGET, "{}")
        assert opened(fake, BY_ALIAS).held() == NotHeld()
        assert fake.count("GET") == 1

    @pytest.mark.parametrize("url", [URL, BY_ALIAS])
    def test_a_secret_without_a_version_is_as_good_as_a_missing_one(self, fake: Listening, url: str) -> None:
        store = opened(fake, url)
        seen = store.load().revision
        fake.annotate(TARGET, {"owner": "someone"})
        credential = fresh_credential()
        store.put(credential, seen)
        assert Secret(fake, url).read() == pair(credential)

    def test_a_fence_changes_the_claim_only(self, fake: Listening) -> None:
        store = opened(fake, BY_ALIAS)
        revision = store.save_journal(FULL, store.load().revision)
        store.fence(revision)
        assert re.fullmatch("[0-9a-f]{16}", fake.secrets[TARGET]["annotations"][CLAIM])


@pytest.mark.parametrize(
    ("permission", "message", "needed"),
    [
        (
            "versions.access",
            "read the secret ci of site-prd",
            "versions.access and secretmanager.versions.add",
        ),
        (
            "secrets.get",
            "read the secret ci of site-prd",
            "versions.access and secretmanager.versions.add",
        ),
        (
            "versions.add",
            "write the secret ci of site-prd",
            "versions.access and secretmanager.versions.add",
        ),
        (
            "secrets.update",
            "change the secret ci of site-prd",
            "the permission secretmanager.secrets.update on",
        ),
        (
            "versions.get",
            "read the state of the version of the secret",
            "the permission secretmanager.versions.get on",
        ),
    ],
)
def test_a_denied_request_is_named_with_what_it_needs(
    fake: Listening, store: Store, permission: str, message: str, needed: str
) -> None:
    store.put(fresh_credential(), store.save_journal(FULL, store.load().revision))
    seen = store.load().revision
    if permission == "versions.get":
        fake.secrets[TARGET]["versions"][0]["state"] = "DISABLED"
    fake.denied.add(permission)
    acts = {"secrets.update": lambda: store.save_journal(Journal(), seen)}
    error = outcome(acts.get(permission, lambda: store.deliver(fresh_credential())))
    assert isinstance(error, AccessDenied)
    assert message in error.message
    assert needed in error.remedy


def test_a_secret_that_may_not_be_created_is_named(fake: Listening, store: Store) -> None:
    fake.denied.add("secrets.create")
    error = outcome(lambda: store.deliver(fresh_credential()))
    assert isinstance(error, AccessDenied)
    assert "create the secret ci of site-prd" in error.message
    assert "The token needs the permission secretmanager.secrets.create on the project." in error.remedy


class TestResponses:
    @pytest.mark.parametrize("nth", [1, 2], ids=["secret", "version"])
    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (410, {"error": {"status": "NOT_FOUND"}}),
            (404, {"error": {"status": "ABORTED"}}),
            (410, {"error": {"status": "FAILED_PRECONDITION"}}),
            (400, {"error": {"status": "INVALID_ARGUMENT"}}),
            (410, {"etag": "x", "name": "secrets/ci/versions/1", "payload": {"data": ""}}),
            (200, {"status": "ok"}),
        ],
    )
    def test_that_google_does_not_send_for_it_prove_nothing(
        self, fake: Listening, store: Store, nth: int, status: int, body: Any
    ) -> None:
        fake.put(TARGET, "{}")
        fake.add(Fault("GET", "secrets/ci", "refuse", nth=nth, status=status, body=body))
        assert isinstance(outcome(store.held), ServiceError)

    @pytest.mark.parametrize("effect", ["reset", "refuse"])
    def test_a_state_that_cannot_be_read_proves_nothing(self, fake: Listening, store: Store, effect: Any) -> None:
        fake.put(TARGET, "{}")
        fake.secrets[TARGET]["versions"][0]["state"] = "DISABLED"
        fake.add(Fault("GET", "versions/latest", effect, nth=2, times=None, status=200))
        error = outcome(store.held)
        assert isinstance(error, Ambiguous)
        assert error.state in ("", "This call changes nothing.")

    @pytest.mark.parametrize("body", [None, [], "etag"])
    def test_a_secret_that_is_no_object_proves_nothing(self, fake: Listening, store: Store, body: Any) -> None:
        fake.add(Fault("GET", "secrets/ci", "refuse", times=None, status=200, body=body))
        assert isinstance(outcome(store.preflight), Ambiguous)

    @pytest.mark.parametrize("body", [None, {}, {"name": "secrets/ci/versions/latest"}])
    def test_a_version_without_a_number_proves_nothing(self, fake: Listening, store: Store, body: Any) -> None:
        fake.put(TARGET, "{}")
        fake.add(Fault("GET", ":access", "refuse", times=None, status=200, body=body))
        error = outcome(store.preflight)
        assert isinstance(error, Ambiguous)
        assert "no version number of the secret ci of site-prd" in error.message

    def test_a_version_without_a_payload_holds_no_key(self, fake: Listening, store: Store) -> None:
        fake.put(TARGET, "{}")
        payloads: list[dict[str, Any]] = [{}, {"payload": None}, {"payload": {}}]
        for payload in payloads:
            fake.clear()
            body = {"name": "secrets/ci/versions/1", **payload}
            fake.add(Fault("GET", ":access", "refuse", times=None, status=200, body=body))
            assert isinstance(store.held(), CannotTell | NotHeld)

    def test_a_version_that_cannot_be_read_may_have_a_state_that_is_not_shown(
        self, fake: Listening, store: Store
    ) -> None:
        fake.put(TARGET, "{}")
        fake.secrets[TARGET]["versions"][0]["state"] = "DISABLED"
        body = {"name": "secrets/ci/versions/1"}
        fake.add(Fault("GET", "versions/latest", "refuse", nth=2, times=None, status=200, body=body))
        holding = store.held()
        assert isinstance(holding, CannotTell)
        assert holding.why == "version 1, which readers request, is unknown"

    @pytest.mark.parametrize("body", [None, {}])
    def test_no_list_of_permissions_means_none(self, fake: Listening, store: Store, body: Any) -> None:
        fake.put(TARGET, "{}")
        fake.add(Fault("POST", ":testIam", "refuse", times=None, status=200, body=body))
        error = outcome(store.preflight)
        assert isinstance(error, AccessDenied)
        assert f"{' and '.join(READ)} on the secret ci of site-prd" in error.message

    def test_a_write_whose_number_is_missing_is_in_doubt(self, fake: Listening, store: Store) -> None:
        fake.put(TARGET, "{}")
        fake.add(Fault("POST", ":addVersion", "refuse", times=None, status=200, body=None))
        assert isinstance(outcome(lambda: store.deliver(fresh_credential())), Ambiguous)


def test_a_change_that_is_denied_is_sent_once(fake: Listening, store: Store) -> None:
    fake.put(TARGET, "{}")
    fake.denied.add("secrets.update")
    assert isinstance(outcome(lambda: store.save_journal(FULL, store.load().revision)), AccessDenied)
    assert fake.count("PATCH") == 1


def test_a_version_is_added_once_only(fake: Listening, store: Store) -> None:
    """A second one could come after another run's."""
    fake.put(TARGET, "{}")
    fake.add(Fault("POST", ":addVersion", "lost_response"))
    outcome(lambda: store.deliver(fresh_credential()))
    assert fake.count("POST", ":addVersion") == 1


def test_names_may_be_as_long_as_google_allows() -> None:
    parse(f"gcp-secretmanager:example.com:site-prd/{'a' * 255}?alias={'a' * 63}")
