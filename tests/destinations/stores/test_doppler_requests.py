"""What twokey asks Doppler, field by field, and which responses it believes: a fake may ignore what matters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from twokey.core.errors import AccessDenied, BadCredentials, ServiceRejected, Throttled, UsageError
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.destinations.registry import open_destination, open_store
from twokey.destinations.stores.doppler import PUBLIC, DopplerSecrets
from twokey.testing.contract import Hurried, fresh_credential, outcome, services_of
from twokey.testing.fakes.doppler import Doppler
from twokey.testing.server import Fault
from twokey.testing.stores import FULL

from .test_doppler import CONFIG, ID, JOURNAL, SECRET, URL, Secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Store
    from twokey.testing.server import ReceivedRequest, Reply

WHERE = {"project": "site", "config": "prd"}
BESIDE = ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION")


class Listening(Doppler):
    """Keeps the bodies of the writes."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[Any] = []

    def handle(self, request: ReceivedRequest) -> Reply:
        if request.method == "POST":
            self.received.append(request.json())
        return super().handle(request)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    monkeypatch.setenv("TEST_DOPPLER_TOKEN", "dp.st.prd.token")
    with Listening() as doppler:
        yield doppler


@pytest.fixture
def hurried() -> Hurried:
    return Hurried()


@pytest.fixture
def store(fake: Listening, hurried: Hurried) -> Store:
    return open_store(URL, services_of(Secrets(fake), hurried))


