"""URLs of services: none that would show the token to others, and none that cannot be one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from support.http_servers import READ, Service, connection
from twokey.core.errors import Unreachable, UsageError

if TYPE_CHECKING:
    import socket


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://service.test", "not encrypted"),
        ("http://10.0.0.1", "not encrypted"),
        ("http://127.0.0.1.evil.test", "not encrypted"),
        ("http://localhost.evil.test", "not encrypted"),
        ("http://localhost@evil.test", "user name or a password"),
        ("http://0.0.0.0", "not encrypted"),
        ("HTTP://service.test", "not encrypted"),
        ("https://user:word@service.test", "user name or a password"),
        ("https://user@service.test", "user name or a password"),
        ("https://:word@service.test", "user name or a password"),
        ("http://user:word@localhost", "user name or a password"),
        ("https://service.test?x=1", "expected a URL without a query"),
        ("https://service.test#x", "expected a URL without a query"),
        ("service.test", "expected the URL of a service"),
        ("https://", "expected the URL of a service"),
        ("https:///path", "expected the URL of a service"),
        ("https:service.test", "expected the URL of a service"),
        ("ftp://service.test", "expected the URL of a service"),
        ("file:///etc/passwd", "expected the URL of a service"),
        ("//service.test", "expected the URL of a service"),
        ("https://[::1", "expected the URL of a service"),
        ("https://service.test:port", "expected the URL of a service"),
        ("https://service.test:99999", "expected the URL of a service"),
        ("https://service.test/a b", "expected the URL of a service"),
        ("https://service.test/\r\nX: y", "expected the URL of a service"),
        ("https://ser vice.test", "expected the URL of a service"),
        ("http://evil.test\\@localhost", "expected the URL of a service"),
        ("https://evil.test\\@service.test", "expected the URL of a service"),
    ],
)
def test_that_may_get_no_token_are_refused_before_anything_is_called(url: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected) as raised:
        connection(url)
    assert "word" not in str(raised.value).replace("a password", "")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_slashes_at_the_end_make_no_difference(service: Service, end: str) -> None:
    assert connection(service.url + end).request(READ).good
    assert service.requests == [("GET", "/value")]


@pytest.mark.parametrize("url", ["http://localhost:1", "http://[::1]:1", "https://service.test:8443/api/v3"])
def test_of_this_machine_and_over_tls_are_taken(url: str) -> None:
    assert connection(url).url == url


class TestInAPrivateNetwork:
    """With ``insecure_http``, plain http is sent to private addresses, and to nothing else."""

    @pytest.mark.parametrize(
        "host",
        [
            *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.1.1", "[fd00::1]", "[fe80::1]"),
            *("vault", "vault.tools.svc", "vault.tools.svc.cluster.local", "vault.svc.acme.example", "vault.local"),
            *("vault.acme.internal", "VAULT.local."),
        ],
    )
    def test_private_addresses_and_names_of_a_cluster_are_taken(self, host: str) -> None:
        assert connection(f"http://{host}:1", insecure_http=True)

    @pytest.mark.parametrize(
        "host",
        [
            *("11.0.0.1", "172.32.0.1", "172.15.0.1", "192.169.0.1", "8.8.8.8", "100.64.0.1", "0.0.0.0", "192.0.0.1"),
            *("[2001:db8::1]", "[::]", "[::ffff:8.8.8.8]", "vault.example.com", "svc.example.com", "vault.svc-a.com"),
            *("internal.evil.test", "local.evil.test"),
        ],
    )
    def test_all_others_are_refused(self, host: str) -> None:
        with pytest.raises(UsageError, match="extends to private addresses only"):
            connection(f"http://{host}", insecure_http=True)

    @pytest.mark.parametrize(
        ("address", "private"),
        [("10.1.2.3", True), ("fd00::1", True), ("::ffff:10.1.2.3", True), ("8.8.8.8", False), ("2001:db8::1", False)],
    )
    def test_a_name_counts_as_what_it_leads_to_when_the_connection_is_made(
        self, service: Service, monkeypatch: pytest.MonkeyPatch, address: str, *, private: bool
    ) -> None:
        """Whatever was looked up earlier: nothing is sent to a public address."""
        looked_up = urllib3.util.connection.create_connection
        monkeypatch.setattr(
            urllib3.util.connection,
            "create_connection",
            lambda _address, *more, **options: Elsewhere(
                looked_up(("127.0.0.1", service.port), *more, **options), address
            ),
        )
        reached = connection(f"http://vault.tools.svc:{service.port}", insecure_http=True)
        if private:
            assert reached.request(READ).good
        else:
            with pytest.raises(Unreachable, match="its name leads to a public address"):
                reached.request(READ)
            assert service.tokens == []


class Elsewhere:
    """A connection that seems to lead to another address."""

    def __init__(self, connected: socket.socket, address: str) -> None:
        self._connected = connected
        self._address = address

    def getpeername(self) -> tuple[str, int]:
        return self._address, 80

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connected, name)
