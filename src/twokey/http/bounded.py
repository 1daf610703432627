"""Responses that end: a connection's time-out limits the whole response, and its size is limited too.

A socket's time-out limits each read only. A server that sends a byte every few seconds would keep a run beyond its
lease, and one that never ends would fill the memory.
"""

from __future__ import annotations

import io
import time
from functools import cache
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

LONGEST = 32 << 20
"""Bytes of a response with its headers, before any decompression."""


class _Limited(io.RawIOBase):
    """The bytes of one response; raises ``TimeoutError`` or ``OSError`` where a limit is reached."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._socket = sock
        self._time = sock.gettimeout()
        self._end = time.monotonic() + (self._time or 0.0)
        self._left = LONGEST

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        if self._time is not None:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"the response took more than {self._time:g} s")
            self._socket.settimeout(left)
        read = self._raw.readinto(buffer)
        self._left -= read or 0
        if self._left < 0:
            raise OSError(f"the response is longer than {LONGEST} bytes")
        return read

    def close(self) -> None:
        if not self.closed:
            if self._time is not None and self._socket.fileno() >= 0:
                self._socket.settimeout(self._time)
            self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_Limited(self.fp.detach(), sock))


def limited(pools: Mapping[str, Any]) -> dict[str, Any]:
    """Return urllib3's classes of connection pools, by scheme, with connections whose responses are limited."""
    return {scheme: _limited(pool) for scheme, pool in pools.items()}


@cache
def _limited(pool: Any) -> Any:
    connection = pool.ConnectionCls
    limited_connection = type(connection.__name__, (connection,), {"response_class": _Response})
    return type(pool.__name__, (pool,), {"ConnectionCls": limited_connection})
