"""Kubernetes Secrets: the contracts of a store and of a destination, and what is special to Kubernetes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import AccessDenied, Ambiguous, Conflict, NotFound, ServiceRejected, UsageError
from twokey.core.journal import Delivery, Journal
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.destinations import registry
from twokey.destinations.registry import open_destination, open_store
from twokey.destinations.stores.kubernetes import JOURNAL, LONGEST_JOURNAL, NOTE
from twokey.testing.contract import (
    Backend,
    DestinationContract,
    Hurried,
    assert_silent,
    fresh_credential,
    outcome,
    services_of,
)
from twokey.testing.fakes.kubernetes import Kubernetes
from twokey.testing.server import Fault
from twokey.testing.stores import AT, FULL, ConditionalContract, NamedValuesStoreContract, StoreBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Store
    from twokey.core.secret import Credential
    from twokey.destinations.registry import Services

TARGET = "apps/ci"
URL = f"kubernetes:{TARGET}"
NAMES = {"AccessKeyId": "AWS_ACCESS_KEY_ID", "SecretAccessKey": "AWS_SECRET_ACCESS_KEY"}


def as_data(credential: Credential) -> dict[str, str]:
    """Return what the pods of a Secret find."""
    return {"AWS_ACCESS_KEY_ID": credential.access_key_id, "AWS_SECRET_ACCESS_KEY": str(credential.reveal())}


class Secret(Backend):
    """A Secret of the fake, which has the pair as two keys."""

    writes = ("P*", "?fieldManager=twokey")
    bad_names = (
        "kubernetes:ci",
        "kubernetes:apps/team/ci",
        "kubernetes:Apps/ci",
        "kubernetes:apps/CI",
        "kubernetes:apps/ci_site",
        "kubernetes:ap.ps/ci",
        "kubernetes:apps/-ci",
        "kubernetes:apps/ci..x",
        f"kubernetes:{'a' * 64}/ci",
        f"kubernetes:apps/{'a' * 254}",
        "kubernetes:apps/ci?id=with space",
        "kubernetes:apps/ci?id=..x",
        "kubernetes:apps/ci?id=.",
        f"kubernetes:apps/ci?id={'A' * 254}",
        "kubernetes:apps/{USER}_{user}",
    )

    def __init__(self, fake: Kubernetes) -> None:
        self.fake: Kubernetes = fake
        self.url = URL

    def settings(self) -> dict[str, Any]:
        return {"url": self.fake.url, "token": {"env": "TEST_KUBERNETES_TOKEN"}}

    def read(self) -> dict[str, str] | None:
        found = self.fake.data(TARGET)
        return {name: found[key] for name, key in NAMES.items()} if NAMES["SecretAccessKey"] in found else None

    def plant(self, credential: Credential) -> None:
        self.fake.apply(TARGET, as_data(credential))

    tokens = ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION")

    def plant_value(self, name: str, text: str) -> None:
        self.fake.apply(TARGET, {name: text})

    def value(self, name: str) -> str | None:
        return self.fake.data(TARGET).get(name)

    def remove(self) -> None:
        self.fake.namespaces.clear()

    def spoil_token(self) -> None:
        self.fake.tokens.clear()

    def text(self) -> str | None:
        found = self.fake.data(TARGET)
        return json.dumps(self.read() or found) if found else None

    def plant_text(self, text: str) -> None:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        known = found if isinstance(found, dict) else {}
        data = {NAMES[name]: value for name, value in known.items() if isinstance(value, str)}
        self.fake.apply(TARGET, data or {"value": text})

    def plant_journal(self, text: str) -> None:
        self.fake.annotate(TARGET, {JOURNAL: text})

    def picture(self) -> Any:
        return json.dumps(self.fake.secrets)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubernetes]:
    monkeypatch.setenv("TEST_KUBERNETES_TOKEN", "sa-token")
    with Kubernetes() as kubernetes:
        yield kubernetes


@pytest.fixture
def services(fake: Kubernetes) -> Services:
    return services_of(Secret(fake), Hurried())


@pytest.fixture
def store(services: Services) -> Store:
    return open_store(URL, services)


class TestAsADestination(DestinationContract):
    @pytest.fixture
    def backend(self, fake: Kubernetes) -> Backend:
        return Secret(fake)


class TestAsAStore(NamedValuesStoreContract, ConditionalContract):
    @pytest.fixture
    def backend(self, fake: Kubernetes) -> StoreBackend:
        return Secret(fake)


def test_other_keys_labels_and_annotations_stay(fake: Kubernetes, store: Store) -> None:
    fake.apply(TARGET, {"REGION": "eu-central-1"})
    fake.secrets[TARGET]["metadata"]["labels"] = {"team": "site"}
    fake.annotate(TARGET, {"owner": "someone"})
    credential = fresh_credential()
    store.deliver(credential)
    assert fake.data(TARGET) == {"REGION": "eu-central-1", **as_data(credential)}
    assert fake.secrets[TARGET]["metadata"]["labels"] == {"team": "site"}
    assert fake.annotations(TARGET)["owner"] == "someone"


def test_the_pair_and_the_journal_are_one_object_that_twokey_manages(fake: Kubernetes, store: Store) -> None:
    store.put(fresh_credential(), store.save_journal(FULL, store.load().revision))
    assert list(fake.secrets) == [TARGET]
    assert fake.secrets[TARGET]["type"] == "Opaque"
    written = fake.secrets[TARGET]["metadata"]["managedFields"]
    assert {entry["manager"].split("-")[0] for entry in written} == {"twokey"}


def test_the_annotations_name_the_key_and_no_secret(fake: Kubernetes, store: Store) -> None:
    credential = fresh_credential()
    store.put(credential, store.save_journal(FULL, store.load().revision))
    assert credential.access_key_id in fake.annotations(TARGET)[NOTE]
    assert credential.reveal() not in json.dumps(fake.annotations(TARGET))


def test_a_change_of_something_else_is_no_conflict(fake: Kubernetes, store: Store) -> None:
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    fake.annotate(TARGET, {"reflector": "v2"})
    credential = fresh_credential()
    store.put(credential, revision)
    assert fake.data(TARGET) == as_data(credential)


def test_a_put_prepared_before_another_run_wrote_its_journal_is_refused(store: Store, fake: Kubernetes) -> None:
    """Credential and journal are one condition: a run that lost the lease cannot write a key any more."""
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    other = open_store(URL, services_of(Secret(fake), Hurried()))
    other.save_journal(Journal(epoch=2), other.load().revision)
    assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), Conflict)
    assert fake.data(TARGET) == {}


def test_a_write_that_comes_between_look_and_patch_is_seen(store: Store, fake: Kubernetes) -> None:
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    existing_key = fresh_credential()
    fake.before_patch.append(lambda: fake.apply(TARGET, as_data(existing_key)))
    assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), Conflict)
    assert fake.data(TARGET) == as_data(existing_key)


@pytest.mark.parametrize("answered", [True, False])
def test_a_pair_that_readers_may_have_seen_for_a_moment_is_in_doubt_and_no_conflict(
    store: Store, fake: Kubernetes, answered: bool
) -> None:
    """A conflict means that no reader has seen the new key, and then it is deleted."""
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    existing_key = fresh_credential()
    if not answered:
        fake.add(Fault("PATCH", "", "lost_response"))
    fake.after_patch.append(lambda: fake.apply(TARGET, as_data(existing_key)))
    error = outcome(lambda: store.put(fresh_credential(), revision))
    assert fake.data(TARGET) == as_data(existing_key)
    assert isinstance(error, Ambiguous)


def test_a_lease_that_another_program_overwrote_is_lost(store: Store, fake: Kubernetes) -> None:
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    fake.after_patch.append(lambda: fake.annotate(TARGET, {JOURNAL: "{}"}))
    assert isinstance(outcome(lambda: store.save_journal(Journal(epoch=2), revision)), Conflict)


def test_a_write_of_something_else_between_look_and_patch_is_overcome(store: Store, fake: Kubernetes) -> None:
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    fake.before_patch += [lambda: fake.annotate(TARGET, {"reflector": str(fake.tick())})] * 3
    credential = fresh_credential()
    store.put(credential, revision)
    assert fake.data(TARGET) == as_data(credential)
    assert fake.annotations(TARGET)["reflector"]
    assert fake.before_patch == []


def test_a_secret_that_never_rests_is_given_up(store: Store, fake: Kubernetes) -> None:
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    fake.before_patch += [lambda: fake.annotate(TARGET, {"reflector": str(fake.tick())})] * 100
    error = outcome(lambda: store.put(fresh_credential(), revision))
    assert isinstance(error, ServiceRejected)
    assert "Other programs changed" in error.message
    assert fake.data(TARGET) == {}


def test_a_secret_that_was_deleted_and_made_again_is_another_one(store: Store, fake: Kubernetes) -> None:
    credential = fresh_credential()
    fake.apply(TARGET, as_data(credential))
    seen = store.load().revision
    del fake.secrets[TARGET]
    fake.apply(TARGET, as_data(credential))
    assert isinstance(outcome(lambda: store.put(fresh_credential(), seen)), Conflict)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"immutable": True}, "immutable"),
        ({"type": "kubernetes.io/tls"}, "kubernetes.io/tls"),
        ({"type": "kubernetes.io/service-account-token"}, "expected Opaque"),
    ],
)
def test_a_secret_that_is_not_for_this_is_refused_and_says_why(
    fake: Kubernetes, store: Store, fields: dict[str, Any], message: str
) -> None:
    older = fresh_credential()
    fake.apply(TARGET, as_data(older), **fields)
    assert store.held() == Held(older.access_key_id)
    for act in (
        store.preflight,
        lambda: store.deliver(fresh_credential()),
        lambda: store.save_journal(Journal(epoch=1), store.load().revision),
    ):
        error = outcome(act)
        assert isinstance(error, ServiceRejected)
        assert message in error.message
        assert error.remedy
    assert fake.data(TARGET) == as_data(older)


def test_a_secret_that_is_being_deleted_is_refused(fake: Kubernetes, store: Store) -> None:
    fake.apply(TARGET, {})
    fake.secrets[TARGET]["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"
    error = outcome(store.preflight)
    assert isinstance(error, ServiceRejected)
    assert "being deleted" in error.message


class TestPreflight:
    @pytest.mark.parametrize(("verb", "there"), [("create", False), ("patch", False), ("patch", True)])
    def test_names_the_verb_that_lacks(self, fake: Kubernetes, store: Store, verb: str, there: bool) -> None:
        if there:
            fake.apply(TARGET, {})
        fake.denied.add(verb)
        error = outcome(store.preflight)
        assert isinstance(error, AccessDenied)
        assert f"{verb} on the Secret {TARGET}" in error.message
        assert "namespace apps" in error.remedy

    def test_needs_no_right_to_create_what_is_there(self, fake: Kubernetes, store: Store) -> None:
        fake.apply(TARGET, {})
        fake.denied.add("create")
        assert outcome(store.preflight) is None

    def test_names_the_right_to_read(self, fake: Kubernetes, store: Store) -> None:
        fake.denied.add("get")
        error = outcome(store.preflight)
        assert isinstance(error, AccessDenied)
        assert "get, create and patch" in error.remedy

    def test_lets_the_dry_run_tell_where_asking_is_not_allowed(self, fake: Kubernetes, store: Store) -> None:
        fake.denied |= {"review"}
        assert outcome(store.preflight) is None
        fake.denied |= {"create"}
        assert isinstance(outcome(store.preflight), AccessDenied)

    def test_names_a_namespace_that_is_not_there(self, fake: Kubernetes, store: Store) -> None:
        fake.namespaces.clear()
        error = outcome(store.preflight)
        assert isinstance(error, NotFound)
        assert "namespace does not exist" in error.message

    def test_names_a_namespace_that_is_being_deleted(self, fake: Kubernetes, store: Store) -> None:
        fake.terminating.add("apps")
        error = outcome(store.preflight)
        assert isinstance(error, ServiceRejected)
        assert "namespace is being deleted" in error.message

    def test_names_a_quota_that_is_used_up(self, fake: Kubernetes, store: Store) -> None:
        fake.quota = 0
        error = outcome(store.preflight)
        assert isinstance(error, ServiceRejected)
        assert "quota" in error.message

    @pytest.mark.parametrize("there", [True, False])
    def test_quotes_the_policy_that_would_refuse(self, fake: Kubernetes, store: Store, there: bool) -> None:
        if there:
            fake.apply(TARGET, {})
        fake.policy = "Secrets need the label team"
        error = outcome(store.preflight)
        assert isinstance(error, ServiceRejected)
        assert "Secrets need the label team" in error.message

    def test_does_not_mind_who_changes_deletes_or_replaces_the_secret_meanwhile(
        self, fake: Kubernetes, store: Store
    ) -> None:
        def replace() -> None:
            fake.secrets.clear()
            fake.apply(TARGET, as_data(fresh_credential()))

        for act in (lambda: fake.annotate(TARGET, {"reflector": "v2"}), fake.secrets.clear, replace):
            fake.apply(TARGET, {})
            fake.before_patch.append(act)
            assert outcome(store.preflight) is None
        assert fake.before_patch == []

    def test_is_content_with_the_verbs_where_a_webhook_cannot_be_tried(self, fake: Kubernetes, store: Store) -> None:
        fake.tries = False
        assert outcome(store.preflight) is None


def test_a_policy_that_refuses_a_delivery_is_not_quoted(fake: Kubernetes, store: Store) -> None:
    credential = fresh_credential()
    fake.policy = f"no {credential.reveal()} here"
    error = outcome(lambda: store.deliver(credential))
    assert isinstance(error, ServiceRejected)
    assert "admission policy" in error.message
    assert_silent(error, credential)


def test_a_404_of_something_else_is_not_an_empty_store(fake: Kubernetes, store: Store) -> None:
    for body in (
        None,
        {"message": "page not found"},
        {"kind": "Status", "reason": "NotFound", "details": {"kind": "x"}},
    ):
        fake.clear()
        fake.add(Fault("GET", "/secrets/", "refuse", times=None, status=404, body=body))
        assert isinstance(outcome(store.load), NotFound)


def test_a_200_of_something_else_is_not_an_empty_store(fake: Kubernetes, store: Store) -> None:
    fake.add(Fault("GET", "/secrets/", "refuse", times=None, status=200, body={"status": "ok"}))
    assert isinstance(outcome(store.load), Ambiguous)


def test_values_that_are_no_text_are_never_taken_for_a_key(fake: Kubernetes, store: Store) -> None:
    fake.apply(TARGET, {})
    fake.secrets[TARGET]["data"] = {"AWS_ACCESS_KEY_ID": "/////w=="}
    assert isinstance(store.held(), CannotTell)


def test_a_journal_that_is_too_long_for_an_annotation_is_refused_before_it_is_written(
    fake: Kubernetes, store: Store
) -> None:
    revision = store.load().revision
    fits = {f"github:acme/{number:04d}": Delivery(key="AKIAEXAMPLE000000001", at=AT) for number in range(1500)}
    store.room_for(Journal(delivered=fits))
    store.save_journal(Journal(delivered=fits), revision)
    long = {**fits, **{f"x{name}": one for name, one in fits.items()}}
    long = {**long, **{f"y{name}": one for name, one in long.items()}}
    error = outcome(lambda: store.room_for(Journal(delivered=long)))
    assert isinstance(error, ServiceRejected)
    assert str(LONGEST_JOURNAL) in error.message


def test_one_key_of_the_secret_can_hold_the_whole_pair(fake: Kubernetes, services: Services) -> None:
    credential = fresh_credential()
    one = open_destination(f"{URL}?format=credentials-file&name=credentials", services)
    one.deliver(credential)
    assert list(fake.data(TARGET)) == ["credentials"]
    assert credential.access_key_id in fake.data(TARGET)["credentials"]
    assert one.held() == Held(credential.access_key_id)


def test_two_users_may_share_one_secret_under_names_of_their_own(fake: Kubernetes, services: Services) -> None:
    credentials = [fresh_credential(), fresh_credential()]
    for number, credential in enumerate(credentials):
        open_destination(f"{URL}?id=ID_{number}&secret=SECRET_{number}", services).deliver(credential)
    assert {fake.data(TARGET)[f"ID_{number}"] for number in range(2)} == {one.access_key_id for one in credentials}


def test_a_missing_namespace_holds_nothing_and_is_refused_by_preflight(fake: Kubernetes, store: Store) -> None:
    fake.namespaces.clear()
    assert store.held() == NotHeld()
    assert isinstance(outcome(store.preflight), NotFound)


def test_a_name_that_a_user_fills_in_is_checked_again() -> None:
    filled = registry.fill("kubernetes:apps/{user}", user="ci-site", path="/", account="123456789012")
    assert filled == "kubernetes:apps/ci-site"
    assert isinstance(
        outcome(lambda: registry.fill("kubernetes:apps/{user}", user="ci_site", path="/", account="123456789012")),
        UsageError,
    )
