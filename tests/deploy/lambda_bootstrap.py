"""What runs in a deployed function's process: imports the handler from its package, and calls it for each event.

It is started without a path of its own, so that nothing but the package and Python's library can be imported. Events
arrive as lines, and so do the results leave; what the function prints is its log.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any


class Context:
    """What is passed besides the event ("Using the Lambda context object", AWS Lambda Developer Guide)."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that are left."""
        return max(0, int(1000 * (self._end - time.monotonic())))


def main() -> None:
    """Serve events until there are none."""
    task, handler, seconds = sys.argv[1:]
    sys.path.insert(0, task)
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    module, _, name = handler.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    for line in sys.stdin:
        body: dict[str, Any] = {}
        try:
            body["result"] = function(json.loads(line), Context(float(seconds)))
        except Exception as error:  # noqa: BLE001  as the runtime of Lambda does
            body["error"] = {"errorType": type(error).__name__, "errorMessage": str(error)}
        results.write(f"{json.dumps(body)}\n")
        results.flush()


main()
