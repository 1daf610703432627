"""Errors about the credentials that twokey runs with, from AWS's error codes and botocore's errors."""

from __future__ import annotations

from botocore import exceptions as boto

from twokey.core.errors import BadCredentials
from twokey.system import environment

_EXPIRED = {"ExpiredToken", "ExpiredTokenException"}
_UNKNOWN_KEY = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"}
_WRONG_SIGNATURE = {"SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure", "RequestExpired"}
_NO_SIGNATURE = {"MissingAuthenticationToken", "MissingAuthenticationTokenException", "IncompleteSignature"}
NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.RefreshWithMFAUnsupportedError,
    boto.TokenRetrievalError,
    boto.SSOError,
    boto.LoginError,
    boto.MetadataRetrievalError,
    boto.UnknownCredentialError,
    boto.ProfileNotFound,
)
"""What botocore raises if it has no credentials, or cannot get them."""
_LONG_TERM = "AKIA"
"""How the ids of long-term keys begin ("Understanding unique ID prefixes", IAM identifiers, IAM User Guide)."""
_CLOCK = "Set this machine's clock: it may differ from AWS's by at most 5 minutes. Then run again."
_WRONG_PAIR = (
    "Most likely, the secret access key does not belong to the access key ID: copy both again, completely, to where "
    "twokey finds its AWS credentials (AWS_PROFILE, the environment, a role). Otherwise, set this machine's clock: it "
    "may differ from AWS's by at most 5 minutes."
)
CREDENTIAL_SOURCES = "Provide credentials where the AWS SDKs look for them: AWS_PROFILE, the environment, or a role."
"""What to do if there are no credentials."""


class UnknownKey(BadCredentials):
    """AWS does not know the access key that signed a request, or does not accept it for this service."""


def no_credentials(error: Exception, message: str) -> BadCredentials:
    """Return the error for credentials that are missing; ``message`` is what may be quoted of botocore's error.

    Nothing is quoted from a program of the user: its stderr may contain a secret.
    """
    custom = isinstance(error, boto.CredentialRetrievalError) and error.kwargs.get("provider") == "custom-process"
    reason = "the credential_process of the profile failed; run it in a shell to see why." if custom else message
    return BadCredentials(
        f"No usable AWS credentials: {reason}",
        state="The request was not sent.",
        remedy=CREDENTIAL_SOURCES,
    )


def _time_message(message: str) -> str:
    """Quote AWS's message about a signature only if it is about time: others repeat the request and session token.

    Source: "Troubleshoot Signature Version 4 signing for AWS API requests" (IAM User Guide).
    """
    return f": {message.rstrip('.')}" if message.startswith(("Signature expired", "Signature not yet")) else ""


def _token_left() -> str:
    """Return a hint at the token of a session that was left beside the pair of a long-term key in the environment."""
    token = environment.first_set(("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"))
    if not token or not environment.variable("AWS_ACCESS_KEY_ID").startswith(_LONG_TERM):
        return ""
    return f" {token} is set, and AWS_ACCESS_KEY_ID is a long-term key: unset {token} if a session left it."


def credentials_rejected(code: str, message: str) -> BadCredentials | None:
    """Return the error for an error code of AWS that is about the credentials; None for any other code."""
    if code in _EXPIRED:
        return BadCredentials(
            f"The AWS credentials have expired ({code}).", remedy="Renew the session (sign in again), then run again."
        )
    if code in _UNKNOWN_KEY:
        return UnknownKey(
            f"AWS does not know the credentials ({code}).",
            remedy="Check AWS_PROFILE and the region. The key may be deleted, Inactive, not propagated yet, or from "
            f"another partition, or the account has not enabled the region.{_token_left()}",
        )
    if code in _NO_SIGNATURE:
        return BadCredentials(
            f"AWS received the request without a complete signature ({code}): {message}",
            remedy="Check the proxy settings and AWS_ENDPOINT_URL: a proxy may have removed the Authorization header.",
        )
    if code in _WRONG_SIGNATURE:
        time = _time_message(message)
        return BadCredentials(
            f"AWS rejected the signature ({code}){time}.",
            remedy=_CLOCK if time or code == "RequestExpired" else _WRONG_PAIR,
        )
    return None


def session_without_mfa(arn: str) -> BadCredentials | None:
    """Return the error for a session that STS accepts, as ``arn``, and IAM does not; None for the session of a role.

    "You cannot call any IAM API operations unless MFA authentication information is included in the request"
    ("GetSessionToken", AWS STS API Reference); those of GetFederationToken cannot call IAM at all.
    """
    if ":assumed-role/" in arn:
        return None
    return BadCredentials(
        f"IAM does not accept the session that twokey runs with, although it is valid ({arn}): a session of "
        "GetSessionToken without MFA, or of GetFederationToken, cannot call IAM.",
        remedy="Use a role, a session with MFA, or the access key itself (aws-vault exec --no-session).",
    )
