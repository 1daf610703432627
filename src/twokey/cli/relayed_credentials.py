"""The ``credential_process`` of the profile that ``twokey exec`` generates: prints what its socket provides.

An SDK starts it at each refresh, so it imports next to nothing.
"""

from __future__ import annotations

import socket
import sys


def main(path: str) -> int:
    """Print the credentials, or on stderr why there are none."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            parts = []
            while part := connection.recv(1 << 16):
                parts.append(part)
    except OSError as error:
        sys.stderr.write(f"twokey exec, which provides the credentials, has ended ({error.strerror}).\n")
        return 1
    mark, text = (whole := b"".join(parts).decode())[:1], whole[1:]
    if mark != "+":
        shown = "".join(character if character.isprintable() else " " for character in text)
        sys.stderr.write(f"{shown or 'twokey exec ended before it responded.'}\n")
        return 1
    sys.stdout.write(f"{text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
