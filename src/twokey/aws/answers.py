"""What botocore raises, translated into what the operator needs to know: did it happen, and what to do.

The one question that matters after a failed write is whether it took place. An error answer with a 4xx status
proves that it did not; no connection proves it too; everything else proves nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from botocore import exceptions as boto

from twokey.errors import (
    AccessDenied,
    Ambiguous,
    BadCredentials,
    NotFound,
    Rejected,
    ServiceError,
    Throttled,
    TwokeyError,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "TooManyUpdates",
    "SlowDown",
}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_UNKNOWN_KEY = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "MissingAuthenticationToken",
}
_WRONG_SIGNATURE = {"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "AuthFailure"}
_ABSENT = {"NoSuchEntity", "ResourceNotFoundException", "ParameterNotFound", "ParameterVersionNotFound"}
_NOTHING_SENT = (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError, boto.SSLError)
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.UnauthorizedSSOTokenError,
    boto.SSOTokenLoadError,
    boto.ProfileNotFound,
)
_WANTED = re.compile(
    r"not authorized to perform:? (?P<action>[a-z0-9-]+:\w+)(?: on resource: (?P<resource>.+?))?"
    r"(?= because|$|\.$| with an)"
)


def translate(error: Exception, *, action: str, resource: str, effect: bool = True) -> ServiceError:
    """Return what ``error`` means for the call of ``action`` (such as ``iam:CreateAccessKey``) on ``resource``.

    ``effect`` is false for a call that only reads: however unclear its answer is, it changed nothing.
    """
    if isinstance(error, boto.ClientError):
        return _from_answer(error, action, resource, effect=effect)
    if isinstance(error, _NO_CREDENTIALS):
        return BadCredentials(
            f"No usable AWS credentials: {_first_line(error)}",
            state="Nothing was called.",
            remedy="Give them where the AWS SDKs look: AWS_PROFILE, the environment, or a role.",
        )
    if isinstance(error, boto.NoRegionError):
        return Rejected(
            "No AWS region is set.",
            state="Nothing was called.",
            remedy="Set AWS_DEFAULT_REGION, or a region in the profile.",
        )
    if isinstance(error, _NOTHING_SENT):
        return Unreachable(
            f"{action}: no connection: {_first_line(error)}",
            state="The request was not sent.",
            remedy="Check the network, proxy settings and AWS_ENDPOINT_URL, then run again.",
        )
    if isinstance(error, (boto.ParamValidationError, boto.UnknownServiceError, boto.InvalidRegionError)):
        return Rejected(f"{action}: {_first_line(error)}", state="The request was not sent.")
    # Only the kind is told: the text may quote the answer.
    return unclear(f"{action} on {resource}: no clear answer ({type(error).__name__}).", effect=effect)


def unclear(message: str, *, effect: bool) -> Ambiguous:
    """Return the error for an answer that is missing or proves nothing, to a call with or without an ``effect``."""
    if effect:
        return Ambiguous(
            message, state="It may have taken effect.", remedy="Run again: the next run finds out and goes on."
        )
    return Ambiguous(message, state="This call changes nothing.", remedy="Run again.")


def _from_answer(error: boto.ClientError, action: str, resource: str, *, effect: bool) -> ServiceError:
    code, message, status = _parts(error)
    if code in _THROTTLED:
        return Throttled(f"{action}: AWS asks to slow down ({code}).")
    refused = _about_credentials(code, message)
    if refused:
        return refused
    if code in _DENIED or (status == 403 and "not authorized" in message):
        return _denied(action, resource, message)
    if code in _ABSENT:
        return NotFound(f"{action} on {resource}: {message or 'it is not there.'}")
    if status >= 500 or status < 400:
        return unclear(f"{action} on {resource}: AWS answered {status} {code}.", effect=effect)
    return Rejected(f"{action} on {resource}: {message} ({code}).")


def _about_credentials(code: str, message: str) -> BadCredentials | None:
    if code in _EXPIRED:
        return BadCredentials(
            f"The AWS credentials have expired ({code}).", remedy="Renew the session (sign in again), then run again."
        )
    if code in _UNKNOWN_KEY:
        return BadCredentials(
            f"AWS does not know the credentials ({code}).",
            remedy="They may be deleted, Inactive, of another partition, or too fresh. Check AWS_PROFILE.",
        )
    if code in _WRONG_SIGNATURE:
        return BadCredentials(
            f"AWS refuses the signature ({code}): {message}",
            remedy="Check this machine's clock (it must be right to 5 minutes) and the secret key.",
        )
    return None


def call(action: str, resource: str, send: Callable[[], Any], *, effect: bool = True) -> Any:
    """Send, and translate whatever botocore raises; ``action`` is an IAM action such as ``ssm:PutParameter``.

    ``effect`` says whether the call can change anything; an unclear answer to one that cannot says so.

    Not all of it derives from botocore's base class (an answer that cannot be parsed does not): whatever is unknown
    proves nothing, and is ``Ambiguous``. What is raised here carries no trace of botocore's own error: that one may
    quote an answer's body, with a secret in it.
    """
    try:
        return send()
    except TwokeyError:
        raise
    except Exception as error:  # noqa: BLE001  see above
        failure = translate(error, action=action, resource=resource, effect=effect)
    raise failure


def code_of(error: Exception) -> str:
    """Return AWS's error code, or the empty string where there was no error answer."""
    return _parts(error)[0] if isinstance(error, boto.ClientError) else ""


def _parts(error: boto.ClientError) -> tuple[str, str, int]:
    answer: Any = error.response
    body = answer.get("Error", {})
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return str(body.get("Code", "")), str(body.get("Message", "")).strip(), status


def _denied(action: str, resource: str, message: str) -> AccessDenied:
    named = _WANTED.search(message)
    if named:
        action, resource = named["action"], named["resource"] or resource
    elif "KMS" in message or "kms" in message:
        return AccessDenied(
            "kms:Decrypt or kms:GenerateDataKey",
            f"the KMS key of {resource}",
            remedy="Allow both on that key for the principal that runs twokey, and see that the key is enabled.",
        )
    return AccessDenied(action, resource)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
