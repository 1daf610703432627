"""The changes that a run requested of AWS, each with AWS's id of the request: evidence for an incident.

The id is in every response, and in CloudTrail's event as ``requestID`` ("CloudTrail record contents", AWS CloudTrail
User Guide).
Nothing of a request is kept but the parameters in ``_SUBJECTS``, which name things; of a response, the id of a new key.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from twokey.core.ports import Clock

_READING = ("Get", "List", "Describe", "Simulate", "Generate", "Lookup", "BatchGet", "Assume")
"""How the names of operations begin that change nothing in the account."""
_SUBJECTS = ("UserName", "RoleName", "AccessKeyId", "Status", "PolicyName", "SecretId", "VersionStage", "Name")
_KEPT = "twokey-subject"


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request that can change something: the time of AWS, the action, what it was about, and how it ended.

    ``status`` is empty for success, otherwise AWS's error code. Without a response, ``request_id`` is empty.
    """

    at: datetime
    action: str
    subject: str
    request_id: str
    status: str = ""


class RequestLog:
    """Collects them; any thread may send requests meanwhile."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sent: list[SentRequest] = []

    @property
    def sent(self) -> tuple[SentRequest, ...]:
        """The requests so far, in the order of their responses."""
        with self._lock:
            return tuple(self._sent)

    def follow(self, client: Any) -> None:
        """Collect the requests of a botocore client."""
        events = client.meta.events
        events.register("before-parameter-build", self._before)
        events.register("after-call", self._after)
        events.register("after-call-error", self._lost)

    def _before(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: object) -> None:
        if not model.name.startswith(_READING):
            action = f"{model.service_model.service_name}:{model.name}"
            context[_KEPT] = action, " ".join(str(params[name]) for name in _SUBJECTS if name in params)

    def _after(self, parsed: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        if _KEPT in context:
            action, subject = context[_KEPT]
            created = str(parsed.get("AccessKey", {}).get("AccessKeyId", ""))
            request_id = str(parsed.get("ResponseMetadata", {}).get("RequestId", ""))
            code = str(parsed.get("Error", {}).get("Code", ""))
            self._record(action, f"{subject} {created}".strip(), request_id, code)

    def _lost(self, exception: BaseException, context: dict[str, Any], **_: object) -> None:
        if _KEPT in context:
            action, subject = context[_KEPT]
            self._record(action, subject, "", f"no response: {type(exception).__name__}")

    def _record(self, action: str, subject: str, request_id: str, status: str) -> None:
        with self._lock:
            self._sent.append(SentRequest(self._clock.now(), action, subject, request_id, status))
