"""Connections that fail: whether the request had been sent is what matters."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.http_servers import Proxy, signed_by_itself
from support.ports import closed_port
from twokey.aws.clients import Clients
from twokey.aws.iam import Iam
from twokey.core.errors import Ambiguous, Unreachable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate for this host that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(pem))
    return path


@contextmanager
def server(
    certificate: Path,
    patch: pytest.MonkeyPatch,
    host: str = HOST,
    answer: Callable[[ssl.SSLSocket], None] | None = None,
) -> Iterator[list[bytes]]:
    """Serve TLS, one request for each connection; collect the requests, and respond to none in valid HTTP."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    received: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(raw, server_side=True) as connection:
                    received.append(connection.recv(65536))
                    (answer or nonsense)(connection)
            except OSError:
                raw.close()

    with socket.create_server((HOST, 0)) as listener:
        reach(f"https://{host}:{listener.getsockname()[1]}", patch)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield received
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def reach(url: str, patch: pytest.MonkeyPatch) -> None:
    """Point AWS_ENDPOINT_URL at it."""
    patch.setenv("AWS_ENDPOINT_URL", url)
    patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    patch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00")


def nonsense(connection: ssl.SSLSocket) -> None:
    """Respond with bytes that are not a TLS record."""
    with socket.socket(fileno=connection.detach()) as raw:
        raw.sendall(b"This is no TLS record at all.")


def test_tls_that_breaks_after_the_request_leaves_a_creation_in_doubt(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with server(certificate, monkeypatch) as received:
        with pytest.raises(Ambiguous, match="It may have taken effect"):
            Iam(Clients("run")).create_key("ci")
        assert len(received) == 1
        assert received[0].startswith(b"POST ")


def test_a_certificate_that_is_not_trusted_proves_that_nothing_was_sent(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(certificate, monkeypatch) as received:
        with pytest.raises(Unreachable, match=r"The request was not sent\..*AWS_CA_BUNDLE"):
            Iam(Clients("run")).create_key("ci")
        assert not any(received)


def test_a_certificate_of_another_host_proves_that_nothing_was_sent(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with server(certificate, monkeypatch, host="localhost") as received:
        with pytest.raises(Unreachable, match="The request was not sent"):
            Iam(Clients("run")).create_key("ci")
        assert not any(received)


@pytest.mark.parametrize("once", [True, False])
def test_certificates_to_trust_that_are_damaged_are_named_before_anything_is_sent(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, once: bool
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    with server(certificate, monkeypatch) as received:
        with pytest.raises(UsageError, match=r"bundle\.pem \(AWS_CA_BUNDLE\) cannot be read.*was not sent"):
            Iam(Clients("run")).create_key("ci") if once else Iam(Clients("run")).keys("ci")
        assert not any(received)


def test_a_refused_connection_proves_that_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_port() as port:
        reach(f"http://{HOST}:{port}", monkeypatch)
        with pytest.raises(Unreachable, match="The request was not sent"):
            Iam(Clients("run")).create_key("ci")


class TestBehindAProxy:
    """urllib3 reports both a proxy that opens no connection and one whose connection breaks later as the proxy's."""

    @pytest.fixture
    def proxy(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
        for name in ("NO_PROXY", "no_proxy", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
        with Proxy() as running:
            monkeypatch.setenv("HTTPS_PROXY", f"http://{running.place}")
            yield running

    def test_a_response_that_is_lost_leaves_a_creation_in_doubt(
        self, certificate: Path, monkeypatch: pytest.MonkeyPatch, proxy: Proxy
    ) -> None:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        with server(certificate, monkeypatch, answer=lambda connection: connection.close()) as received:
            port = int(os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2])
            proxy.hosts[f"{HOST}:{port}"] = port
            with pytest.raises(Ambiguous, match=r"through the proxy broke.*It may have taken effect"):
                Iam(Clients("run")).create_key("ci")
            assert len(received) == 1

    @pytest.mark.parametrize(
        ("login", "closed", "prefix", "words"),
        [
            ("me:x", False, "", r"requires a user name and password \(407.*not sent.*HTTPS_PROXY"),
            ("me:x", False, "me:secret-word@", r"rejects the user name and password \(407.*not sent.*HTTPS_PROXY"),
            ("", True, "", r"did not open a connection to AWS \(403 Forbidden.*not sent.*NO_PROXY"),
            ("", False, "", r"did not open a connection to AWS \(502 Bad Gateway.*not sent.*NO_PROXY"),
        ],
    )
    def test_a_proxy_that_refuses_is_named_with_its_reason(
        self, monkeypatch: pytest.MonkeyPatch, proxy: Proxy, login: str, closed: bool, prefix: str, words: str
    ) -> None:
        proxy.login, proxy.closed = login, closed
        reach("https://aws.test", monkeypatch)
        monkeypatch.setenv("HTTPS_PROXY", f"http://{prefix}{proxy.place}")
        with pytest.raises(Unreachable, match=words) as raised:
            Iam(Clients("run")).create_key("ci")
        assert f"the proxy http://{proxy.place}" in raised.value.message
        assert "secret-word" not in str(raised.value)

    def test_a_proxy_that_is_not_there_is_named(self, monkeypatch: pytest.MonkeyPatch, proxy: Proxy) -> None:
        reach("https://aws.test", monkeypatch)
        with closed_port() as port:
            monkeypatch.setenv("HTTPS_PROXY", f"http://{HOST}:{port}")
            named = rf"the proxy http://{HOST}:{port} cannot be used: .*Connection refused.*HTTPS_PROXY"
            with pytest.raises(Unreachable, match=named):
                Iam(Clients("run")).create_key("ci")

    def test_a_proxy_that_the_sdk_ignores_is_told(self, monkeypatch: pytest.MonkeyPatch, proxy: Proxy) -> None:
        expected = "AWS is reached by HTTPS_PROXY; ALL_PROXY counts for other services"
        with closed_port() as port:
            reach(f"https://{HOST}:{port}", monkeypatch)
            monkeypatch.delenv("HTTPS_PROXY")
            monkeypatch.setenv("ALL_PROXY", f"http://{proxy.place}")
            with pytest.raises(Unreachable, match=expected):
                Iam(Clients("run")).create_key("ci")


def test_the_certificates_that_are_trusted_instead_are_named(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(signed_by_itself(tmp_path / "other.pem", HOST)))
    with server(certificate, monkeypatch), pytest.raises(Unreachable, match=r"other\.pem \(AWS_CA_BUNDLE\)"):
        Iam(Clients("run")).create_key("ci")
