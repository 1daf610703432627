"""Ed25519 signatures with the operator's own keys, in the PEM files that ``openssl genpkey -algorithm ed25519`` writes.

The encodings are those of RFC 8410 (7, 10.3): the key itself is the end of a fixed prefix. Ed25519 itself is PyNaCl's.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from twokey.core.errors import UsageError
from twokey.core.secret import Hidden

if TYPE_CHECKING:
    from pathlib import Path

_PRIVATE = bytes.fromhex("302e020100300506032b657004220420")
_PUBLIC = bytes.fromhex("302a300506032b6570032100")
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----\s+([A-Za-z0-9+/=\s]+)-----END \1-----\s*", re.ASCII)
_LONGEST = 4096


class Signer:
    """A private key."""

    def __init__(self, file: Path, option: str) -> None:
        """Read the key; raises ``UsageError`` for a file without one. ``option`` names it in messages."""
        from nacl.signing import SigningKey

        seed = _key(file, option, "PRIVATE KEY", _PRIVATE)
        if seed is None:
            raise _unusable(file, option, "private key", "openssl genpkey -algorithm ed25519 -out KEY.pem")
        self._key = SigningKey(bytes(seed))

    def sign(self, data: bytes) -> str:
        """Return the signature, in base64."""
        return base64.b64encode(self._key.sign(data).signature).decode()


class Verifier:
    """A public key."""

    def __init__(self, file: Path, option: str) -> None:
        """Read the key; raises ``UsageError`` for a file without one. ``option`` names it in messages."""
        from nacl.signing import VerifyKey

        key = _key(file, option, "PUBLIC KEY", _PUBLIC)
        if key is None:
            raise _unusable(file, option, "public key", "openssl pkey -in KEY.pem -pubout -out KEY.pub.pem")
        self._key = VerifyKey(bytes(key))

    def accepts(self, data: bytes, signature: str) -> bool:
        """Return whether a signature in base64 is one of these bytes with this key."""
        from nacl.exceptions import BadSignatureError

        try:
            self._key.verify(data, base64.b64decode(signature, validate=True))
        except (BadSignatureError, ValueError, binascii.Error):
            return False
        return True


def _key(file: Path, option: str, label: str, prefix: bytes) -> memoryview | None:
    try:
        with file.open(encoding="ascii") as stream:
            text = Hidden(stream.read(_LONGEST))
    except OSError as error:
        raise UsageError(f"{option}: {file} cannot be read: {error.strerror}.", state="Nothing was called.") from None
    except UnicodeDecodeError:
        return None
    found = _PEM.fullmatch(text)
    if not found or found[1] != label:
        return None
    try:
        der = memoryview(base64.b64decode(Hidden("".join(found[2].split())), validate=True))
    except binascii.Error:
        return None
    begins = der[: len(prefix)] == prefix
    return der[len(prefix) :] if begins and len(der) == len(prefix) + 32 else None


def _unusable(file: Path, option: str, what: str, how: str) -> UsageError:
    return UsageError(
        f"{option}: {file}: expected an Ed25519 {what} in PEM without a password.",
        state="Nothing was called.",
        remedy=f"Make one: {how}",
    )
