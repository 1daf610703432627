"""Requests and responses that hold a secret: no variable of the layer shows it, whatever happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.local_variables import watched
from twokey.aws.clock import ServiceClock
from twokey.core.errors import Ambiguous, ServiceRejected
from twokey.http.client import Http
from twokey.http.messages import Request
from twokey.testing.contract import Hurried, assert_silent, fresh_credential
from twokey.testing.server import FakeService, Fault, ReceivedRequest, Reply, route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.secret import Hidden


class Echo(FakeService):
    """Repeats what it is sent."""

    @route("PUT", r"/.*")
    def repeat(self, request: ReceivedRequest) -> Reply:
        return Reply(200, request.data)


@pytest.fixture
def fake() -> Iterator[Echo]:
    with Echo() as echo:
        yield echo


def put(fake: Echo, how: str, secret: Hidden) -> Any:
    given: dict[str, Any] = {"body": {"value": secret}, "form": {"value": secret}, "raw": secret.encode()}
    request = Request("PUT", "/value", "write the value", **{how: given[how]}, secret=True)
    hurried = Hurried()
    return Http("The service", fake.url, ServiceClock(sleep=hurried.sleep, monotonic=hurried.monotonic)).request(
        request
    )


@pytest.mark.parametrize("how", ["body", "form", "raw"])
class TestASecretInARequest:
    def test_and_in_its_response_shows_in_no_variable(self, fake: Echo, how: str) -> None:
        secret = fresh_credential().reveal()
        with watched(secret):
            response = put(fake, how, secret)
        assert response.status == 200
        assert secret not in repr(response)

    @pytest.mark.parametrize(("fault", "error"), [("lost_response", Ambiguous), ("truncated", Ambiguous)])
    def test_shows_in_no_variable_of_an_attempt_that_breaks(
        self, fake: Echo, how: str, fault: Any, error: type[Exception]
    ) -> None:
        credential = fresh_credential()
        fake.add(Fault("PUT", "", fault, times=None))
        with watched(credential.reveal()), pytest.raises(error) as raised:
            put(fake, how, credential.reveal())
        assert_silent(raised.value, credential)

    def test_is_not_repeated_from_a_refusal(self, fake: Echo, how: str) -> None:
        credential = fresh_credential()
        body = {"message": f"bad value {credential.reveal()}"}
        fake.add(Fault("PUT", "", "refuse", times=None, status=422, body=body))
        with pytest.raises(ServiceRejected) as raised:
            put(fake, how, credential.reveal())
        assert_silent(raised.value, credential)
