"""The request context that the conditions of policies use ("AWS global condition context keys", IAM User Guide)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.emulator.responses import timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.emulator.clock import Clock
    from twokey.emulator.identity import Caller
    from twokey.emulator.wire import Call


def context_of(call: Call, caller: Caller, clock: Clock) -> dict[str, Sequence[str]]:
    """The condition keys of a request, by lowercase name; keys without a value are absent.

    `aws:SecureTransport` is true although the emulator uses plain HTTP, because clients of AWS use TLS.
    """
    now, headers = clock.now(), call.incoming.headers
    # A request through a VPC endpoint has no public address.
    endpoint = headers.get("x-emulator-source-vpce")
    facts: dict[str, str | None] = {
        "aws:SourceIp": None if endpoint else call.source_ip,
        "aws:VpcSourceIp": call.source_ip if endpoint else None,
        "aws:SourceVpce": endpoint,
        "aws:SourceVpc": headers.get("x-emulator-source-vpc") if endpoint else None,
        "aws:SecureTransport": "true",
        "aws:ViaAWSService": headers.get("x-emulator-via-aws-service", "false"),
        "aws:PrincipalIsAWSService": "false",
        "aws:CurrentTime": timestamp(now),
        "aws:EpochTime": str(int(now.timestamp())),
        "aws:RequestedRegion": call.region,
        "aws:UserAgent": headers.get("user-agent"),
        "sts:ExternalId": _text(call, "ExternalId"),
        "sts:RoleSessionName": _text(call, "RoleSessionName"),
        "sts:SourceIdentity": _text(call, "SourceIdentity"),
        "secretsmanager:SecretId": _text(call, "SecretId"),
        "secretsmanager:VersionStage": _text(call, "VersionStage"),
        "iam:PolicyARN": _text(call, "PolicyArn"),
    }
    facts |= {f"aws:RequestTag/{key}": value for key, value in _session_tags(call).items()}
    context = {key.lower(): (value,) for key, value in facts.items() if value is not None}
    return {**context, **caller_context(caller)}


def _session_tags(call: Call) -> dict[str, str]:
    """The tags of a session that AssumeRole passes, from the query protocol's parameters."""
    found = {}
    for name, key in call.params.items():
        if call.name == "sts:AssumeRole" and name.startswith("Tags.member.") and name.endswith(".Key"):
            found[str(key)] = str(call.params.get(f"{name.removesuffix('Key')}Value", ""))
    return found


def _text(call: Call, name: str) -> str | None:
    value = call.params.get(name)
    return value if isinstance(value, str) else None


def caller_context(caller: Caller) -> dict[str, Sequence[str]]:
    """The condition keys that come from the caller alone."""
    kind = "User" if caller.user is not None else "AssumedRole"
    if caller.session is not None and caller.session.kind == "federated":
        kind = "FederatedUser"
    facts = {
        "aws:principalarn": caller.principal_arn,
        "aws:principalaccount": caller.account,
        "aws:principaltype": kind,
        "aws:userid": caller.user_id,
    }
    if caller.user is not None:
        facts["aws:username"] = str(caller.user.name)
        tags = caller.user.tags or []
        facts.update({f"aws:principaltag/{tag['Key']}".lower(): str(tag["Value"]) for tag in tags})
    if caller.session is not None:
        facts["aws:tokenissuetime"] = timestamp(caller.session.issued)
    return {key: (value,) for key, value in facts.items()}
