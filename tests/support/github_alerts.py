"""Requests of GitHub's secret scanning, signed as GitHub signs them, with a key of the tests' own."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SIGNER = ec.derive_private_key(4711, ec.SECP256R1())


def pem(signer: ec.EllipticCurvePrivateKey = SIGNER) -> str:
    """Return the public key, as GitHub publishes its own."""
    return signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def partner(body: bytes, *, signer: ec.EllipticCurvePrivateKey = SIGNER, name: str = "k1", end: str = "\r\n") -> bytes:
    """Return the request as GitHub sends it to partners, as a file has it."""
    signature = base64.b64encode(signer.sign(body, ec.ECDSA(hashes.SHA256()))).decode()
    headers = {"Host": "x", "Github-Public-Key-Identifier": name, "Github-Public-Key-Signature": signature}
    lines = ("POST / HTTP/2", *(f"{header}: {value}" for header, value in headers.items()))
    return end.join((*lines, "", "")).encode() + body
