"""Secrets that hide themselves: text and credentials that no output, traceback or serialiser shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, SupportsIndex

if TYPE_CHECKING:
    from datetime import datetime


class Hidden(str):
    """Text that is, or holds, a secret. It is a string like any other, but its ``repr`` does not show it.

    ``repr`` is what tracebacks with local variables, debuggers and most crash reporters show. Some cut long strings
    first, so a part of it is hidden too.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "(hidden)"

    def __getitem__(self, key: SupportsIndex | slice) -> Hidden:
        return Hidden(super().__getitem__(key))


class Credential:
    """An access key's id and secret. Only ``reveal()`` shows the secret; nothing else can."""

    __slots__ = ("__secret", "access_key_id")

    def __init__(self, access_key_id: str, secret: str) -> None:
        self.access_key_id = access_key_id
        self.__secret = Hidden(secret)

    def reveal(self) -> Hidden:
        """Return the secret, for the code that writes it to a destination or signs with it."""
        return self.__secret

    def __repr__(self) -> str:
        return f"Credential({self.access_key_id}, secret hidden)"

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Credential):
            return NotImplemented
        return self.access_key_id == other.access_key_id and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(self.access_key_id)

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Credential is never serialised")

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a Credential is never serialised")


class SessionCredential(Credential):
    """Temporary credentials: an access key with a session token. ``expires`` is None if their end is not known."""

    __slots__ = ("__token", "expires")

    def __init__(self, access_key_id: str, secret: str, token: str, expires: datetime | None) -> None:
        super().__init__(access_key_id, secret)
        self.__token = Hidden(token)
        self.expires = expires

    def reveal_token(self) -> Hidden:
        """Return the session token, which is as secret as the secret access key."""
        return self.__token


def token_of(credential: Credential) -> Hidden:
    """Return the session token of temporary credentials, and the empty text for an access key."""
    return credential.reveal_token() if isinstance(credential, SessionCredential) else Hidden()
