"""Translates what botocore raises into what the operator needs: what happened, whether it took effect, what to do.

The question that matters after a failed write is whether it took effect. An error response of AWS with a 4xx status
proves that it did not, and so does a connection that was never made. Everything else proves nothing.

A response may contain a secret, and an error may quote one. Nothing that leaves this module shows a secret: secrets in
responses are ``Hidden``, and of an error only the parts remain that cannot contain one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from twokey.aws import network, origin
from twokey.aws.credentials import NO_CREDENTIALS, credentials_rejected, no_credentials
from twokey.aws.denials import denied
from twokey.core.errors import Ambiguous, NotFound, ServiceError, ServiceRejected, Throttled, TwokeyError
from twokey.core.secret import Hidden

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
    "ProvisionedThroughputExceededException",
    "SlowDown",
    "KMSThrottling",
}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "KMSAccessDenied"}
"""KMSThrottling and KMSAccessDenied: what SNS says of the key of an encrypted topic ("Publish")."""
_NOT_SERVED = "OptInRequired"
"""The access key needs a subscription for the service ("Common error types", IAM API Reference)."""
_ABSENT = {"NoSuchEntity", "ResourceNotFoundException", "ParameterNotFound", "ParameterVersionNotFound", "NoSuchKey"}
_WRONG_CONFIGURATION = (
    boto.ConfigParseError,
    boto.ConfigNotFound,
    boto.InvalidConfigError,
    boto.BaseEndpointResolverError,
    boto.EndpointProviderError,
    boto.InvalidEndpointConfigurationError,
    boto.InvalidProxiesConfigError,
    boto.MissingDependencyException,
    boto.InvalidRegionError,
    boto.UnknownServiceError,
)
"""What botocore detects before it sends anything."""
_BROKEN = {
    boto.ReadTimeoutError: "no response arrived in time.",
    boto.ConnectionClosedError: "the connection broke before the response arrived.",
    boto.ProxyConnectionError: "the connection through the proxy broke before the response arrived.",
    boto.ResponseStreamingError: "the connection broke within the response.",
    boto.SSLError: "TLS failed; a proxy may intercept the connection.",
    ResponseParserError: "the response is not valid: it was cut off, or is not from AWS.",
    KeyError: "the response is not valid: it was cut off, or is not from AWS.",
}
TIMED_OUT = 408
"""The HTTP status for a request that did not arrive completely in time (RFC 9110); it proves nothing."""
_SECRETS = {"SecretAccessKey", "SecretString", "SecretBinary", "SessionToken", "Value"}
"""The members of responses that are, or may contain, a secret."""
_USER_INFO = re.compile(r"(?<=//)[^/@\s]+@|[^\s/@:]+:[^\s/@]+@")
LONGEST_QUOTE = 300
"""The maximum number of characters of a service's message that is quoted."""
RUN_AGAIN = "Run again: the next run checks whether it did, and continues."
"""The remedy for a change that may have taken effect."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A request: an IAM action on a resource, whether it can change anything, whether AWS may be quoted about it."""

    action: str
    resource: str
    mutates: bool
    quote: bool = True

    @property
    def name(self) -> str:
        return f"{self.action} on {self.resource}" if self.resource else self.action

    def ambiguous(self, problem: str, first_step: str = "") -> Ambiguous:
        """Return the error for a response that is missing or proves nothing; the remedy begins with ``first_step``."""
        state, remedy = "This call changes nothing.", "Run again."
        if self.mutates:
            state, remedy = "It may have taken effect.", RUN_AGAIN
        return Ambiguous(f"{self.name}: {problem}", state=state, remedy=f"{first_step} {remedy}".strip())

    @property
    def rejected(self) -> str:
        """What is true after AWS rejected the request. Of a read, it is not said that it had no effect."""
        return "AWS rejected it: it had no effect." if self.mutates else "AWS rejected it."

    def not_from_aws(self, status: int) -> Ambiguous:
        return self.ambiguous(
            f"the response with status {status} is not from AWS; it may be a page of a proxy or a sign-in page.",
            "Check the network, proxy settings and AWS_ENDPOINT_URL.",
        )

    def quoted(self, message: str) -> str:
        """Return the first paragraph of a message on one line, of limited length, without passwords in URLs.

        Nothing is quoted about a request that contains a secret: the message may repeat it, in part or encoded.
        """
        if not self.quote:
            return ""
        text = _USER_INFO.sub("", " ".join(message.strip().split("\n\n")[0].split()))
        return text if len(text) <= LONGEST_QUOTE else f"{text[: LONGEST_QUOTE - 1]}…"

    def first_line(self, error: Exception) -> str:
        return self.quoted((str(error).strip().splitlines() or [type(error).__name__])[0])


def translate(
    error: Exception, *, action: str, resource: str, mutates: bool = True, quote: bool = True
) -> ServiceError:
    """Return what ``error`` means for the call of ``action`` (such as ``iam:CreateAccessKey``) on ``resource``.

    ``mutates`` is false for a call that only reads: it changed nothing, whatever its response was. Without ``quote``,
    the service's own message is left out.
    """
    request = _Request(action, resource, mutates, quote)
    if isinstance(error, boto.ClientError):
        return _from_response(error, request)
    if isinstance(error, origin.NotFromAws):
        return request.not_from_aws(error.status)
    # Not the error's own message: it may quote the response.
    problem = next((message for kind, message in _BROKEN.items() if isinstance(error, kind)), "")
    return _unsent(error, request) or request.ambiguous(problem or f"unexpected error ({type(error).__name__}).")


