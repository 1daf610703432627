"""The contract of ``twokey.core.destination``, as tests that every destination of a service passes.

A module of tests names a class ``Test…(DestinationContract)`` and gives it a fixture ``backend``: the destination's
URL, its connection and its fake, as the tests see them. ``docs/how-to/write-a-destination.md`` shows a whole one.
"""

from __future__ import annotations

import base64
import traceback
from abc import ABC, abstractmethod
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pytest

from twokey.aws.clients import Clients
from twokey.aws.clock import ServiceClock
from twokey.core.errors import (
    AccessDenied,
    Ambiguous,
    BadCredentials,
    NotFound,
    ServiceError,
    ServiceRejected,
    Throttled,
    TwokeyError,
    Unreachable,
    UsageError,
)
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.secret import Credential
from twokey.destinations import registry
from twokey.destinations.ci.named_values import NamedValues
from twokey.destinations.connections import Configured, Connections
from twokey.destinations.identity import identity
from twokey.destinations.registry import Services
from twokey.testing.server import Fault, ReceivedRequest, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.destination import Destination
    from twokey.testing.server import FakeService

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # noqa: S105  AWS's own example
ACCOUNT = "123456789012"
_numbers = count(1)


class Hurried:
    """A clock whose pauses pass at once; ``slept`` counts their seconds.

    Between its pauses no time passes, so that no test depends on the speed of the machine.
    """

    def __init__(self) -> None:
        self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.slept += seconds

    def monotonic(self) -> float:
        """Return the seconds on a clock that only its pauses move."""
        return self.slept


class BackendView(Protocol):
    """What the tests see of a destination without twokey."""

    url: str

    def read(self) -> dict[str, str] | None:
        """Return the pair that a job reads here, as ``AccessKeyId`` and ``SecretAccessKey``; None without one."""

    def plant(self, credential: Credential) -> None:
        """Write a pair as an operator would, with the service's own tools."""

    def written(self) -> object:
        """Return something that differs after every write, and only then."""


class Backend(ABC):
    """The service behind a destination, as its readers and its administrators see it.

    ``url`` names it, ``fake`` is its service. ``writes`` matches the requests of a delivery that write: the method, and
    a part of their path. ``settings`` are the settings of the connection in twokey.yaml, as plain values.
    """

    url: str
    fake: FakeService
    writes: tuple[str, str] = ("P*", "")
    sealed = False
    """Whether a value is encrypted for the service before it is sent, so that no response can repeat it."""
    bad_names: tuple[str, ...] = ()
    """URLs whose names the service does not allow."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the connection's settings."""

    @abstractmethod
    def read(self) -> dict[str, str] | None:
        """Return the pair that a job reads here, as ``AccessKeyId`` and ``SecretAccessKey``; None without one."""

    @abstractmethod
    def plant(self, credential: Credential) -> None:
        """Write a pair as an operator would, with the service's own tools."""

    @abstractmethod
    def remove(self) -> None:
        """Delete the project, repository or vault around it."""

    @abstractmethod
    def spoil_token(self) -> None:
        """Make the token that the connection has one that the service does not accept."""

    def written(self) -> object:
        """Return how many writes the service received."""
        return self.fake.count(*self.writes)

    def take_permission_away(self) -> None:
        """Take the permission to write from the token. By default all writes are refused with 403."""
        method, path = self.writes
        self.fake.add(Fault(method, path, "refuse", times=None, status=403, body={"message": "Forbidden"}))


def fresh_credential() -> Credential:
    """Return a pair that no other test has."""
    return Credential(f"AKIACONTRACT{next(_numbers):08d}", f"{next(_numbers):06d}{SECRET[6:]}")


def fresh_name() -> str:
    """Return a name that no other test has."""
    return f"ci-{next(_numbers)}"


def pair(credential: Credential) -> dict[str, str]:
    """Return a credential as ``Backend.read`` does."""
    return {"AccessKeyId": credential.access_key_id, "SecretAccessKey": str(credential.reveal())}


def outcome(act: Callable[[], object]) -> TwokeyError | None:
    """Call it and return the ``TwokeyError`` that it raises, if any; other exceptions pass through."""
    try:
        act()
    except TwokeyError as error:
        return error
    return None


