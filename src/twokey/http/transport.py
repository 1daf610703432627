"""How a service is reached: which proxy and which certificates, from the environment, as for curl and the AWS SDKs."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

import urllib3

from twokey.core.errors import UsageError
from twokey.core.secret import Hidden
from twokey.http import private_networks
from twokey.http.bounded import limited
from twokey.system import environment, quiet_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from urllib3 import PoolManager

_T = TypeVar("_T")

CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 20.0
"""Seconds to a connection and to the end of a response; a delivery must end while its lease lasts."""
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
LONGEST_PEM = 16 << 10
"""Bytes of a client's certificate or key: what every system's pipe holds."""
_PORTS = {"https": 443, "http": 80}
_NOT_IN_A_URL = re.compile(r"[^!-~]|\\")
"""What a URL cannot contain (RFC 3986, 2). Python and urllib3 disagree on where a host with a backslash ends."""
_USER_INFO = re.compile(r"//[^/]*@")
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@dataclass(frozen=True, slots=True)
class Tls:
    """The TLS settings of a connection, as PEM texts.

    ``ca``: the certificates to trust instead of the usual ones. ``certificate`` and ``key``: the client's identity.
    ``server_name``: the name in the server's certificate, if it is another than the host's. ``proxy``: the URL of a
    proxy, instead of the environment's; ``proxy_source`` is where it is set.
    """

    ca: str = ""
    certificate: str = field(default="", repr=False)
    key: Hidden = field(default_factory=Hidden)
    server_name: str = ""
    proxy: str = field(default="", repr=False)
    proxy_source: str = "HTTPS_PROXY (or ALL_PROXY)"


def checked(url: str, service: str, *, on_link: bool = True, private: bool = False) -> str:
    """Return a service's base URL without a slash at its end; raises ``UsageError`` if no token may be sent to it.

    A token is sent over TLS only, with two exceptions: a service on this machine, and one on a link-local address, as
    the metadata servers of the clouds have (169.254.169.254; RFC 3927: such addresses are never routed). ``on_link`` is
    false for anything but a metadata server: other machines on the link could read along. ``private``: the operator
    allows plain http inside a private network; ``pool`` then connects to private addresses only.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"https", "http"} or _NOT_IN_A_URL.search(url):
        shown = _USER_INFO.sub("//", url)
        raise UsageError(
            f"{service}: expected the URL of a service, not {shown!r}.", remedy="Write it like https://host.example."
        )
    if parts.username or parts.password:
        raise UsageError(f"{service}: the URL contains a user name or a password.", remedy="Remove it from the URL.")
    if is_readable_on_the_network(url) and not (on_link and _on_link(host)):
        _refuse_plain(url, host, service, private=private)
    if parts.query or parts.fragment:
        raise UsageError(f"{service}: expected a URL without a query or a fragment, not {url!r}.")
    return url.rstrip("/")


def _refuse_plain(url: str, host: str, service: str, *, private: bool) -> None:
    """Raise ``UsageError`` for plain http to another machine, unless the operator allows it in a private network."""
    local = private_networks.may_be_private(host)
    if private and local:
        return
    message = f"{service}: {url!r} is not encrypted: the token could be read on the network."
    if private:
        message = f"{message} `insecure_http` extends to private addresses only."
        raise UsageError(message, remedy=f"Use https://, or {private_networks.PRIVATE_IN_WORDS}.")
    further = " If this network is trusted, insecure_http: true in the connection allows it." if local else ""
    raise UsageError(message, remedy=f"Use https://.{further}")


