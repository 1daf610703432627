"""What every destination of a service does."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import (
    AccessDenied,
    Ambiguous,
    BadCredentials,
    NotFound,
    ServiceError,
    ServiceRejected,
    Throttled,
    Unreachable,
    UsageError,
)
from twokey.destinations import registry
from twokey.destinations.identity import identity
from twokey.testing.contract.backends import (
    ACCOUNT,
    SECRET,
    Backend,
    Hurried,
    assert_silent,
    fresh_credential,
    in_variables,
    outcome,
    pair,
    services_of,
)
from twokey.testing.contract.every_destination import EveryDestinationContract
from twokey.testing.server import Fault, ReceivedRequest, Reply

if TYPE_CHECKING:
    from twokey.core.destination import Destination
    from twokey.destinations.registry import Services


class DestinationContract(EveryDestinationContract):
    """What every destination of a service does besides."""

    @pytest.fixture
    def backend(self) -> Backend:
        """Return a backend of this test's own."""
        raise NotImplementedError

    @pytest.fixture
    def hurried(self) -> Hurried:
        """Return the time in which the connection waits."""
        return Hurried()

    @pytest.fixture
    def services(self, backend: Backend, hurried: Hurried) -> Services:
        """Return services with the backend's connection."""
        return services_of(backend, hurried)

    @pytest.fixture
    def destination(self, backend: Backend, services: Services) -> Destination:
        """Return the destination."""
        return registry.open_destination(backend.url, services)

    @pytest.fixture
    def second(self, backend: Backend) -> Destination:
        """Return the destination as another run sees it."""
        return registry.open_destination(backend.url, services_of(backend, Hurried()))

    @pytest.mark.parametrize("effect", ["lost_response", "reset", "error_before", "error_after", "html", "truncated"])
    @pytest.mark.parametrize("nth", [1, 2])
    def test_one_bad_response_to_a_write_does_no_harm(
        self, destination: Destination, backend: Backend, effect: Any, nth: int
    ) -> None:
        destination.deliver(fresh_credential())
        backend.fake.add(Fault(*backend.writes, effect, nth=nth, status=503 if effect == "html" else 500))
        credential = fresh_credential()
        error = outcome(lambda: destination.deliver(credential))
        if error is not None:
            assert isinstance(error, Ambiguous)
            assert_silent(error, credential)
            destination.deliver(credential)
        assert backend.read() == pair(credential)

    def test_a_write_that_never_gets_a_response_is_ambiguous_unless_it_can_be_seen(
        self, destination: Destination, backend: Backend
    ) -> None:
        destination.deliver(fresh_credential())
        credential = fresh_credential()
        backend.fake.add(Fault(*backend.writes, "lost_response", times=None))
        error = outcome(lambda: destination.deliver(credential))
        if error is None:
            assert backend.read() == pair(credential)
        else:
            assert isinstance(error, Ambiguous)
            assert_silent(error, credential)

    @pytest.mark.parametrize("effect", ["html", "error_after"])
    def test_what_a_crash_reporter_records_holds_no_secret(
        self, destination: Destination, backend: Backend, effect: Any
    ) -> None:
        """Not even one that records local variables."""
        destination.deliver(fresh_credential())
        credential = fresh_credential()
        token = str(getattr(backend.fake, "token", SECRET))
        for nth in (1, 2):
            backend.fake.clear()
            backend.fake.add(Fault(*backend.writes, effect, nth=nth, times=None))
            error = outcome(lambda: destination.deliver(credential))
            if error is not None:
                assert_silent(error, credential)
                assert credential.reveal() not in in_variables(error)
                assert base64.b64encode(credential.reveal().encode()).decode() not in in_variables(error)
                assert token not in in_variables(error)

    def test_a_refusal_after_a_lost_response_is_no_proof(self, destination: Destination, backend: Backend) -> None:
        destination.deliver(fresh_credential())
        backend.fake.add(Fault(*backend.writes, "lost_response"))
        backend.fake.add(Fault(*backend.writes, "refuse", nth=1, times=None, status=400))
        credential = fresh_credential()
        error = outcome(lambda: destination.deliver(credential))
        if error is None:
            assert backend.read() == pair(credential)
        else:
            assert isinstance(error, Ambiguous)

    def test_a_refusal_after_one_value_was_written_never_says_that_nothing_was(
        self, destination: Destination, backend: Backend
    ) -> None:
        older = fresh_credential()
        destination.deliver(older)
        backend.fake.clear()
        backend.fake.add(Fault(*backend.writes, "refuse", nth=2, times=None, status=400))
        credential = fresh_credential()
        error = outcome(lambda: destination.deliver(credential))
        if error is not None:
            assert isinstance(error, Ambiguous) or backend.read() == pair(older)
            assert_silent(error, credential)
            backend.fake.clear()
            destination.deliver(credential)
        assert backend.read() == pair(credential)

    def test_a_refusal_to_look_after_the_write_never_says_that_nothing_was_written(
        self, destination: Destination, backend: Backend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A token that is revoked in between, say."""
        older = fresh_credential()
        destination.deliver(older)
        handle, before = backend.fake.handle, backend.written()

        def refusing(request: ReceivedRequest) -> Reply:
            if backend.written() != before and request.method == "GET":
                return Reply(403, {"message": "Forbidden"})
            return handle(request)

        credential = fresh_credential()
        with monkeypatch.context() as patch:
            patch.setattr(backend.fake, "handle", refusing)
            error = outcome(lambda: destination.deliver(credential))
        assert backend.written() != before
        if error is None:
            assert backend.read() == pair(credential)
        else:
            assert isinstance(error, Ambiguous) or backend.read() == pair(older)

    def test_it_waits_as_long_as_the_service_asks(
        self, destination: Destination, backend: Backend, hurried: Hurried
    ) -> None:
        backend.fake.add(Fault(*backend.writes, "throttle", after=33))
        credential = fresh_credential()
        destination.deliver(credential)
        assert hurried.slept > 30
        assert backend.read() == pair(credential)

    def test_throttling_without_end_proves_that_nothing_was_written(
        self, destination: Destination, backend: Backend
    ) -> None:
        backend.fake.add(Fault(*backend.writes, "throttle", times=None, after=100_000))
        assert isinstance(outcome(lambda: destination.deliver(fresh_credential())), Throttled)
        assert backend.read() is None

    def test_a_token_that_is_not_accepted_is_named_and_nothing_is_written(
        self, destination: Destination, backend: Backend
    ) -> None:
        backend.spoil_token()
        for act in (destination.preflight, destination.held, lambda: destination.deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, BadCredentials)
            assert error.remedy
        assert backend.fake.count(*backend.writes) == 0

    def test_a_missing_permission_is_named_and_nothing_is_written(
        self, destination: Destination, backend: Backend
    ) -> None:
        backend.take_permission_away()
        credential = fresh_credential()
        error = outcome(lambda: destination.deliver(credential))
        assert isinstance(error, AccessDenied)
        assert error.remedy
        assert_silent(error, credential)

    def test_a_destination_whose_project_is_gone_is_an_error_and_not_empty(
        self, destination: Destination, backend: Backend
    ) -> None:
        backend.remove()
        for act in (destination.preflight, lambda: destination.deliver(fresh_credential())):
            assert isinstance(outcome(act), NotFound | AccessDenied | ServiceRejected)

    def test_a_redirect_to_another_host_is_refused(self, destination: Destination, backend: Backend) -> None:
        """The token is never sent there."""
        backend.fake.add(Fault("*", "", "redirect", times=None, location="https://elsewhere.invalid/x"))
        error = outcome(destination.held)
        assert isinstance(error, ServiceRejected)
        assert "elsewhere.invalid" in error.message

    def test_a_service_that_cannot_be_reached_says_that_nothing_was_sent(
        self, backend: Backend, hurried: Hurried
    ) -> None:
        settings = {**backend.settings(), "url": "http://127.0.0.1:9"}
        error = outcome(registry.open_destination(backend.url, services_of(backend, hurried, settings)).held)
        assert isinstance(error, Unreachable)
        assert "Nothing was sent" in error.state

    def test_a_page_of_a_proxy_is_never_taken_for_a_response_of_the_service(
        self, destination: Destination, backend: Backend
    ) -> None:
        for status in (200, 403, 404):
            backend.fake.clear()
            backend.fake.add(Fault("*", "", "html", times=None, status=status))
            assert isinstance(outcome(destination.held), Ambiguous)

    def test_a_quoted_message_of_the_service_never_contains_a_secret(
        self, destination: Destination, backend: Backend
    ) -> None:
        if backend.sealed:
            return
        credential = fresh_credential()
        body = {"message": f"Bad value {credential.reveal()}", "errors": [str(credential.reveal())]}
        backend.fake.add(Fault(*backend.writes, "refuse", times=None, status=422, body=body))
        error = outcome(lambda: destination.deliver(credential))
        assert isinstance(error, ServiceError)
        assert_silent(error, credential)

    def test_its_url_means_another_thing_on_another_server(
        self, destination: Destination, services: Services, backend: Backend, hurried: Hurried
    ) -> None:
        settings = backend.settings()
        if not settings.get("url") or backend.url.partition(":")[2].startswith("http"):
            return  # its service has one address for all accounts, or the URL says which server it is
        elsewhere = services_of(backend, hurried, {**settings, "url": "https://elsewhere.test"})
        other = registry.open_destination(backend.url, elsewhere)
        assert identity(destination, services, ACCOUNT) != identity(other, elsewhere, ACCOUNT)

    def test_names_that_the_service_does_not_allow_are_refused_before_any_call(self, backend: Backend) -> None:
        for url in backend.bad_names:
            with pytest.raises(UsageError) as raised:
                registry.parse(url)
            assert "None" not in raised.value.message
        assert backend.fake.requests == []

    def test_a_look_without_a_response_says_what_was_asked_and_that_nothing_was_changed(
        self, destination: Destination, backend: Backend
    ) -> None:
        """Whichever of its requests it is."""
        destination.deliver(fresh_credential())
        for act, nth in ((act, nth) for act in (destination.preflight, destination.held) for nth in range(1, 6)):
            backend.fake.clear()
            backend.fake.add(Fault("*", "", "reset", nth=nth, times=None))
            error = outcome(act)
            if error is None:
                continue
            assert isinstance(error, Ambiguous)
            assert error.state == "This call changes nothing."
            assert "None" not in error.message

    def test_a_refusal_of_what_would_show_a_secret_is_not_quoted(
        self, destination: Destination, backend: Backend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        credential = fresh_credential()
        destination.deliver(credential)
        handle, secret = backend.fake.handle, str(credential.reveal())

        def refusing(request: ReceivedRequest) -> Reply:
            reply = handle(request)
            return Reply(422, {"message": f"Bad value {secret}"}) if _shows(reply, secret) else reply

        with monkeypatch.context() as patch:
            patch.setattr(backend.fake, "handle", refusing)
            error = outcome(destination.held)
        if error is not None:
            assert_silent(error, credential)

    def test_its_url_can_name_a_connection(self, backend: Backend) -> None:
        registry.parse(backend.url + ("&" if "?" in backend.url else "?") + "connection=other")

    def test_an_unknown_format_is_refused(self, backend: Backend) -> None:
        with pytest.raises(UsageError, match=r"no (format|option)"):
            registry.parse(backend.url + ("&" if "?" in backend.url else "?") + "format=nonsense")

    def test_an_unknown_option_is_refused(self, backend: Backend) -> None:
        with pytest.raises(UsageError, match="no option"):
            registry.parse(backend.url + ("&" if "?" in backend.url else "?") + "nonsense=1")


def _shows(reply: Reply, secret: str) -> bool:
    """Return whether a response contains a secret, as it is or encoded."""
    text = reply.encoded().decode(errors="replace")
    return any(secret in one for one in (text, *map(_decoded, re.findall(r"[\w+/]{20,}={0,2}", text))))


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode(errors="replace")
    except ValueError:
        return ""
