"""The common base of stores of services, through those of Doppler, 1Password and Kubernetes."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.destination import Traits
from twokey.core.errors import Ambiguous, Conflict, ServiceRejected, Unreachable
from twokey.core.journal import Journal
from twokey.core.model import CannotTell, Held
from twokey.destinations.formats.journals import encode_journal
from twokey.destinations.registry import open_store
from twokey.destinations.stores.doppler import LONGEST_JOURNAL
from twokey.destinations.stores.service_store import ServiceStore
from twokey.testing.contract import Hurried, fresh_credential, outcome, services_of
from twokey.testing.fakes.doppler import Doppler
from twokey.testing.fakes.kubernetes import Kubernetes
from twokey.testing.fakes.onepassword import OnePassword
from twokey.testing.server import Fault, Reply
from twokey.testing.stores import FULL

from .test_doppler import CONFIG, ID, URL, Secrets
from .test_kubernetes import TARGET
from .test_kubernetes import URL as KUBERNETES
from .test_kubernetes import Secret as KubernetesSecret
from .test_onepassword import URL as ONEPASSWORD
from .test_onepassword import Item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twokey.core.destination import Store
    from twokey.testing.server import ReceivedRequest


class Lagging(Doppler):
    """Answers the ``lag`` reads after a write from the state before it, or refuses them if it is ``blind``.

    ``after_write``: what others do right after a write.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lag = self.left = 0
        self.blind = False
        self.after_write: list[Callable[[], None]] = []
        self.older: dict[str, Any] = {}

    def handle(self, request: ReceivedRequest) -> Reply:
        if request.method == "POST":
            self.older, self.left = deepcopy(self.configs), self.lag
            reply = super().handle(request)
            while self.after_write:
                self.after_write.pop()()
            return reply
        if self.blind and self.older:
            return Reply(403)
        if not self.left:
            return super().handle(request)
        self.left -= 1
        newer, self.configs = self.configs, self.older
        try:
            return super().handle(request)
        finally:
            self.configs = newer


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lagging]:
    monkeypatch.setenv("TEST_DOPPLER_TOKEN", "dp.st.prd.token")
    with Lagging() as doppler:
        yield doppler


@pytest.fixture
def hurried() -> Hurried:
    return Hurried()


@pytest.fixture
def store(fake: Lagging, hurried: Hurried) -> Store:
    return open_store(URL, services_of(Secrets(fake), hurried))


@pytest.fixture(params=["journal", "credential", "fence"])
def write(request: pytest.FixtureRequest, store: Store, fake: Lagging) -> Callable[[], object]:
    revision = store.save_journal(FULL, store.load().revision)
    acts = {
        "journal": lambda: store.save_journal(FULL, revision),
        "credential": lambda: store.put(fresh_credential(), revision),
        "fence": lambda: store.fence(revision),
    }
    act: Callable[[], object] = acts[request.param]
    return act


class TestAWriteThatCannotBeSeenYet:
    def test_is_looked_for_after_longer_and_longer_pauses(
        self, fake: Lagging, write: Callable[[], object], hurried: Hurried
    ) -> None:
        fake.lag = 3
        write()
        assert hurried.slept == pytest.approx(0.2 + 0.4 + 0.6)

    def test_is_in_doubt_in_the_end(self, fake: Lagging, write: Callable[[], object], hurried: Hurried) -> None:
        fake.lag = 4
        error = outcome(write)
        assert isinstance(error, Ambiguous)
        assert URL in error.message
        assert "reading back does not show it" in error.message
        assert hurried.slept == pytest.approx(0.2 + 0.4 + 0.6)

    def test_is_in_doubt_where_looking_fails(self, fake: Lagging, write: Callable[[], object]) -> None:
        fake.blind, fake.older = True, {}
        error = outcome(write)
        assert isinstance(error, Ambiguous)
        assert "reading it back failed" in error.message


def test_a_write_without_a_response_that_is_not_there_is_in_doubt_at_once(
    fake: Lagging, store: Store, hurried: Hurried
) -> None:
    revision = store.load().revision
    fake.add(Fault("POST", "", "reset", times=None))
    waited = hurried.slept
    error = outcome(lambda: store.put(fresh_credential(), revision))
    assert isinstance(error, Ambiguous)
    assert "It may have taken effect" in error.state
    assert hurried.slept - waited == pytest.approx(1 + 2)  # those between its attempts


def test_a_write_without_a_response_that_can_be_seen_took_effect(fake: Lagging, store: Store) -> None:
    fake.add(Fault("POST", "", "lost_response", times=None))
    credential = fresh_credential()
    store.put(credential, store.load().revision)
    assert store.held() == Held(credential.access_key_id)


def test_a_write_without_a_response_stays_in_doubt_where_looking_fails(fake: Lagging, store: Store) -> None:
    revision = store.load().revision
    fake.blind = True
    fake.add(Fault("POST", "", "lost_response", times=None))
    error = outcome(lambda: store.put(fresh_credential(), revision))
    assert isinstance(error, Ambiguous)
    assert "It may have taken effect" in error.state


