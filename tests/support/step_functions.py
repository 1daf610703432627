"""Runs a state machine on moto's Step Functions, with a function that is called in this process.

What moto lacks, and this adds as "Using Map state in Distributed mode" and "ResultWriter (Map)" (AWS Step Functions
Developer Guide) describe it: a child execution that fails counts as failed; once more fail than are tolerated, no
further item begins and the Map fails; the ResultWriter's files name each child. A ``ToleratedFailurePercentage`` needs
a fraction here (``5.0``). Pauses before a retry pass at once.
"""

from __future__ import annotations

import io
import json
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARSER = "moto.stepfunctions.parser.asl.component"
MAP = f"{PARSER}.state.exec.state_map"


class FunctionDied(BaseException):
    """Lambda ended the function, which reports nothing."""


@dataclass(frozen=True)
class Execution:
    """How an execution ended."""

    status: str
    output: Any
    error: str
    cause: str


@dataclass
class StepFunctions:
    """A state machine; ``function`` is what its Lambda tasks call, ``s3`` a client for its bucket."""

    definition: str
    function: Callable[[Any], Any]
    s3: Any
    invocations: list[Any] = field(default_factory=list)
    died: int = 0
    _under_way: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def run(self, name: str, value: Any = None, within: float = 900.0) -> Execution:
        """Start an execution, and wait for its end and that of all functions."""
        from moto.stepfunctions.parser.models import StepFunctionsParserBackend

        backend = StepFunctionsParserBackend("eu-central-1", "123456789012")
        with extended(self._client):
            machine = backend.create_state_machine("rotation", self.definition, "arn:aws:iam::123456789012:role/states")
            execution = backend.start_execution(machine.arn, name, json.dumps(value or {}))
            end = time.monotonic() + within
            while execution.exec_status is None or execution.exec_status.value == "RUNNING":
                assert time.monotonic() < end, "the execution does not end"
                time.sleep(0.005)
            with self._changed:
                assert self._changed.wait_for(lambda: not self._under_way, within)
        return Execution(execution.exec_status.value, execution.output, execution.error or "", execution.cause or "")

    def _client(self, service: str, **_: object) -> Any:
        return self.s3 if service == "s3" else SimpleNamespace(invoke=self._invoke)

    def _invoke(self, Payload: bytes, **_: object) -> dict[str, Any]:  # noqa: N803  as boto3 names it
        event = json.loads(Payload)
        with self._changed:
            self.invocations.append(event)
            self._under_way += 1
        try:
            body: Any = self.function(event)
            failed = {}
        except FunctionDied:
            with self._changed:
                self.died += 1
            body = {"errorType": "Runtime.ExitError", "errorMessage": "Runtime exited with error: signal: killed"}
            failed = {"FunctionError": "Unhandled"}
        except Exception as error:  # noqa: BLE001  as the runtime of Lambda does
            body = {"errorType": type(error).__name__, "errorMessage": str(error)}
            failed = {"FunctionError": "Unhandled"}
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(body).encode()), **failed}


@contextmanager
def extended(client: Callable[..., Any]) -> Iterator[None]:
    """Add what moto lacks; ``client`` makes the clients of S3 and Lambda that a state machine uses."""
    from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
    from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor import (
        distributed_item_processor_worker as workers,
    )

    with ExitStack() as stack:
        for name in (
            f"{MAP}.item_reader.eval.resource_eval_s3",
            f"{MAP}.result_writer.resource_eval.resource_eval_s3",
            f"{PARSER}.state.exec.state_task.lambda_eval_utils",
        ):
            stack.enter_context(mock.patch(f"{name}.boto_client_for", client))
        stack.enter_context(mock.patch.object(retrier_decl, "time", SimpleNamespace(sleep=lambda _: None)))
        children = _Children(client(service="s3"))
        worker = workers.DistributedItemProcessorWorker
        stack.enter_context(mock.patch.object(worker, "_eval_job", children.evaluating(worker._eval_job)))
        writer = f"{MAP}.result_writer.resource_eval.resource_eval_s3.ResourceEvalS3._handle_put_object"
        stack.enter_context(mock.patch(writer, children.write))
        yield


class _Children:
    """The child executions of a Distributed Map."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self._lock = threading.Lock()
        self._ended: dict[str, list[dict[str, str]]] = {"FAILED": [], "SUCCEEDED": []}

    def evaluating(self, evaluate: Callable[..., None]) -> Callable[..., None]:
        """Return moto's evaluation of one item, which records how it ended and counts failures."""
        from moto.stepfunctions.parser.asl.eval.program_state import ProgramError

        def one(worker: Any, env: Any, job: Any) -> None:
            evaluate(worker, env, job)
            state: Any = env.program_state()
            child = {"Input": json.dumps(job.job_input)}
            with self._lock:
                if not isinstance(state, ProgramError):
                    self._ended["SUCCEEDED"].append({**child, "Output": json.dumps(job.job_output)})
                    return
                error: Any = state.error
                cause = {"Error": error.get("error") or "", "Cause": error.get("cause") or ""}
                self._ended["FAILED"].append({**child, **cause})
                tolerated = worker._map_run_record.tolerated_failure_percentage
                if 100 * len(self._ended["FAILED"]) / worker._job_pool._jobs_number > tolerated:
                    job.job_output = _too_many_failures(env)

        return one

    def write(self, env: Any, *_: object) -> None:
        """Write the files of the ResultWriter, and the manifest that names them."""
        parameters = env.stack.pop()
        env.stack.pop()
        arn = env.map_run_record_pool_manager.get_all().pop().map_run_arn
        bucket, start = parameters["Bucket"], f"{parameters['Prefix']}/{arn.split(':')[-1]}"
        files: dict[str, list[dict[str, Any]]] = {"PENDING": []}
        for status, children in self._ended.items():
            key, body = f"{start}/{status}_0.json", json.dumps(children).encode()
            files[status] = [{"Key": key, "Size": len(body)}] if children else []
            if children:
                self._s3.put_object(Bucket=bucket, Key=key, Body=body)
        manifest = {"DestinationBucket": bucket, "MapRunArn": arn, "ResultFiles": files}
        self._s3.put_object(Bucket=bucket, Key=f"{start}/manifest.json", Body=json.dumps(manifest).encode())
        details = {"Bucket": bucket, "Key": f"{start}/manifest.json"}
        env.stack.append({"MapRunArn": arn, "ResultWriterDetails": details})


def _too_many_failures(env: Any) -> Exception:
    from moto.stepfunctions.parser.api import HistoryEventType
    from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
        FailureEvent,
        FailureEventException,
    )
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType

    error = StatesErrorName(StatesErrorNameType.StatesExceedToleratedFailureThreshold)
    name = error.error_name
    details: Any = {"taskFailedEventDetails": {"error": name, "cause": "too many failed"}}
    return FailureEventException(FailureEvent(env, error, HistoryEventType.TaskFailed, details))
