"""Networks as policies name them. Sources: RFC 1918, RFC 4193 and RFC 6598 (private and shared ranges)."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

_V4 = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8")))
_V6 = (IPv6Network("fc00::/7"), IPv6Network("fe80::/10"), IPv6Network("::1/128"))


def is_private(network: IPv4Network | IPv6Network) -> bool:
    """Whether a network is of a VPC or a machine: such an address is never the ``aws:SourceIp`` of a request."""
    if isinstance(network, IPv4Network):
        return any(network.subnet_of(one) for one in _V4)
    return any(network.subnet_of(one) for one in _V6)
