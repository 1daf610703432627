"""The errors of authentication, authorisation and throttling, which differ between groups of AWS services.

Sources: "Common errors" of the API references of IAM, STS, Secrets Manager and Systems Manager,
"Error responses" of the S3 API reference, "Error codes for the Amazon EC2 API", "Publish" (Amazon SNS API Reference).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.emulator.responses import ServiceError
from twokey.emulator.wire import Dialect

if TYPE_CHECKING:
    from twokey.emulator.wire import Call

_INVALID = "The security token included in the request is invalid."
_EXPIRED = "The security token included in the request is expired"
_EC2_INVALID = "AWS was not able to validate the provided access credentials"
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)


def _json(call: Call) -> bool:
    return call.dialect in (Dialect.JSON, Dialect.REST_JSON)


def _json_status(call: Call) -> int:
    return 400 if call.dialect is Dialect.JSON else 403


def unsigned(call: Call) -> ServiceError:
    """The request has no readable signature."""
    if call.dialect is Dialect.S3:
        return ServiceError("AccessDenied", "Access Denied", 403)
    if _json(call):
        return ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token", _json_status(call))
    return ServiceError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)


def unknown_key(call: Call) -> ServiceError:
    """The key does not exist, is Inactive, was deleted or has not propagated: AWS does not say which."""
    if call.dialect is Dialect.S3:
        message = "The AWS Access Key Id you provided does not exist in our records."
        return ServiceError("InvalidAccessKeyId", message, 403)
    if call.dialect is Dialect.EC2:
        return ServiceError("AuthFailure", _EC2_INVALID, 401)
    if _json(call):
        return ServiceError("UnrecognizedClientException", _INVALID, _json_status(call))
    return ServiceError("InvalidClientTokenId", _INVALID, 403)


def wrong_signature(call: Call, message: str = _MISMATCH) -> ServiceError:
    """The secret does not belong to the key, or the request was changed in transit."""
    if call.dialect is Dialect.EC2:
        return ServiceError("AuthFailure", _EC2_INVALID, 401)
    if _json(call):
        return ServiceError("InvalidSignatureException", message, _json_status(call))
    return ServiceError("SignatureDoesNotMatch", message, 403)


def wrong_time(call: Call, message: str) -> ServiceError:
    """The request was signed too long ago, or for a time in the future."""
    if call.dialect is Dialect.S3:
        difference = "The difference between the request time and the current time is too large."
        return ServiceError("RequestTimeTooSkewed", difference, 403)
    if call.dialect is Dialect.EC2:
        return ServiceError("RequestExpired", "Request has expired.", 400)
    return wrong_signature(call, message)


def expired_session(call: Call) -> ServiceError:
    """The session of the temporary credentials has expired."""
    if call.dialect is Dialect.S3:
        return ServiceError("ExpiredToken", "The provided token has expired.", 400)
    if call.dialect is Dialect.EC2:
        return ServiceError("RequestExpired", "Request has expired.", 400)
    if _json(call):
        return ServiceError("ExpiredTokenException", _EXPIRED, _json_status(call))
    return ServiceError("ExpiredToken", _EXPIRED, 403)


def denied(call: Call, message: str) -> ServiceError:
    """The caller is authenticated, but lacks the permission."""
    if call.dialect is Dialect.EC2:
        return ServiceError(
            "UnauthorizedOperation", "You are not authorized to perform this operation. " + message, 403
        )
    if _json(call):
        return ServiceError("AccessDeniedException", message, _json_status(call))
    if call.service == "sns":
        return ServiceError("AuthorizationError", message, 403)
    return ServiceError("AccessDenied", message, 403)


def throttled(call: Call) -> ServiceError:
    """The account exceeded its request rate; the request had no effect."""
    if call.dialect is Dialect.S3:
        return ServiceError("SlowDown", "Please reduce your request rate.", 503)
    if call.dialect is Dialect.EC2:
        return ServiceError("RequestLimitExceeded", "Request limit exceeded.", 503)
    if _json(call):
        status = 400 if call.dialect is Dialect.JSON else 429
        return ServiceError("ThrottlingException", "Rate exceeded", status)
    return ServiceError("Throttling", "Rate exceeded", 400)
