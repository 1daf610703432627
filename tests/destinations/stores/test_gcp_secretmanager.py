"""Google Cloud Secret Manager: the contracts of a store and of a destination, and what is special to it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import AccessDenied, Ambiguous, Conflict, NotFound, ServiceRejected
from twokey.core.journal import Delivery, Journal
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.destinations.registry import open_destination, open_store
from twokey.destinations.stores.gcp_secretmanager import (
    ATTEMPTS,
    JOURNAL,
    LONGEST_JOURNAL,
    NEWEST,
    NOTE,
    GoogleSecret,
)
from twokey.testing.contract import (
    Backend,
    DestinationContract,
    Hurried,
    assert_silent,
    fresh_credential,
    outcome,
    pair,
    services_of,
)
from twokey.testing.fakes.gcp_secretmanager import Google
from twokey.testing.server import Fault
from twokey.testing.stores import AT, FULL, ConditionalContract, OneTextContract, StoreBackend, StoreContract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Store
    from twokey.core.secret import Credential, Hidden
    from twokey.destinations.registry import Services

TARGET = "site-prd/ci"
URL = f"gcp-secretmanager:{TARGET}"
BY_ALIAS = f"{URL}?alias=current"
REGIONAL = f"{URL}?location=europe-west3&alias=current"


class Secret(Backend):
    """A secret of the fake, as readers of a version see it."""

    writes = ("POST", ":addVersion")
    bad_names = (
        "gcp-secretmanager:ci",
        "gcp-secretmanager:site-prd/team/ci",
        "gcp-secretmanager:Site/ci",
        "gcp-secretmanager:site-prd/c.i",
        "gcp-secretmanager:site-prd/c@i",
        f"gcp-secretmanager:site-prd/{'a' * 256}",
        f"{URL}?alias=latest",
        f"{URL}?alias=NEW",
        f"{URL}?alias=1st",
        f"{URL}?alias={'a' * 64}",
        f"{URL}?name=x",
        f"{URL}?location=",
        f"{URL}?location=Frankfurt",
        f"{URL}?location=europe-west3&replica=europe-west3",
    )

    def __init__(self, fake: Google, url: str = URL) -> None:
        self.fake: Google = fake
        self.url = url
        self.version = "current" if "alias=" in url else "latest"

    def settings(self) -> dict[str, Any]:
        return {"url": self.fake.url, "token": {"env": "TEST_GOOGLE_TOKEN"}}

    def read(self) -> dict[str, str] | None:
        text = self.text()
        try:
            return dict(json.loads(text)) if text else None
        except ValueError:
            return {"text": text or ""}

    def plant(self, credential: Credential) -> None:
        self.plant_text(json.dumps(pair(credential)))

    def remove(self) -> None:
        self.fake.projects.clear()

    def spoil_token(self) -> None:
        self.fake.tokens.clear()

    def text(self) -> str | None:
        return self.fake.text(TARGET, self.version)

    def plant_text(self, text: str) -> None:
        self.fake.put(TARGET, text)
        if self.version != "latest":
            secret = self.fake.secrets[TARGET]
            secret["versionAliases"] = {self.version: str(len(secret["versions"]))}

    def plant_journal(self, text: str) -> None:
        self.fake.annotate(TARGET, {JOURNAL: text})

    def picture(self) -> Any:
        return repr(self.fake.secrets)


class Regional(Secret):
    """A secret of one location, at the endpoint of that location."""

    def __init__(self, fake: Google) -> None:
        super().__init__(fake, REGIONAL)
        self.version = "current"

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "url": f"{self.fake.url}/{{location}}"}

    @contextmanager
    def _there(self) -> Iterator[None]:
        everywhere, self.fake.secrets = self.fake.secrets, self.fake.regional.setdefault("europe-west3", {})
        try:
            yield
        finally:
            self.fake.secrets = everywhere

    def text(self) -> str | None:
        with self._there():
            return super().text()

    def plant_text(self, text: str) -> None:
        with self._there():
            super().plant_text(text)

    def plant_journal(self, text: str) -> None:
        with self._there():
            super().plant_journal(text)

    def picture(self) -> Any:
        return repr((self.fake.secrets, self.fake.regional.get("europe-west3", {})))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    monkeypatch.setenv("TEST_GOOGLE_TOKEN", "ya29.token")
    with Google() as google:
        yield google


@pytest.fixture
def services(fake: Google) -> Services:
    return services_of(Secret(fake), Hurried())


@pytest.fixture
def store(services: Services) -> Store:
    return open_store(URL, services)


@pytest.fixture
def aliased(services: Services) -> Store:
    return open_store(BY_ALIAS, services)


class TestAsADestination(DestinationContract):
    @pytest.fixture
    def backend(self, fake: Google) -> Backend:
        return Secret(fake)


class TestAsAStore(OneTextContract, StoreContract):
    @pytest.fixture
    def backend(self, fake: Google) -> StoreBackend:
        return Secret(fake)


class TestWithAnAliasAsADestination(DestinationContract):
    @pytest.fixture
    def backend(self, fake: Google) -> Backend:
        return Secret(fake, BY_ALIAS)


class TestWithAnAliasAsAStore(OneTextContract, ConditionalContract):
    @pytest.fixture
    def backend(self, fake: Google) -> StoreBackend:
        return Secret(fake, BY_ALIAS)


class TestRegionalAsAStore(OneTextContract, ConditionalContract):
    @pytest.fixture
    def backend(self, fake: Google) -> StoreBackend:
        return Regional(fake)

    @pytest.fixture
    def services(self, fake: Google) -> Services:
        return services_of(Regional(fake), Hurried())


class TestRegional:
    def test_it_is_another_secret_than_the_one_of_that_name_without_a_location(self, fake: Google) -> None:
        services = services_of(Regional(fake), Hurried())
        here, there = fresh_credential(), fresh_credential()
        open_destination(BY_ALIAS, services).deliver(here)
        open_destination(REGIONAL, services).deliver(there)
        assert (Secret(fake, BY_ALIAS).read(), Regional(fake).read()) == (pair(here), pair(there))

    def test_its_key_of_encryption_is_its_own_and_it_has_no_replicas(self, fake: Google) -> None:
        key = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k"
        open_destination(f"{REGIONAL}&kms={key}", services_of(Regional(fake), Hurried())).deliver(fresh_credential())
        (secret,) = fake.regional["europe-west3"].values()
        assert secret["customerManagedEncryption"] == {"kmsKeyName": key}
        assert "replication" not in secret

    def test_by_default_it_is_at_googles_own_endpoint_of_the_location(self, fake: Google) -> None:
        services = services_of(Secret(fake), Hurried(), {"token": {"env": "TEST_GOOGLE_TOKEN"}})
        for url, host in ((URL, ""), (REGIONAL, "europe-west3.rep.")):
            secret = open_destination(url, services)
            assert isinstance(secret, GoogleSecret)
            assert secret._http.url == f"https://secretmanager.{host}googleapis.com"


class TestLatest:
    def test_says_that_its_writes_are_not_conditional(self, store: Store) -> None:
        assert not store.traits.conditional

    def test_two_runs_at_work_never_both_write(self, fake: Google, store: Store) -> None:
        """The second one finds the first one's claim, though no version was added yet."""
        revision = store.save_journal(FULL, store.load().revision)
        second = open_store(URL, services_of(Secret(fake), Hurried()))
        also_seen = second.load().revision
        errors, add = [], store._add  # type: ignore[attr-defined]

        def after_another(text: Hidden) -> int:
            errors.append(outcome(lambda: second.put(fresh_credential(), also_seen)))
            return int(add(text))

        store._add = after_another  # type: ignore[attr-defined]
        credential = fresh_credential()
        store.put(credential, revision)
        assert [type(error) for error in errors] == [Conflict]
        assert Secret(fake).read() == pair(credential)
        assert len(fake.secrets[TARGET]["versions"]) == 1

    def test_a_person_who_writes_between_look_and_claim_is_not_overwritten(self, fake: Google, store: Store) -> None:
        revision = store.save_journal(FULL, store.load().revision)
        existing_key = fresh_credential()
        store.put(existing_key, revision)
        seen = store.load().revision
        fake.before_patch.append(lambda: Secret(fake).plant(existing_key))
        assert isinstance(outcome(lambda: store.put(fresh_credential(), seen)), Conflict)
        assert Secret(fake).read() == pair(existing_key)

    def test_a_version_that_latest_does_not_show_yet_is_found_by_its_number(self, fake: Google, store: Store) -> None:
        older, newer = fresh_credential(), fresh_credential()
        revision = store.put(older, store.save_journal(FULL, store.load().revision))
        fake.lagging = True
        revision = store.put(newer, revision)
        assert store.held() == Held(newer.access_key_id)
        store.save_journal(FULL, revision)
        assert fake.secrets[TARGET]["annotations"][NEWEST] == "2"
        another = open_store(URL, services_of(Secret(fake), Hurried()))
        assert another.held() == Held(newer.access_key_id)

    def test_a_secret_that_was_created_again_counts_from_the_beginning(self, fake: Google, store: Store) -> None:
        for _ in range(3):
            store.deliver(fresh_credential())
        fake.secrets.clear()
        existing_key = fresh_credential()
        Secret(fake).plant(existing_key)
        assert store.held() == Held(existing_key.access_key_id)

    def test_a_mere_destination_needs_no_right_to_change_the_secret_itself(self, fake: Google, store: Store) -> None:
        fake.put(TARGET, "{}")
        fake.denied |= {"secrets.update", "secrets.create"}
        store.preflight()
        credential = fresh_credential()
        store.deliver(credential)
        assert Secret(fake).read() == pair(credential)
        assert fake.count("PATCH") == 0


