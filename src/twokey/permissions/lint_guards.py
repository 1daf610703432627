"""Findings about from where the keys of a machine user work. Pure.

A guard is what denies requests by their network. What it denies is found out by three requests: one from elsewhere on
the internet, one of an AWS service for the user, and one through a VPC endpoint that the policies mention. Sources:
"AWS: Denies access to AWS based on the source IP", "aws:ViaAWSService", "aws:SourceVpc" and "aws:SourceVpce" (IAM User
Guide).
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from twokey.permissions.findings import Finding
from twokey.permissions.grants import left_by
from twokey.permissions.networks import is_private
from twokey.permissions.statements import conditions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from ipaddress import IPv4Network, IPv6Network

    from twokey.permissions.account import Principal
    from twokey.permissions.grants import Grants
    from twokey.permissions.statements import Known, Rule

_SOURCE = "aws:sourceip"
_VPC = ("aws:sourcevpc", "aws:sourcevpce")
_ADDRESSES = (
    *("8.8.8.8", "198.51.100.77", "203.0.113.77", "192.0.2.77", "1.1.1.1", "52.94.236.248"),
    *("2606:4700::1111", "2001:db8::77", "2a00:1450::77"),
)
"""Addresses to send a request from: one that no guard lists is among them."""
_LARGEST = {4: 8, 6: 16}
"""The shortest prefix of a network that an organization has for itself, by the version of IP."""
_ABSENT = (
    *("aws:sourcevpc", "aws:vpc", "aws:calledvia", "aws:multifactorauth", "aws:tokenissuetime", "aws:ec2instance"),
    *("aws:sourceaccount", "aws:sourcearn", "aws:sourceowner", "aws:sourceorg", "aws:federatedprovider"),
)
"""What a request with a user's key over the internet does not have: what these keys begin with."""


def guard(user: Principal, grants: Grants) -> Iterator[Finding]:
    """Find a user whose keys work from everywhere, and guards that deny too much."""
    networks = list(_networks(one for one in (*grants.denies, *grants.allows, *(grants.boundary or ()))))
    outside = [_direct(grants, address) for address in _elsewhere(networks)]
    if any(_works(grants, request) for request in outside):
        yield _finding(
            user,
            "TK401",
            f"No policy limits from where the keys of {user.name} work: a leaked key works everywhere.",
            "Attach what twokey policy source-ip --allow CIDR prints.",
        )
    for one in grants.denies:
        limits = any(key == _SOURCE for _, key, _ in conditions(one.statement))
        if limits and any(request.decide(one.condition) for request in outside):
            yield from _too_much(user, grants, one, outside[0])


def _too_much(user: Principal, grants: Grants, one: Rule, direct: Known) -> Iterator[Finding]:
    service = {name: ["cloudformation.amazonaws.com"] for name in ("", "first", "last")}
    via = {"aws:viaawsservice": ["true"], **{f"aws:calledvia{name}": value for name, value in service.items()}}
    if direct.with_values(via).decide(one.condition):
        yield _finding(
            user,
            "TK402",
            f"The guard by source address of {user.name} also denies what AWS services do for the user: their "
            "requests come from AWS's addresses.",
            'Add "Bool": {"aws:ViaAWSService": "false"} to its conditions, as twokey policy source-ip does.',
        )
    if any(request.decide(one.condition) for request in _through_vpcs(grants, one)):
        yield _finding(
            user,
            "TK403",
            f"The guard by source address of {user.name} also denies requests through VPC endpoints: they have no "
            "aws:SourceIp.",
            "Print one that knows the VPC: twokey policy source-ip --allow CIDR --vpc ID.",
        )


def _works(grants: Grants, request: Known) -> bool:
    """Whether a request may do something that the user is allowed to."""
    denies = [one for one in grants.denies if request.decide(one.condition)]
    if grants.boundary is not None and all(request.decide(one.condition) is False for one in grants.boundary):
        return False
    allowing = [one for one in grants.allows if request.decide(one.condition) is not False]
    if not grants.allows:
        # What a role's trust policy allows needs no policy of the user.
        return not any(one.names("sts:AssumeRole") and one.on("*") for one in denies)
    return any(list(left_by(denies, rule, actions)) for rule in allowing for actions in grants.actions(rule))


def _direct(grants: Grants, address: str) -> Known:
    values = {_SOURCE: [address], "aws:viaawsservice": ["false"], "aws:securetransport": ["true"]}
    return grants.known.with_values(values, _ABSENT)


def _through_vpcs(grants: Grants, guard: Rule) -> Iterator[Known]:
    """Yield requests through the VPC endpoints that the policies mean: they have no address."""
    base = grants.known.with_values({"aws:viaawsservice": ["false"], "aws:securetransport": ["true"]}, [_SOURCE])
    for one in grants.denies:
        for _, key, values in conditions(one.statement):
            if key in _VPC:
                yield from (base.with_values({key: [str(value)]}) for value in values)
    if any(map(is_private, _networks([guard]))):
        yield base


def _networks(found: Iterable[Rule]) -> Iterator[IPv4Network | IPv6Network]:
    for one in found:
        for _, key, values in conditions(one.statement):
            for value in values if key == _SOURCE else ():
                try:
                    yield ipaddress.ip_network(str(value), strict=False)
                except ValueError:
                    continue


def _elsewhere(networks: Sequence[IPv4Network | IPv6Network]) -> Iterator[str]:
    """Yield an address of each version of IP that is in none of the networks, or in one that is too large to own."""
    for version in (4, 6):
        own = [one for one in networks if one.version == version]
        merged = list(ipaddress.collapse_addresses(own))  # type: ignore[type-var]  # of one version
        large = [one for one in merged if one.prefixlen < _LARGEST[version]]
        addresses = [one for one in map(ipaddress.ip_address, _ADDRESSES) if one.version == version]
        inside = [one for one in addresses if any(one in network for network in large)]
        free = [one for one in addresses if not any(one in network for network in own)]
        yield str(next(iter((*inside, *free, *addresses))))


def _finding(user: Principal, rule: str, message: str, remedy: str) -> Finding:
    return Finding(rule, user.account, user.name, user.arn, message, remedy)
