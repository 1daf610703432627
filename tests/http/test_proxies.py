"""Proxies as curl and the AWS SDKs find them: HTTPS_PROXY, NO_PROXY, a login; and what their failures prove."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

from support.http_servers import NAME, READ, TOKEN, WRITE, Proxy, Service, connection
from twokey.core.errors import Ambiguous, Unreachable, UsageError
from twokey.testing.server import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "pass:w@rd/%"
QUOTED = "pass%3Aw%40rd%2F%25"
SERVICE = f"https://{NAME}"


@pytest.fixture
def behind(service: Service, certificate: Path, trusted: None) -> Service:
    """A service that only the proxy can reach."""
    return service.secured(certificate)


@pytest.fixture
def proxy(behind: Service) -> Iterator[Proxy]:
    with Proxy({f"{NAME}:443": behind.port}) as running:
        yield running


class TestTheEnvironment:
    @pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
    @pytest.mark.parametrize("form", ["http://{}", "{}", "http://{}/"])
    def test_leads_through_a_proxy(
        self, proxy: Proxy, behind: Service, monkeypatch: pytest.MonkeyPatch, variable: str, form: str
    ) -> None:
        """The proxy sees a name and nothing more: the token goes through the tunnel."""
        monkeypatch.setenv(variable, form.format(proxy.place))
        http = connection(SERVICE)
        assert http.request(WRITE).good
        assert http.request(READ).json() == {"value": 1}
        assert proxy.connects == [f"{NAME}:443"]
        assert behind.tokens == [f"Bearer {TOKEN}"] * 2

    @pytest.mark.parametrize("no_proxy", ["127.0.0.1", "*", "localhost,127.0.0.1"])
    def test_leads_past_it_where_it_says_so(
        self, proxy: Proxy, behind: Service, monkeypatch: pytest.MonkeyPatch, no_proxy: str
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.place}")
        monkeypatch.setenv("NO_PROXY", no_proxy)
        assert connection(behind.url.replace("http:", "https:")).request(READ).good
        assert proxy.connects == []

    def test_leads_through_it_where_another_host_is_excepted(
        self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.place}")
        monkeypatch.setenv("NO_PROXY", f"other.test,sub.{NAME}")
        assert connection(SERVICE).request(READ).good
        assert proxy.connects == [f"{NAME}:443"]

    def test_never_leads_out_of_this_machine_without_tls(self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
        """http:// is allowed to this machine because no other machine is on the way; a proxy would be."""
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.place}")
        monkeypatch.setenv("http_proxy", f"http://{proxy.place}")
        with Service() as local:
            assert connection(local.url).request(READ).good
        assert (proxy.connects, proxy.others) == ([], [])

    @pytest.mark.parametrize(
        "value", ["socks5://127.0.0.1:1080", "http://127.0.0.1:port", "http://", "ftp://proxy.test"]
    )
    def test_that_names_no_proxy_that_can_be_used_is_found_out_before_anything_is_called(
        self, monkeypatch: pytest.MonkeyPatch, value: str
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", value)
        with pytest.raises(UsageError, match="HTTPS_PROXY"):
            connection(SERVICE)

    def test_that_names_none_never_shows_a_password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"socks5://me:{QUOTED}@proxy.test")
        with pytest.raises(UsageError) as raised:
            connection(SERVICE)
        assert QUOTED not in "".join(traceback.format_exception(raised.value))


class TestALogin:
    @pytest.mark.parametrize(("given", "wanted"), [(f"me:{QUOTED}", f"me:{PASSWORD}"), ("me", "me:"), ("me:x", "me:x")])
    def test_is_given_to_the_proxy(
        self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, given: str, wanted: str
    ) -> None:
        proxy.login = wanted
        monkeypatch.setenv("HTTPS_PROXY", f"http://{given}@{proxy.place}")
        assert connection(SERVICE).request(READ).good

    def test_that_is_wrong_proves_that_nothing_was_sent(
        self, proxy: Proxy, behind: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proxy.login = "me:other"
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:{QUOTED}@{proxy.place}")
        with pytest.raises(Unreachable, match="407 Proxy Authentication Required") as raised:
            connection(SERVICE).request(WRITE)
        assert raised.value.state == "Nothing was sent."
        assert "HTTPS_PROXY" in raised.value.remedy
        shown = "".join(traceback.format_exception(raised.value))
        assert QUOTED not in shown
        assert PASSWORD not in shown
        assert behind.requests == []


class TestAProxyThatFails:
    def test_by_refusing_proves_that_nothing_was_sent(
        self, proxy: Proxy, behind: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proxy.closed = True
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.place}")
        with pytest.raises(Unreachable, match=r"proxy refuses the connection.*403 Forbidden.*Nothing was sent"):
            connection(SERVICE).request(WRITE)
        assert behind.requests == []

    def test_by_not_being_there_proves_that_nothing_was_sent(
        self, behind: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        with pytest.raises(Unreachable, match=r"refused.*Nothing was sent"):
            connection(SERVICE).request(WRITE)

    @pytest.mark.parametrize("fault", ["lost_response", "truncated"])
    def test_after_the_request_leaves_it_in_doubt(
        self, proxy: Proxy, behind: Service, monkeypatch: pytest.MonkeyPatch, fault: str
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.place}")
        behind.add(Fault("PUT", "", fault, times=None))  # type: ignore[arg-type]
        with pytest.raises(Ambiguous, match="may have taken effect"):
            connection(SERVICE).request(WRITE)
        assert behind.written == 3

    def test_after_the_request_is_not_repeated_where_that_would_do_harm(
        self, proxy: Proxy, behind: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.place}")
        behind.add(Fault("PUT", "", "lost_response", times=None))
        once = type(WRITE)("PUT", "/value", "write the value", body={"value": 1}, idempotent=False)
        with pytest.raises(Ambiguous):
            connection(SERVICE).request(once)
        assert behind.written == 1

    def test_a_certificate_that_is_not_trusted_behind_it_proves_that_nothing_was_sent(
        self, proxy: Proxy, behind: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.place}")
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(Unreachable, match=r"cannot be trusted.*Nothing was sent"):
            connection(SERVICE).request(WRITE)
        assert behind.requests == []
