"""Access tokens that a login gives for a while: got when they are first needed, and anew before they expire.

Sources: RFC 6749, 5.1 and 5.2 (a token's answer, an error's); RFC 7523 and RFC 8693 for the grants that clouds use.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from twokey.core.errors import Ambiguous, BadCredentials, Unreachable
from twokey.core.secret import Hidden

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.ports import Clock
    from twokey.http.client import Http
    from twokey.http.messages import Request, Response

EARLY = 60.0
"""Seconds before its end at which a token is got anew."""
SHORTEST = 300.0
"""Seconds for which a token is taken to last where its answer does not say."""
_REFUSED = {400, 401, 403, 404}
_CODE = re.compile(r"[a-z_]{3,40}", re.ASCII)
_ENTRA_CODE = re.compile(r"AADSTS\d{4,8}", re.ASCII)


class Bearer(Protocol):
    """What a connection sends as ``Authorization: Bearer``."""

    def value(self) -> Hidden:
        """Return the token; raises a ``ServiceError`` where there is none."""
        ...

    def renew(self) -> bool:
        """Get it anew after a refusal; say whether it is another one now."""
        ...


@dataclass(frozen=True, slots=True)
class Granted:
    """A token, and for how many seconds it lasts."""

    token: Hidden
    lasts: float


class Tokens:
    """The tokens of one login. Thread-safe."""

    def __init__(self, clock: Clock, log_in: Callable[[], Granted]) -> None:
        self._clock = clock
        self._log_in = log_in
        self._lock = threading.Lock()
        self._token = Hidden()
        self._until = 0.0

    def value(self) -> Hidden:
        """Return a token that lasts. Raises what the login raises; it is never ``Ambiguous``."""
        with self._lock:
            if not self._token or self._clock.monotonic() > self._until:
                self._get()
            return self._token

    def renew(self) -> bool:
        """Log in again."""
        with self._lock:
            before = self._token
            self._get()
            return self._token != before

    def _get(self) -> None:
        began = self._clock.monotonic()
        try:
            granted = self._log_in()
        except Ambiguous as error:
            # A login without an answer leaves nothing in doubt of what was to be sent after it.
            raise Unreachable(error.message, state="Nothing was sent after that.", remedy=error.remedy) from None
        self._token, self._until = granted.token, began + max(granted.lasts - EARLY, 0.0)


def granted(http: Http, request: Request, source: str, *, token: str = "access_token") -> Granted:  # noqa: S107  a member
    """Send a login and return what it grants; raises ``BadCredentials`` where it is refused.

    ``source`` is what a person calls the credentials of this login, ``token`` the answer's member with the token.
    """
    response = http.send(request)
    found = _granted(response, token)
    if found is not None:
        return found
    if response.status in _REFUSED:
        raise BadCredentials(
            f"{http.called} gives no token{_why(response.json())}.",
            state="Nothing was written with it.",
            remedy=f"Check {source}.",
        )
    raise http.verdicts.told(request, response)


def _granted(response: Response, member: str) -> Granted | None:
    found = response.json()
    if not response.good or not isinstance(found, dict) or not found.get(member):
        return None
    return Granted(Hidden(found[member]), _seconds(found.get("expires_in")))


def _seconds(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return SHORTEST


def _why(found: Any) -> str:
    """Return the error's codes, which are no secret; its words could repeat what was sent."""
    if not isinstance(found, dict):
        return ""
    code, words = str(found.get("error", "")), str(found.get("error_description", ""))
    told = [code] if _CODE.fullmatch(code) else []
    return f" ({', '.join([*told, *_ENTRA_CODE.findall(words)[:1]])})" if told else ""
