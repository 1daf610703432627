"""Plain http inside a private network: which addresses are private, and connections to those alone.

A name is looked up when the connection is made, and it may lead elsewhere each time. So not the name decides, but the
address that the connection has reached, before the first byte is sent.

Sources: RFC 1918 (private addresses), RFC 4193 (ULA), RFC 3927 and RFC 4291 (link-local), RFC 6761 and RFC 6762
(``localhost``, ``local``); "DNS for Services and Pods", Kubernetes' documentation (``svc``, ``cluster.local``);
"Resolution 2024.07.29.06", ICANN (``internal``).
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import NewConnectionError

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8"),
            *("fc00::/7", "fe80::/10", "::1/128"),
        ),
    )
)
_ENDINGS = (".svc", ".cluster.local", ".internal", ".local", ".localhost")
PRIVATE_IN_WORDS = (
    "a private address (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7, link-local, loopback), or a name of a "
    "cluster or a local network (HOST, NAME.NAMESPACE.svc, HOST.internal, HOST.local)"
)


def is_private(text: str) -> bool:
    """Return whether an IP address is a private one; also one of IPv4 within IPv6."""
    try:
        address: Any = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in PRIVATE if network.version == address.version)


def may_be_private(host: str) -> bool:
    """Return whether a host is a private address, or a name that only a cluster or a local network knows."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        name = host.rstrip(".").lower()
        return bool(name) and ("." not in name or name.endswith(_ENDINGS) or ".svc." in name)
    return is_private(host)


def private_only(pools: Mapping[str, Any]) -> dict[str, Any]:
    """Return urllib3's classes of connection pools, by scheme; those of ``http`` connect to private addresses only."""
    found = dict(pools)
    found["http"] = type("PrivatePool", (found["http"],), {"ConnectionCls": _private(found["http"].ConnectionCls)})
    return found


def _private(connection: Any) -> Any:
    class PrivateConnection(connection):  # type: ignore[misc]  # a class that is made at run time
        """A connection that is given up, with nothing sent, if it has reached an address that is not private."""

        def _new_conn(self) -> socket.socket:
            found: socket.socket = super()._new_conn()
            if not is_private(str(found.getpeername()[0])):
                found.close()
                raise NewConnectionError(self, "its name leads to a public address, where plain http is never used")
            return found

    return PrivateConnection
