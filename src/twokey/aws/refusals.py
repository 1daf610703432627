"""Why STS refuses a session, in one sentence: which side refuses, and what to change there."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.core import durations
from twokey.core.errors import BadCredentials, ChainTooLong, NotFound, ServiceRejected, TwokeyError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.model import RoleRequest

_CALLER = re.compile(r"User: (\S+) is not authorized")
_REASON = re.compile(r"because no (?P<missing>.+?) allows|with an explicit deny in (?:an?|the) (?P<explicit>[\w -]+)")
_SERVICE_POLICIES = ("service control policy", "resource control policy", "permissions boundary", "session policy")
NOTHING_ISSUED = "No credentials were issued."


class RoleRefused(ServiceRejected):
    """STS refuses to issue a session of the role."""


def explain(
    request: RoleRequest, code: str, message: str, trust_policy: Callable[[], str | None]
) -> TwokeyError | None:
    """Return what an error of AssumeRole means; None for one that says nothing about the role."""
    if code == "AccessDenied":
        return _denied(request, message, trust_policy)
    return _unfit(request, code, message)


def explain_web_identity(request: RoleRequest, code: str, message: str) -> TwokeyError | None:
    """Return what an error of AssumeRoleWithWebIdentity means. AWS's message may quote claims, never the token."""
    role = _name(request.arn)
    if code in ("ExpiredTokenException", "ExpiredToken"):
        return BadCredentials(
            "The OIDC token has expired.",
            state=NOTHING_ISSUED,
            remedy="Request a token just before it is used: most CI systems issue them for minutes only.",
        )
    if code == "InvalidIdentityToken":
        return BadCredentials(
            f"AWS does not accept the OIDC token: {_sentence(message)}",
            state=NOTHING_ISSUED,
            remedy=f"The account of {role} needs an IAM identity provider with the token's issuer (iss), and the "
            "token's audience (aud) must be one of that provider's client IDs.",
        )
    if code == "IDPRejectedClaim":
        return RoleRefused(
            f"The OIDC provider rejected the token: {_sentence(message)}",
            state=NOTHING_ISSUED,
            remedy="Check in the CI system that the identity is still valid, and request another token.",
        )
    if code == "IDPCommunicationError":
        return Unreachable(
            f"AWS cannot reach the OIDC provider: {_sentence(message)}",
            state=NOTHING_ISSUED,
            remedy="Run again. If it persists, check that the issuer's keys (jwks_uri) can be read from the internet.",
        )
    if code == "AccessDenied":
        return RoleRefused(
            f"The role {role} does not let this job assume it: there is no such role in account "
            f"{_account(request.arn)}, or its trust policy does not match the token's claims.",
            state=NOTHING_ISSUED,
            remedy="Compare the conditions of the trust policy with the claims of the token"
            f"{f' ({request.claims})' if request.claims else ', above all sub and aud'}.",
        )
    return _unfit(request, code, message)


def _denied(request: RoleRequest, message: str, trust_policy: Callable[[], str | None]) -> TwokeyError:
    who, reason = _caller(message), _REASON.search(message)
    side = (reason["missing"] or reason["explicit"]).strip() if reason else ""
    if side == "identity-based policy" or side in _SERVICE_POLICIES:
        return _denied_by_caller(request, who, side, explicit=bool(reason and reason["explicit"]))
    policy = trust_policy()
    if policy == "":
        return NotFound(
            f"There is no role {_path(request.arn)} in account {_account(request.arn)}.",
            state=NOTHING_ISSUED,
            remedy=f"Check the name, and the path in it: {request.arn}.",
        )
    if side or policy:
        return _not_trusted(request, who, policy or "")
    return RoleRefused(
        f"{who} may not assume the role {_path(request.arn)} of account {_account(request.arn)}, and AWS does not say "
        "why: the role does not exist, its trust policy refuses, the caller's own policy does not allow it, or the "
        "account is suspended.",
        state=NOTHING_ISSUED,
        remedy=f"Check in this order: the ARN {request.arn}; that the trust policy names the caller, and that its "
        f"conditions ({request.external_id_setting}) are met; that the caller is allowed sts:AssumeRole on the role; "
        "that the account is active.",
    )


