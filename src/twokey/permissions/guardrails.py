"""Policies for machine users and for the roles that they assume.

A machine user should be able to do one thing: assume the roles made for it. So its policy allows that, and denies
everything else, whatever other policy is attached to it later. The roles have the permissions; whom a role trusts is in
its trust policy. A guard by source address makes a leaked key useless elsewhere.

Sources (IAM User Guide): "AssumeRole" permissions in "Using IAM roles", "AWS: Denies access to AWS based on the source
IP", "AWS global condition context keys"; "Available keys for AWS OIDC federation".
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from twokey.core.errors import UsageError
from twokey.permissions.documents import Condition, Document, Statement
from twokey.permissions.networks import is_private

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", re.ASCII)
_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(user|role)/[\w+=,.@/-]+", re.ASCII)
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_VPC = re.compile(r"vpc-[0-9a-f]{8,17}", re.ASCII)
_ENDPOINT = re.compile(r"vpce-[0-9a-f]{8,17}", re.ASCII)
_PROVIDER = re.compile(r"[A-Za-z0-9.-]+(/[\w./-]+)?", re.ASCII)
ASSUMING = ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity")
"""What assuming a role needs, with session tags and a source identity."""
_HARMLESS = (*ASSUMING, "sts:GetCallerIdentity", "sts:GetSessionToken")
"""What a machine user may do besides; AWS allows the last two whatever a policy says."""


def machine_user(roles: Sequence[str], *, tier: str = "") -> Document:
    """Return the policy of machine users that assume these roles, and do nothing else.

    Raises ``UsageError`` without a role, and for what is not the ARN of a role; ``*`` may stand for parts of its name.
    """
    if not roles:
        raise UsageError("A machine user needs a role to assume.", remedy="Add --role ARN, or --tier with `tiers:`.")
    for role in roles:
        if not _ROLE.fullmatch(role.replace("*", "x")) or "*" in role.partition(":role/")[0]:
            raise UsageError(
                f"--role: expected the ARN of a role, got {role!r}.",
                remedy="Write arn:aws:iam::123456789012:role/deploy. `*` may stand for a part of the name.",
            )
    allow = Statement(
        sid="AssumeRoles",
        why="Assume these roles, with session tags and a source identity.",
        actions=ASSUMING,
        resources=tuple(dict.fromkeys(roles)),
    )
    name = f"machine-user-{tier}" if tier else "machine-user"
    of_tier = f" of the tier {tier}" if tier else ""
    return Document(name, f"What machine users{of_tier} may do: assume their roles, and nothing else.", (allow, only()))


def only() -> Statement:
    """Return the statement that denies a machine user everything but to assume roles."""
    return Statement(
        sid="NothingElse",
        why="Deny everything else, whatever other policy is attached to the user.",
        effect="Deny",
        except_actions=_HARMLESS,
        resources=("*",),
    )


def trust_of_users(principals: Sequence[str], *, external_id: str = "") -> Document:
    """Return the trust policy of a role that these users, roles or accounts may assume.

    Raises ``UsageError`` for a wildcard, for another invalid principal, and for an invalid external ID.
    """
    for one in principals:
        if not (_PRINCIPAL.fullmatch(one) or _ACCOUNT.fullmatch(one)):
            raise UsageError(
                f"--principal: expected the ARN of a user or role, or an account's ID, got {one!r}.",
                remedy="Write arn:aws:iam::123456789012:user/machine-users/ci, without a wildcard.",
            )
    if external_id and not _EXTERNAL_ID.fullmatch(external_id):
        raise UsageError(
            f"--external-id: expected 2 to 1,224 letters, digits and characters +=,.@:/_-, got {external_id!r}."
        )
    accounts = [one for one in principals if _ACCOUNT.fullmatch(one)]
    known = (Condition("StringEquals", "sts:ExternalId", (external_id,)),) if external_id else ()
    whom = "every principal of the account that its own policies allow to" if accounts else "these principals"
    trust = Statement(
        sid="TrustedPrincipals",
        why=f"Let {whom} assume the role{', with this external ID' if external_id else ''}.",
        actions=ASSUMING,
        principal=("AWS", tuple(dict.fromkeys(principals))),
        conditions=known,
    )
    return Document("role-trust", "Who may assume the role.", (trust,))


def trust_of_provider(account: str, partition: str, provider: str, audience: str, subjects: Sequence[str]) -> Document:
    """Return the trust policy of a role that jobs of a CI system assume with its OIDC tokens, without a key.

    Raises ``UsageError`` without a subject and for one with a wildcard: jobs of others could have a token that it
    matches.
    """
    issuer = provider.removeprefix("https://").rstrip("/")
    if not _PROVIDER.fullmatch(issuer):
        raise UsageError(
            f"--oidc: expected the issuer's URL, got {provider!r}.",
            remedy="Write token.actions.githubusercontent.com, for example.",
        )
    if not subjects:
        raise UsageError(
            "A role that trusts an OIDC provider without a subject could be assumed by every user of the provider.",
            remedy="Add --sub, such as repo:acme/site:ref:refs/heads/main.",
        )
    for subject in subjects:
        if "*" in subject or "?" in subject:
            raise UsageError(
                f"--sub: {subject!r} has a wildcard: jobs of others could have a token that it matches.",
                remedy="Write the subject of each job out, as its token contains it; --sub may be repeated.",
            )
    trust = Statement(
        sid="TrustedJobs",
        why=f"Let jobs with exactly {'this subject' if len(subjects) == 1 else 'these subjects'} assume the role.",
        actions=("sts:AssumeRoleWithWebIdentity",),
        principal=("Federated", (f"arn:{partition}:iam::{account}:oidc-provider/{issuer}",)),
        conditions=(
            Condition("StringEquals", f"{issuer}:aud", (audience,)),
            Condition("StringEquals", f"{issuer}:sub", tuple(dict.fromkeys(subjects))),
        ),
    )
    return Document("role-trust", "Which jobs may assume the role.", (trust,))


def source_ip(addresses: Sequence[str], *, vpcs: Sequence[str] = (), endpoints: Sequence[str] = ()) -> Document:
    """Return the guard that denies a user's requests from elsewhere than these networks.

    A request through a VPC endpoint has no ``aws:SourceIp``. Without ``vpcs`` and ``endpoints`` it is denied; with
    them, requests through an endpoint are decided by those alone. What AWS services do for the user is not denied.

    Raises ``UsageError`` for a network that is invalid, private, or everywhere.
    """
    networks = tuple(dict.fromkeys(_network(text) for text in addresses))
    for option, names, shape, example in (
        ("--vpc", vpcs, _VPC, "vpc-0a1b2c3d"),
        ("--vpce", endpoints, _ENDPOINT, "vpce-0a1b2c3d"),
    ):
        for name in names:
            if not shape.fullmatch(name):
                raise UsageError(f"{option}: expected an ID such as {example}, got {name!r}.")
    if not networks:
        raise UsageError("The guard needs a network that requests may come from.", remedy="Add --allow CIDR.")
    direct = Condition("Bool", "aws:ViaAWSService", ("false",))
    elsewhere = Condition("NotIpAddress", "aws:SourceIp", networks)
    if not (vpcs or endpoints):
        outside = Statement(
            sid="OnlyFromTheseNetworks",
            why="Deny requests from elsewhere, and all through VPC endpoints; not what AWS services do for the user.",
            effect="Deny",
            actions=("*",),
            resources=("*",),
            conditions=(elsewhere, direct),
        )
        return Document("source-ip", "From where the keys of machine users work.", (outside,))
    public = Statement(
        sid="OnlyFromTheseNetworks",
        why="Deny requests from elsewhere that come over the internet; not what AWS services do for the user.",
        effect="Deny",
        actions=("*",),
        resources=("*",),
        conditions=(elsewhere, direct, Condition("Null", "aws:SourceVpce", ("true",))),
    )
    allowed = [("aws:SourceVpc", tuple(vpcs)), ("aws:SourceVpce", tuple(endpoints))]
    private = Statement(
        sid="OnlyFromTheseVpcs",
        why="Deny requests through the VPC endpoints of others; not what AWS services do for the user.",
        effect="Deny",
        actions=("*",),
        resources=("*",),
        conditions=(
            *(Condition("StringNotEquals", key, names) for key, names in allowed if names),
            direct,
            Condition("Null", "aws:SourceVpce", ("false",)),
        ),
    )
    return Document("source-ip", "From where the keys of machine users work.", (public, private))


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=True)
    except ValueError as error:
        raise UsageError(
            f"--allow: expected a network in CIDR notation, got {text!r}: {error}.",
            remedy="Write 203.0.113.0/24 or 2001:db8::/32, for example.",
        ) from None
    if not network.prefixlen:
        raise UsageError(f"--allow: {text} allows every address.", remedy="Name the networks that jobs run in.")
    if is_private(network):
        raise UsageError(
            f"--allow: {text} is private: aws:SourceIp is always a public address.",
            remedy="Name the public addresses of the NAT gateway, or the VPC with --vpc.",
        )
    return str(network)