class TestAResponseInAnotherShape:
    """Its store says that it cannot be read, whatever Python finds wrong with it."""

    def test_of_doppler(self, fake: Lagging, store: Store) -> None:
        fake.add(Fault("GET", "", "refuse", times=None, status=200, body={"secrets": {ID: None}}))
        for act in (store.held, store.load, store.credential):
            error = outcome(act)
            assert isinstance(error, Unreachable)
            assert URL in error.message
            assert error.remedy

    def test_of_1password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TEST_CONNECT_TOKEN", "connect-token")
        with OnePassword() as fake:
            found = fake.add_item("ci", [])
            store = open_store(ONEPASSWORD, services_of(Item(fake), Hurried()))
            body = {**found, "fields": 5}
            fake.add(Fault("GET", f"/items/{found['id']}", "refuse", times=None, status=200, body=body))
            assert isinstance(outcome(store.held), Unreachable)

    def test_of_kubernetes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TEST_KUBERNETES_TOKEN", "sa-token")
        with Kubernetes() as fake:
            fake.apply(TARGET, {})
            store = open_store(KUBERNETES, services_of(KubernetesSecret(fake), Hurried()))
            fake.secrets[TARGET]["data"] = {"AWS_ACCESS_KEY_ID": "x"}
            assert isinstance(outcome(store.held), Unreachable)
            fake.secrets[TARGET]["data"] = {}
            del fake.secrets[TARGET]["metadata"]
            assert isinstance(outcome(store.held), Unreachable)


class TestContent:
    def test_of_others_is_named_by_what_it_lacks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TEST_CONNECT_TOKEN", "connect-token")
        with OnePassword() as fake:
            Item(fake).plant_value("password", "x")
            holding = open_store(ONEPASSWORD, services_of(Item(fake), Hurried())).held()
        assert isinstance(holding, CannotTell)
        assert f"no {ID}" in holding.why

    def test_that_cannot_be_read_is_an_error_of_its_store(self, fake: Lagging, store: Store) -> None:
        fake.put(CONFIG, ID, "AKIAEXAMPLE000000001")
        error = outcome(store.credential)
        assert isinstance(error, ServiceRejected)
        assert URL in error.message

    def test_with_a_session_token_has_its_name_as_a_stamp(self, fake: Lagging, store: Store) -> None:
        Secrets(fake).plant(fresh_credential())
        for name in ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"):
            fake.put(CONFIG, name, "IQoJ")
        holding = store.held()
        assert isinstance(holding, CannotTell)
        assert holding.stamp == "AWS_SESSION_TOKEN/AWS_SECURITY_TOKEN"

    def test_that_the_operator_keeps_beside_it_is_not_written_again(self, fake: Lagging, store: Store) -> None:
        credential = fresh_credential()
        assert store.deliver(credential).stamp == "pair"
        fake.put(CONFIG, "OTHER", "x")
        receipt = store.deliver(credential)
        assert (receipt.key_id, receipt.written, receipt.stamp) == (credential.access_key_id, False, "pair")
        assert store.held() == Held(credential.access_key_id)


def test_says_what_it_is(store: Store, fake: Lagging) -> None:
    assert store.traits == Traits(atomic=True, conditional=True, confirms="value")
    text = open_store(f"{URL}?format=json&name=ONE&id=i&secret=s", services_of(Secrets(fake), Hurried()))
    assert isinstance(text, ServiceStore)
    assert text.other_members == ("i", "s")


class TestAWriteThatIsOverwrittenAtOnce:
    """A conflict means that no reader has seen the new key, and then it is deleted."""

    @pytest.mark.parametrize("name", [ID, "AWS_SESSION_TOKEN"])
    def test_of_a_credential_is_in_doubt(self, fake: Lagging, store: Store, name: str) -> None:
        revision = store.load().revision
        fake.after_write.append(lambda: fake.put(CONFIG, name, "IQoJ"))
        error = outcome(lambda: store.put(fresh_credential(), revision))
        assert isinstance(error, Ambiguous)
        assert "the credential was written, and then another run" in error.message
        assert "Readers may have seen it" in error.state

    def test_of_a_journal_is_a_conflict(self, fake: Lagging, store: Store) -> None:
        revision = store.load().revision
        fake.after_write.append(lambda: Secrets(fake).plant_journal("{}"))
        assert isinstance(outcome(lambda: store.save_journal(FULL, revision)), Conflict)


def test_a_fence_of_a_store_without_conditions_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_CONNECT_TOKEN", "connect-token")
    with OnePassword() as fake:
        store = open_store(ONEPASSWORD, services_of(Item(fake), Hurried()))
        revision = store.load().revision
        assert store.fence(revision) == revision
        assert fake.count("P*") == 0


class TestAJournal:
    def test_that_cannot_be_read_is_named_by_its_store(self, fake: Lagging, store: Store) -> None:
        Secrets(fake).plant_journal("{}")
        error = outcome(store.load)
        assert isinstance(error, ServiceRejected)
        assert URL in error.message

    def test_has_room_up_to_the_limit_with_the_mark_that_it_is_written_with(self, fake: Lagging, store: Store) -> None:
        longest = LONGEST_JOURNAL - len(encode_journal(Journal(user="x"), marked=True)) + 1
        store.room_for(Journal(user="x" * longest))
        long, revision = Journal(user="x" * (longest + 1)), store.load().revision
        for act in (lambda: store.room_for(long), lambda: store.save_journal(long, revision)):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert f"{URL} would have {LONGEST_JOURNAL + 1} bytes; the limit is {LONGEST_JOURNAL}" in error.message
        assert fake.count("POST") == 0


def test_a_delivery_that_another_writer_overtakes_is_refused_and_is_no_lost_race_of_a_run(
    fake: Lagging, store: Store
) -> None:
    fake.before_write.append(lambda: Secrets(fake).plant(fresh_credential()))
    Secrets(fake).plant(fresh_credential())
    error = outcome(lambda: store.deliver(fresh_credential()))
    assert isinstance(error, ServiceRejected)
    assert not isinstance(error, Conflict)
    assert URL in error.message
    assert error.state == "Nothing was changed by this run."
    assert error.remedy
