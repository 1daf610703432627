"""URLs of services: none that would show the token to others, and none that cannot be one."""

from __future__ import annotations

import pytest

from support.http_servers import READ, Service, connection
from twokey.core.errors import UsageError


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