def assert_silent(error: BaseException, *credentials: Credential) -> None:
    """No secret in the error, in those behind it, or in what a traceback prints."""
    shown = "".join(traceback.format_exception(error))
    seen: BaseException | None = error
    while seen is not None:
        shown += repr(seen) + str(seen) + repr(vars(seen)) + repr(seen.args)
        seen = seen.__cause__ or seen.__context__
    for credential in credentials:
        assert credential.reveal() not in shown


def in_variables(error: BaseException) -> str:
    """Return what some crash reporters add to a traceback: the local variables of all frames but the test's own."""
    shown = ""
    seen: BaseException | None = error
    while seen is not None:
        shown += "".join(
            repr(value)
            for frame, _ in traceback.walk_tb(seen.__traceback__)
            if not _is_test(frame.f_code.co_filename)
            for value in frame.f_locals.values()
        )
        seen = seen.__cause__ or seen.__context__
    return shown


def _is_test(file: str) -> bool:
    return Path(file).parent == Path(__file__).parent or Path(file).name.startswith("test_")


class EveryDestinationContract:
    """What every destination does, wherever it is. ``backend`` is its service, as the tests see it.

    ``destination`` and ``second`` are two runs with the same backend; ``services`` is what they are opened with.
    ``compares_secrets``: False where the service shows the id but never the secret, and takes both in one write: then
    a delivery that finds its id there has nothing to do.
    """

    compares_secrets: ClassVar[bool] = True

    @pytest.fixture
    def backend(self) -> BackendView:
        """Return a backend of this test's own."""
        raise NotImplementedError

    @pytest.fixture
    def destination(self) -> Destination:
        """Return the destination."""
        raise NotImplementedError

    @pytest.fixture
    def second(self) -> Destination:
        """Return the destination as another run sees it."""
        raise NotImplementedError

    def test_carries_the_url_as_its_name(self, destination: Destination, backend: BackendView) -> None:
        assert destination.name == backend.url

    def test_its_url_means_the_same_in_every_run(self, destination: Destination, services: Services) -> None:
        again = registry.open_destination(destination.name, services)
        assert identity(destination, services, ACCOUNT) == identity(again, services, ACCOUNT)

    def test_an_empty_destination_holds_no_key(self, destination: Destination) -> None:
        assert destination.held() == NotHeld()

    def test_looking_and_preflight_change_nothing(self, destination: Destination, backend: BackendView) -> None:
        before = backend.written()
        destination.held()
        destination.preflight()
        assert backend.read() is None
        assert backend.written() == before

    def test_a_delivery_creates_what_is_missing(self, destination: Destination, backend: BackendView) -> None:
        credential = fresh_credential()
        receipt = destination.deliver(credential)
        assert (receipt.key_id, receipt.written) == (credential.access_key_id, True)
        assert backend.read() == pair(credential)

    def test_a_delivery_replaces_another_key(self, destination: Destination, backend: BackendView) -> None:
        older, newer = fresh_credential(), fresh_credential()
        destination.deliver(older)
        assert destination.deliver(newer).written
        assert backend.read() == pair(newer)

    def test_a_delivery_replaces_what_the_operator_wrote(self, destination: Destination, backend: BackendView) -> None:
        backend.plant(fresh_credential())
        credential = fresh_credential()
        assert destination.deliver(credential).written
        assert backend.read() == pair(credential)

    def test_a_wrong_secret_beside_the_right_id_is_replaced(
        self, destination: Destination, backend: BackendView
    ) -> None:
        credential = fresh_credential()
        backend.plant(Credential(credential.access_key_id, fresh_credential().reveal()))
        written = destination.deliver(credential).written
        assert written == self.compares_secrets
        assert (backend.read() == pair(credential)) == self.compares_secrets

    def test_it_reports_the_key_that_it_holds_or_that_it_cannot_tell(
        self, destination: Destination, second: Destination
    ) -> None:
        credential = fresh_credential()
        destination.deliver(credential)
        holding = second.held()
        if isinstance(holding, CannotTell):
            assert holding.why
            assert not holding.failed
        else:
            assert holding == Held(credential.access_key_id)

    def test_delivering_twice_writes_once_where_it_shows_what_it_holds(
        self, destination: Destination, second: Destination, backend: BackendView
    ) -> None:
        credential = fresh_credential()
        destination.deliver(credential)
        writes = backend.written()
        receipt = second.deliver(credential)
        if isinstance(second.held(), CannotTell):
            assert receipt.written
        else:
            assert not receipt.written
            assert backend.written() == writes
        assert backend.read() == pair(credential)

    def test_the_stamp_of_a_delivery_is_what_it_shows_until_another_client_writes(
        self, destination: Destination, second: Destination, backend: BackendView
    ) -> None:
        receipt = destination.deliver(fresh_credential())
        shown = second.held()
        if not isinstance(shown, CannotTell) or destination.traits.confirms == "nothing":
            return
        assert shown.stamp == receipt.stamp != ""
        backend.plant(fresh_credential())
        again = second.held()
        assert isinstance(again, CannotTell)
        assert again.stamp != receipt.stamp

    def test_a_key_that_the_operator_wrote_is_never_taken_for_another(
        self, destination: Destination, backend: BackendView
    ) -> None:
        existing_key = fresh_credential()
        destination.deliver(fresh_credential())
        backend.plant(existing_key)
        holding = destination.held()
        assert isinstance(holding, CannotTell) or holding == Held(existing_key.access_key_id)


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
            return  # its service has one address for everyone, or the URL says which server it is
        elsewhere = services_of(backend, hurried, {**settings, "url": "https://elsewhere.test"})
        other = registry.open_destination(backend.url, elsewhere)
        assert identity(destination, services, ACCOUNT) != identity(other, elsewhere, ACCOUNT)

    def test_names_that_the_service_does_not_allow_are_refused_before_any_call(self, backend: Backend) -> None:
        for url in backend.bad_names:
            with pytest.raises(UsageError):
                registry.parse(url)
        assert backend.fake.requests == []

    def test_an_unknown_option_is_refused(self, backend: Backend) -> None:
        with pytest.raises(UsageError, match="no option"):
            registry.parse(backend.url + ("&" if "?" in backend.url else "?") + "nonsense=1")


