"""Certificates for tests: an authority of a test's own, a server on this machine, a client."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path

_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as PEM texts."""

    certificate: str
    key: str


class Authority:
    """Signs certificates."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("an authority")
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        built = _builder(self._name, self._name, self._key).add_extension(constraints, critical=True)
        self.pem = built.sign(self._key, hashes.SHA256()).public_bytes(_PEM).decode()

    def sign(self, name: str, password: bytes = b"", *, host: str = "") -> Certificate:
        """Return a certificate for 127.0.0.1, or for a host; with a password, its key is encrypted."""
        key = ec.generate_private_key(ec.SECP256R1())
        found = x509.DNSName(host) if host else x509.IPAddress(ip_address("127.0.0.1"))
        here = x509.SubjectAlternativeName([found])
        signed = _builder(_named(name), self._name, key).add_extension(here, critical=False)
        certificate = signed.sign(self._key, hashes.SHA256()).public_bytes(_PEM).decode()
        hide: serialization.KeySerializationEncryption = (
            serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        )
        return Certificate(certificate, key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, hide).decode())

    def server(self, folder: Path, *, ask_clients: bool = False, host: str = "") -> ssl.SSLContext:
        """Return what a server needs; ``ask_clients``: it accepts only those that this authority signed."""
        signed = self.sign("a server", host=host)
        file = folder / "server.pem"
        file.write_text(signed.key + signed.certificate, encoding="utf-8")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        if ask_clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.pem)
        return context


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
    )
