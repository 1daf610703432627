"""Webhooks: the contract, the signature, and what a receiver can rely on."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from docs import pages
from support.local_variables import watched
from twokey.core.errors import Ambiguous, BadCredentials, ServiceRejected, UsageError
from twokey.core.model import CannotTell
from twokey.core.secret import Hidden
from twokey.destinations import registry
from twokey.destinations.hooks.webhook import signature
from twokey.testing.contract import (
    Backend,
    BackendView,
    DestinationContract,
    Hurried,
    fresh_credential,
    outcome,
    pair,
    services_of,
)
from twokey.testing.fakes.webhook import Webhook
from twokey.testing.server import Fault, ReceivedRequest, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Destination
    from twokey.core.secret import Credential

PAGE = pages.DOCS / "reference" / "destinations" / "webhook.md"
PATH = "/aws/ci"


class Recording(Webhook):
    """Keeps every request as it came, to be sent again."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[ReceivedRequest] = []

    def handle(self, request: ReceivedRequest) -> Reply:
        self.came.append(request)
        return super().handle(request)


class Receiver(Backend):
    """A path of the fake."""

    writes = ("POST", PATH)
    bad_names = (
        "webhook:http://keys.example.com/x",
        "webhook:http://169.254.10.20/x",
        "webhook:http://[fe80::1]/x",
        "webhook:https://user:word@keys.example.com/x",
        "webhook:https://keys.example.com/x#part",
        "webhook:https://keys.example.com/../x",
        "webhook:https://keys.example.com/a b",
        "webhook:https:///x",
        "webhook:keys.example.com/x",
        "webhook:ftp://keys.example.com/x",
        "webhook:/a/./b",
        "webhook:https://keys.example.com/x?actions=preflight",
        "webhook:https://keys.example.com/x?format=json",
    )

    def __init__(self, fake: Webhook, url: str = f"webhook:{PATH}?actions=held") -> None:
        self.fake: Webhook = fake
        self.url = url

    def settings(self) -> dict[str, Any]:
        return {"secret": {"env": "TEST_WEBHOOK_SECRET"}, "url": self.fake.url}

    def read(self) -> dict[str, str] | None:
        return self.fake.read(PATH)

    def plant(self, credential: Credential) -> None:
        self.fake.write(PATH, pair(credential))

    def remove(self) -> None:
        self.fake.gone.add(PATH)

    def spoil_token(self) -> None:
        self.fake.secret = f"whsec_{base64.b64encode(b'another' * 5).decode()}"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recording]:
    with Recording() as receiver:
        monkeypatch.setenv("TEST_WEBHOOK_SECRET", receiver.secret)
        yield receiver


def opened(backend: Backend, **settings: Any) -> Destination:
    return registry.open_destination(backend.url, services_of(backend, Hurried(), {**backend.settings(), **settings}))


class TestAReceiverThatTells(DestinationContract):
    @pytest.fixture
    def backend(self, fake: Recording) -> Backend:
        return Receiver(fake)

    def test_delivering_twice_writes_once_where_it_shows_what_it_holds(
        self, destination: Destination, second: Destination, backend: BackendView
    ) -> None:
        """Whatever id it shows, it is sent each delivery: only the receiver knows whether the secret is right."""
        credential = fresh_credential()
        destination.deliver(credential)
        assert not second.deliver(credential).written
        assert backend.read() == pair(credential)

    def test_a_token_that_is_not_accepted_is_named_and_nothing_is_written(
        self, destination: Destination, backend: Backend
    ) -> None:
        backend.spoil_token()
        for act in (destination.preflight, destination.held, lambda: destination.deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, BadCredentials)
            assert "environment variable TEST_WEBHOOK_SECRET" in error.remedy
        assert backend.read() is None


@pytest.fixture
def silent(fake: Recording) -> Destination:
    """Return a receiver that is sent no request but deliveries and returns nothing, by its whole URL."""
    fake.receipts = False
    return opened(Receiver(fake, f"webhook:{fake.url}{PATH}"), url="")