def before_sending(error: Exception, action: str) -> ServiceError:
    """Return what an error means that ended ``action`` (such as creating a client) before anything was sent."""
    request = _Request(action, "", mutates=False)
    return _unsent(error, request) or _misconfigured(request.first_line(error), request)


def _misconfigured(message: str, request: _Request) -> ServiceRejected:
    return ServiceRejected(
        f"{request.action}: {message}",
        state="The request was not sent.",
        remedy="Check the AWS configuration: AWS_CONFIG_FILE, AWS_PROFILE, AWS_REGION, AWS_USE_FIPS_ENDPOINT, "
        "AWS_USE_DUALSTACK_ENDPOINT, proxies and AWS_ENDPOINT_URL.",
    )


def _unsent(error: Exception, request: _Request) -> ServiceError | None:
    """Return what an error means that proves that the request was not sent; None for any other error."""
    if isinstance(error, NO_CREDENTIALS):
        return no_credentials(error, request.first_line(error))
    if isinstance(error, boto.NoRegionError):
        return ServiceRejected(
            "No AWS region is set.",
            state="The request was not sent.",
            remedy="Set AWS_REGION, or `region` in the profile that AWS_PROFILE names.",
        )
    if failed := network.unreachable(error, request.action, request.first_line(error)):
        return failed
    if isinstance(error, _WRONG_CONFIGURATION) or network.is_of_an_address(error):
        return _misconfigured(request.first_line(error), request)
    if isinstance(error, boto.ParamValidationError):
        return ServiceRejected(f"{request.name}: {request.quoted(str(error))}", state="The request was not sent.")
    return None


def _from_response(error: boto.ClientError, request: _Request) -> ServiceError:
    code, message, status = _parts(error)
    if not origin.is_error_code(code):
        return request.not_from_aws(status)
    proof = credentials_rejected(code, request.quoted(message)) or _by_code(code, message, status, request)
    if proof:
        return proof
    if status >= 500 or status < 400 or status == TIMED_OUT:
        return request.ambiguous(f"AWS returned {status} {code}.")
    reason = request.quoted(message).rstrip(".") or "rejected"
    return ServiceRejected(f"{request.name}: {reason} ({code}).", state=request.rejected)


def _by_code(code: str, message: str, status: int, request: _Request) -> ServiceError | None:
    if code in _THROTTLED:
        return Throttled(
            f"{request.name}: AWS throttled the request ({code}) until twokey stopped retrying.",
            state="It had no effect." if request.mutates else "",
            remedy="Run again later: all programs of the account share its request rate.",
        )
    if code in _DENIED or (status == 403 and "not authorized" in message):
        return denied(request.action, request.resource or "*", f"{code}: {message}", request.quoted)
    if code == _NOT_SERVED:
        return ServiceRejected(
            f"{request.name}: AWS does not serve the account ({code}): most likely, it is suspended, closed, or not "
            "activated.",
            state=request.rejected,
            remedy="Check the state of the account. If it is closed for good, remove it from the configuration.",
        )
    if code in _ABSENT:
        return NotFound(f"{request.name}: {request.quoted(message) or 'it does not exist.'}")
    return None


def call(action: str, resource: str, send: Callable[[], Any], *, mutates: bool = True, quote: bool = True) -> Any:
    """Send, and translate every error; ``action`` is an IAM action such as ``ssm:PutParameter``.

    Return the response, with its secrets ``Hidden``. For ``mutates`` and ``quote`` see ``translate``.

    Not every error derives from botocore's base class; one about a response that cannot be parsed does not. An unknown
    error proves nothing, and becomes ``Ambiguous``. The raised error has no reference to botocore's own error, which
    may quote the body of a response with a secret in it, as may the variables of botocore's functions. An interruption
    keeps its type only.
    """
    failure: BaseException
    try:
        response = _hide(send())
        origin.check(action, response)
    except TwokeyError:
        raise
    except Exception as error:  # noqa: BLE001  see above
        failure = translate(error, action=action, resource=resource, mutates=mutates, quote=quote)
    except BaseException as error:  # noqa: BLE001  see above
        failure = error.with_traceback(None)
        failure.__context__ = failure.__cause__ = None
    else:
        return response
    raise failure


def _hide(value: Any) -> Any:
    """Make every secret in a response ``Hidden``, at any depth."""
    if isinstance(value, list):
        for item in value:
            _hide(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in _SECRETS and isinstance(item, str):
                value[name] = Hidden(item)
            else:
                _hide(item)
    return value


def after_lost_response(failure: ServiceError) -> Ambiguous:
    """Return what the failure of a retry means if the response to an earlier attempt of the change was lost.

    The failure is about the last attempt only: an earlier one may have taken effect.
    """
    if isinstance(failure, Ambiguous):
        return failure
    return Ambiguous(
        f"A response was lost, and sending the request again did not help: {failure.message}",
        state="It may have taken effect.",
        remedy=f"{failure.remedy} {RUN_AGAIN}".strip(),
    )


def code_of(error: Exception) -> str:
    """Return AWS's error code, or an empty text if there was no error response."""
    return _parts(error)[0] if isinstance(error, boto.ClientError) else ""


def _parts(error: boto.ClientError) -> tuple[str, str, int]:
    response: Any = error.response
    body = response.get("Error", {})
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return str(body.get("Code", "")), str(body.get("Message", "")), status
