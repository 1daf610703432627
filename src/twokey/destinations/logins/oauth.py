"""Access tokens that an OAuth 2.0 login grants.

Sources: RFC 6749, 5.1 and 5.2 (responses with a token, and with an error); RFC 7523 and RFC 8693 for the grants that
clouds use; "How to use managed identities for App Service and Azure Functions", Microsoft Learn (``expires_on``).
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.core.decoding import decoder
from twokey.core.errors import BadCredentials
from twokey.core.secret import Hidden
from twokey.http.renewable_token import Grant

if TYPE_CHECKING:
    from twokey.http.client import Http
    from twokey.http.messages import Request, Response

SHORTEST = 300.0
"""Seconds for which a token is assumed to be valid if the response does not say."""
_REFUSED = {400, 401, 403, 404}
_CODE = re.compile(r"[a-z_]{3,40}", re.ASCII)
_ENTRA_CODE = re.compile(r"AADSTS\d{4,8}", re.ASCII)


def granted(http: Http, request: Request, source: str, *, token: str = "access_token") -> Grant:  # noqa: S107  a member
    """Send a login and return what it grants; raises ``BadCredentials`` if it is refused.

    ``source`` names the credentials of this login in the error; ``token`` is the member of the response with the token.
    """
    response = http.send(request)
    found = _granted(response, token)
    if found is not None:
        return found
    if response.status in _REFUSED:
        raise BadCredentials(
            f"{http.service} grants no token{_why(response.json())}.",
            state="Nothing was written with it.",
            remedy=f"Check {source}.",
        )
    raise http.verdicts.error_of(request, response)


class _Granted(msgspec.Struct, frozen=True):
    access_token: Hidden
    expires_in: Any = None
    expires_on: Any = None


class _Impersonated(msgspec.Struct, frozen=True, rename="camel"):
    access_token: Hidden
    expires_in: Any = None
    expires_on: Any = None


_SHAPES: dict[str, type[_Granted | _Impersonated]] = {"access_token": _Granted, "accessToken": _Impersonated}


def _granted(response: Response, member: str) -> Grant | None:
    try:
        found = decoder(_SHAPES[member]).decode(response.body.encode()) if response.good else None
    except (msgspec.DecodeError, UnicodeError):
        return None
    return Grant(found.access_token, _valid_for(found, response)) if found and found.access_token else None


def _valid_for(found: _Granted | _Impersonated, response: Response) -> float:
    """Return for how many seconds a token is valid. Azure App Service names the second at which it expires instead."""
    seconds = _number(found.expires_in)
    if seconds is None:
        until, sent = _number(found.expires_on), _moment(response.headers.get("Date", ""))
        seconds = until - sent if until is not None and sent is not None else None
    return SHORTEST if seconds is None else seconds


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _moment(date: str) -> float | None:
    """Return the second of a ``Date`` header."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def _why(found: Any) -> str:
    """Return the error's codes, which are not secret; its description could repeat what was sent."""
    if not isinstance(found, dict):
        return ""
    code, description = str(found.get("error", "")), str(found.get("error_description", ""))
    codes = [code] if _CODE.fullmatch(code) else []
    codes += _ENTRA_CODE.findall(description)[:1]
    return f" ({', '.join(codes)})" if codes else ""