def _denied_by_caller(request: RoleRequest, who: str, side: str, *, explicit: bool) -> RoleRefused:
    own = "its own policy" if side == "identity-based policy" else f"its {side}"
    how, remedy = "does not allow it", "Allow sts:AssumeRole on {} there."
    if explicit:
        how, remedy = "denies it explicitly", "Remove the statement there that denies sts:AssumeRole on {}."
    return RoleRefused(
        f"{who} may not assume the role {_name(request.arn)}: {own} {how}; that is not the role's trust policy.",
        state=NOTHING_ISSUED,
        remedy=remedy.format(request.arn),
    )


def _not_trusted(request: RoleRequest, who: str, policy: str) -> RoleRefused:
    role = _name(request.arn)
    problem, remedy = (
        "it does not name the caller, or one of its conditions is not met",
        (
            f"Name the caller in the trust policy of {request.arn}, or meet its conditions, such as an external ID "
            f"({request.external_id_setting}), MFA, a source IP."
        ),
    )
    if request.external_id:
        remedy = f"Name the caller in the trust policy of {request.arn}, and compare the external ID that it requires."
    if "MultiFactorAuth" in policy:
        problem = "it requires MFA, which the access key of a program never has"
        remedy = "Use a role without that condition for programs, limited by the source IP or an external ID."
    elif "sts:ExternalId" in policy:
        problem = "the external ID does not match" if request.external_id else "it requires an external ID"
        remedy = f"Set {request.external_id_setting} to the value in the condition on sts:ExternalId."
    return RoleRefused(
        f"{who} may not assume the role {role}: the role's trust policy refuses. Most likely, {problem}.",
        state=NOTHING_ISSUED,
        remedy=remedy,
    )


def _caller(message: str) -> str:
    """Return who asked, as a sentence begins with it."""
    found = _CALLER.search(message)
    kind, _, name = found[1].rpartition(":")[2].partition("/") if found else ("", "", "")
    if kind == "user":
        return f"The user {name.rpartition('/')[2]}"
    return f"The session of the role {name.partition('/')[0]}" if kind == "assumed-role" else "The caller"


def _unfit(request: RoleRequest, code: str, message: str) -> TwokeyError | None:
    role, wanted = _name(request.arn), durations.exact(timedelta(seconds=request.seconds))
    if "role chaining" in message:
        return ChainTooLong(
            f"{role}: AWS limits a role that is assumed with the credentials of another role to 1h, and {wanted} is "
            "longer.",
            state=NOTHING_ISSUED,
            remedy="Set --duration 1h.",
        )
    if "MaxSessionDuration" in message:
        return RoleRefused(
            f"The role {role} does not allow sessions of {wanted}: its maximum session duration is shorter.",
            state=NOTHING_ISSUED,
            remedy=f"Set a shorter --duration, or raise the maximum: aws iam update-role --role-name {role} "
            f"--max-session-duration {request.seconds}.",
        )
    if code == "RegionDisabledException":
        return RoleRefused(
            f"STS is not enabled in this region for account {_account(request.arn)}.",
            state=NOTHING_ISSUED,
            remedy="Enable it in the account settings of IAM, or set AWS_REGION to another region.",
        )
    if code in ("MalformedPolicyDocument", "PackedPolicyTooLarge"):
        return RoleRefused(
            f"AWS does not accept the session policy or the tags: {_sentence(message)}",
            state=NOTHING_ISSUED,
            remedy="Correct or shorten --session-policy and --tag.",
        )
    return None


def _name(arn: str) -> str:
    return arn.rsplit("/", 1)[1]


def _account(arn: str) -> str:
    return arn.split(":")[4]


def _path(arn: str) -> str:
    return arn.partition(":role/")[2]


def _sentence(message: str) -> str:
    return f"{message.strip().rstrip('.')}."