def is_readable_on_the_network(url: str) -> bool:
    """Return whether requests to a URL leave this machine without encryption."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return parts.scheme == "http" and host not in _LOOPBACK


def host_of(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """Return what two URLs of the same server have in common; raises ``ValueError`` for an invalid port."""
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def connected_to(url: str) -> tuple[str, str | None, int | None]:
    """Return ``host_of`` a URL as urllib3 parses it, which connects; raises ``ValueError`` for an invalid URL."""
    try:
        found = urllib3.util.parse_url(url)
    except urllib3.exceptions.LocationParseError:
        raise ValueError("invalid URL") from None
    scheme, host = found.scheme or "", (found.host or "").strip("[]").lower()
    return scheme, host or None, found.port or _PORTS.get(scheme)


def refuse_unusable(url: str, ca: str | None, tls: Tls | None = None) -> None:
    """Raise ``UsageError`` for a proxy, or a file of CA certificates, that is set for this URL and cannot be used.

    This is checked before any service is called, not in the middle of a rotation.
    """
    parts = urlsplit(url)
    _proxy(parts, tls or Tls())
    bundle = _bundle(ca)
    if parts.scheme == "https" and bundle:
        _readable(bundle, lambda: _load_once(bundle, _state(bundle)))


@lru_cache(maxsize=8)
def _load_once(bundle: str, _state: tuple[int, ...]) -> None:
    """Load CA certificates, once in each state of their file: it takes 30 ms, and a run may have many connections."""
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(bundle)


def _state(file: str) -> tuple[int, ...]:
    """Return what differs after every change of a file."""
    found = Path(file).stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def pool(url: str, ca: str | None, connections: int, tls: Tls | None = None) -> PoolManager:
    """Return a pool that connects to the URL by ``HTTPS_PROXY``, ``NO_PROXY`` and the certificates to trust.

    Raises ``UsageError`` for a CA file that cannot be read, and for certificates that cannot be used.
    """
    parts = urlsplit(url)
    timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT)
    context = _context(ca, tls or Tls()) if parts.scheme == "https" else None
    tls = tls or Tls()
    proxy = _proxy(parts, tls)
    name: dict[str, Any] = {"server_hostname": tls.server_name} if tls.server_name else {}
    if proxy is None:
        manager = urllib3.PoolManager(maxsize=connections, timeout=timeout, retries=False, ssl_context=context, **name)
        manager.pool_classes_by_scheme = private_networks.private_only(manager.pool_classes_by_scheme)
        return _limited(manager)
    headers = None
    if proxy.username:
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        headers = urllib3.make_headers(proxy_basic_auth=login)
    return _limited(
        urllib3.ProxyManager(
            proxy._replace(netloc=proxy.netloc.rpartition("@")[2]).geturl(),
            proxy_headers=headers,
            maxsize=connections,
            timeout=timeout,
            retries=False,
            ssl_context=context,
            **name,
        )
    )


def refuse_identity(tls: Tls) -> None:
    """Raise ``UsageError`` for a client certificate and a key that cannot be used."""
    _identify(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), tls)


def _limited(manager: PoolManager) -> PoolManager:
    quiet_logs.hide("urllib3")
    manager.pool_classes_by_scheme = limited(manager.pool_classes_by_scheme)
    return manager


def _on_link(host: str) -> bool:
    """Return whether a host is a link-local address."""
    try:
        return ipaddress.ip_address(host).is_link_local
    except ValueError:
        return False


def _context(ca: str | None, tls: Tls) -> ssl.SSLContext:
    if tls.ca and not ca:
        try:
            context = ssl.create_default_context(cadata=tls.ca)
        except (ssl.SSLError, ValueError):
            raise UsageError("The CA certificates of the connection cannot be used: expected PEM.") from None
    else:
        context = trusting(ca)
    if tls.certificate:
        _identify(context, tls)
    return context


def _identify(context: ssl.SSLContext, tls: Tls) -> None:
    """Load a client's certificate and key. OpenSSL reads them from files only: pipes keep the key off the disk."""
    unusable = UsageError(
        "The client certificate and its key cannot be used: expected PEM, and a key that belongs to the certificate."
    )
    try:
        with _as_file(Hidden(tls.certificate)) as certificate, _as_file(tls.key) as key:
            # Without a password, OpenSSL would ask the terminal for that of an encrypted key.
            context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError):
        raise unusable from None


@contextmanager
def _as_file(text: Hidden) -> Iterator[str]:
    """Return the name of a file from which a text can be read once, without writing it anywhere."""
    data = text.encode()
    if len(data) > LONGEST_PEM:
        raise ValueError("too long for a pipe")
    reading, writing = os.pipe()
    try:
        os.write(writing, data)
        os.close(writing)
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)


def _proxy(parts: SplitResult, tls: Tls) -> SplitResult | None:
    """Return the proxy for a URL; raises ``UsageError`` for one of a kind that cannot be used.

    A request without TLS, which stays on this machine or link, is never sent to a proxy: no other machine may see it.
    """
    if parts.scheme != "https":
        return None
    found = tls.proxy or environment.proxy_for(parts.scheme, parts.hostname or "", parts.port)
    if found is None:
        return None
    try:
        proxy = urlsplit(found)
        scheme, host, _ = host_of(proxy)
    except ValueError:
        scheme, host = "", None
    if scheme in {"http", "https"} and host:
        return proxy
    raise UsageError(
        f"{tls.proxy_source} is not the URL of a proxy that twokey can use.",
        remedy="Set it to http://HOST:PORT or https://HOST:PORT. SOCKS is not supported.",
    )


def _bundle(ca: str | None) -> str | None:
    named = environment.first_set(_BUNDLES)
    return ca or (environment.variable(named) if named else None)


def _readable(bundle: str | None, load: Callable[[], _T]) -> _T:
    try:
        return load()
    except (OSError, ssl.SSLError):
        raise UsageError(f"The CA certificates in {bundle} cannot be read.") from None


def trusting(ca: str | None) -> ssl.SSLContext:
    """Return TLS settings that trust these CA certificates, or the usual ones; raises ``UsageError``."""
    bundle = _bundle(ca)
    context = _readable(bundle, lambda: ssl.create_default_context(cafile=bundle))
    if bundle is None and not context.cert_store_stats()["x509_ca"] and not _system_directory():
        # A slim container has no certificates of its own; botocore includes Mozilla's.
        found = find_spec("botocore")
        if found and found.origin:
            context.load_verify_locations(cafile=str(Path(found.origin).parent / "cacert.pem"))
    return context


def _system_directory() -> bool:
    """Return whether there is a directory of certificates: those are loaded on demand, and not counted."""
    directory = ssl.get_default_verify_paths().capath
    return bool(directory) and any(Path(directory).iterdir())
