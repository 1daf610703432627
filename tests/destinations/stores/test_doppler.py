"""Doppler's configs: the contracts of a store and of a destination, and what is special to Doppler."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import AccessDenied, Conflict, ServiceRejected, UsageError
from twokey.core.journal import Delivery, Journal
from twokey.core.model import Held, NotHeld
from twokey.destinations import registry
from twokey.destinations.registry import open_destination, open_store
from twokey.testing.contract import (
    Backend,
    DestinationContract,
    Hurried,
    assert_silent,
    fresh_credential,
    outcome,
    services_of,
)
from twokey.testing.fakes.doppler import Doppler
from twokey.testing.server import Fault
from twokey.testing.stores import AT, FULL, ConditionalContract, NamedValuesStoreContract, StoreBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Store
    from twokey.core.secret import Credential
    from twokey.destinations.registry import Services

CONFIG = "site/prd"
URL = f"doppler:{CONFIG}"
ID, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
JOURNAL = f"TWOKEY_JOURNAL_{ID}"
NAMES = {"AccessKeyId": ID, "SecretAccessKey": SECRET}


class Secrets(Backend):
    """The secrets of the fake's config."""

    writes = ("POST", "/secrets")
    bad_names = (
        "doppler:site",
        "doppler:site/prd/more",
        "doppler:si te/prd",
        "doppler:site/prd?id=lower_case",
        "doppler:site/prd?id=1ST",
        "doppler:site/prd?secret=WITH-DASH",
        "doppler:site/prd?id=DOPPLER_ID",
        f"doppler:site/prd?id={JOURNAL}",
    )

    def __init__(self, fake: Doppler) -> None:
        self.fake: Doppler = fake
        self.url = URL

    def settings(self) -> dict[str, Any]:
        return {"token": {"env": "TEST_DOPPLER_TOKEN"}, "url": self.fake.url}

    def read(self) -> dict[str, str] | None:
        found = {name: self.fake.read(CONFIG, secret) for name, secret in NAMES.items()}
        return None if None in found.values() else {name: str(value) for name, value in found.items()}

    def plant(self, credential: Credential) -> None:
        self.fake.put(CONFIG, ID, credential.access_key_id)
        self.fake.put(CONFIG, SECRET, str(credential.reveal()))

    tokens = ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION")

    def plant_value(self, name: str, text: str) -> None:
        self.fake.put(CONFIG, name, text)

    def value(self, name: str) -> str | None:
        return self.fake.read(CONFIG, name)

    def remove(self) -> None:
        self.fake.configs.clear()

    def spoil_token(self) -> None:
        self.fake.tokens.clear()

    def text(self) -> str | None:
        found = self.read()
        return json.dumps(found) if found else None

    def plant_text(self, text: str) -> None:
        """Write half of a pair, or both halves where the text has them."""
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        known = found if isinstance(found, dict) else {}
        values = {NAMES[name]: value for name, value in known.items() if isinstance(value, str)}
        for name, value in (values or {ID: text}).items():
            self.fake.put(CONFIG, name, value)

    def plant_journal(self, text: str) -> None:
        self.fake.put(CONFIG, JOURNAL, text)

    def picture(self) -> Any:
        return json.dumps(self.fake.configs)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Doppler]:
    monkeypatch.setenv("TEST_DOPPLER_TOKEN", "dp.st.prd.token")
    with Doppler() as doppler:
        yield doppler


@pytest.fixture
def services(fake: Doppler) -> Services:
    return services_of(Secrets(fake), Hurried())


@pytest.fixture
def store(services: Services) -> Store:
    return open_store(URL, services)


class TestAsADestination(DestinationContract):
    @pytest.fixture
    def backend(self, fake: Doppler) -> Backend:
        return Secrets(fake)


class TestAsAStore(NamedValuesStoreContract, ConditionalContract):
    @pytest.fixture
    def backend(self, fake: Doppler) -> StoreBackend:
        return Secrets(fake)


def test_both_values_are_written_by_one_request(fake: Doppler, store: Store) -> None:
    credential = fresh_credential()
    store.deliver(credential)
    assert fake.count("POST") == 1
    assert Secrets(fake).read() == {"AccessKeyId": credential.access_key_id, "SecretAccessKey": credential.reveal()}


def test_other_secrets_of_the_config_are_neither_read_nor_changed(fake: Doppler, store: Store) -> None:
    fake.put(CONFIG, "DATABASE_URL", "postgres://…", "restricted")
    fake.of_a_person = True
    assert store.held() == NotHeld()
    store.deliver(fresh_credential())
    assert fake.configs[CONFIG]["DATABASE_URL"] == {"raw": "postgres://…", "visibility": "restricted"}
    assert all("secrets=AWS_ACCESS_KEY_ID" in path for method, path in fake.requests if method == "GET")


def test_the_visibility_that_a_person_chose_stays(fake: Doppler, store: Store) -> None:
    fake.put(CONFIG, SECRET, "x", "restricted")
    store.deliver(fresh_credential())
    assert fake.configs[CONFIG][SECRET]["visibility"] == "restricted"
    assert fake.configs[CONFIG][ID]["visibility"] == "masked"


def test_a_restricted_secret_that_the_token_may_not_see_is_not_a_missing_one(fake: Doppler, store: Store) -> None:
    fake.put(CONFIG, SECRET, "x", "restricted")
    fake.of_a_person = True
    for act in (store.held, store.load, store.preflight, lambda: store.deliver(fresh_credential())):
        error = outcome(act)
        assert isinstance(error, AccessDenied)
        assert "service token" in error.remedy
    assert fake.count("POST") == 0


