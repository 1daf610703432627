"""Connections to AWS that fail: what that proves, and which proxy or which certificates to change."""

from __future__ import annotations

import ssl
from typing import Any

from botocore import exceptions as boto
from urllib3 import exceptions as broken

from twokey.core.errors import Unreachable
from twokey.http.connection_failures import proof_of, reason_of
from twokey.system import environment

_NO_CONNECTION = (boto.EndpointConnectionError, boto.ConnectTimeoutError)
_NOT_AN_ADDRESS = (broken.LocationValueError, UnicodeError)
"""What urllib3 and Python raise for the URL of an endpoint or a proxy that they cannot use."""
_LOGIN_WANTED = "407"
_VARIANTS = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT")
_MASKED = "***"
"""How botocore shows the user name and password in a proxy's URL."""
_UNTRUSTED = "If a proxy intercepts TLS, name its certificates in AWS_CA_BUNDLE. Check AWS_ENDPOINT_URL."


def unreachable(error: Exception, action: str, quoted: str) -> Unreachable | None:
    """Return the error for a connection that failed before the request was sent; None if that is not proved.

    ``quoted`` is what may be shown of the error's own message.
    """
    if isinstance(error, boto.ProxyConnectionError):
        return _proxy(error, action)
    if isinstance(error, _NO_CONNECTION):
        return _failure(
            action,
            quoted,
            f"Check the region, the network, proxy settings and AWS_ENDPOINT_URL, then run again.{_hint()}",
        )
    if isinstance(error, boto.SSLError) and _is_certificate(error.kwargs.get("error")):
        return _failure(action, quoted, _trusted())
    return None


def is_of_an_address(error: Exception) -> bool:
    """Return whether an error of botocore's HTTP client is about a URL that nothing can be sent to."""
    return isinstance(error, boto.HTTPClientError) and isinstance(error.kwargs.get("error"), _NOT_AN_ADDRESS)


def _failure(action: str, reason: str, remedy: str) -> Unreachable:
    return Unreachable(f"{action}: no connection: {reason}", state="The request was not sent.", remedy=remedy)


def _proxy(error: boto.ProxyConnectionError, action: str) -> Unreachable | None:
    """Return what the failure of a proxy means; None if the proxy had opened the tunnel.

    urllib3 also reports the connection that breaks after the request, as one of the proxy (``proof_of``).
    """
    inner: Any = error.kwargs.get("error")
    proof = proof_of(inner) if isinstance(inner, Exception) else "unclear"
    if proof == "unclear":
        return None
    url, reason = str(error.kwargs.get("proxy_url")), reason_of(inner)
    proxy = f"the proxy {url.replace(f'{_MASKED}:{_MASKED}@', '')}"
    if reason.startswith(_LOGIN_WANTED):
        names_user = _MASKED in url
        problem = f"{proxy} {'rejects the' if names_user else 'requires a'} user name and password ({reason})."
        way = "Write them into HTTPS_PROXY, with special characters percent-encoded: http://USER:PASSWORD@HOST:PORT."
        return _failure(action, problem, way)
    if str(getattr(inner, "original_error", "")).startswith("Tunnel connection failed"):
        way = "Have the proxy allow connections to AWS's endpoints, or except their hosts in NO_PROXY."
        return _failure(action, f"{proxy} did not open a connection to AWS ({reason}).", way)
    way = "Check HTTPS_PROXY and NO_PROXY, then run again."
    if _is_certificate(getattr(inner, "original_error", None)):
        way = _trusted()
    return _failure(action, f"{proxy} cannot be used: {reason}.", way)


def _is_certificate(error: Any) -> bool:
    """Return whether the server's certificate was rejected, which ends the handshake before anything is sent.

    Other TLS errors may also occur in the response. Python and urllib3 each have an error of this name.
    """
    causes = (error, *getattr(error, "args", ()))
    return any(isinstance(one, ssl.CertificateError) or type(one).__name__ == "CertificateError" for one in causes)


def _trusted() -> str:
    bundle = environment.variable("AWS_CA_BUNDLE")
    if not bundle:
        return _UNTRUSTED
    return (
        f"Only the certificates in {bundle} (AWS_CA_BUNDLE) are trusted: add that of the server, or of the proxy that "
        "intercepts TLS. Check AWS_ENDPOINT_URL."
    )


def _hint() -> str:
    """Return a hint at a setting that leads to an address that no server has, or past the proxy."""
    variants = [name for name in _VARIANTS if environment.variable(name).lower() == "true"]
    if variants:
        return f" Not every service has the endpoint that {' and '.join(variants)} selects in every region."
    if environment.first_set(("HTTPS_PROXY", "https_proxy")) or not environment.first_set(("ALL_PROXY", "all_proxy")):
        return ""
    return " AWS is reached by HTTPS_PROXY; ALL_PROXY counts for other services only."
