"""Redirects: a token never follows to another host, and a write is sent again only where it stays the same write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.http_servers import READ, WRITE, Service, Silent, connection
from twokey.core.errors import Ambiguous, ServiceRejected
from twokey.testing.server import Fault, ReceivedRequest, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator


class Moved(Service):
    """Answers the value's old path with a redirect."""

    status = 307
    location = "/moved/value"

    def handle(self, request: ReceivedRequest) -> Reply:
        if request.path == "/value":
            self.tokens.append(request.headers.get("Authorization", ""))
            return Reply(self.status, None, {"Location": self.location})
        return super().handle(request)


@pytest.fixture
def moved() -> Iterator[Moved]:
    with Moved() as service:
        yield service


@pytest.fixture
def elsewhere() -> Iterator[Silent]:
    with Silent() as other:
        yield other


STATUSES = [301, 302, 303, 307, 308]


class TestToAnotherHost:
    @pytest.mark.parametrize("status", STATUSES)
    @pytest.mark.parametrize("form", ["{url}/value", "{url}", "//{place}/value", "http://{own}@{place}/value"])
    @pytest.mark.parametrize("sent", [READ, WRITE], ids=["read", "write"])
    def test_is_refused_and_nothing_arrives_there(
        self, moved: Moved, elsewhere: Silent, status: int, form: str, sent: object
    ) -> None:
        """Another port is another host: another program listens there."""
        place, own = (one.url.removeprefix("http://") for one in (elsewhere, moved))
        moved.status, moved.location = status, form.format(url=elsewhere.url, place=place, own=own.partition(":")[0])
        with pytest.raises(ServiceRejected) as raised:
            connection(moved.url).request(sent)  # type: ignore[arg-type]
        assert "a token is never sent to another host" in raised.value.message
        assert "127.0.0.1" in raised.value.message
        assert elsewhere.requests == []
        assert moved.written == 0

    @pytest.mark.parametrize(
        "location",
        [
            "https://127.0.0.1/value",
            "http://127.0.0.1.evil.test/",
            "ftp://127.0.0.1/",
            "https://localhost/",
            "file:///x",
        ],
    )
    def test_is_refused_by_name_and_scheme(self, moved: Moved, location: str) -> None:
        moved.location = location
        with pytest.raises(ServiceRejected, match="never sent to another host"):
            connection(moved.url).request(READ)

    @pytest.mark.parametrize("form", ["{url}\\@{own}/value", "//{place}\\@{own}/value", "{url}\\.{own}/value"])
    @pytest.mark.parametrize("sent", [READ, WRITE], ids=["read", "write"])
    def test_that_two_parsers_read_differently_is_refused(
        self, moved: Moved, elsewhere: Silent, form: str, sent: object
    ) -> None:
        """To ``urlsplit`` all before the ``@`` is a user's name, to urllib3 the host ends at the backslash."""
        place, own = (one.url.removeprefix("http://") for one in (elsewhere, moved))
        moved.location = form.format(url=elsewhere.url, place=place, own=own)
        with pytest.raises(ServiceRejected, match="redirects to"):
            connection(moved.url).request(sent)  # type: ignore[arg-type]
        assert elsewhere.requests == []

    @pytest.mark.parametrize("location", ["http://[::1", "http://127.0.0.1:port/", "http://[v1.x]:80:80/"])
    def test_that_cannot_be_read_is_refused(self, moved: Moved, location: str) -> None:
        moved.location = location
        with pytest.raises(ServiceRejected, match="redirect"):
            connection(moved.url).request(READ)


class TestOnTheSameHost:
    @pytest.mark.parametrize("status", STATUSES)
    def test_is_followed_by_a_read(self, moved: Moved, status: int) -> None:
        moved.status = status
        assert connection(moved.url).request(READ).json() == {"value": 0}
        assert len(moved.tokens) == 2

    def test_is_followed_in_whatever_form_it_is_given(self, moved: Moved) -> None:
        for location in ("moved/value", f"{moved.url}/moved/value", f"{moved.url.replace('http', 'HTTP')}/moved/value"):
            moved.location = location
            assert connection(moved.url).request(READ).good

    @pytest.mark.parametrize("status", [307, 308])
    def test_is_followed_by_a_write_that_stays_one(self, moved: Moved, status: int) -> None:
        moved.status = status
        assert connection(moved.url).request(WRITE).good
        assert moved.written == 1

    @pytest.mark.parametrize("status", [301, 302, 303])
    def test_is_refused_where_a_write_would_become_a_read(self, moved: Moved, status: int) -> None:
        moved.status = status
        with pytest.raises(ServiceRejected, match="it has moved") as raised:
            connection(moved.url).request(WRITE)
        assert raised.value.state == "Nothing was written there."
        assert "/moved/value" in raised.value.remedy
        assert moved.written == 0

    @pytest.mark.parametrize("location", ["/value", ""])
    def test_in_a_circle_ends(self, moved: Moved, location: str) -> None:
        moved.location = location
        with pytest.raises(ServiceRejected, match="redirect"):
            connection(moved.url).request(READ)
        assert moved.count("*") <= 4


def test_after_a_lost_response_proves_nothing_of_the_first_attempt(service: Service, elsewhere: Silent) -> None:
    service.add(Fault("PUT", "", "lost_response"))
    service.add(Fault("PUT", "", "redirect", times=None, location=elsewhere.url))
    with pytest.raises(Ambiguous, match="may have taken effect"):
        connection(service.url).request(WRITE)
    assert service.written == 1
    assert elsewhere.requests == []
