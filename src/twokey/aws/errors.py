"""What botocore raises, translated into what the operator needs to know: did it happen, and what to do.

The one question that matters after a failed write is whether it took place. An error answer of AWS with a 4xx
status proves that it did not; no connection proves it too; everything else proves nothing.

An answer may hold a secret, and an error may quote one. What leaves this module shows none: secrets in answers are
``Hidden``, and of an error only what cannot hold one is kept.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from twokey.aws import origin
from twokey.aws.credentials import NO_CREDENTIALS, about_credentials, none_usable
from twokey.aws.denials import denied
from twokey.core.errors import Ambiguous, NotFound, ServiceError, ServiceRejected, Throttled, TwokeyError, Unreachable
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
    "SlowDown",
}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
_ABSENT = {"NoSuchEntity", "ResourceNotFoundException", "ParameterNotFound", "ParameterVersionNotFound"}
_NOTHING_SENT = (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError)
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
"""What botocore finds out before it sends anything."""
_BROKEN = {
    boto.ReadTimeoutError: "no answer came in time.",
    boto.ConnectionClosedError: "the connection broke before the answer was there.",
    boto.ResponseStreamingError: "the connection broke in the middle of the answer.",
    boto.SSLError: "TLS failed; a proxy that looks into it may be in the way.",
    ResponseParserError: "the answer cannot be read; it was cut off, or is not AWS's.",
    KeyError: "the answer cannot be read; it was cut off, or is not AWS's.",
}
TIMED_OUT = 408
"""The HTTP status for a request that did not arrive whole in time (RFC 9110): whose fault it was, nobody can tell."""
_SECRETS = {"SecretAccessKey", "SecretString", "SecretBinary", "SessionToken", "Value"}
"""The members of answers that are, or may hold, a secret."""
_USER_INFO = re.compile(r"(?<=//)[^/@\s]+@|[^\s/@:]+:[^\s/@]+@")
LONGEST_QUOTE = 300
"""Characters of what a service said that a message may repeat."""


@dataclass(frozen=True, slots=True)
class _Call:
    """What was asked for: an IAM action on a resource, whether it can change anything, whether AWS may be quoted."""

    action: str
    resource: str
    effect: bool
    quote: bool = True

    @property
    def name(self) -> str:
        return f"{self.action} on {self.resource}" if self.resource else self.action

    def unclear(self, said: str, first: str = "") -> Ambiguous:
        """Return the error for an answer that is missing or proves nothing; ``first`` is what to do first."""
        state, remedy = "This call changes nothing.", "Run again."
        if self.effect:
            state, remedy = "It may have taken effect.", "Run again: the next run finds out and goes on."
        return Ambiguous(f"{self.name}: {said}", state=state, remedy=f"{first} {remedy}".strip())

    def not_from_aws(self, status: int) -> Ambiguous:
        return self.unclear(
            f"answered {status} with something that is not AWS's (a proxy's or a sign-in page?).",
            "Check the network, proxy settings and AWS_ENDPOINT_URL.",
        )

    def quoted(self, said: str) -> str:
        """Return the first paragraph of what was said on one line, of bounded length, without the passwords of URLs.

        Nothing is quoted of what was said about a request that holds a secret: it may repeat the secret, in part or in
        another form.
        """
        if not self.quote:
            return ""
        said = _USER_INFO.sub("", " ".join(said.strip().split("\n\n")[0].split()))
        return said if len(said) <= LONGEST_QUOTE else f"{said[: LONGEST_QUOTE - 1]}…"

    def first_line(self, error: Exception) -> str:
        return self.quoted((str(error).strip().splitlines() or [type(error).__name__])[0])


def translate(error: Exception, *, action: str, resource: str, effect: bool = True, quote: bool = True) -> ServiceError:
    """Return what ``error`` means for the call of ``action`` (such as ``iam:CreateAccessKey``) on ``resource``.

    ``effect`` is false for a call that only reads: however unclear its answer is, it changed nothing. Without
    ``quote``, the service's own words are left out.
    """
    asked = _Call(action, resource, effect, quote)
    if isinstance(error, boto.ClientError):
        return _from_answer(error, asked)
    if isinstance(error, origin.NotFromAws):
        return asked.not_from_aws(error.status)
    # Not in the error's own words: they may quote the answer.
    said = next((words for kind, words in _BROKEN.items() if isinstance(error, kind)), "")
    return _unsent(error, asked) or asked.unclear(said or f"no clear answer ({type(error).__name__}).")


def unusable(error: Exception, what: str) -> ServiceError:
    """Return what an error means that kept ``what`` (such as a client) from being made, so that nothing was sent."""
    asked = _Call(what, "", effect=False)
    return _unsent(error, asked) or _misconfigured(asked.first_line(error), asked)


def _misconfigured(said: str, asked: _Call) -> ServiceRejected:
    return ServiceRejected(
        f"{asked.action}: {said}",
        state="The request was not sent.",
        remedy="Check the AWS configuration: AWS_CONFIG_FILE, AWS_PROFILE, the region, proxies and AWS_ENDPOINT_URL.",
    )


def _unsent(error: Exception, asked: _Call) -> ServiceError | None:
    """Return what an error means that proves that the request was not sent; None for any other."""
    if isinstance(error, NO_CREDENTIALS):
        return none_usable(error, asked.first_line(error))
    if isinstance(error, boto.NoRegionError):
        return ServiceRejected(
            "No AWS region is set.",
            state="The request was not sent.",
            remedy="Set AWS_DEFAULT_REGION, or a region in the profile.",
        )
    if isinstance(error, _NOTHING_SENT) or _wrong_certificate(error):
        return _unreachable(error, asked)
    if isinstance(error, _WRONG_CONFIGURATION):
        return _misconfigured(asked.first_line(error), asked)
    if isinstance(error, boto.ParamValidationError):
        return ServiceRejected(f"{asked.name}: {asked.quoted(str(error))}", state="The request was not sent.")
    return None


def _unreachable(error: Exception, asked: _Call) -> Unreachable:
    remedy = "Check the network, proxy settings and AWS_ENDPOINT_URL, then run again."
    if isinstance(error, boto.SSLError):
        remedy = "Where a proxy looks into TLS, name its certificates in AWS_CA_BUNDLE. Check AWS_ENDPOINT_URL."
    said = f"{asked.action}: no connection: {asked.first_line(error)}"
    return Unreachable(said, state="The request was not sent.", remedy=remedy)


def _wrong_certificate(error: Exception) -> bool:
    """Say whether TLS failed over the other side's certificate: that ends the handshake, before anything is sent.

    Any other error of TLS may also befall the answer. Python and urllib3 each have an error of this name.
    """
    inner = error.kwargs.get("error") if isinstance(error, boto.SSLError) else None
    causes = (inner, *getattr(inner, "args", ()))
    return any(isinstance(one, ssl.CertificateError) or type(one).__name__ == "CertificateError" for one in causes)


def _from_answer(error: boto.ClientError, asked: _Call) -> ServiceError:
    code, message, status = _parts(error)
    if not origin.is_error_code(code):
        return asked.not_from_aws(status)
    proof = about_credentials(code, asked.quoted(message)) or _about_the_call(code, message, status, asked)
    if proof:
        return proof
    if status >= 500 or status < 400 or status == TIMED_OUT:
        return asked.unclear(f"AWS answered {status} {code}.")
    said = asked.quoted(message) or "refused"
    return ServiceRejected(f"{asked.name}: {said} ({code}).", state="AWS refused it: it had no effect.")


def _about_the_call(code: str, message: str, status: int, asked: _Call) -> ServiceError | None:
    if code in _THROTTLED:
        return Throttled(
            f"{asked.name}: AWS asks to slow down ({code}), and did so until twokey gave up.",
            state="It had no effect.",
            remedy="Run again later: all programs of the account share its rate of requests.",
        )
    if code in _DENIED or (status == 403 and "not authorized" in message):
        return denied(asked.action, asked.resource or "*", message, asked.quoted)
    if code in _ABSENT:
        return NotFound(f"{asked.name}: {asked.quoted(message) or 'it is not there.'}")
    return None


def call(action: str, resource: str, send: Callable[[], Any], *, effect: bool = True, quote: bool = True) -> Any:
    """Send, and translate whatever botocore raises; ``action`` is an IAM action such as ``ssm:PutParameter``.

    Return the answer, with its secrets ``Hidden``. ``effect`` says whether the call can change anything; an unclear
    answer to one that cannot says so. For ``quote`` see ``translate``.

    Not all of it derives from botocore's base class (an answer that cannot be parsed does not): whatever is unknown
    proves nothing, and is ``Ambiguous``. What is raised here carries no trace of botocore's own error: that one may
    quote an answer's body, with a secret in it, and so may the variables of botocore's functions. Interruptions keep
    their kind only.
    """
    failure: BaseException
    try:
        answer = _hide(send())
        origin.check(action, answer)
    except TwokeyError:
        raise
    except Exception as error:  # noqa: BLE001  see above
        failure = translate(error, action=action, resource=resource, effect=effect, quote=quote)
    except BaseException as error:  # noqa: BLE001  see above
        failure = error.with_traceback(None)
        failure.__context__ = failure.__cause__ = None
    else:
        return answer
    raise failure


def _hide(answer: Any) -> Any:
    """Make every secret in an answer ``Hidden``, wherever it is."""
    if isinstance(answer, list):
        for item in answer:
            _hide(item)
    elif isinstance(answer, dict):
        for name, value in answer.items():
            if name in _SECRETS and isinstance(value, str):
                answer[name] = Hidden(value)
            else:
                _hide(value)
    return answer


def in_doubt(failure: ServiceError) -> Ambiguous:
    """Return what the last answer to a repeated change means where the answer to an earlier attempt was lost.

    It speaks of the last attempt alone: the earlier one may have taken effect.
    """
    if isinstance(failure, Ambiguous):
        return failure
    return Ambiguous(
        f"An answer was lost, and repeating the request did not help: {failure.message}",
        state="It may have taken effect.",
        remedy=f"{failure.remedy} Run again: the next run finds out and goes on.".strip(),
    )


def code_of(error: Exception) -> str:
    """Return AWS's error code, or the empty string where there was no error answer."""
    return _parts(error)[0] if isinstance(error, boto.ClientError) else ""


def _parts(error: boto.ClientError) -> tuple[str, str, int]:
    answer: Any = error.response
    body = answer.get("Error", {})
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return str(body.get("Code", "")), str(body.get("Message", "")), status