class TestAlias:
    def test_readers_of_the_alias_see_a_version_only_once_the_alias_moves(self, fake: Google, aliased: Store) -> None:
        older = fresh_credential()
        revision = aliased.put(older, aliased.save_journal(FULL, aliased.load().revision))
        seen = []
        fake.before_patch.append(lambda: seen.append(Secret(fake, BY_ALIAS).read()))
        aliased.put(fresh_credential(), revision)
        assert seen == [pair(older)]

    @pytest.mark.parametrize("what", ["journal", "alias"])
    def test_a_write_just_before_the_alias_moves_is_seen(self, fake: Google, aliased: Store, what: str) -> None:
        older, existing_key = fresh_credential(), fresh_credential()
        revision = aliased.put(older, aliased.save_journal(FULL, aliased.load().revision))
        backend = Secret(fake, BY_ALIAS)

        def write() -> None:
            backend.plant_journal("{}") if what == "journal" else backend.plant(existing_key)
            fake.annotate(TARGET, {})

        fake.before_patch.append(write)
        assert isinstance(outcome(lambda: aliased.put(fresh_credential(), revision)), Conflict)
        assert backend.read() == pair(older if what == "journal" else existing_key)

    def test_other_aliases_stay(self, fake: Google, aliased: Store) -> None:
        fake.put(TARGET, "{}")
        fake.secrets[TARGET]["versionAliases"] = {"first": "1"}
        aliased.deliver(fresh_credential())
        assert fake.secrets[TARGET]["versionAliases"] == {"first": "1", "current": "2"}

    def test_the_annotation_names_the_key_and_no_secret(self, fake: Google, aliased: Store) -> None:
        credential = fresh_credential()
        aliased.deliver(credential)
        assert credential.access_key_id in fake.secrets[TARGET]["annotations"][NOTE]
        assert credential.reveal() not in json.dumps(fake.secrets[TARGET]["annotations"])


