"""What Google's credentials files contain, and what is signed with a key in one.

Sources: "Using OAuth 2.0 for Server to Server Applications" (Google Identity), AIP-4117 "External Account Credentials".
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.core.errors import BadCredentials, UsageError
from twokey.core.secret import Hidden
from twokey.destinations.sources import LONGEST_SECRET

if TYPE_CHECKING:
    from pathlib import Path

_UNREADABLE = "is not a credentials file: expected a JSON object with the member type"


def credentials(path: Path) -> dict[str, Any]:
    """Return the content of a credentials file; raises ``UsageError`` for another file."""
    found = decoded(read(path))
    if found is None or "type" not in found:
        raise UsageError(f"{path} {_UNREADABLE}.", remedy="Name a credentials file of Google Cloud.")
    return found


def source_of(found: dict[str, Any]) -> dict[str, Any]:
    """Return the credentials inside a file, with which others are asked for."""
    source = found.get("source_credentials")
    return source if isinstance(source, dict) else {}


def read(path: Path) -> Hidden:
    """Return the text of a file; raises ``UsageError`` if it cannot be read."""
    try:
        with path.open(encoding="utf-8") as stream:
            return Hidden(stream.read(LONGEST_SECRET))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise UsageError(f"{path} cannot be read: {why}.") from None


def decoded(text: Hidden) -> dict[str, Any] | None:
    """Decode a JSON object; its texts do not appear in a ``repr``."""
    try:
        return {name: _hidden(value) for name, value in msgspec.json.decode(text.encode(), type=dict[str, Any]).items()}
    except (msgspec.DecodeError, UnicodeError):
        return None


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _hidden(one) for name, one in value.items()}
    return Hidden(value) if isinstance(value, str) else value


def text_of(found: dict[str, Any], name: str, path: Path | str, default: str = "") -> Hidden:
    """Return a text that a file has to contain; raises ``BadCredentials`` without it."""
    text = found.get(name, default)
    if not isinstance(text, str) or not text:
        raise BadCredentials(
            f"{path} cannot be used: it has no {name}.",
            state="Nothing was sent.",
            remedy="Add it to the file, or create a new credentials file.",
        )
    return Hidden(text)


def require_cryptography() -> None:
    """Raise ``UsageError`` if the package that signs is not installed."""
    try:
        import cryptography  # noqa: F401  an extra
    except ImportError:
        raise UsageError(
            "A service account's key needs RSA signatures, but the package cryptography is not installed.",
            remedy="Install twokey with the extra `gcp`: from a checkout, pip install '.[gcp]'. "
            "Or use workload identity federation, or a token.",
        ) from None


def signed(header: dict[str, Any], claims: dict[str, Any], key: Hidden, path: Path) -> Hidden:
    """Return a JWT, signed as RS256 (RFC 7515, RFC 7518)."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    unusable = BadCredentials(
        f"{path} cannot be used: its private_key is not an RSA key in PEM.",
        state="Nothing was sent.",
        remedy="Create a new key for the service account.",
    )
    try:
        private = serialization.load_pem_private_key(memoryview(key.encode()), password=None)
    except (ValueError, TypeError):
        raise unusable from None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise unusable
    head = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(claims).encode())}"
    return Hidden(f"{head}.{_encoded(private.sign(head.encode(), padding.PKCS1v15(), hashes.SHA256()))}")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
