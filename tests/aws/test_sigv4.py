"""The signature of a request that another program has signed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from twokey.aws import sigv4
from twokey.aws.sigv4 import SignedPart, signature

if TYPE_CHECKING:
    from types import FrameType

BODY = b"SecretString=a-secret-of-the-request"


def test_no_variable_on_the_way_shows_the_body() -> None:
    shown: list[str] = []

    def look(frame: FrameType, _event: str, _argument: object) -> None:
        if frame.f_code.co_filename == sigv4.__file__:
            shown.append(repr(frame.f_locals))

    part = SignedPart("POST", "https://sts.amazonaws.com/", {"host": "h"}, "hash", "20260601T000000Z", body=BODY)
    sys.setprofile(look)
    try:
        signature(part, key_id="AKIA", secret="s", region="us-east-1", service="sts")
    finally:
        sys.setprofile(None)
    assert shown
    assert BODY.decode() not in "".join(shown)