class TestReferences:
    def test_the_key_that_readers_see_is_the_one_that_is_held(self, fake: Doppler, store: Store) -> None:
        credential = fresh_credential()
        fake.put(CONFIG, "MAIN_ID", credential.access_key_id)
        fake.put(CONFIG, "MAIN_SECRET", str(credential.reveal()))
        fake.put(CONFIG, ID, "${MAIN_ID}")
        fake.put(CONFIG, SECRET, "${MAIN_SECRET}")
        assert store.held() == Held(credential.access_key_id)
        assert not store.deliver(credential).written

    def test_a_reference_is_never_written_over(self, fake: Doppler, store: Store) -> None:
        fake.put(CONFIG, "MAIN_SECRET", "x")
        fake.put(CONFIG, SECRET, "${MAIN_SECRET}")
        for act in (store.preflight, lambda: store.deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert SECRET in error.message
        assert fake.configs[CONFIG][SECRET]["raw"] == "${MAIN_SECRET}"

    def test_a_value_that_would_become_a_reference_is_refused(self, fake: Doppler, services: Services) -> None:
        backend = open_destination(f"{URL}?extra.NEXT=$%7BOTHER%7D", services)
        assert isinstance(outcome(lambda: backend.deliver(fresh_credential())), ServiceRejected)
        assert fake.count("POST") == 0

    def test_a_journal_with_a_template_in_it_is_no_reference(self, fake: Doppler, store: Store) -> None:
        urls = ["file:x?format=template&template=${AccessKeyId}", r"file:\u0024x", r"file:\\${AccessKeyId}"]
        journal = Journal(delivered={url: Delivery(key="AKIAEXAMPLE000000001", at=AT) for url in urls})
        revision = store.save_journal(journal, store.load().revision)
        assert store.load().journal == journal
        assert store.load().revision == revision
        assert "$" not in fake.configs[CONFIG][JOURNAL]["raw"]
        store.fence(revision)
        assert store.load().journal == journal


def test_a_put_prepared_before_another_run_wrote_its_journal_is_refused(store: Store, fake: Doppler) -> None:
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    other = open_store(URL, services_of(Secrets(fake), Hurried()))
    other.save_journal(Journal(epoch=2), other.load().revision)
    assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), Conflict)
    assert Secrets(fake).read() is None


@pytest.mark.parametrize("what", ["journal", "pair"])
def test_a_write_that_comes_between_look_and_write_is_refused_by_doppler_itself(
    store: Store, fake: Doppler, what: str
) -> None:
    older, existing_key = fresh_credential(), fresh_credential()
    revision = store.put(older, store.save_journal(FULL, store.load().revision))
    backend = Secrets(fake)
    fake.before_write.append(lambda: backend.plant_journal("{}") if what == "journal" else backend.plant(existing_key))
    credential = fresh_credential()
    error = outcome(lambda: store.put(credential, revision))
    assert isinstance(error, Conflict)
    assert_silent(error, credential, older, existing_key)
    expected = older if what == "journal" else existing_key
    assert (backend.read() or {})["AccessKeyId"] == expected.access_key_id


@pytest.mark.parametrize("status", [400, 409, 412, 422])
def test_a_refusal_without_another_write_is_no_conflict(store: Store, fake: Doppler, status: int) -> None:
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    fake.add(Fault("POST", "", "refuse", times=None, status=status, body={"messages": ["No."], "success": False}))
    assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), ServiceRejected)


def test_a_token_that_may_only_read_is_told_what_it_needs(store: Store, fake: Doppler) -> None:
    fake.read_only = True
    assert outcome(store.preflight) is None
    error = outcome(lambda: store.deliver(fresh_credential()))
    assert isinstance(error, AccessDenied)
    assert f"write access to the config {CONFIG}" in error.remedy


def test_what_doppler_says_of_a_read_is_not_quoted(store: Store, fake: Doppler) -> None:
    credential = fresh_credential()
    fake.add(Fault("GET", "", "refuse", times=None, status=422, body={"messages": [str(credential.reveal())]}))
    error = outcome(store.load)
    assert isinstance(error, ServiceRejected)
    assert_silent(error, credential)


def test_an_answer_without_secrets_is_not_an_empty_config(store: Store, fake: Doppler) -> None:
    fake.add(Fault("GET", "", "refuse", times=None, status=200, body={"success": True}))
    assert isinstance(outcome(store.load), ServiceRejected)


def test_a_journal_that_programs_could_not_be_given_is_refused(store: Store) -> None:
    long = Journal(
        delivered={f"file:{number:05d}": Delivery(key="AKIAEXAMPLE000000001", at=AT) for number in range(700)}
    )
    assert isinstance(outcome(lambda: store.room_for(long)), ServiceRejected)


def test_a_name_may_hold_the_user_in_uppercase() -> None:
    url = f"doppler:{CONFIG}?id={{USER}}_ID&secret={{USER}}_SECRET"
    assert registry.parse(url).url == url
    filled = registry.fill(url, user="ci-site", path="/", account="123456789012")
    assert filled == f"doppler:{CONFIG}?id=CI_SITE_ID&secret=CI_SITE_SECRET"
    with pytest.raises(UsageError):
        registry.parse(url.replace("USER", "user"))


def test_two_users_share_a_config_under_names_of_their_own(fake: Doppler, services: Services) -> None:
    for number in range(2):
        one = open_store(f"{URL}?id=ID_{number}&secret=SECRET_{number}", services)
        one.put(fresh_credential(), one.save_journal(Journal(epoch=number + 5), one.load().revision))
    for number in range(2):
        one = open_store(f"{URL}?id=ID_{number}&secret=SECRET_{number}", services)
        assert one.load().journal == Journal(epoch=number + 5)