class TestRequests:
    def test_a_read_names_the_secrets_that_it_is_about(self, fake: Listening, store: Store) -> None:
        store.held()
        ((method, path),) = fake.requests
        names = ",".join((ID, SECRET, JOURNAL, *BESIDE))
        assert (method, urlsplit(path).path) == ("GET", "/v3/configs/config/secrets")
        assert dict(parse_qsl(urlsplit(path).query)) == {**WHERE, "secrets": names}

    def test_new_secrets_are_masked_and_the_journal_is_not(self, fake: Listening, store: Store) -> None:
        credential = fresh_credential()
        revision = store.save_journal(FULL, store.load().revision)
        journal = fake.configs[CONFIG][JOURNAL]["raw"]
        store.put(credential, revision)
        first, second = fake.received
        new = {"name": JOURNAL, "originalName": None, "value": journal, "visibility": "unmasked"}
        assert first == {**WHERE, "change_requests": [new]}
        values = {ID: credential.access_key_id, SECRET: credential.reveal()}
        made = [
            {"name": name, "originalName": None, "value": value, "visibility": "masked"}
            for name, value in values.items()
        ]
        same = {"name": JOURNAL, "originalName": JOURNAL, "value": None, "originalValue": journal}
        assert second == {**WHERE, "change_requests": [*made, same]}

    def test_a_session_token_is_deleted_on_condition_of_its_value(self, fake: Listening, store: Store) -> None:
        Secrets(fake).plant(fresh_credential())
        fake.put(CONFIG, BESIDE[0], "IQoJ")
        store.deliver(fresh_credential())
        removal = {
            "name": BESIDE[0],
            "originalName": BESIDE[0],
            "value": "IQoJ",
            "originalValue": "IQoJ",
            "shouldDelete": True,
        }
        assert fake.received[0]["change_requests"][-1] == removal

    def test_a_session_token_that_is_gone_before_the_write_is_not_deleted_again(
        self, fake: Listening, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Secrets(fake).plant(fresh_credential())
        fake.put(CONFIG, BESIDE[0], "IQoJ")
        respond = fake.handle

        def handle(request: ReceivedRequest) -> Reply:
            if fake.count("GET") == 3:  # after the delivery and its write have each read the config
                fake.configs[CONFIG].pop(BESIDE[0], None)
            return respond(request)

        monkeypatch.setattr(fake, "handle", handle)
        store.deliver(fresh_credential())
        assert [one["name"] for one in fake.received[0]["change_requests"]] == [ID, SECRET]

    @pytest.mark.parametrize(("method", "act"), [("GET", "read"), ("POST", "write")])
    def test_a_denied_request_is_named_with_what_it_needs(
        self, fake: Listening, store: Store, method: str, act: str
    ) -> None:
        fake.add(Fault(method, "", "refuse", times=None, status=403))
        error = outcome(lambda: store.deliver(fresh_credential()))
        assert isinstance(error, AccessDenied)
        assert f"{act} the secrets {ID} and {SECRET} of {CONFIG} on Doppler." in error.message
        assert f"read and write access to the config {CONFIG}" in error.remedy


class TestResponses:
    @pytest.mark.parametrize("body", [None, {}, {"secrets": None}, {"secrets": []}])
    def test_no_list_is_not_an_empty_config(self, fake: Listening, store: Store, body: Any) -> None:
        fake.add(Fault("GET", "", "refuse", times=None, status=200, body=body))
        error = outcome(store.held)
        assert isinstance(error, ServiceRejected)
        assert f"read the secrets {ID} and {SECRET} of {CONFIG}" in error.message

    def test_a_secret_without_a_value_is_missing(self, fake: Listening, store: Store) -> None:
        body = {"secrets": {ID: {"raw": None, "computed": None, "rawVisibility": "masked"}}}
        fake.add(Fault("GET", "", "refuse", times=None, status=200, body=body))
        assert store.held() == NotHeld()

    def test_a_value_that_is_not_resolved_is_what_is_stored(self, fake: Listening, store: Store) -> None:
        body = {"secrets": {ID: {"raw": "AKIAEXAMPLE000000001"}, SECRET: {"raw": "x", "computed": None}}}
        fake.add(Fault("GET", "", "refuse", times=None, status=200, body=body))
        assert store.held() == Held("AKIAEXAMPLE000000001")

    @pytest.mark.parametrize("which", ["rawVisibility", "computedVisibility"])
    def test_a_restricted_secret_is_named(self, fake: Listening, store: Store, which: str) -> None:
        fake.add(Fault("GET", "", "refuse", times=None, status=200, body={"secrets": {ID: {which: "restricted"}}}))
        error = outcome(store.held)
        assert isinstance(error, AccessDenied)
        assert f"the restricted secret {ID} on {CONFIG}" in error.message

    def test_a_write_that_was_confirmed_may_be_seen_late(self, fake: Listening, store: Store) -> None:
        fake.add(Fault("GET", "", "refuse", nth=4, status=200, body={"secrets": {}}))
        assert store.deliver(fresh_credential()).written
        assert fake.count("GET") == 5

    def test_half_a_pair_is_unknown(self, fake: Listening, store: Store) -> None:
        fake.put(CONFIG, ID, "AKIAEXAMPLE000000001")
        assert isinstance(store.held(), CannotTell)

    def test_a_reference_is_named_with_the_config(self, fake: Listening, store: Store) -> None:
        for name in (ID, SECRET):
            fake.put(CONFIG, name, "${OTHER}")
        error = outcome(store.preflight)
        assert isinstance(error, ServiceRejected)
        assert f"In {CONFIG}, the value of {ID} and {SECRET} is a reference" in error.message


class TestTheConnection:
    def test_reads_its_token_again_where_it_is_refused(
        self, fake: Listening, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.held()
        fake.tokens = {"dp.st.prd.newer"}
        error = outcome(store.held)
        assert isinstance(error, BadCredentials)
        assert "TEST_DOPPLER_TOKEN" in error.remedy
        monkeypatch.setenv("TEST_DOPPLER_TOKEN", "dp.st.prd.newer")
        assert store.held() == NotHeld()

    def test_waits_two_minutes_at_most(self, fake: Listening, store: Store, hurried: Hurried) -> None:
        fake.add(Fault("GET", "", "throttle", after=119))
        assert store.held() == NotHeld()
        assert hurried.slept >= 119
        fake.add(Fault("GET", "", "throttle", after=121))
        assert isinstance(outcome(store.held), Throttled)

    def test_sends_240_requests_a_minute_at_most(self, store: Store, hurried: Hurried) -> None:
        for _ in range(240):
            store.held()
        assert hurried.slept == 0
        store.held()
        assert hurried.slept > 0

    def test_is_to_doppler_itself_by_default(self, fake: Listening) -> None:
        services = services_of(Secrets(fake), Hurried(), {"token": {"env": "TEST_DOPPLER_TOKEN"}})
        secrets = open_destination(URL, services)
        assert isinstance(secrets, DopplerSecrets)
        assert secrets._http.url == PUBLIC

    def test_may_be_plain_http_to_a_private_address_where_that_is_allowed(self, fake: Listening) -> None:
        settings = {**Secrets(fake).settings(), "url": "http://10.0.0.1"}
        assert isinstance(outcome(lambda: open_store(URL, services_of(Secrets(fake), Hurried(), settings))), UsageError)
        open_store(URL, services_of(Secrets(fake), Hurried(), {**settings, "insecure_http": True}))

    def test_trusts_the_certificates_of_its_settings(self, fake: Listening) -> None:
        settings = {**Secrets(fake).settings(), "url": "https://doppler.invalid", "ca": "/missing/ca.pem"}
        error = outcome(lambda: open_store(URL, services_of(Secrets(fake), Hurried(), settings)))
        assert isinstance(error, UsageError)
        assert "/missing/ca.pem" in error.message
