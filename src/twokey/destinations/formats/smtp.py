"""The password with which an access key speaks SMTP to Amazon SES. Pure.

Source: "Obtaining Amazon SES SMTP credentials", Amazon SES Developer Guide, section "Obtaining Amazon SES SMTP
credentials by converting existing AWS credentials". The user name is the key's ID. The password is valid in
one region only. Only long-term keys have one.
"""

from __future__ import annotations

import base64
import functools
import hmac
import re
from typing import TYPE_CHECKING

from twokey.core.errors import UsageError
from twokey.core.secret import Hidden

if TYPE_CHECKING:
    from twokey.core.secret import Credential

_REGION = re.compile(r"[a-z]{2,8}(-[a-z]{2,12}){1,3}-\d{1,2}", re.ASCII)
_DATE, _SERVICE, _TERMINAL, _MESSAGE = "11111111", "ses", "aws4_request", "SendRawEmail"
_VERSION = b"\x04"


def check_region(region: str) -> None:
    """Raise ``UsageError`` unless it is a region's name, such as ``eu-central-1``."""
    if not _REGION.fullmatch(region):
        raise UsageError(f"region={region}: expected the name of an AWS region, such as eu-central-1.")


def password(credential: Credential, region: str) -> Hidden:
    """Return the SMTP password that belongs to the key in this region."""
    steps = (_DATE, region, _SERVICE, _TERMINAL, _MESSAGE)
    signature = functools.reduce(_sign, steps, memoryview(f"AWS4{credential.reveal()}".encode()))
    return Hidden(base64.b64encode(_VERSION + signature).decode())


def _sign(key: memoryview, message: str) -> memoryview:
    return memoryview(hmac.digest(key, message.encode(), "sha256"))
