"""Runs moto's own server, with what Terraform's provider needs besides; prints its port.

The strict emulator has no Lambda, no Step Functions and no scheduler. moto has them, and checks little: this shows that
Terraform's provider accepts the module, not that AWS does. A state machine is run, and the functions that it calls:
with the variables that a JSON file holds by then, which the first argument names.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

from botocore.session import Session

warnings.simplefilter("ignore")
REGION = "eu-central-1"
session: Any = Session
# moto asks for the regions of each service, and botocore reads its whole description for that: of EC2, a second.
session.get_available_regions = lambda *_, **__: [REGION, "us-east-1"]

from moto.awslambda.models import LambdaFunction  # noqa: E402
from moto.core.config import default_user_config  # noqa: E402
from moto.core.responses import ActionResult  # noqa: E402
from moto.iam.access_control import PermissionResult  # noqa: E402
from moto.s3.models import FakeBucket  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser  # noqa: E402
from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for  # noqa: E402
from moto.stepfunctions.responses import StepFunctionResponse  # noqa: E402

from deploy.lambda_runtime import invoking  # noqa: E402
from support.step_functions import extended  # noqa: E402

more: Any = StepFunctionResponse
# The provider asks for both at each plan.
more.validate_state_machine_definition = lambda _: ActionResult({"result": "OK", "diagnostics": [], "truncated": False})
more.list_state_machine_versions = lambda _: ActionResult({"stateMachineVersions": []})
# moto ignores the condition of a bucket's policy, and would deny every request by one that demands TLS.
bucket: Any = FakeBucket
bucket.get_permission = lambda *_: PermissionResult.NEUTRAL

default_user_config["stepfunctions"] = {"execute_state_machine": True}
language: Any = AmazonStateLanguageParser
parse = language.parse


def parsed(definition: str) -> Any:
    """Parse a state machine. moto reads no whole number as a percentage."""
    return parse(re.sub(r'("ToleratedFailurePercentage": \d+)(?=\s*,)', r"\1.0", definition))


language.parse = staticmethod(parsed)
function: Any = LambdaFunction
function.invoke = invoking(lambda: json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))


def itself(service: str, region: str = REGION, **_: object) -> Any:
    """Return a client of this server."""
    return boto_client_for(region, service)


if __name__ == "__main__":
    server = ThreadedMotoServer(port=0)
    server.start()
    os.environ["MOTO_PORT"] = str(server.get_host_and_port()[1])
    with extended(itself):
        sys.stdout.write(f"{server.get_host_and_port()[1]}\n")
        sys.stdout.flush()
        threading.Event().wait()
