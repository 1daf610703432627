"""Values of temporary credentials that lie beside a pair. Pure.

An SDK that finds a session token beside the pair sends it along, and AWS then refuses the long-term key; an expiry in
the past makes the SDK refuse the pair itself. So a destination with such a value does not hold a key that works.

Sources: "AWS SDKs and Tools Reference Guide", "AWS access keys"; botocore's ``EnvProvider``,
``SharedCredentialProvider`` (``aws_security_token`` is read before ``aws_session_token``), ``ProcessProvider`` and
``ContainerProvider`` (``Token``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core.errors import ServiceRejected

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_SPELLINGS = (
    ("ACCESS_KEY_ID", ("SESSION_TOKEN", "SECURITY_TOKEN", "CREDENTIAL_EXPIRATION")),
    ("access_key_id", ("session_token", "security_token")),
    ("access-key-id", ("session-token", "security-token")),
    ("AccessKeyId", ("SessionToken", "SecurityToken")),
    ("accessKeyId", ("sessionToken", "securityToken")),
    ("AccessKeyID", ("SessionToken", "SecurityToken")),
    ("ACCESS_KEY", ("SESSION_TOKEN", "SECURITY_TOKEN", "CREDENTIAL_EXPIRATION")),
    ("access_key", ("session_token", "security_token")),
    ("access-key", ("session-token", "security-token")),
    ("AccessKey", ("SessionToken", "SecurityToken")),
    ("accessKey", ("sessionToken", "securityToken")),
)
"""How the name of the ID ends, and what the names of the other values end with then."""
_OF_SDKS = "AccessKeyId"
"""The name in the JSON that AWS's own tools and endpoints print, where the token may be ``Token``."""
_TOKEN, _EXPIRATION, _VERSION = "Token", "Expiration", "Version"
_BEGINNINGS = ("IQoJ", "FwoG", "FwoD", "FQoG", "FQoD", "AQoE", "AQoD")
"""How session tokens begin. Undocumented by AWS, known from observation."""


def names_beside(id_name: str) -> tuple[str, ...]:
    """Return the names under which values of temporary credentials lie beside an ID with this name.

    None for a name of the operator's own: the job that reads it passes the pair to the SDK itself.
    """
    for ending, others in _SPELLINGS:
        if id_name.endswith(ending):
            prefix = id_name.removesuffix(ending)
            sdk = (f"{prefix}{_TOKEN}", f"{prefix}{_EXPIRATION}") if _is_of_sdks(id_name) else ()
            return (*(f"{prefix}{other}" for other in others), *sdk)
    return ()


def left_over(id_name: str, values: Mapping[str, str | None], keep: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names of the values of temporary credentials that are left beside the pair.

    ``values``: what is there by name, None for a value that cannot be seen and the empty text for an empty one. The
    names in ``keep`` are written by the destination itself.
    """
    present = [name for name in names_beside(id_name) if values.get(name, "") != "" and name not in keep]
    if not _is_of_sdks(id_name):
        return tuple(present)
    prefix = id_name.removesuffix(_OF_SDKS)
    tokens = [name for name in present if name not in (f"{prefix}{_TOKEN}", f"{prefix}{_EXPIRATION}")]
    expiration = f"{prefix}{_EXPIRATION}" if f"{prefix}{_EXPIRATION}" in present else ""
    if f"{prefix}{_TOKEN}" in present:
        tokens.append(f"{prefix}{_TOKEN}")
    # An expiry without a token counts only in the output of a credential process, which has a version.
    if expiration and (tokens or version_beside(id_name) in values):
        tokens.append(expiration)
    return tuple(tokens)


def version_beside(id_name: str) -> str:
    """Return the name of the version in the output of a credential process; the empty text for other names."""
    return f"{id_name.removesuffix(_OF_SDKS)}{_VERSION}" if _is_of_sdks(id_name) else ""


def refuse_unclear(id_name: str, values: Mapping[str, str | None], left: Collection[str]) -> None:
    """Raise ``ServiceRejected`` for a ``Token`` that may belong to another service: removing it would lose it."""
    name = f"{id_name.removesuffix(_OF_SDKS)}{_TOKEN}"
    if name not in left or len(left) > 1:
        return
    value = values.get(name)
    if value is not None and not value.startswith(_BEGINNINGS):
        raise ServiceRejected(
            f"It has a {name} beside the pair, which AWS SDKs send as a session token: they cannot use the pair then. "
            "twokey does not remove it, because it does not look like a session token.",
            state="Nothing was written.",
            remedy=f"Delete {name} if it belongs to temporary credentials; otherwise give it another name, or choose "
            "other names for the pair with id= and secret=.",
        )


def reason(left: Collection[str]) -> str:
    """Say in half a sentence why a pair beside these values is not a key that works."""
    several = "belong" if len(left) > 1 else "belongs"
    return f"beside the pair it has {' and '.join(left)}, which {several} to temporary credentials"


def _is_of_sdks(id_name: str) -> bool:
    return id_name == _OF_SDKS or id_name.endswith(f".{_OF_SDKS}")
