"""Requests to one service, and what their responses prove.

After a failed write one question matters: did it take effect? An error of the service itself (4xx) proves that it did
not, and so does a connection that was never made. Everything else proves nothing. A proxy's page is never taken for a
response of the service. A token is never sent to another host after a redirect.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import urljoin, urlsplit

import msgspec
import urllib3
from urllib3 import exceptions as broken

from twokey.core.decoding import decoder
from twokey.core.errors import Ambiguous, Failed, ServiceError, Unreachable
from twokey.core.secret import Hidden
from twokey.core.waiting import before_effect, pause
from twokey.http import retry_after, transport
from twokey.http.errors import Verdicts
from twokey.http.messages import Request, Response, Shy, body_of, hidden, words_of
from twokey.http.rate_limits import Limit, Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twokey.core.ports import Clock

Shape = TypeVar("Shape")

ATTEMPTS = 3
"""How often an idempotent request without a response is sent."""
PATIENCE = 4000.0
"""Seconds after which a throttled request is given up. GitHub counts by the hour."""
SHORTEST_DOUBT, LONGEST_DOUBT = 0.1, 60.0
"""Seconds between requests to a service that keeps throttling without saying until when, doubled each time."""
LONGEST_RESPONSE = 8 << 20
CONCURRENT = 16
"""Connections to one service that are kept open."""
MOST_REDIRECTS = 3
_TRANSIENT = {408, 500, 502, 503, 504, 520, 521, 522, 523, 524}
_PAGES = (b"<!doctype", b"<html")
_MOVED = {301, 302, 303, 307, 308}


class _Overloaded(Ambiguous):
    """A response that proves nothing and says when to try again (RFC 9110, 15.6.4: 503 with Retry-After)."""

    wait = 0.0

    @classmethod
    def of(cls, unclear: Ambiguous, wait: float | None) -> _Overloaded:
        error = cls(unclear.message, state=unclear.state, remedy=unclear.remedy)
        error.wait = wait or 0.0
        return error


class Http:
    """One service, as one connection reaches it. Thread-safe; shared by all destinations of a run."""

    def __init__(
        self,
        service: str,
        url: str,
        clock: Clock,
        *,
        headers: Callable[[], Mapping[str, str]] = dict,
        renew: Callable[[], bool] = lambda: False,
        limits: tuple[Limit, ...] = (),
        ca: str | None = None,
        explain: Callable[[Request, Response], Failed | None] = lambda _request, _response: None,
        refuses_token: Callable[[Response], bool] = lambda _response: False,
        own_page: Callable[[Mapping[str, str], bytes], bool] = lambda _headers, _data: False,
        token: str = "a valid token",  # noqa: S107  text for messages
        patience: float = PATIENCE,
        tls: transport.Tls | Callable[[], transport.Tls] | None = None,
        pace: Pace | None = None,
        insecure_http: bool = False,
    ) -> None:
        """Prepare the connection; nothing is called.

        ``service`` is how errors name the service. ``headers`` are sent with every request (the token is among them);
        ``renew`` reads the token again after a refusal, and returns whether there is a different one now. ``explain``
        translates the errors that only this service has. ``refuses_token`` recognizes the response of a service that
        refuses a token with another status than 401. ``own_page`` distinguishes the error pages of a service that
        sends some from those of a proxy. ``token`` says where the token comes from. ``ca`` is a file of certificates to
        trust, ``tls`` the other TLS settings; a function returns those of the moment, for an identity that is renewed.
        ``pace`` is that of another connection with the same limits. ``insecure_http`` allows plain http to a private
        address.
        """
        self.service = service
        self.url = transport.checked(url, service, private=insecure_http)
        self.verdicts = Verdicts(service, self.url, token, explain, refuses_token)
        transport.refuse_unusable(self.url, ca, None if callable(tls) else tls)
        self.clock = clock
        self._headers = headers
        self._renew = renew
        self._own_page = own_page
        self._patience = patience
        self._ca = ca
        self._tls = tls
        self._pool: urllib3.PoolManager | None = None
        self._pool_tls: transport.Tls | None = None
        self._lock = threading.Lock()
        self._renewing = threading.Lock()
        self._renewals = 0
        self.pace = pace or Pace(clock, limits)

    def send(self, request: Request) -> Response:
        """Send a request and return the service's own response, whatever its status.

        Raises ``Unreachable``, ``Ambiguous`` and ``Throttled``, and what ``before_effect`` raises. If an earlier
        attempt is still unclear, a later refusal does not settle it: then it raises the ``Ambiguous`` of that attempt.
        """
        give_up = self.clock.monotonic() + self._patience
        open_attempt: Ambiguous | None = None
        renewed, unanswered, put_off = False, 0, 0
        while True:
            self.pace.wait(write=request.mutates)
            renewals = self._renewals
            if request.mutates:
                before_effect(open_attempt)
            response, failure = self._once(request)
            if response is None:
                assert failure is not None
                unanswered += 1
                if isinstance(failure, Ambiguous) and request.mutates:
                    open_attempt = failure
                if not _repeatable(request, failure) or unanswered >= ATTEMPTS:
                    raise open_attempt or failure
                self._back_off(failure, give_up, unanswered)
                continue
            wait = retry_after.requested_wait(response.status, response.headers, self.clock.now())
            if wait is not None:
                put_off += 1
                wait = max(wait, min(LONGEST_DOUBT, SHORTEST_DOUBT * 2**put_off))
                if self.clock.monotonic() + wait > give_up:
                    raise open_attempt or self.verdicts.throttled(request, wait)
                self.pace.hold(wait)
            elif self._token_refused(response) and not renewed and self._renewed_since(renewals):
                renewed = True
            elif open_attempt is not None and not response.good:
                raise open_attempt
            else:
                self._heed_budget(response)
                return response

    def _back_off(self, failure: ServiceError, give_up: float, unanswered: int) -> None:
        """Wait before a request is sent again, as long as an overloaded server asks; raises if that is too long."""
        wait = failure.wait if isinstance(failure, _Overloaded) else 0.0
        if self.clock.monotonic() + wait > give_up:
            raise failure
        self.pace.hold(wait)
        pause(self.clock, 0.5 * 2**unanswered)

    def _renewed_since(self, renewals: int) -> bool:
        """Return whether the token changed since a request was sent, by this renewal or by another thread's."""
        with self._renewing:
            if self._renewals == renewals and self._renew():
                self._renewals += 1
            return self._renewals != renewals

    def request(self, request: Request) -> Response:
        """Send a request and return its successful response; raises a ``twokey.core.errors`` error for any other."""
        response = self.send(request)
        if response.good:
            return response
        raise self.verdicts.error_of(request, response)

    def find(self, request: Request) -> Response | None:
        """Send a request that reads; None if what it asks for does not exist."""
        response = self.send(request)
        if response.status == 404 and self.verdicts.explain(request, response) is None:
            return None
        if response.good:
            return response
        raise self.verdicts.error_of(request, response)

    def read(self, request: Request, shape: type[Shape]) -> Shape:
        """Send a request that reads and return its body in that shape; raises ``Ambiguous`` for another body."""
        return self.decoded(request, self.request(request), shape)

    def decoded(self, request: Request, response: Response, shape: type[Shape]) -> Shape:
        """Return the body of a response to a request in that shape, as ``read`` does."""
        try:
            return decoder(shape).decode(response.body.encode())
        except (msgspec.DecodeError, UnicodeError):
            raise self.verdicts.unclear(request, "its response does not have the documented shape.") from None

    def _once(self, request: Request) -> tuple[Response | None, ServiceError | None]:
        try:
            return self._response(request), None
        except ServiceError as error:
            return None, error
        except (broken.HTTPError, OSError) as error:
            return None, self.verdicts.failure(request, error)

    def _response(self, request: Request) -> Response:
        url, method = Hidden(f"{self.url}{request.path}"), request.method
        first = url
        body, headers = body_of(request)
        for _ in range(MOST_REDIRECTS + 1):
            sent = self._sent({**headers, **request.headers, **request.sign()})
            found = self._opened().request(
                method,
                url,
                body=cast("bytes | None", body),
                headers=sent,
                redirect=False,
                preload_content=False,
                retries=False,
            )
            try:
                data = memoryview(found.read(LONGEST_RESPONSE + 1))
                if len(data) > LONGEST_RESPONSE:
                    found.close()  # the remaining bytes would be read as the next response
            finally:
                found.release_conn()
            if found.status not in _MOVED:
                own = self._own(request, found.status, found.headers, data, sent)
                return replace(own, moved_to=urlsplit(url).path) if url != first else own
            if isinstance(request.path, Hidden):
                raise self.verdicts.rejected(request, "its URL has moved.", "Use the new one.")
            url = self._followed(request, url, found.status, found.headers.get("Location", ""))
        raise self.verdicts.rejected(request, f"it redirects more than {MOST_REDIRECTS} times.")

    def _sent(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return all headers; the token among them does not show itself in a traceback."""
        return hidden(Shy({"User-Agent": "twokey", "Accept": "application/json", **self._headers(), **headers}))

    def _followed(self, request: Request, url: str, status: int, location: str) -> Hidden:
        try:
            target = urljoin(url, location)
            here, there = urlsplit(url), urlsplit(target)
            same = transport.host_of(here) == transport.host_of(there) == transport.connected_to(target)
        except ValueError:
            raise self.verdicts.rejected(
                request, "it redirects to an invalid URL.", "Check the connection's url."
            ) from None
        if not same:
            shown = f"{there.scheme}://{there.hostname}"
            raise self.verdicts.rejected(
                request,
                f"it redirects to {shown}, and a token is never sent to another host.",
                "Check the connection's url.",
            )
        if not request.follow or (request.mutates and status not in {307, 308}):
            raise self.verdicts.rejected(request, "it has moved.", f"Use its new address ({there.path}).")
        return Hidden(target)

    def _own(
        self, request: Request, status: int, headers: Mapping[str, str], data: memoryview, sent: Mapping[str, str]
    ) -> Response:
        """Return the service's own response; raises for a proxy's page, a response that is too long, a server error."""
        html = "html" in headers.get("Content-Type", "").lower() or bytes(data).lstrip()[:9].lower().startswith(_PAGES)
        body = Hidden(bytes(data[:LONGEST_RESPONSE]).decode(errors="replace"))
        response = Response(status, headers, body, words_of(sent), data)
        if html and self.verdicts.refuses_token(response):
            return response
        alien = html and not (status >= 400 and self._own_page(headers, bytes(data)))
        if status in _TRANSIENT or alien:
            what = "a page that is not from the service" if alien else "a server error"
            unclear = self.verdicts.unclear(request, f"it responded with {status}, {what}.")
            raise _Overloaded.of(unclear, retry_after.retry_after(headers, self.clock.now()))
        if len(data) > LONGEST_RESPONSE:
            raise self.verdicts.unclear(request, f"its response is longer than {LONGEST_RESPONSE} bytes.")
        return response

    def _opened(self) -> urllib3.PoolManager:
        tls = self._tls() if callable(self._tls) else self._tls
        with self._lock:
            if self._pool is None or tls != self._pool_tls:
                self._pool, self._pool_tls = transport.pool(self.url, self._ca, CONCURRENT, tls), tls
            return self._pool

    def _heed_budget(self, response: Response) -> None:
        """Wait for an exhausted budget before the service has to refuse, and as long as a good response asks.

        Azure DevOps slows a client down by Retry-After in a 200 ("Rate and usage limits", Microsoft Learn).
        """
        if not response.good:
            return
        now = self.clock.now()
        waits = retry_after.used_up(response.headers, now), retry_after.retry_after(response.headers, now)
        self.pace.hold(min(max(wait or 0.0 for wait in waits), self._patience))

    def _token_refused(self, response: Response) -> bool:
        return response.status == 401 or self.verdicts.refuses_token(response)


def _repeatable(request: Request, failure: ServiceError) -> bool:
    """Return whether a request may be sent again: it was not sent, or sending it twice does no harm."""
    return isinstance(failure, Unreachable) or (isinstance(failure, Ambiguous) and request.idempotent)