class TestAReceiverThatSaysNothing:
    def test_is_asked_nothing(self, silent: Destination, fake: Recording) -> None:
        holding = silent.held()
        silent.preflight()
        assert isinstance(holding, CannotTell)
        assert (holding.failed, holding.stamp) == (False, "")
        assert fake.requests == []

    def test_takes_a_credential(self, silent: Destination, fake: Recording) -> None:
        credential = fresh_credential()
        receipt = silent.deliver(credential)
        assert (receipt.written, receipt.stamp) == (True, "")
        assert fake.read(PATH) == pair(credential)
        assert fake.requests == [("POST", PATH)]

    def test_a_stamp_that_is_never_shown_again_by_it_is_left_out(self, silent: Destination, fake: Recording) -> None:
        fake.receipts = True
        assert silent.deliver(fresh_credential()).stamp == ""


class TestTheSignature:
    def test_is_the_one_of_standard_webhooks(self) -> None:
        rows = [row for table in pages.tables(PAGE).values() for row in table]
        row = {cells[0]: pages.words(cells[1])[0] for cells in rows if len(cells) == 2 and pages.words(cells[1])}
        made = signature(
            Hidden(row["secret"]),
            row["`webhook-id`"],
            int(row["`webhook-timestamp`"]),
            memoryview(row["body"].encode()),
        )
        assert made == row["`webhook-signature`"]
        assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    def test_is_verified_by_the_code_on_the_page(self, silent: Destination, fake: Recording) -> None:
        scope: dict[str, Any] = {}
        (source,) = (block for block in pages.blocks(PAGE, "python") if block.startswith("# verify.py"))
        exec(compile(source, "verify.py", "exec"), scope)
        silent.deliver(fresh_credential())
        (request,) = fake.came
        headers = {name.lower(): value for name, value in request.headers.items()}
        verified = scope["verified"]
        assert verified(fake.secret, headers, request.data, time.time())
        two = {**headers, "webhook-signature": f"v1,other {headers['webhook-signature']}"}
        assert verified(fake.secret, two, request.data, time.time())
        assert not verified(fake.secret, headers, request.data + b" ", time.time())
        assert not verified(fake.secret, headers, request.data, time.time() + 301)
        assert not verified(fake.secret, {**headers, "webhook-id": "x"}, request.data, time.time())
        assert not verified("whsec_" + base64.b64encode(b"x" * 24).decode(), headers, request.data, time.time())

    def test_the_body_is_what_the_page_shows(self, silent: Destination, fake: Recording) -> None:
        credential = fresh_credential()
        silent.deliver(credential)
        (shown,) = pages.blocks(PAGE, "json")
        sent = fake.came[0].json()
        assert list(sent) == list(json.loads(shown))
        assert sent["key_id"] == credential.access_key_id
        assert sent["credential"] == pair(credential)
        assert sent["destination"] == silent.name

    def test_is_made_anew_for_each_attempt(
        self, fake: Recording, hurried: Hurried, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A receiver that asks for ten minutes would not accept the time of the first attempt after them."""
        began = time.time()
        fake._now = lambda: began + hurried.slept
        backend = Receiver(fake)
        services = services_of(backend, hurried)
        monkeypatch.setattr(services.clients.clock, "_wall", lambda: began + hurried.slept)
        fake.add(Fault("POST", PATH, "throttle", after=600))
        credential = fresh_credential()
        registry.open_destination(backend.url, services).deliver(credential)
        assert hurried.slept > 599
        assert fake.read(PATH) == pair(credential)

    @pytest.mark.parametrize(
        "secret",
        ["plain words", "whsec_", "whsec_c2hvcnQ=", "whsec_no base64!", base64.b64encode(b"x" * 32).decode()],
    )
    def test_needs_a_secret_of_the_right_kind(
        self, fake: Recording, monkeypatch: pytest.MonkeyPatch, secret: str
    ) -> None:
        monkeypatch.setenv("TEST_WEBHOOK_SECRET", secret)
        for url in (f"webhook:{PATH}", f"webhook:{PATH}?actions=held"):
            destination = opened(Receiver(fake, url))
            for act in (destination.preflight, lambda there=destination: there.deliver(fresh_credential())):
                error = outcome(act)
                assert isinstance(error, BadCredentials)
                assert "openssl rand" in error.remedy
                assert len(secret) < 12 or secret not in str(error)
        assert fake.requests == []

    def test_of_another_secret_is_refused_and_the_secret_is_read_again(
        self, fake: Recording, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The receiver's secret was changed, and twokey's variable with it, while a long run goes on."""
        backend = Receiver(fake)
        destination = opened(backend)
        destination.deliver(fresh_credential())
        backend.spoil_token()
        monkeypatch.setenv("TEST_WEBHOOK_SECRET", fake.secret)
        credential = fresh_credential()
        destination.deliver(credential)
        assert backend.read() == pair(credential)

    @pytest.fixture
    def hurried(self) -> Hurried:
        return Hurried()


class TestARepeat:
    def test_has_the_same_id_and_another_key_or_place_has_not(self, fake: Recording) -> None:
        credential = fresh_credential()
        here, there = opened(Receiver(fake)), opened(Receiver(fake, "webhook:/aws/cd?actions=held"))
        for destination, given in (
            (here, credential),
            (here, credential),
            (here, fresh_credential()),
            (there, credential),
        ):
            destination.deliver(given)
        first, second, other, elsewhere = (one.headers["Webhook-Id"] for one in fake.came if one.method == "POST")
        assert first == second
        assert len({first, other, elsewhere}) == 3

    def test_of_an_older_request_by_another_client_is_refused(self, fake: Recording) -> None:
        """Who recorded the delivery of LAST cannot bring it back."""
        destination = opened(Receiver(fake))
        destination.deliver(fresh_credential())
        (recorded,) = (one for one in fake.came if one.method == "POST")
        newer = fresh_credential()
        destination.deliver(newer)
        assert fake.handle(recorded).status == 409
        assert fake.read(PATH) == pair(newer)

    def test_of_the_latest_request_changes_nothing(self, fake: Recording) -> None:
        credential = fresh_credential()
        opened(Receiver(fake)).deliver(credential)
        (recorded,) = (one for one in fake.came if one.method == "POST")
        response = fake.handle(recorded)
        assert (response.status, response.body["written"]) == (200, False)
        assert fake.read(PATH) == pair(credential)

    def test_that_is_old_or_altered_is_refused(self, fake: Recording) -> None:
        opened(Receiver(fake)).deliver(fresh_credential())
        (recorded,) = (one for one in fake.came if one.method == "POST")
        body = recorded.data.replace(b"deliver", b"Deliver")
        altered = ReceivedRequest(recorded.method, PATH, PATH, {}, recorded.headers, body)
        assert fake.handle(altered).status == 401
        fake._now = lambda: time.time() + 301
        assert fake.handle(recorded).status == 401

    def test_after_the_operator_wrote_something_else_is_written(self, fake: Recording) -> None:
        backend, credential = Receiver(fake), fresh_credential()
        destination = opened(backend)
        destination.deliver(credential)
        backend.plant(fresh_credential())
        assert destination.deliver(credential).written
        assert backend.read() == pair(credential)


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("location", ["/elsewhere", "https://elsewhere.invalid/"])
    def test_are_refused(self, fake: Recording, status: int, location: str) -> None:
        class Moving(Webhook):
            def handle(self, request: ReceivedRequest) -> Reply:
                return Reply(status, None, {"Location": location})

        with Moving() as moving:
            backend = Receiver(moving)
            destination = opened(backend)
            for act in (destination.held, lambda: destination.deliver(fresh_credential())):
                error = outcome(act)
                assert isinstance(error, ServiceRejected)
                assert "redirect" in error.message or "moved" in error.message
            assert moving.count("*", "elsewhere") == 0


class TestAnswers:
    @pytest.mark.parametrize("body", [b"ok", b"[]", b'{"key_id": ""}', {"key_id": "AKIAIOSFODNN7EXAMPLE"}, b"\xff"])
    def test_that_are_none_leave_a_delivery_in_doubt(self, fake: Recording, body: Any) -> None:
        class Odd(Webhook):
            def handle(self, request: ReceivedRequest) -> Reply:
                return Reply(200, body)

        with Odd() as odd:
            error = outcome(lambda: opened(Receiver(odd)).deliver(fresh_credential()))
        assert isinstance(error, Ambiguous)
        assert "may have taken effect" in error.state

    def test_that_cannot_be_read_are_never_an_empty_destination(self, fake: Recording) -> None:
        class Odd(Webhook):
            def handle(self, request: ReceivedRequest) -> Reply:
                return Reply(200, b"nothing here")

        with Odd() as odd:
            assert isinstance(outcome(opened(Receiver(odd)).held), Ambiguous)

    def test_a_place_that_is_gone_is_no_empty_one(self, fake: Recording) -> None:
        backend = Receiver(fake)
        backend.remove()
        assert outcome(opened(backend).held) is not None


class TestUrls:
    def test_a_path_alone_needs_the_connections_url(self, fake: Recording) -> None:
        with pytest.raises(UsageError, match="needs the connection's url"):
            opened(Receiver(fake), url="")

    def test_the_connections_url_may_have_a_path(self, fake: Recording) -> None:
        opened(Receiver(fake, "webhook:/ci"), url=f"{fake.url}/aws/").deliver(fresh_credential())
        assert fake.requests == [("POST", PATH)]

    def test_hosts_are_kept_apart(self, fake: Recording) -> None:
        with Webhook() as other:
            backend = Receiver(fake)
            services = services_of(backend, Hurried())
            for url in (f"webhook:{fake.url}{PATH}", f"webhook:{other.url}{PATH}"):
                registry.open_destination(url, services).deliver(fresh_credential())
            assert (fake.requests, other.requests) == ([("POST", PATH)], [("POST", PATH)])

    @pytest.mark.parametrize(
        "url",
        [
            "webhook:https://keys.example.com",
            "webhook:https://keys.example.com:8443/aws/{path}/{user}",
            "webhook:https://{account}.example.com/x",
            "webhook:http://127.0.0.1:8080/x",
            "webhook:http://localhost/x",
            "webhook:/{user}?connection=other&actions=held",
        ],
    )
    def test_that_can_be(self, url: str) -> None:
        assert registry.parse(url).url == url

    @pytest.mark.parametrize("url", ["http://keys.example.com", "http://169.254.10.20"])
    def test_a_connection_without_tls_is_refused(self, fake: Recording, url: str) -> None:
        backend = Receiver(fake)
        services = services_of(backend, Hurried(), {**backend.settings(), "url": url})
        with pytest.raises(UsageError, match="not encrypted"):
            registry.open_destination(backend.url, services)

    def test_the_secret_comes_from_the_environment_where_no_connection_is_named(
        self, fake: Recording, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from twokey.aws.clients import Clients

        monkeypatch.setenv("TWOKEY_WEBHOOK_SECRET", fake.secret)
        services = registry.Services(Clients("webhook"))
        registry.open_destination(f"webhook:{fake.url}{PATH}", services).deliver(fresh_credential())
        assert fake.requests == [("POST", PATH)]


def test_no_variable_shows_the_credential_on_its_way(fake: Recording) -> None:
    credential = fresh_credential()
    destination = opened(Receiver(fake))
    with watched(credential.reveal(), fake.secret.removeprefix("whsec_")):
        destination.deliver(credential)
