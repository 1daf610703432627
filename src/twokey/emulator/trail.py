"""What CloudTrail would record: the management events of every authenticated request, as its records name them.

Sources: "CloudTrail record contents for management, data, and network activity events", "CloudTrail userIdentity
element" and "Understanding CloudTrail events" (AWS CloudTrail User Guide); "Logging IAM and AWS STS API calls with AWS
CloudTrail" (IAM User Guide). Not recorded: data events, which event history does not have, and requests that do not
authenticate. A role of another account that is assumed is recorded in the account of the caller only.
"""

from __future__ import annotations

import json
import re
import uuid
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twokey.emulator import partition
from twokey.emulator.responses import timestamp
from twokey.emulator.wire import bucket_and_key

if TYPE_CHECKING:
    from datetime import datetime

    from twokey.emulator.identity import Caller
    from twokey.emulator.responses import Response
    from twokey.emulator.wire import Call

MOST = 20_000
"""How many events are kept, over all accounts."""
GLOBAL = frozenset({"iam", "route53", "cloudfront", "account", "organizations"})
"""The services whose events are recorded in one region of the partition."""
HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
_SECRETS = re.compile(r"(?i)password|secret(string|binary|key)|^value$|sessiontoken|webidentitytoken|privatekey")
_DATA = {
    "dynamodb": re.compile(r"(Batch|Transact)?(Get|Put|Update|Delete|Write)Items?|Query|Scan|(Batch)?ExecuteStatement"),
    "lambda": re.compile("Invoke.*"),
    "sns": re.compile("Publish.*"),
    "sqs": re.compile(".*Message.*"),
    "events": re.compile("PutEvents"),
    "logs": re.compile("PutLogEvents"),
}
_NAMES = {
    "lambda:CreateFunction": "CreateFunction20150331",
    "lambda:UpdateFunctionCode": "UpdateFunctionCode20150331v2",
    "lambda:AddPermission": "AddPermission20150331v2",
}
"""Events that have the version of the API in their name."""
_READS = re.compile("Get|List|Describe|Head|Lookup|Simulate|AssumeRole|Batch?Get")
_ISSUES = frozenset({"sts:AssumeRole", "sts:GetSessionToken", "sts:GetFederationToken"})


@dataclass(frozen=True)
class Recorded:
    """One event: its position, where and when it happened, and the record."""

    number: int
    id: str
    account: str
    region: str
    at: float
    call: Call
    caller: Caller
    error_code: str | None
    response: dict[str, Any] | None

    @property
    def name(self) -> str:
        """The name of the event."""
        return _NAMES.get(self.call.name, self.call.operation)

    @property
    def source(self) -> str:
        """The service, as records name it."""
        return f"{self.call.service}.amazonaws.com"

    @property
    def read_only(self) -> bool:
        """Whether the event is one of reading."""
        return bool(_READS.match(self.call.operation))

    @property
    def username(self) -> str:
        """The name of the user, or of the session."""
        session = self.caller.session
        return str(self.caller.user.name) if self.caller.user is not None else session.name if session else ""


class Trail:
    """The events of all accounts, oldest first."""

    def __init__(self) -> None:
        """Start empty."""
        self._events: deque[Recorded] = deque(maxlen=MOST)
        self._next = 1

    def record(self, call: Call, caller: Caller, response: Response, at: float) -> None:
        """Record an authenticated request, unless it is a data event."""
        if _is_data(call):
            return
        main = "us-east-1" if partition.current() == "aws" else partition.home()
        self._events.append(
            Recorded(
                number=self._next,
                id=str(uuid.UUID(int=self._next)),
                account=caller.account,
                region=main if call.service in GLOBAL else call.region,
                at=at,
                call=call,
                caller=caller,
                error_code=response.error_code,
                response=_elements(call, response),
            )
        )
        self._next += 1

    def newest(self, account: str, region: str) -> list[Recorded]:
        """The events of an account and region, newest first."""
        return [one for one in reversed(self._events) if (one.account, one.region) == (account, region)]


def _is_data(call: Call) -> bool:
    if call.service == "s3":
        return bool(bucket_and_key(call)[1]) or call.operation.startswith("ListObject")
    pattern = _DATA.get(call.service)
    return pattern is not None and bool(pattern.fullmatch(call.operation))


def _elements(call: Call, response: Response) -> dict[str, Any] | None:
    """The part of a response that is recorded: what was issued, never its secret."""
    if response.error_code or response.status >= 300:
        return None
    if call.name in _ISSUES:
        found = {name: _element(response, name) for name in ("AccessKeyId", "SessionToken", "Expiration")}
        elements: dict[str, Any] = {"credentials": {_lower(name): value for name, value in found.items()}}
        if call.operation == "AssumeRole":
            user = {"assumedRoleId": _element(response, "AssumedRoleId"), "arn": _element(response, "Arn")}
            elements["assumedRoleUser"] = user
        return elements
    if call.name == "iam:CreateAccessKey":
        names = ("UserName", "AccessKeyId", "Status", "CreateDate")
        return {"accessKey": {_lower(name): _element(response, name) for name in names}}
    return None


def _element(response: Response, name: str) -> str:
    found = re.search(f"<{name}>([^<]*)</{name}>", response.body.decode())
    return found[1] if found else ""


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def record_of(event: Recorded, when: datetime) -> str:
    """The record of an event, as JSON."""
    call = event.call
    refused = {"errorCode": event.error_code} if event.error_code else {}
    return json.dumps(
        {
            "eventVersion": "1.11",
            "userIdentity": _identity(event.caller),
            "eventTime": timestamp(when),
            "eventSource": event.source,
            "eventName": event.name,
            "awsRegion": event.region,
            "sourceIPAddress": call.source_ip,
            "userAgent": call.incoming.headers.get("user-agent", ""),
            **refused,
            "requestParameters": None if event.error_code else _parameters(call),
            "responseElements": event.response,
            "requestID": event.id,
            "eventID": event.id,
            "readOnly": event.read_only,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": event.account,
            "eventCategory": "Management",
        }
    )


def _parameters(call: Call) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    for name, value in call.params.items():
        if name in ("Action", "Version"):
            continue
        first, *inner = name.split(".")
        shown = HIDDEN if _SECRETS.search(first) else value
        if inner:
            found.setdefault(_lower(first), []).append(shown)
        else:
            found[_lower(first)] = shown
    return found or None


def _identity(caller: Caller) -> dict[str, Any]:
    session = caller.session
    element: dict[str, Any] = {
        "principalId": caller.user_id,
        "arn": caller.arn,
        "accountId": caller.account,
        "accessKeyId": caller.access_key_id,
    }
    if session is None:
        return {"type": "IAMUser", **element, "userName": str(caller.user.name)}
    issued = {"attributes": {"creationDate": timestamp(session.issued), "mfaAuthenticated": "false"}}
    if session.kind == "user":
        return {"type": "IAMUser", **element, "userName": str(caller.user.name), "sessionContext": issued}
    principal = session.principal
    issuer = {
        "type": "Role" if session.kind == "role" else "IAMUser",
        "principalId": str(principal.id),
        "arn": str(principal.arn),
        "accountId": caller.account,
        "userName": str(principal.name),
    }
    kind = "AssumedRole" if session.kind == "role" else "FederatedUser"
    return {"type": kind, **element, "sessionContext": {"sessionIssuer": issuer, **issued}}
