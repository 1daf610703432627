"""What botocore raises, translated into what the operator needs to know: did it happen, and what to do.

The one question that matters after a failed write is whether it took place. An error answer of AWS with a 4xx
status proves that it did not; no connection proves it too; everything else proves nothing.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore import exceptions as boto

from twokey.aws import origin
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
_NOTHING_SENT = (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError)
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.UnauthorizedSSOTokenError,
    boto.SSOTokenLoadError,
    boto.ProfileNotFound,
)
LONGEST_QUOTE = 300
"""Characters of what a service said that a message may repeat."""
_WANTED = re.compile(
    r"not authorized to perform:? (?P<action>[a-z0-9-]+:\w+)(?: on resource: (?P<resource>.+?))?"
    r"(?= because|$|\.$| with an)"
)


@dataclass(frozen=True, slots=True)
class _Call:
    """What was asked for: an IAM action on a resource, whether it can change anything, and what is not to be told."""

    action: str
    resource: str
    effect: bool
    secret: str

    @property
    def name(self) -> str:
        return f"{self.action} on {self.resource}"

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
        """Return the first paragraph of what was said on one line, of bounded length, without the secret.

        The second paragraph of a refused signature is the request, with the session token in it.
        """
        # Before it is cut: a part of the secret would be found no more.
        said = said.replace(self.secret, "(secret)") if self.secret else said
        said = " ".join(said.strip().split("\n\n")[0].split())
        return said if len(said) <= LONGEST_QUOTE else f"{said[: LONGEST_QUOTE - 1]}…"

    def first_line(self, error: Exception) -> str:
        return self.quoted((str(error).strip().splitlines() or [type(error).__name__])[0])


def translate(error: Exception, *, action: str, resource: str, effect: bool = True, secret: str = "") -> ServiceError:
    """Return what ``error`` means for the call of ``action`` (such as ``iam:CreateAccessKey``) on ``resource``.

    ``effect`` is false for a call that only reads: however unclear its answer is, it changed nothing. ``secret`` is
    struck out of what the answer says.
    """
    asked = _Call(action, resource, effect, secret)
    if isinstance(error, boto.ClientError):
        return _from_answer(error, asked)
    if isinstance(error, origin.NotFromAws):
        return asked.not_from_aws(error.status)
    # Only the kind is told: the text may quote the answer.
    return _unsent(error, asked) or asked.unclear(f"no clear answer ({type(error).__name__}).")


def _unsent(error: Exception, asked: _Call) -> ServiceError | None:
    """Return what an error means that proves that the request was not sent; None for any other."""
    if isinstance(error, _NO_CREDENTIALS):
        return BadCredentials(
            f"No usable AWS credentials: {asked.first_line(error)}",
            state="Nothing was called.",
            remedy="Give them where the AWS SDKs look: AWS_PROFILE, the environment, or a role.",
        )
    if isinstance(error, boto.NoRegionError):
        return Rejected(
            "No AWS region is set.",
            state="Nothing was called.",
            remedy="Set AWS_DEFAULT_REGION, or a region in the profile.",
        )
    if _wrong_certificate(error):
        return Unreachable(
            f"{asked.action}: no connection: {asked.first_line(error)}",
            state="The request was not sent.",
            remedy="Where a proxy looks into TLS, name its certificates in AWS_CA_BUNDLE. Check AWS_ENDPOINT_URL.",
        )
    if isinstance(error, _NOTHING_SENT):
        return Unreachable(
            f"{asked.action}: no connection: {asked.first_line(error)}",
            state="The request was not sent.",
            remedy="Check the network, proxy settings and AWS_ENDPOINT_URL, then run again.",
        )
    if isinstance(error, (boto.ParamValidationError, boto.UnknownServiceError, boto.InvalidRegionError)):
        return Rejected(f"{asked.action}: {asked.first_line(error)}", state="The request was not sent.")
    return None


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
    proof = _about_credentials(code, asked.quoted(message)) or _about_the_call(code, message, status, asked)
    if proof:
        return proof
    if status >= 500 or status < 400:
        return asked.unclear(f"AWS answered {status} {code}.")
    return Rejected(f"{asked.name}: {asked.quoted(message)} ({code}).")


def _about_the_call(code: str, message: str, status: int, asked: _Call) -> ServiceError | None:
    if code in _THROTTLED:
        return Throttled(f"{asked.action}: AWS asks to slow down ({code}).")
    if code in _DENIED or (status == 403 and "not authorized" in message):
        return _denied(asked, message)
    if code in _ABSENT:
        return NotFound(f"{asked.name}: {asked.quoted(message) or 'it is not there.'}")
    return None


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


def call(action: str, resource: str, send: Callable[[], Any], *, effect: bool = True, secret: str = "") -> Any:
    """Send, and translate whatever botocore raises; ``action`` is an IAM action such as ``ssm:PutParameter``.

    ``effect`` says whether the call can change anything; an unclear answer to one that cannot says so. ``secret`` is
    struck out of what AWS says, should it repeat it.

    Not all of it derives from botocore's base class (an answer that cannot be parsed does not): whatever is unknown
    proves nothing, and is ``Ambiguous``. What is raised here carries no trace of botocore's own error: that one may
    quote an answer's body, with a secret in it.
    """
    try:
        answer = send()
        origin.check(action, answer)
    except TwokeyError:
        raise
    except Exception as error:  # noqa: BLE001  see above
        failure = translate(error, action=action, resource=resource, effect=effect, secret=secret)
    else:
        return answer
    raise failure


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


def _denied(asked: _Call, message: str) -> AccessDenied:
    named = _WANTED.search(message)
    if named:
        return AccessDenied(named["action"], asked.quoted(named["resource"] or asked.resource))
    if "KMS" in message or "kms" in message:
        return AccessDenied(
            "kms:Decrypt or kms:GenerateDataKey",
            f"the KMS key of {asked.resource}",
            remedy="Allow both on that key for the principal that runs twokey, and see that the key is enabled.",
        )
    return AccessDenied(asked.action, asked.resource)
