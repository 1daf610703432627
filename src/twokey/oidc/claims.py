"""What an identity token says about itself. Nothing is verified here: the service that gets the token does that."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.core.errors import BadCredentials
from twokey.core.timestamps import utc

if TYPE_CHECKING:
    from twokey.core.ports import Clock
    from twokey.core.secret import Hidden


def audiences(claims: dict[str, Any]) -> tuple[str, ...]:
    """Return the audiences of a token, one or several (RFC 7519, 4.1.3)."""
    found = claims.get("aud", ())
    return tuple(str(one) for one in (found if isinstance(found, list) else (found,) if found else ()))


def claims_of(token: Hidden) -> dict[str, Any] | None:
    """Return the claims of a JSON Web Token, unverified; None for anything else (RFC 7519)."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        data = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return msgspec.json.decode(data, type=dict[str, Any])
    except (ValueError, msgspec.DecodeError):
        return None


def refuse_unsuitable(token: Hidden, audience: str, clock: Clock, name: str, remedy: str) -> None:
    """Raise ``BadCredentials`` for a token that has ended, is for another audience, or is no JSON Web Token.

    A service that gets such a token only says that it refuses the login; here the reason is still known.
    """
    claims = claims_of(token)
    if claims is None:
        raise unusable(name, "it is not a JSON Web Token", remedy)
    end = claims.get("exp")
    if isinstance(end, int | float) and end <= clock.now().timestamp():
        raise unusable(name, f"it ended at {_time(end)}", "Let the job request it later, or run twokey earlier in it.")
    found = audiences(claims)
    if audience not in found:
        theirs = f"its audience is {' and '.join(map(repr, found))}" if found else "it has no audience"
        raise unusable(name, f"{theirs}; expected {audience!r}", remedy)


def unusable(name: str, why: str, remedy: str) -> BadCredentials:
    """Return the error for a token that cannot be used."""
    return BadCredentials(
        f"The identity token from {name} cannot be used: {why}.", state="Nothing was sent with it.", remedy=remedy
    )


def _time(seconds: float) -> str:
    try:
        return utc(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return "a time long ago"
