"""Runs the functions that moto's Lambda holds, each in a process of its own, as AWS Lambda does.

The package is unpacked to a folder that the function cannot write, and is all that it can import besides Python's
library. Its environment has the variables that were deployed, those that Lambda sets, and those that stand for AWS:
endpoints, and the credentials of its role. A process serves one event after the other, and is killed when its time-out
is over (AWS Lambda Developer Guide, "Lambda execution environment" and "Defined runtime environment variables").
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.packages import OWN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BOOTSTRAP = Path(__file__).with_name("lambda_bootstrap.py")


class Function:
    """One deployed function, with one environment: an event waits until the one before it is done."""

    def __init__(self, deployed: Any, variables: Mapping[str, str]) -> None:
        self._deployed, self._variables = deployed, variables
        self._folder = tempfile.TemporaryDirectory(prefix="twokey-function-")
        self._lock = threading.Lock()

    def invoke(self, event: bytes) -> tuple[dict[str, Any], bool]:
        """Return what the function returns, or its error, and whether it is that."""
        with self._lock:
            process = self._process
            over = threading.Timer(self._deployed.timeout, process.kill)
            over.start()
            assert process.stdin
            assert process.stdout
            process.stdin.write(json.dumps(json.loads(event)) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            over.cancel()
            if line:
                body = json.loads(line)
                return body.get("result") or body["error"], "error" in body
            del self._process
            kind = "Sandbox.Timedout" if over.finished.is_set() and not over.is_alive() else "Runtime.ExitError"
            return {"errorType": kind, "errorMessage": f"The process ended with {process.wait()}."}, True

    @cached_property
    def _process(self) -> subprocess.Popen[str]:
        task = Path(self._folder.name, "task")
        if not task.exists():
            with zipfile.ZipFile(io.BytesIO(self._deployed.code_bytes)) as package:
                package.extractall(task)
            for path in (task, *task.rglob("*")):
                path.chmod(0o555 if path.is_dir() else 0o444)
        command = [_python(self._deployed.run_time), "-I", "-S", "-B", str(BOOTSTRAP)]
        return subprocess.Popen(
            [*command, str(task), self._deployed.handler, str(self._deployed.timeout)],
            cwd=task,
            env={**self._environment(task), **self._variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _environment(self, task: Path) -> dict[str, str]:
        return {
            **self._deployed.environment_vars,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{self._deployed.run_time}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self._deployed.memory_size),
            "AWS_LAMBDA_FUNCTION_NAME": self._deployed.function_name,
            "LAMBDA_TASK_ROOT": str(task),
            "LANG": "en_US.UTF-8",
            "PATH": os.defpath,
            "TZ": ":UTC",
        }


def invoking(variables: Callable[[], Mapping[str, str]]) -> Callable[[Any, str, Any, Any], bytes]:
    """Return what takes the place of moto's ``LambdaFunction.invoke``."""
    functions: dict[str, Function] = {}

    def invoke(deployed: Any, body: str, _request_headers: Any, response_headers: Any) -> bytes:
        key = f"{deployed.function_arn} {deployed.code_sha_256}"
        if key not in functions:
            functions[key] = Function(deployed, variables())
        answer, failed = functions[key].invoke(body.encode() or b"{}")
        if failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        return json.dumps(answer).encode()

    return invoke


def _python(runtime: str) -> str:
    return sys.executable if runtime == OWN else shutil.which(runtime) or runtime
