"""What AWS says when it denies a call: which permission, on what, and which kind of policy stands in the way.

The sentences are those of "Troubleshoot access denied error messages" (IAM User Guide).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twokey.core.errors import AccessDenied

if TYPE_CHECKING:
    from collections.abc import Callable

_WANTED = re.compile(
    r"not authorized to perform:? (?P<action>[a-z0-9-]+:\w+)(?: on resource: (?P<resource>.+?))?"
    r"(?= because|$|\.$| with an)"
)
_LAYERS = r"(service control policy|resource control policy|permissions boundary|session policy|VPC endpoint policy)"
_EXPLICIT = re.compile(r"explicit deny in (?:a|an|the) ([a-zA-Z-]+(?: [a-zA-Z-]+){0,2})")
_LACKING = re.compile(rf"because no {_LAYERS} allows")


def denied(action: str, resource: str, message: str, quoted: Callable[[str], str]) -> AccessDenied:
    """Return the error for a denial of ``action`` on ``resource``, unless the message names others.

    ``quoted`` makes what AWS says fit to be repeated.
    """
    named = _WANTED.search(message)
    if named:
        action, resource = named["action"], quoted(named["resource"] or resource)
    elif "KMS" in message or "kms" in message:
        return AccessDenied(
            "kms:Decrypt or kms:GenerateDataKey",
            f"the KMS key of {resource}",
            remedy="Allow both on that key for the principal that runs twokey, and see that the key is enabled.",
        )
    return AccessDenied(action, resource, remedy=_remedy(action, message))


def _remedy(action: str, message: str) -> str:
    """Say what to do where an Allow for the principal would not help; nothing otherwise."""
    explicit = _EXPLICIT.search(message)
    if explicit:
        return f"The {explicit[1]} denies it explicitly, which no Allow overrides: change that policy."
    lacking = _LACKING.search(message)
    return f"Allow {action} in the {lacking[1]} as well: it must allow what the principal may do." if lacking else ""
