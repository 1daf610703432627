"""Parses AWS's messages about denied calls: the missing permission, the resource, and the type of policy that denies.

The formats are those of "Troubleshoot access denied error messages" (IAM User Guide).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twokey.core.errors import AccessDenied

if TYPE_CHECKING:
    from collections.abc import Callable

_DENIED_ACTION = re.compile(
    r"not authorized to perform:? (?P<action>[a-z0-9-]+:\w+)(?: on resource: (?P<resource>.+?))?"
    r"(?= because|$|\.$| with an)"
)
_ARN = re.compile(r"arn:aws[a-z-]*:[a-z]+:[a-z0-9-]*:\d{0,12}:[a-z-]*[:/]{0,2}")
"""The part of an ARN before the name of its resource."""
_KMS_KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/(?:mrk-)?[0-9a-f-]{32,36}")
_LONGEST_SUFFIX = len("-AbCdEf")
"""Secrets Manager adds so many characters to a secret's name in its ARN."""
_LAYERS = r"(service control policy|resource control policy|permissions boundary|session policy|VPC endpoint policy)"
_EXPLICIT = re.compile(r"explicit deny in (?:a|an|the) ([a-zA-Z-]+(?: [a-zA-Z-]+){0,2})")
_MISSING_ALLOW = re.compile(rf"because no {_LAYERS} allows")


def denied(action: str, resource: str, message: str, quote: Callable[[str], str]) -> AccessDenied:
    """Return the error for a denial of ``action`` on ``resource``, unless the message names others.

    ``quote`` removes from a text of AWS what must not be repeated; from one about a request with a secret, everything.
    """
    match = _DENIED_ACTION.search(message)
    if match:
        action = match["action"]
        resource = _resource(action, resource, match["resource"] or "", quote)
    elif "KMS" in message or "kms" in message:
        return AccessDenied(
            "kms:Decrypt or kms:GenerateDataKey",
            f"the KMS key of {resource}",
            remedy="Allow both on that key for the principal that runs twokey, and make sure that the key is enabled.",
        )
    return AccessDenied(action, resource, remedy=_remedy(action, message))


def _resource(action: str, resource: str, stated: str, quote: Callable[[str], str]) -> str:
    """Return the resource that AWS states where that can contain no secret, and otherwise the one that twokey named."""
    shown = quote(stated)
    if shown or not stated:
        return shown or resource
    if _KMS_KEY.fullmatch(stated):
        return stated
    before, name, after = stated.partition(resource.lstrip("/"))
    if name and _ARN.fullmatch(before) and len(after) <= _LONGEST_SUFFIX:
        return stated
    return f"the KMS key of {resource}" if action.startswith("kms:") else resource


def _remedy(action: str, message: str) -> str:
    """Return the remedy if an Allow for the principal is not sufficient; otherwise an empty text."""
    explicit = _EXPLICIT.search(message)
    if explicit:
        return f"Change the {explicit[1]}: it denies the action explicitly, and no Allow overrides that."
    missing = _MISSING_ALLOW.search(message)
    return f"Also allow {action} in the {missing[1]}, which limits what the principal may do." if missing else ""