def test_annotations_and_labels_of_others_stay(fake: Google, store: Store) -> None:
    fake.annotate(TARGET, {"owner": "someone"})
    fake.secrets[TARGET]["labels"] = {"team": "site"}
    store.put(fresh_credential(), store.save_journal(FULL, store.load().revision))
    assert fake.secrets[TARGET]["annotations"]["owner"] == "someone"
    assert fake.secrets[TARGET]["labels"] == {"team": "site"}


def test_a_change_of_something_else_at_the_same_time_is_overcome(fake: Google, store: Store) -> None:
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    fake.before_patch += [lambda: fake.annotate(TARGET, {"seen": str(fake.tick())})] * (ATTEMPTS - 1)
    store.save_journal(Journal(epoch=2), revision)
    assert store.load().journal == Journal(epoch=2)
    assert fake.secrets[TARGET]["annotations"]["seen"]


def test_a_secret_that_never_rests_is_given_up(fake: Google, store: Store) -> None:
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    fake.before_patch += [lambda: fake.annotate(TARGET, {"seen": str(fake.tick())})] * 100
    error = outcome(lambda: store.save_journal(Journal(epoch=2), revision))
    assert isinstance(error, ServiceRejected)
    assert "etag does not match" in error.message
    assert store.load().journal == Journal(epoch=1)


