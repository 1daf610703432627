"""The connection of a service that takes one token, the same with each request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from twokey.destinations import connections
from twokey.destinations.sources import Source
from twokey.http.client import Http

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.destinations.connections import ConnectionContext


class TokenSettings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a service is reached that has a public address."""

    token: Source


class ServerSettings(TokenSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a service is reached that has no public address."""

    url: Annotated[str, msgspec.Meta(description="The server's address.")]


def connector(
    service: str,
    public: str = "",
    *,
    sends: Callable[[str], dict[str, str]] = lambda token: {"Authorization": f"Bearer {token}"},
    expected: str = "a valid API token",
    **options: Any,
) -> Callable[[TokenSettings, ConnectionContext], Http]:
    """Return the function that makes a connection: ``ConnectionKind.connect``.

    ``public`` is the address without ``url``. ``sends`` returns the headers that carry the token. ``expected`` says
    which token is valid. The other options are those of ``Http``.
    """

    def connect(settings: TokenSettings, context: ConnectionContext) -> Http:
        secret = context.secret(settings.token)
        return Http(
            service,
            settings.url or public,
            context.clock,
            headers=lambda: sends(str(secret.value())),
            renew=secret.renew,
            ca=settings.ca or None,
            insecure_http=settings.insecure_http,
            token=f"{expected} (in {secret})",
            **options,
        )

    return connect