class NamedValuesContract:
    """What a destination of a CI system's variables does besides. To be inherited beside ``DestinationContract``."""

    @pytest.mark.parametrize("name", ["AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"])
    def test_a_session_token_beside_the_pair_is_not_held_and_is_gone_after_a_delivery(
        self, destination: Destination, second: Destination, backend: Backend, name: str
    ) -> None:
        credential = fresh_credential()
        receipt = destination.deliver(credential)
        others = f"{backend.url}{'&' if '?' in backend.url else '?'}id={name}&secret=DB_PASSWORD"
        beside = registry.open_destination(others, services_of(backend, Hurried()))
        assert isinstance(beside, NamedValues)
        beside.deliver(fresh_credential())
        holding = second.held()
        assert isinstance(holding, CannotTell)
        assert name in holding.why
        assert holding.stamp not in ("", receipt.stamp)
        second.preflight()
        assert second.deliver(credential).written
        assert backend.read() == pair(credential)
        assert set(beside._look()) == {"DB_PASSWORD"}  # noqa: SLF001  what the service shows
        holding = second.held()
        assert not isinstance(holding, CannotTell) or name not in holding.why

    def test_a_session_token_that_cannot_be_removed_is_named(self, destination: Destination, backend: Backend) -> None:
        others = f"{backend.url}{'&' if '?' in backend.url else '?'}id=AWS_SESSION_TOKEN&secret=DB_PASSWORD"
        registry.open_destination(others, services_of(backend, Hurried())).deliver(fresh_credential())
        backend.fake.add(Fault("DELETE", "", "refuse", times=None, status=403, body={"message": "Forbidden"}))
        error = outcome(lambda: destination.deliver(fresh_credential()))
        if error is not None:
            assert isinstance(error, Ambiguous)
            assert "AWS_SESSION_TOKEN" in error.message
            assert "AWS_SESSION_TOKEN" in error.remedy


def services_of(backend: Backend, hurried: Hurried, settings: dict[str, Any] | None = None) -> Services:
    """Return services with the connection of a backend."""
    import msgspec

    kind = registry.kind_of(backend.url.partition(":")[0]).connection
    assert kind is not None
    configured = Configured(kind.name, msgspec.convert(settings or backend.settings(), kind.settings), "here")
    clock = ServiceClock(sleep=hurried.sleep, monotonic=hurried.monotonic)
    return Services(Clients("contract", clock=clock), Connections({kind.name: configured}))


def opened(backend: Backend, hurried: Hurried | None = None) -> Destination:
    """Return the destination of a backend, as one run opens it."""
    return registry.open_destination(backend.url, services_of(backend, hurried or Hurried()))