def test_former_versions_stay_readable_for_jobs_that_pinned_one(fake: Google, store: Store) -> None:
    older = fresh_credential()
    store.deliver(older)
    store.deliver(fresh_credential())
    assert json.loads(fake.text(TARGET, "1") or "") == pair(older)
    assert fake.secrets[TARGET]["versions"][0]["state"] == "ENABLED"


@pytest.mark.parametrize("state", ["DISABLED", "DESTROYED"])
def test_a_version_that_readers_cannot_read_is_unknown_and_can_be_replaced(
    fake: Google, store: Store, state: str
) -> None:
    store.deliver(fresh_credential())
    fake.secrets[TARGET]["versions"][0]["state"] = state
    holding = store.held()
    assert isinstance(holding, CannotTell)
    assert state.lower() in holding.why
    assert isinstance(outcome(store.credential), ServiceRejected)
    credential = fresh_credential()
    store.deliver(credential)
    assert Secret(fake).read() == pair(credential)


def test_a_secret_without_versions_holds_nothing(fake: Google, store: Store) -> None:
    fake.annotate(TARGET, {"owner": "someone"})
    assert store.held() == NotHeld()


def test_content_that_is_no_text_is_never_taken_for_a_key(fake: Google, store: Store) -> None:
    fake.put(TARGET, "x")
    fake.secrets[TARGET]["versions"][0]["data"] = b"\xff\xfe"
    assert isinstance(store.held(), CannotTell)


