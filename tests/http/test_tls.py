"""TLS: whom to trust, how to say whom else, and what a failure proves."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.http_servers import HOST, NAME, READ, TOKEN, WRITE, Service, connection, signed_by_itself
from twokey.core.errors import Ambiguous, Unreachable, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def secured(service: Service, certificate: Path) -> str:
    return service.secured(certificate).url.replace("http:", "https:")


class TestACertificateThatNobodyVouchesFor:
    def test_is_refused_and_the_token_stays_here(self, secured: str, service: Service) -> None:
        with pytest.raises(Unreachable) as raised:
            connection(secured).request(WRITE)
        error = raised.value
        assert "cannot be trusted" in error.message
        assert "self-signed" in error.message
        assert error.state == "Nothing was sent."
        assert "`ca`" in error.remedy
        assert "SSL_CERT_FILE" in error.remedy
        assert (service.requests, service.tokens) == ([], [])

    def test_is_trusted_where_the_connection_names_it(self, secured: str, certificate: Path) -> None:
        assert connection(secured, ca=str(certificate)).request(READ).json() == {"value": 0}

    @pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_is_trusted_where_the_environment_names_it(
        self, secured: str, certificate: Path, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        monkeypatch.setenv(variable, str(certificate))
        assert connection(secured).request(READ).good

    def test_the_connections_word_counts_alone(
        self, secured: str, certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        another = signed_by_itself(tmp_path / "another.pem", HOST)
        with pytest.raises(Unreachable):
            connection(secured, ca=str(another)).request(READ)

    def test_of_another_host_is_refused(self, service: Service, tmp_path: Path) -> None:
        other = signed_by_itself(tmp_path / "other.pem", NAME)
        url = service.secured(other).url.replace("http:", "https:")
        with pytest.raises(Unreachable, match=r"cannot be trusted.*Nothing was sent"):
            connection(url, ca=str(other)).request(READ)
        assert service.requests == []


class TestAFileOfCertificates:
    @pytest.mark.parametrize("content", [None, "", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
    def test_that_cannot_be_used_is_found_out_before_anything_is_called(
        self, secured: str, service: Service, tmp_path: Path, content: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not in the middle of a rotation, when a key is there already."""
        file = tmp_path / "ca.pem"
        if content is not None:
            file.write_text(content)
        with pytest.raises(UsageError, match=r"ca\.pem"):
            connection(secured, ca=str(file))
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        with pytest.raises(UsageError, match=r"ca\.pem"):
            connection(secured)

    def test_is_found_out_too_if_the_last_connection_could_use_it(
        self, secured: str, tmp_path: Path, certificate: Path
    ) -> None:
        file = tmp_path / "ca.pem"
        file.write_bytes(certificate.read_bytes())
        connection(secured, ca=str(file))
        file.write_text("no certificate")
        with pytest.raises(UsageError, match=r"ca\.pem"):
            connection(secured, ca=str(file))

    def test_does_not_matter_without_tls(
        self, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
        assert connection(service.url).request(READ).good


@contextmanager
def breaking(certificate: Path) -> Iterator[tuple[str, list[bytes]]]:
    """Serve TLS; collect each request, and answer it with bytes that are no TLS record."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    received: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            with context.wrap_socket(raw, server_side=True) as tunnel:
                received.append(tunnel.recv(65536))
                with socket.socket(fileno=tunnel.detach()) as bare:
                    bare.sendall(b"This is no TLS record at all.")

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://{HOST}:{listener.getsockname()[1]}", received
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


class TestTlsThatBreaks:
    def test_after_a_write_was_sent_leaves_it_in_doubt(self, certificate: Path) -> None:
        with breaking(certificate) as (url, received):
            with pytest.raises(Ambiguous, match="may have taken effect"):
                connection(url, ca=str(certificate)).request(WRITE)
            assert received[0].startswith(b"PUT ")
            assert TOKEN.encode() in received[0]

    def test_after_a_read_was_sent_changes_nothing(self, certificate: Path) -> None:
        with breaking(certificate) as (url, _), pytest.raises(Ambiguous, match="changes nothing"):
            connection(url, ca=str(certificate)).request(READ)

    def test_because_the_other_side_speaks_none_is_reported(self, service: Service, certificate: Path) -> None:
        url = service.url.replace("http:", "https:")
        with pytest.raises((Unreachable, Ambiguous), match="TLS failed"):
            connection(url, ca=str(certificate)).request(READ)
        assert service.tokens == []
