"""CloudTrail's event history: LookupEvents ("LookupEvents", AWS CloudTrail API Reference)."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from twokey.emulator import errors
from twokey.emulator.responses import Response, ServiceError, json_response
from twokey.emulator.trail import record_of
from twokey.emulator.weather import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator.identity import Caller
    from twokey.emulator.trail import Recorded
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

RATE = 2.0
"""Requests in a second, for each account and region."""
PAGE = 50
KEPT = timedelta(days=90)
_ATTRIBUTES: dict[str, Callable[[Recorded], str]] = {
    "EventId": lambda event: event.id,
    "EventName": lambda event: event.name,
    "EventSource": lambda event: event.source,
    "ReadOnly": lambda event: str(event.read_only).lower(),
    "Username": lambda event: event.username,
    "AccessKeyId": lambda event: event.caller.access_key_id,
    "ResourceName": lambda _: "",
    "ResourceType": lambda _: "",
}


def lookup_events(world: World, call: Call, caller: Caller) -> Response:
    """LookupEvents: the events of the account and region, newest first."""
    bucket = world.lookups.setdefault((caller.account, call.region), Bucket(RATE, RATE))
    if not bucket.take(world.clock.seconds()):
        raise errors.throttled(call)
    wanted, start, end = _wanted(call), _moment(call, "StartTime"), _moment(call, "EndTime")
    if start is not None and end is not None and start > end:
        raise ServiceError("InvalidTimeRangeException", "The start time must be before the end time.")
    size = call.params.get("MaxResults", PAGE)
    if not isinstance(size, int) or not 1 <= size <= PAGE:
        raise ServiceError("InvalidMaxResultsException", f"MaxResults must be between 1 and {PAGE}.")
    oldest = max(start or 0.0, world.clock.seconds() - KEPT.total_seconds())
    newest = min(end or float("inf"), world.clock.seconds() - world.weather.trail_delay)
    # Times have a resolution of a second, and both ends are included.
    found = [
        event
        for event in world.trail.newest(caller.account, call.region)
        if int(oldest) <= int(event.at) <= newest and all(_ATTRIBUTES[key](event) == value for key, value in wanted)
    ]
    after = _read(call)
    found = [event for event in found if after is None or event.number < after]
    page = found[: min(size, world.page_size)]
    token = {"NextToken": _write(call, page[-1].number)} if len(found) > len(page) else {}
    return json_response({"Events": [_event(one) for one in page], **token})


def _wanted(call: Call) -> list[tuple[str, str]]:
    attributes = call.params.get("LookupAttributes") or []
    found = [(str(one.get("AttributeKey", "")), str(one.get("AttributeValue", ""))) for one in attributes]
    if len(found) > 1 or any(key not in _ATTRIBUTES or not value for key, value in found):
        raise ServiceError("InvalidLookupAttributesException", "Expected at most one valid lookup attribute.")
    return found


def _moment(call: Call, name: str) -> float | None:
    value = call.params.get(name)
    return float(value) if value is not None else None


def _event(event: Recorded) -> dict[str, Any]:
    when = datetime.fromtimestamp(int(event.at), UTC)
    return {
        "EventId": event.id,
        "EventName": event.name,
        "ReadOnly": str(event.read_only).lower(),
        "AccessKeyId": event.caller.access_key_id,
        "EventTime": int(event.at),
        "EventSource": event.source,
        "Username": event.username,
        "Resources": [],
        "CloudTrailEvent": record_of(event, when),
    }


def _question(call: Call) -> str:
    """What a token belongs to: it is valid with the same parameters only."""
    names = ("LookupAttributes", "StartTime", "EndTime")
    parameters = json.dumps({name: call.params.get(name) for name in names}, sort_keys=True)
    return hashlib.sha256(parameters.encode()).hexdigest()[:16]


def _write(call: Call, number: int) -> str:
    return base64.urlsafe_b64encode(f"{_question(call)}:{number}".encode()).decode()


def _read(call: Call) -> int | None:
    token = call.params.get("NextToken")
    if token is None:
        return None
    try:
        question, _, number = base64.urlsafe_b64decode(str(token).encode()).decode().partition(":")
        if question == _question(call):
            return int(number)
    except ValueError:
        pass
    raise ServiceError("InvalidNextTokenException", "The next token is invalid, or belongs to other parameters.")


OPERATIONS = {"cloudtrail:LookupEvents": lookup_events}
