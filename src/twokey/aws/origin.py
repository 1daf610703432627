"""Checks whether a response is from AWS. The page of a proxy or a sign-in page proves nothing, whatever its status.

botocore does not check this: for it, a well-formed XML page with status 200 is the successful response to
DeleteAccessKey, and a 403 of a proxy is an error of the service.
"""

from __future__ import annotations

import re
from typing import Any

_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+)?html\b", re.IGNORECASE | re.DOTALL
)
_QUERY = ("iam:", "sts:")
"""The services whose responses always contain a request id in the document ("AWS query protocol", Smithy)."""


class NotFromAws(Exception):
    """A response that is not from AWS, with this HTTP status; a proxy may have sent it."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}, and not from AWS")
        self.status = status


def refuse_page(response_dict: dict[str, Any], **_: object) -> None:
    """Raise ``NotFromAws`` for an HTML page; a handler of botocore's ``before-parse`` event.

    A body that is not read yet is passed to this function again when it is.
    """
    body = response_dict.get("body")
    if isinstance(body, bytes) and _PAGE.match(body):
        raise NotFromAws(response_dict["status_code"])


def check(action: str, response: Any) -> None:
    """Raise ``NotFromAws`` for a successful response without what every response of AWS to ``action`` contains.

    For IAM and STS, that is a request id. Other services have it in a header that a proxy may remove; for them, it is
    any member of the service's model, because botocore parses text that is not JSON as an empty response.
    """
    metadata = response["ResponseMetadata"]
    if metadata.get("RequestId") if action.startswith(_QUERY) else response.keys() - {"ResponseMetadata"}:
        return
    raise NotFromAws(metadata["HTTPStatusCode"])


def is_from_aws(response: Any) -> bool:
    """Return whether a response, successful or not, can be from AWS, so that its ``Date`` can be trusted."""
    if response["ResponseMetadata"]["HTTPStatusCode"] >= 300:
        return is_error_code(str(response.get("Error", {}).get("Code", "")))
    return bool(response["ResponseMetadata"].get("RequestId") or response.keys() - {"ResponseMetadata"})


def is_error_code(code: str) -> bool:
    """Return whether the code of an error response is AWS's. Without one, botocore uses the HTTP status as the code."""
    return bool(code) and not code.isdigit()
