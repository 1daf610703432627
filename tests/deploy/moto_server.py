"""Runs moto's own server, with what Terraform's provider needs besides; prints its port.

The strict emulator has no Lambda, no Step Functions and no scheduler. moto has them, and checks little: this shows that
Terraform's provider accepts the module, not that AWS does.
"""

from __future__ import annotations

import sys
import threading
import warnings
from typing import Any

warnings.simplefilter("ignore")

from moto.core.responses import ActionResult  # noqa: E402
from moto.iam.access_control import PermissionResult  # noqa: E402
from moto.s3.models import FakeBucket  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402
from moto.stepfunctions.responses import StepFunctionResponse  # noqa: E402

more: Any = StepFunctionResponse
# The provider asks for both at each plan.
more.validate_state_machine_definition = lambda _: ActionResult({"result": "OK", "diagnostics": [], "truncated": False})
more.list_state_machine_versions = lambda _: ActionResult({"stateMachineVersions": []})
# moto ignores the condition of a bucket's policy, and would deny every request by one that demands TLS.
bucket: Any = FakeBucket
bucket.get_permission = lambda *_: PermissionResult.NEUTRAL

if __name__ == "__main__":
    server = ThreadedMotoServer(port=0)
    server.start()
    sys.stdout.write(f"{server.get_host_and_port()[1]}\n")
    sys.stdout.flush()
    threading.Event().wait()