class TestRefusals:
    @pytest.mark.parametrize("permission", ["versions.add", "secrets.update"])
    def test_preflight_names_the_permission_to_write_that_lacks(
        self, fake: Google, store: Store, permission: str
    ) -> None:
        store.put(fresh_credential(), store.save_journal(FULL, store.load().revision))
        fake.denied.add(permission)
        error = outcome(store.preflight)
        assert isinstance(error, AccessDenied)
        assert f"secretmanager.{permission} on the secret ci of site-prd" in error.message

    @pytest.mark.parametrize("permission", ["versions.access", "secrets.get"])
    def test_preflight_names_all_permissions_where_it_may_not_read(
        self, fake: Google, store: Store, permission: str
    ) -> None:
        store.deliver(fresh_credential())
        fake.denied.add(permission)
        error = outcome(store.preflight)
        assert isinstance(error, AccessDenied)
        assert "secretmanager.secrets.get, secretmanager.versions.access and secretmanager.versions.add" in error.remedy

    def test_a_secret_that_may_not_be_made_names_the_permission(self, fake: Google, store: Store) -> None:
        fake.denied.add("secrets.create")
        error = outcome(lambda: store.deliver(fresh_credential()))
        assert isinstance(error, AccessDenied)
        assert "secretmanager.secrets.create" in error.remedy

    def test_an_api_that_is_not_enabled_is_told_with_the_command_that_enables_it(
        self, fake: Google, store: Store
    ) -> None:
        fake.enabled = False
        error = outcome(store.preflight)
        assert isinstance(error, ServiceRejected)
        assert "gcloud services enable" in error.remedy

    def test_a_token_with_too_narrow_a_scope_is_told(self, fake: Google, store: Store) -> None:
        details = [{"reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]
        body = {"error": {"code": 403, "status": "PERMISSION_DENIED", "details": details}}
        fake.add(Fault("GET", "", "refuse", times=None, status=403, body=body))
        error = outcome(store.held)
        assert isinstance(error, AccessDenied)
        assert "cloud-platform" in error.remedy

    def test_a_missing_project_is_quoted(self, fake: Google, store: Store) -> None:
        fake.projects.clear()
        error = outcome(store.preflight)
        assert isinstance(error, AccessDenied)
        assert "Google Secret Manager says: Permission denied on resource project site-prd" in error.remedy

    def test_a_404_of_something_else_is_not_an_empty_store(self, fake: Google, store: Store) -> None:
        fake.add(Fault("GET", "/secrets/", "refuse", times=None, status=404, body={"message": "no such host"}))
        assert isinstance(outcome(store.load), NotFound)

    def test_a_200_of_something_else_is_not_an_empty_store(self, fake: Google, store: Store) -> None:
        fake.add(Fault("GET", "/secrets/", "refuse", times=None, status=200, body={"status": "ok"}))
        assert isinstance(outcome(store.load), Ambiguous)

    def test_what_is_said_of_a_payload_is_not_quoted(self, fake: Google, store: Store) -> None:
        credential = fresh_credential()
        body = {"error": {"code": 400, "message": f"Bad {credential.reveal()}", "status": "INVALID_ARGUMENT"}}
        fake.add(Fault("POST", ":addVersion", "refuse", times=None, status=400, body=body))
        error = outcome(lambda: store.deliver(credential))
        assert isinstance(error, ServiceRejected)
        assert_silent(error, credential)


def test_a_journal_that_is_too_long_for_an_annotation_is_refused_before_it_is_written(store: Store) -> None:
    fits = {f"github:acme/site-{number:04d}": Delivery(key="AKIAEXAMPLE000000001", at=AT) for number in range(120)}
    store.room_for(Journal(delivered=fits))
    store.save_journal(Journal(delivered=fits), store.load().revision)
    error = outcome(
        lambda: store.room_for(Journal(delivered={**fits, **{f"x{url}": one for url, one in fits.items()}}))
    )
    assert isinstance(error, ServiceRejected)
    assert str(LONGEST_JOURNAL) in error.message


def test_another_format_is_written_and_read_back(fake: Google, services: Services) -> None:
    credential = fresh_credential()
    for layout, shown in (("env", f"AWS_ACCESS_KEY_ID={credential.access_key_id}"), ("pair&id=i&secret=s", '"i":')):
        backend = open_destination(f"{URL}?format={layout}", services)
        backend.deliver(credential)
        assert shown in (fake.text(TARGET) or "")
        assert str(credential.reveal()) in (fake.text(TARGET) or "")
        assert backend.held() == Held(credential.access_key_id)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("json", '{"AccessKeyId": "%s", "SecretAccessKey": "%s", "SessionToken": "IQoJ", "other": 1}'),
        ("env", "AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\nAWS_SESSION_TOKEN=IQoJ\nother=1\n"),
        (
            "credentials-file",
            "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = IQoJ\n[other]\na = 1\n",
        ),
    ],
)
def test_a_session_token_is_removed_from_the_one_text_in_every_format(fake: Google, option: str, text: str) -> None:
    """Nothing lies beside one text: what is left over is in it."""
    credential = fresh_credential()
    fake.put(TARGET, text % (credential.access_key_id, credential.reveal()))
    destination = open_destination(f"{URL}?format={option}", services_of(Secret(fake), Hurried()))
    assert isinstance(destination.held(), CannotTell)
    assert destination.deliver(credential).written
    written = fake.text(TARGET) or ""
    assert "IQoJ" not in written
    assert "other" in written
    assert destination.held() == Held(credential.access_key_id)
