"""Is it AWS that answered? A proxy's or a sign-in page proves nothing, whatever its HTTP status says.

botocore does not ask: a page that happens to be well-formed XML, with status 200, is to it the successful answer to
DeleteAccessKey, and a 403 of a proxy looks like an answer of the service.
"""

from __future__ import annotations

import re
from typing import Any

_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+)?html\b", re.IGNORECASE | re.DOTALL
)
_QUERY = ("iam:", "sts:")
"""The services whose answers have a request id in the document whatever else is in it (Smithy, "AWS query protocol")"""


class NotFromAws(Exception):
    """Something between here and AWS answered in its place, with this HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}, and not from AWS")
        self.status = status


def refuse_page(response_dict: dict[str, Any], **_: object) -> None:
    """Raise ``NotFromAws`` for an HTML page; a handler of botocore's ``before-parse`` event."""
    if _PAGE.match(response_dict.get("body") or b""):
        raise NotFromAws(response_dict["status_code"])


def check(action: str, answer: Any) -> None:
    """Raise ``NotFromAws`` for a successful answer without what every answer of AWS to ``action`` has.

    That is a request id in IAM's and STS's; in the others', which have it in a header that a proxy may remove,
    anything that the service's model knows: of what is no JSON botocore makes an empty answer.
    """
    metadata = answer["ResponseMetadata"]
    if metadata.get("RequestId") if action.startswith(_QUERY) else answer.keys() - {"ResponseMetadata"}:
        return
    raise NotFromAws(metadata["HTTPStatusCode"])


def is_from_aws(answer: Any) -> bool:
    """Say whether an answer, good or bad, can be AWS's, and its ``Date`` be believed."""
    if answer["ResponseMetadata"]["HTTPStatusCode"] >= 300:
        return is_error_code(str(answer.get("Error", {}).get("Code", "")))
    return bool(answer["ResponseMetadata"].get("RequestId") or answer.keys() - {"ResponseMetadata"})


def is_error_code(code: str) -> bool:
    """Say whether an error answer's code is AWS's. Where there is none, botocore takes the HTTP status for it."""
    return bool(code) and not code.isdigit()
