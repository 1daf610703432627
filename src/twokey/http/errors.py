"""What a service's responses mean, or that there is none: the errors of ``twokey.core.errors``, for the operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from urllib3 import exceptions as broken

from twokey.core.errors import (
    AccessDenied,
    Ambiguous,
    BadCredentials,
    Failed,
    NotFound,
    ServiceError,
    ServiceRejected,
    Throttled,
    Unreachable,
)
from twokey.http import connection_failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.http.messages import Request, Response


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The errors of one service. ``service`` is its name in messages, ``token`` says where its token comes from.

    ``explain`` translates the errors that only this service has; ``refuses_token`` recognizes the response of a service
    that refuses a token with another status than 401.
    """

    service: str
    url: str
    token: str
    explain: Callable[[Request, Response], Failed | None]
    refuses_token: Callable[[Response], bool]

    def error_of(self, request: Request, response: Response) -> Failed:
        """Translate an error of the service."""
        own = self.explain(request, response)
        if own is not None:
            return own
        message_of_service = "" if request.secret else response.quotable()
        quoted = f" {self.service} says: {message_of_service}" if message_of_service else ""
        state = "Nothing was written there." if request.mutates else ""
        match 401 if self.refuses_token(response) else response.status:
            case 401:
                message = f"{self.service} does not accept the token.{quoted}"
                error: Failed = BadCredentials(message, state=state, remedy=f"Provide {self.token}.")
            case 403:
                needed = (
                    f"The token needs {request.permission}."
                    if request.permission
                    else "Give the token this permission."
                )
                error = AccessDenied(request.description, self.service, remedy=f"{needed}{quoted}")
            case 404:
                also = f", and that the token has {request.permission}" if request.permission else ""
                message = (
                    f"{self.service} cannot {request.description}: it does not exist, or the token has no access to it."
                )
                error = NotFound(message, state=state, remedy=f"Check the name{also}.{quoted}")
            case 409 | 412:
                message = (
                    f"{self.service} cannot {request.description}: another client changed it at the same time.{quoted}"
                )
                error = ServiceRejected(message, state=state, remedy="Run again.")
            case status if 400 <= status < 500:
                error = ServiceRejected(
                    f"{self.service} refused to {request.description} ({status}).{quoted}", state=state
                )
            case status:
                error = self.unclear(request, f"it responded with {status}.{quoted}")
        return error

    def failure(self, request: Request, error: Exception) -> ServiceError:
        """Translate what urllib3 raises."""
        reason = connection_failures.reason_of(error)
        match connection_failures.proof_of(error):
            case "unreachable":
                return self.unreachable(request, reason)
            case "proxy":
                return self.unreachable(request, f"the proxy refuses the connection ({reason})")
            case "untrusted":
                return self.untrusted(request, reason)
        if connection_failures.is_of_tls(error):
            return self.unclear(request, f"TLS failed ({reason}); a proxy that inspects TLS may be the cause.")
        broke = f"the connection broke before the response arrived ({reason})"
        return self.unclear(request, f"{'no response arrived in time' if _late(error) else broke}.")

    def unclear(self, request: Request, why: str) -> Ambiguous:
        """Return the error for a response that is missing or proves nothing."""
        state = "It may have taken effect." if request.mutates else "This call changes nothing."
        return Ambiguous(f"{self.service} was asked to {request.description}: {why}", state=state, remedy="Run again.")

    def unreachable(self, request: Request, why: str) -> Unreachable:
        """Return the error for a request that could not be sent."""
        return Unreachable(
            f"{self.service} ({self.url}) cannot be reached to {request.description}: {why}.",
            state="Nothing was sent.",
            remedy="Check the network, HTTPS_PROXY and NO_PROXY, and the connection's url.",
        )

    def untrusted(self, request: Request, reason: str) -> Unreachable:
        """Return the error for a server whose certificate is not trusted."""
        return Unreachable(
            f"{self.service} ({self.url}) cannot be trusted to {request.description}: TLS failed ({reason}).",
            state="Nothing was sent.",
            remedy="If a private CA signed its certificate, set `ca` in the connection, or SSL_CERT_FILE.",
        )

    def rejected(self, request: Request, why: str, remedy: str = "") -> ServiceRejected:
        """Return the error for a response that is a refusal, whatever its status."""
        return ServiceRejected(
            f"{self.service} cannot {request.description}: {why}", state="Nothing was written there.", remedy=remedy
        )

    def throttled(self, request: Request, wait: float) -> Throttled:
        """Return the error for a wait that is too long."""
        return Throttled(
            f"{self.service} cannot {request.description} now: its rate limit is exhausted for {wait:.0f} s.",
            state="Nothing was written there.",
            remedy="Run again after that. What was delivered stays delivered.",
        )


def _late(error: Exception) -> bool:
    return isinstance(error, broken.ReadTimeoutError)
