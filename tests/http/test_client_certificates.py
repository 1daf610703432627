"""TLS in which both sides show a certificate: twokey's comes from memory and never touches a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.certificates import Authority
from twokey.aws.clock import ServiceClock
from twokey.core.errors import Ambiguous, Unreachable, UsageError
from twokey.core.secret import Hidden
from twokey.http.client import Http
from twokey.http.messages import Request
from twokey.http.transport import Tls
from twokey.testing.contract import Hurried, outcome
from twokey.testing.server import FakeService, ReceivedRequest, Reply, route

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOK = Request("GET", "/", "look", mutates=False)


class Service(FakeService):
    @route("GET", "/")
    def look(self, _request: ReceivedRequest) -> Reply:
        return Reply(200, {"seen": True})


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def service(authority: Authority, tmp_path: Path) -> Iterator[Service]:
    service = Service()
    service.tls = authority.server(tmp_path, ask_clients=True)
    with service:
        yield service


def http(service: Service, tls: Tls | None) -> Http:
    hurried = Hurried()
    return Http("It", service.url, ServiceClock(sleep=hurried.sleep, monotonic=hurried.monotonic), tls=tls)


def test_a_certificate_that_the_service_trusts_is_let_in(service: Service, authority: Authority) -> None:
    mine = authority.sign("twokey")
    tls = Tls(authority.pem, mine.certificate, Hidden(mine.key))
    assert http(service, tls).request(LOOK).json() == {"seen": True}


def test_no_client_is_let_in_without_one(service: Service, authority: Authority) -> None:
    assert isinstance(outcome(lambda: http(service, Tls(authority.pem)).request(LOOK)), Ambiguous | Unreachable)


def test_no_client_is_let_in_with_one_of_another_authority(service: Service, authority: Authority) -> None:
    other = Authority().sign("twokey")
    tls = Tls(authority.pem, other.certificate, Hidden(other.key))
    assert isinstance(outcome(lambda: http(service, tls).request(LOOK)), Ambiguous | Unreachable)


def test_a_service_whose_authority_is_not_named_is_not_trusted(service: Service) -> None:
    error = outcome(lambda: http(service, Tls(Authority().pem)).request(LOOK))
    assert isinstance(error, Unreachable)
    assert "TLS failed" in error.message


@pytest.mark.parametrize("wrong", ["key of another", "no certificate", "encrypted", "too long", "no authority"])
def test_certificates_that_cannot_be_used_are_named_and_no_key_is_shown(
    service: Service, authority: Authority, wrong: str
) -> None:
    mine, other = authority.sign("twokey"), authority.sign("another", password=b"abc")
    tls = {
        "key of another": Tls(authority.pem, mine.certificate, Hidden(authority.sign("another").key)),
        "no certificate": Tls(authority.pem, "nonsense", Hidden(mine.key)),
        "encrypted": Tls(authority.pem, other.certificate, Hidden(other.key)),
        "too long": Tls(authority.pem, mine.certificate, Hidden(mine.key * 100)),
        "no authority": Tls("nonsense"),
    }[wrong]
    error = outcome(lambda: http(service, tls).request(LOOK))
    assert isinstance(error, UsageError)
    assert "cannot be used" in error.message
    assert mine.key not in repr((error, vars(error), tls))
    assert service.requests == []
