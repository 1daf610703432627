"""Answers that are too long, or none of the service's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.http_servers import READ, WRITE, Service, connection
from twokey.core import waiting
from twokey.core.errors import Ambiguous, Conflict
from twokey.http import client as web
from twokey.http.messages import Request
from twokey.testing.server import Fault, ReceivedRequest, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator


class Odd(Service):
    """Answers with what a test wants first."""

    def __init__(self) -> None:
        super().__init__()
        self.first: list[Reply] = []

    def handle(self, request: ReceivedRequest) -> Reply:
        real = super().handle(request)
        return self.first.pop(0) if self.first else real


@pytest.fixture
def odd() -> Iterator[Odd]:
    with Odd() as service:
        yield service


def test_one_without_end_is_never_taken_for_the_next_one(odd: Odd, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of it on the wire could look like a response."""
    monkeypatch.setattr(web, "LONGEST_RESPONSE", 1000)
    forged = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"value": 99}'
    odd.first += [Reply(200, b" " * 1001 + forged * 2)]
    http = connection(odd.url)
    assert http.request(READ).json() == {"value": 0}
    assert http.request(READ).json() == {"value": 0}


def test_a_write_after_one_without_end_is_sent_once(odd: Odd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "LONGEST_RESPONSE", 1000)
    http = connection(odd.url)
    odd.first += [Reply(200, b" " * 5000)] * 3
    with pytest.raises(Ambiguous, match="longer than 1000 bytes"):
        http.request(READ)
    http.request(Request("PUT", "/value", "write the value", body={}, idempotent=False))
    assert odd.written == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_refusal_after_a_lost_response_proves_nothing_of_the_first_attempt(odd: Odd, status: int) -> None:
    odd.add(Fault("PUT", "", "lost_response"))
    odd.add(Fault("PUT", "", "refuse", times=None, status=status))
    with pytest.raises(Ambiguous, match="may have taken effect"):
        connection(odd.url).request(WRITE)
    assert odd.written == 1


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 524])
@pytest.mark.parametrize("body", [{"message": "try later"}, b"<html>", b""])
def test_an_overloaded_servers_prove_nothing(odd: Odd, status: int, body: Any) -> None:
    odd.first += [Reply(status, body)] * 3
    with pytest.raises(Ambiguous, match="may have taken effect"):
        connection(odd.url).request(WRITE)
    assert len(odd.requests) == 3


class TestARequestThatMustNotLeaveAnyMore:
    def test_is_not_sent_where_it_may_change_something(self, service: Service) -> None:
        def forbid() -> None:
            raise Conflict("The lease is over.")

        with waiting.during(lambda _: None, forbid), pytest.raises(Conflict):
            connection(service.url).request(WRITE)
        assert service.requests == []

    def test_is_sent_where_it_only_reads(self, service: Service) -> None:
        def forbid() -> None:
            raise Conflict("The lease is over.")

        with waiting.during(lambda _: None, forbid):
            assert connection(service.url).request(READ).good

    def test_is_not_sent_again_either(self, service: Service) -> None:
        """Time passes between two attempts, too."""
        asked: list[int] = []

        def forbid_the_second() -> None:
            asked.append(1)
            if len(asked) > 1:
                raise Conflict("The lease is over.")

        service.add(Fault("PUT", "", "reset"))
        with waiting.during(lambda _: None, forbid_the_second), pytest.raises(Ambiguous):
            connection(service.url).request(WRITE)
        assert service.written == 0
