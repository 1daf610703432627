"""What one request to AWS costs with botocore alone: a client with default options calls GetCallerIdentity many times.

A program of its own: it is measured, not imported. Its argument is the number of calls.
"""

from __future__ import annotations

import sys
from typing import Any

import botocore.session


def _call(count: int) -> None:
    client: Any = botocore.session.get_session().create_client("sts")
    for _ in range(count):
        client.get_caller_identity()


if __name__ == "__main__":
    _call(int(sys.argv[1]))
