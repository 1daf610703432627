"""What is wrong with the credentials that twokey runs with, by AWS's error codes and botocore's errors."""

from __future__ import annotations

from botocore import exceptions as boto

from twokey.core.errors import BadCredentials

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
"""What botocore raises where it finds no credentials, or cannot get them."""


def none_usable(error: Exception, said: str) -> BadCredentials:
    """Return the error for credentials that cannot be had; ``said`` is what may be quoted of the error.

    Of a program of the user's nothing is quoted: what it wrote to its stderr may be anything.
    """
    custom = isinstance(error, boto.CredentialRetrievalError) and error.kwargs.get("provider") == "custom-process"
    why = "the credential_process of the profile failed; run it by hand to see why." if custom else said
    return BadCredentials(
        f"No usable AWS credentials: {why}",
        state="The request was not sent.",
        remedy="Give them where the AWS SDKs look: AWS_PROFILE, the environment, or a role.",
    )


def _about_time(message: str) -> str:
    """Quote AWS about a signature only where it speaks of time: else it repeats the request, session token included.

    Source: "Troubleshoot Signature Version 4 signing for AWS API requests" (IAM User Guide).
    """
    return f": {message.rstrip('.')}" if message.startswith(("Signature expired", "Signature not yet")) else ""


def about_credentials(code: str, message: str) -> BadCredentials | None:
    """Return the error for AWS's code and message where it is about the credentials; None otherwise."""
    if code in _EXPIRED:
        return BadCredentials(
            f"The AWS credentials have expired ({code}).", remedy="Renew the session (sign in again), then run again."
        )
    if code in _UNKNOWN_KEY:
        return BadCredentials(
            f"AWS does not know the credentials ({code}).",
            remedy="They may be deleted, Inactive, too fresh, or of another partition, or the account has not "
            "enabled the region. Check AWS_PROFILE and the region.",
        )
    if code in _NO_SIGNATURE:
        return BadCredentials(
            f"AWS finds no whole signature in the request ({code}): {message}",
            remedy="A proxy may have removed the Authorization header. Check the proxy settings and AWS_ENDPOINT_URL.",
        )
    if code in _WRONG_SIGNATURE:
        return BadCredentials(
            f"AWS refuses the signature ({code}){_about_time(message)}.",
            remedy="Check this machine's clock (it must be right to 5 minutes) and the secret key.",
        )
    return None
