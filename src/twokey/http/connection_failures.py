"""What a connection's failure proves: whether the request had been sent is what matters."""

from __future__ import annotations

import ssl
from typing import Literal

from urllib3 import exceptions as broken

Proof = Literal["unreachable", "proxy", "untrusted", "unclear"]
"""The first three prove that nothing was sent."""
_NO_CONNECTION = (broken.NewConnectionError, broken.ConnectTimeoutError, broken.NameResolutionError)
_NO_TUNNEL = "Tunnel connection failed"
"""How the error of ``http.client`` begins if a proxy responds to CONNECT with another status than 200."""
LONGEST_REASON = 120


def proof_of(error: BaseException) -> Proof:
    """Return what an error of urllib3 proves.

    Behind a proxy, urllib3 reports a lost response as an error of the proxy, as if there had been no connection. TLS
    may fail in the response as well as in the handshake: only a refused certificate proves that the handshake was not
    complete.
    """
    if isinstance(error, broken.ProxyError):
        inner = error.original_error
        refused = isinstance(inner, _NO_CONNECTION) or str(inner).startswith(_NO_TUNNEL) or _certificate(inner)
        return "proxy" if refused else "unclear"
    if isinstance(error, _NO_CONNECTION):
        return "unreachable"
    return "untrusted" if _certificate(error) else "unclear"


def reason_of(error: BaseException) -> str:
    """Return the reason of a failure in a few words, without addresses."""
    if isinstance(error, broken.ProxyError):
        return reason_of(error.original_error)
    certificate = _certificate(error)
    if certificate is not None:
        return certificate
    inner = getattr(error, "reason", None) or error
    text = str(inner).partition("[")[2].rpartition("]")[0] if "[SSL" in str(inner) else str(inner).rpartition(": ")[2]
    return " ".join(text.split())[:LONGEST_REASON] or type(error).__name__


def is_of_tls(error: BaseException) -> bool:
    """Return whether TLS failed."""
    return isinstance(error, broken.SSLError | ssl.SSLError)


def _certificate(error: BaseException) -> str | None:
    """Return why a certificate was refused; None for any other error. Python and urllib3 each have one."""
    for one in (error, *error.args):
        if isinstance(one, ssl.SSLCertVerificationError):
            return one.verify_message or "the certificate is not valid"
        if type(one).__name__ == "CertificateError":
            return "the certificate belongs to another host"
    return None
