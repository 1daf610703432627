"""Ports of this machine that no other program gets meanwhile, while twenty others start servers."""

from __future__ import annotations

import contextlib
import random
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
BELOW_EPHEMERAL = range(10_000, 30_000)
"""The kernel gives none of these to a program that asks for any port (ip(7), ``ip_local_port_range``; RFC 6335)."""


def free_port() -> int:
    """Return a port for a program that has to be told its port, and binds it later."""
    while True:
        port = random.SystemRandom().choice(BELOW_EPHEMERAL)
        with contextlib.suppress(OSError), socket.create_server((HOST, port)):
            return port


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """Hold a port at which every connection is refused: it is bound, and nothing listens."""
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        yield int(holder.getsockname()[1])
