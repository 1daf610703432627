"""AWS's own quarantine of a user whose key it found in public: recognized, and what it does and does not deny. Pure.

Sources: "AWSCompromisedKeyQuarantineV2" and "AWSCompromisedKeyQuarantineV3" (AWS Managed Policy Reference Guide). Which
actions each denies is read from the policy itself, as the account has it: AWS changes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core.errors import Refused
from twokey.core.reasons import Reason
from twokey.permissions.grants import Grants

if TYPE_CHECKING:
    from twokey.permissions.account import Attached, Principal

PREFIX = "AWSCompromisedKeyQuarantine"
"""How the names of these policies begin; versions follow."""
_KEYS = ("iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey")
_SESSIONS = ("sts:AssumeRole", "sts:GetSessionToken", "sts:GetFederationToken")


def is_quarantine(policy_arn: str) -> bool:
    """Return whether an ARN is that of a quarantine policy of AWS, not of an account's own policy of such a name."""
    parts = policy_arn.split(":", 5)
    return len(parts) == 6 and parts[4] == "aws" and parts[5].rpartition("/")[2].startswith(PREFIX)


def of(user: Principal) -> tuple[Attached, ...]:
    """Return the quarantine policies that AWS attached to a user."""
    return tuple(one for one in user.policies if is_quarantine(one.arn))


def explanation(user: Principal) -> str:
    """Return what the quarantine of a user means, in sentences; empty if it is not quarantined."""
    policies = of(user)
    if not policies:
        return ""
    names = ", ".join(one.name for one in policies)
    grants = Grants.of([one.document for one in policies], None)
    denied = [action for action in (*_KEYS, *_SESSIONS) if grants.denied(action, "*")]
    left = [action for action in _SESSIONS if action not in denied]
    what = (
        f"It denies {user.name} {', '.join(denied)}, and more" if denied else f"It denies {user.name} some actions"
    ) + (f", but not {', '.join(left)}: an intruder with the key still makes sessions." if left else ".")
    return (
        f"AWS has attached {names} to {user.name}: it found one of its keys in public. {what} It does not make the key "
        f"Inactive, and it does not end sessions. It applies to every key of {user.name}, so jobs are denied the same "
        f"with the new one. Another principal can rotate the key; {user.name} itself cannot. Remove the policy when "
        f"the steps of AWS's support case are done, as a principal that is allowed iam:DetachUserPolicy: "
        + " && ".join(f"aws iam detach-user-policy --user-name {user.name} --policy-arn {one.arn}" for one in policies)
    )


def refusal(user: Principal, own_arn: str) -> Refused | None:
    """Return why twokey does not run as the quarantined user itself; None if it runs as another principal."""
    if own_arn != user.arn or not of(user):
        return None
    return Refused(
        Reason.OWN_KEY,
        f"twokey runs as {user.name} itself, and AWS has quarantined that user ({of(user)[0].name}): it may not change "
        "its own keys.",
        state="Nothing was changed.",
        remedy="Run again with the credentials of another principal, such as an administrator's role: AWS_PROFILE.",
    )
