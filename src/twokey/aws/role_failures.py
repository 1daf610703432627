"""Sentences about error responses of what supplies credentials: STS, IAM Identity Center, the sign-in service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.aws.credentials import credentials_rejected
from twokey.aws.failure import Failure, sentence
from twokey.system import environment

if TYPE_CHECKING:
    from botocore import exceptions as boto

    from twokey.aws.profiles import Profiles


def refused(error: boto.ClientError, profiles: Profiles) -> Failure:
    """Explain an error response of STS, of IAM Identity Center, or of the sign-in service."""
    operation = str(getattr(error, "operation_name", ""))
    response: Any = error.response
    code = str(response.get("Error", {}).get("Code", ""))
    message = str(response.get("Error", {}).get("Message", ""))
    if operation == "GetRoleCredentials":
        account, role = profiles.setting("sso_account_id"), profiles.setting("sso_role_name")
        profile = profiles.with_setting("sso_role_name")
        return Failure(
            f"IAM Identity Center (SSO) does not give the role {role} in the account {account} ({code}).",
            f"Check sso_role_name and sso_account_id of the profile {profile!r}; is the permission set assigned?",
        )
    if operation.startswith("AssumeRole"):
        return _role_refused(operation, code, message, profiles)
    return Failure(f"{operation} was rejected ({code}).", "Sign in again, then run again.")


def _role_refused(operation: str, code: str, message: str, profiles: Profiles) -> Failure:
    role = environment.variable("AWS_ROLE_ARN") if operation == "AssumeRoleWithWebIdentity" else ""
    role = role or profiles.setting("role_arn")
    profile = profiles.with_setting("role_arn")
    if "MultiFactorAuthentication failed" in message:
        return Failure(
            "AWS rejects the MFA code.", f"Run again with a current code; check mfa_serial of the profile {profile!r}."
        )
    if code == "AccessDenied":
        return Failure(
            f"access denied: sts:{operation} on {role}.",
            f"Check role_arn of the profile {profile!r}, and that the role's trust policy and the policies of the "
            "caller allow it. The trust policy may require an external_id or mfa_serial in the profile.",
        )
    if operation == "AssumeRoleWithWebIdentity" and code in {"ExpiredTokenException", "InvalidIdentityToken"}:
        state = "has expired" if code == "ExpiredTokenException" else "is not accepted"
        return Failure(
            f"the web identity token {state} ({code}), so the role {role} cannot be assumed.",
            "Renew the token. Check that IAM has its issuer as an identity provider, with its audience.",
        )
    if rejected := credentials_rejected(code, ""):
        source = profiles.with_setting("aws_access_key_id")
        return Failure(
            f"{rejected.message.rstrip('.')}: those of the profile {source!r}, with which the role {role} is to be "
            "assumed.",
            rejected.remedy,
        )
    if code == "RegionDisabledException":
        return Failure("the account has not enabled STS in this region.", "Enable it, or set another AWS_REGION.")
    reason = f": {sentence(message)}" if message else "."
    return Failure(f"sts:{operation} on {role} was rejected ({code}){reason}", f"Check the profile {profile!r}.")
