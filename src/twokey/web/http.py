"""Requests to one service, and what their answers prove.

After a failed write one question matters: did it take place? An error of the service's own (4xx) proves that it did
not, no connection proves it too; everything else proves nothing. A proxy's page is never taken for the service's word.
A token never follows a redirect to another host.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urljoin, urlsplit

import msgspec
import urllib3
from urllib3 import exceptions as broken

from twokey.errors import (
    AccessDenied,
    Ambiguous,
    BadCredentials,
    Failed,
    NotFound,
    Rejected,
    ServiceError,
    Throttled,
    Unreachable,
)
from twokey.model import Hidden
from twokey.waiting import pause
from twokey.web import failures, route, waits
from twokey.web.limits import Limit, Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twokey.ports import Clock

Shape = TypeVar("Shape")

ATTEMPTS = 3
"""How often a request without an answer is sent, where that does no harm."""
PATIENCE = 4000.0
"""Seconds after which a request is given up that the service keeps putting off. GitHub counts by the hour."""
SHORTEST_DOUBT, LONGEST_DOUBT = 0.1, 60.0
"""Seconds between requests to a service that puts one off again and again without saying until when, doubled each
time up to the longest."""
LONGEST_ANSWER = 8 << 20
LONGEST_QUOTE = 300
PART = 8
"""Characters of a token that count as the token, in what a service says."""
_PUBLIC = {"Accept", "Content-Type", "User-Agent"}
"""Headers that hold no secret; what they say, a service may repeat."""
CONCURRENT = 16
"""Connections to one service that are kept open."""
MOST_REDIRECTS = 3
_TRANSIENT = {408, 500, 502, 503, 504, 520, 521, 522, 523, 524}
_PAGES = (b"<!doctype", b"<html")
_SAYING = ("message", "error_message", "error_description", "error", "errors", "messages", "detail", "title")
"""The members of an answer in which services say what is wrong."""
_MOVED = {301, 302, 303, 307, 308}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the service itself. ``body`` may hold a secret: it does not show itself.

    ``sent`` are the words of the request's headers, the token among them.
    """

    status: int
    headers: Mapping[str, str]
    body: Hidden = field(default_factory=Hidden)
    sent: tuple[Hidden, ...] = ()

    @property
    def good(self) -> bool:
        """Whether the service did what was asked."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Return the body, taken apart; None where there is none. Its texts may be secrets."""
        try:
            return msgspec.json.decode(self.body.encode()) if self.body.strip() else None
        except (msgspec.DecodeError, UnicodeError):
            return None

    def said(self) -> str:
        """Return what the service says about an error, as one sentence on one line, of bounded length."""
        found = self.json()
        text = ""
        if isinstance(found, dict):
            for key in _SAYING:
                if found.get(key):
                    told = found[key]
                    inner = told.get("message") if isinstance(told, dict) else None
                    text = next((one for one in (told, inner) if isinstance(one, str)), None) or json.dumps(told)
                    break
        text = " ".join(text.split())
        if len(text) > LONGEST_QUOTE:
            return f"{text[: LONGEST_QUOTE - 1]}…"
        return f"{text}." if text and text[-1].isalnum() else text

    def quotable(self) -> str:
        """Return what ``said`` does, or nothing where the service repeats a part of what it was sent: the token."""
        said = self.said()
        parts = {word[at : at + PART] for word in self.sent for at in range(len(word) - PART + 1)}
        return "" if any(said[at : at + PART] in parts for at in range(len(said))) else said


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. ``about`` is what a person calls it: ``write the secret X of acme/site``.

    ``effect``: it may change something. ``again``: sending it twice does no harm. ``secret``: it, or its answer, holds
    one, so nothing of what the service says about it is quoted. ``right`` is what a token needs for it: ``the scope
    repo``. ``form`` is sent as a form, ``body`` as JSON, ``raw`` as it is: in a ``memoryview`` where it is a secret.
    ``sign`` makes headers each time anew that it is sent, such as a signature over the time. ``follow``: a redirect
    may be followed, on the same host.
    """

    method: str
    path: str
    about: str
    body: Any = None
    form: Mapping[str, str] | None = None
    raw: bytes | memoryview | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    effect: bool = True
    again: bool = True
    secret: bool = False
    right: str = ""
    sign: Callable[[], Mapping[str, str]] = dict
    follow: bool = True


class _Overloaded(Ambiguous):
    """An answer that proves nothing, and says when to come again (RFC 9110, 15.6.4: 503 with Retry-After)."""

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
        called: str,
        url: str,
        clock: Clock,
        *,
        headers: Callable[[], Mapping[str, str]] = dict,
        renew: Callable[[], bool] = lambda: False,
        limits: tuple[Limit, ...] = (),
        ca: str | None = None,
        explain: Callable[[Ask, Answer], Failed | None] = lambda _ask, _answer: None,
        refuses_token: Callable[[Answer], bool] = lambda _answer: False,
        own_page: Callable[[Mapping[str, str], bytes], bool] = lambda _headers, _data: False,
        token: str = "one that is valid",  # noqa: S107  words for a person
        patience: float = PATIENCE,
        tls: route.Tls | None = None,
    ) -> None:
        """Prepare the connection; nothing is called.

        ``called`` is how errors name the service. ``headers`` are sent with every request (the token is among them);
        ``renew`` reads the token anew after a refusal, and says whether that gave another one. ``explain`` translates
        what is special to this service; ``refuses_token`` knows the answer of one that refuses a token otherwise than
        by 401; ``own_page`` knows the pages that a service answers errors with, where it does so, from a proxy's;
        ``token`` says where the token comes from. ``ca`` is a file of certificates to trust,
        ``tls`` what else there is to say of TLS.
        """
        self.called = called
        self.url = route.checked(url, called)
        route.refuse_unusable(self.url, ca)
        self._clock = clock
        self._headers = headers
        self._renew = renew
        self._explain = explain
        self._refuses_token = refuses_token
        self._own_page = own_page
        self._token = token
        self._patience = patience
        self._ca = ca
        self._tls = tls
        self._pool: urllib3.PoolManager | None = None
        self._lock = threading.Lock()
        self._renewing = threading.Lock()
        self._renewals = 0
        self.pace = Pace(clock, limits)

    def send(self, ask: Ask) -> Answer:
        """Send a request and return the service's answer, whatever its status, unless it is none of the service's.

        Raises ``Unreachable``, ``Ambiguous`` and ``Throttled``; and the errors of ``told`` where it was asked to prove
        something after an attempt that was left open.
        """
        give_up = self._clock.monotonic() + self._patience
        open_attempt: Ambiguous | None = None
        renewed, unanswered, put_off = False, 0, 0
        while True:
            self.pace.wait(write=ask.effect)
            renewals = self._renewals
            answer, failure = self._once(ask)
            if answer is None:
                assert failure is not None
                unanswered += 1
                if isinstance(failure, Ambiguous) and ask.effect:
                    open_attempt = failure
                if not _repeatable(ask, failure) or unanswered >= ATTEMPTS:
                    raise open_attempt or failure
                self._rest(failure, give_up, unanswered)
                continue
            wait = waits.asked(answer.status, answer.headers, self._clock.now())
            if wait is not None:
                put_off += 1
                wait = max(wait, min(LONGEST_DOUBT, SHORTEST_DOUBT * 2**put_off))
                if self._clock.monotonic() + wait > give_up:
                    raise open_attempt or self._throttled(ask, wait)
                self.pace.hold(wait)
            elif self._token_refused(answer) and not renewed and self._renewed_since(renewals):
                renewed = True
            elif open_attempt is not None and not answer.good:
                raise open_attempt
            else:
                self._mind(answer)
                return answer

    def _rest(self, failure: ServiceError, give_up: float, unanswered: int) -> None:
        """Wait before a request is sent again, as long as an overloaded server asks; raises where that is too long."""
        wait = failure.wait if isinstance(failure, _Overloaded) else 0.0
        if self._clock.monotonic() + wait > give_up:
            raise failure
        self.pace.hold(wait)
        pause(self._clock, 0.5 * 2**unanswered)

    def _renewed_since(self, renewals: int) -> bool:
        """Say whether there is another token than when a request left, by this renewal or by another thread's."""
        with self._renewing:
            if self._renewals == renewals and self._renew():
                self._renewals += 1
            return self._renewals != renewals

    def ask(self, ask: Ask) -> Answer:
        """Send a request and return its good answer; raises the errors of ``twokey.errors`` for all others."""
        answer = self.send(ask)
        if answer.good:
            return answer
        raise self.told(ask, answer)

    def find(self, ask: Ask) -> Answer | None:
        """Send a request that reads; None where what it asks for is not there."""
        answer = self.send(ask)
        if answer.status == 404 and self._explain(ask, answer) is None:
            return None
        if answer.good:
            return answer
        raise self.told(ask, answer)

    def read(self, ask: Ask, shape: type[Shape]) -> Shape:
        """Send a request that reads and return its body in that shape; raises ``Ambiguous`` for another body."""
        answer = self.ask(ask)
        try:
            return msgspec.json.decode(answer.body.encode(), type=shape)
        except (msgspec.DecodeError, UnicodeError):
            raise self._unclear(ask, "its answer is not what it is documented to be.") from None

    def told(self, ask: Ask, answer: Answer) -> Failed:
        """Translate an error of the service."""
        own = self._explain(ask, answer)
        if own is not None:
            return own
        said = "" if ask.secret else answer.quotable()
        quoted = f" {self.called} says: {said}" if said else ""
        state = "Nothing was written there." if ask.effect else ""
        match 401 if self._refuses_token(answer) else answer.status:
            case 401:
                message = f"{self.called} does not accept the token.{quoted}"
                error: Failed = BadCredentials(message, state=state, remedy=f"Give it {self._token}.")
            case 403:
                needed = f"The token needs {ask.right}." if ask.right else "Give the token that right."
                error = AccessDenied(ask.about, self.called, remedy=f"{needed}{quoted}")
            case 404:
                also = f", and that the token has {ask.right}" if ask.right else ""
                message = f"{self.called} cannot {ask.about}: it is not there, or the token may not see it."
                error = NotFound(message, state=state, remedy=f"Check the name{also}.{quoted}")
            case 409 | 412:
                message = f"{self.called} cannot {ask.about}: somebody else changed it at the same time.{quoted}"
                error = Rejected(message, state=state, remedy="Run again.")
            case status if 400 <= status < 500:
                error = Rejected(f"{self.called} refused to {ask.about} ({status}).{quoted}", state=state)
            case status:
                error = self._unclear(ask, f"it answered {status}.{quoted}")
        return error

    def _once(self, ask: Ask) -> tuple[Answer | None, ServiceError | None]:
        try:
            return self._answer(ask), None
        except ServiceError as error:
            return None, error
        except (broken.HTTPError, OSError) as error:
            return None, self._failure(ask, error)

    def _failure(self, ask: Ask, error: Exception) -> ServiceError:
        reason = failures.reason_of(error)
        match failures.proof_of(error):
            case "unreachable":
                return self._unreachable(ask, reason)
            case "proxy":
                return self._unreachable(ask, f"the proxy does not let it through ({reason})")
            case "untrusted":
                return self._untrusted(ask, reason)
        if failures.is_of_tls(error):
            return self._unclear(ask, f"TLS failed ({reason}); a proxy that looks into it may be in the way.")
        broke = f"the connection broke before the answer was there ({reason})"
        return self._unclear(ask, f"{'no answer came in time' if _late(error) else broke}.")

    def _answer(self, ask: Ask) -> Answer:
        url, method = f"{self.url}{ask.path}", ask.method
        body, headers = _body(ask)
        for _ in range(MOST_REDIRECTS + 1):
            sent = self._sent({**headers, **ask.headers, **ask.sign()})
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
                data = memoryview(found.read(LONGEST_ANSWER + 1))
                if len(data) > LONGEST_ANSWER:
                    found.close()  # what is left of it would be taken for the next answer
            finally:
                found.release_conn()
            if found.status not in _MOVED:
                return self._own(ask, found.status, found.headers, data, sent)
            url = self._followed(ask, url, found.status, found.headers.get("Location", ""))
        raise self._rejected(ask, "it redirects in a circle.")

    def _sent(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return all headers; the token among them does not show itself in a traceback."""
        found = {"User-Agent": "twokey", "Accept": "application/json", **self._headers(), **headers}
        return {name: Hidden(value) for name, value in found.items()}

    def _followed(self, ask: Ask, url: str, status: int, location: str) -> str:
        try:
            target = urljoin(url, location)
            here, there = urlsplit(url), urlsplit(target)
            same = route.host_of(here) == route.host_of(there) == route.connected_to(target)
        except ValueError:
            raise self._rejected(ask, "it redirects to what is no address.", "Check the connection's url.") from None
        if not same:
            shown = f"{there.scheme}://{there.hostname}"
            raise self._rejected(
                ask, f"it redirects to {shown}, and a token never follows.", "Check the connection's url."
            )
        if not ask.follow or (ask.effect and status not in {307, 308}):
            raise self._rejected(ask, "it has moved.", f"Name the place as it is called now ({there.path}).")
        return target

    def _own(
        self, ask: Ask, status: int, headers: Mapping[str, str], data: memoryview, sent: Mapping[str, str]
    ) -> Answer:
        """Tell the service's own answers from a proxy's page, a cut one, and an overloaded server's."""
        html = "html" in headers.get("Content-Type", "").lower() or bytes(data).lstrip()[:9].lower().startswith(_PAGES)
        body = Hidden(bytes(data[:LONGEST_ANSWER]).decode(errors="replace"))
        answer = Answer(status, headers, body, _words(sent))
        if html and self._refuses_token(answer):
            return answer
        alien = html and not (status >= 400 and self._own_page(headers, bytes(data)))
        if status in _TRANSIENT or alien:
            what = "a page that is not the service's" if alien else "an error of its own"
            unclear = self._unclear(ask, f"it answered {status} with {what}.")
            raise _Overloaded.of(unclear, waits.retry_after(headers, self._clock.now()))
        if len(data) > LONGEST_ANSWER:
            raise self._unclear(ask, "its answer has no end.")
        return answer

    def _opened(self) -> urllib3.PoolManager:
        with self._lock:
            if self._pool is None:
                self._pool = route.pool(self.url, self._ca, CONCURRENT, self._tls)
            return self._pool

    def _mind(self, answer: Answer) -> None:
        """Heed a budget that is used up before the service has to refuse."""
        wait = waits.used_up(answer.headers, self._clock.now())
        if wait is not None and answer.good:
            self.pace.hold(min(wait, self._patience))

    def _token_refused(self, answer: Answer) -> bool:
        return answer.status == 401 or self._refuses_token(answer)

    def _unclear(self, ask: Ask, why: str) -> Ambiguous:
        state = "It may have taken effect." if ask.effect else "This call changes nothing."
        return Ambiguous(f"{self.called} was asked to {ask.about}: {why}", state=state, remedy="Run again.")

    def _unreachable(self, ask: Ask, why: str) -> Unreachable:
        return Unreachable(
            f"{self.called} ({self.url}) cannot be reached to {ask.about}: {why}.",
            state="Nothing was sent.",
            remedy="Check the network, HTTPS_PROXY and NO_PROXY, and the connection's url.",
        )

    def _untrusted(self, ask: Ask, reason: str) -> Unreachable:
        return Unreachable(
            f"{self.called} ({self.url}) cannot be trusted to {ask.about}: TLS failed ({reason}).",
            state="Nothing was sent.",
            remedy="If its certificate is signed by a CA of your own, name the CA's file: `ca` in the connection, or "
            "SSL_CERT_FILE.",
        )

    def _rejected(self, ask: Ask, why: str, remedy: str = "") -> Rejected:
        return Rejected(f"{self.called} cannot {ask.about}: {why}", state="Nothing was written there.", remedy=remedy)

    def _throttled(self, ask: Ask, wait: float) -> Throttled:
        return Throttled(
            f"{self.called} cannot {ask.about} now: its rate limit is used up for {wait:.0f} s.",
            state="Nothing was written there.",
            remedy="Run again after that: what was delivered stays.",
        )


def _body(ask: Ask) -> tuple[memoryview | None, dict[str, str]]:
    """Return what is sent, as what does not show itself in a traceback, and the headers that belong to it."""
    if ask.raw is not None:
        return memoryview(ask.raw), {}
    if ask.form is not None:
        from urllib.parse import urlencode

        return memoryview(urlencode(ask.form).encode()), {"Content-Type": "application/x-www-form-urlencoded"}
    if ask.body is not None:
        return memoryview(json.dumps(ask.body).encode()), {"Content-Type": "application/json"}
    return None, {}


def _repeatable(ask: Ask, failure: ServiceError) -> bool:
    """Say whether a request may be sent again: it was not sent, or doing it twice does no harm."""
    return isinstance(failure, Unreachable) or (isinstance(failure, Ambiguous) and ask.again)


def _late(error: Exception) -> bool:
    return isinstance(error, broken.ReadTimeoutError)


def _words(headers: Mapping[str, str]) -> tuple[Hidden, ...]:
    """Return what the headers are made of that may be secret; "Basic" has two in one (RFC 7617)."""
    words = [word for name, value in headers.items() if name not in _PUBLIC for word in value.split()]
    for word in list(words):
        with contextlib.suppress(ValueError):
            words += base64.b64decode(word, validate=True).decode("ascii").split(":")
    return tuple(map(Hidden, words))
