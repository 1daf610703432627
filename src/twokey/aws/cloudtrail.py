"""CloudTrail's event history: the management events of the last 90 days that were signed with one access key.

Sources: "LookupEvents" (AWS CloudTrail API Reference): two requests in a second for each account and region, 50 events
on a page. "CloudTrail record contents", "CloudTrail userIdentity element" (AWS CloudTrail User Guide) have the fields.
"ListRegions" (AWS Account Management API Reference) has the regions that an account has enabled.

The sender of a request chose much of what its record says: texts are kept as they are, and every output escapes them.
A record also has the token of a session that it issued; nothing of it leaves this module.
"""

from __future__ import annotations

import json
import math
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from twokey.aws.errors import call
from twokey.core.errors import (
    Ambiguous,
    BadCredentials,
    CredentialsUnavailable,
    ServiceRejected,
    Throttled,
    Unreachable,
)
from twokey.http import paging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.aws.clients import Clients

PERMISSIONS = ("cloudtrail:LookupEvents", "account:ListRegions")
INTERVAL = 0.5
"""Seconds between two requests to one region."""
AT_ONCE = 2
"""Requests to a region that are sent before the first pause."""
THROTTLED_PAUSE = 1.0
THROTTLED_ATTEMPTS = 90
"""How often a request is sent again while AWS throttles it: other programs use up the same rate."""
PAUSES = (0.5, 1.0, 2.0)
"""Seconds before a request is sent again that got no response."""
MAIN_REGIONS = {
    "aws": "us-east-1",
    "aws-cn": "cn-north-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-eusc": "eusc-de-east-1",
}
"""Where the events of IAM and of other global services are ("CloudTrail concepts", global service events)."""
_NAMES = (
    *("userName", "roleName", "groupName", "policyName", "policyArn", "functionName", "instanceProfileName"),
    *("accessKeyId", "roleArn", "name", "trailName", "bucketName", "serialNumber"),
)
"""The parameters of a request that name what it is about."""


@dataclass(frozen=True, slots=True)
class TrailEvent:
    """One event. ``service`` is as policies name it; ``error`` is empty for a request that succeeded.

    ``target`` has the names in the request. ``user`` is the name of the IAM user that sent it, if it was one.
    ``issued`` is the id of the key of a session that it issued, ``assumed`` the ARN of the role, ``expires`` its end.
    """

    id: str
    at: datetime
    service: str
    name: str
    region: str
    source_ip: str
    user_agent: str
    key_id: str
    error: str = ""
    target: str = ""
    user: str = ""
    issued: str = ""
    assumed: str = ""
    expires: datetime | None = None


class CloudTrail:
    """The event history of one account, region by region. Raises the errors of ``twokey.core.errors`` only."""

    def __init__(self, clients: Clients, throttled_attempts: int = THROTTLED_ATTEMPTS) -> None:
        self._clients = clients
        self._throttled_attempts = throttled_attempts
        self._next: dict[str, float] = {}
        self._lock = threading.Lock()

    def regions(self) -> tuple[str, ...]:
        """Return the regions that the account has enabled (account:ListRegions)."""

        def send(**more: str) -> Any:
            client = self._clients.client("account", self.main_region() or None)
            states = ["ENABLED", "ENABLED_BY_DEFAULT"]
            request = partial(client.list_regions, RegionOptStatusContains=states, **more)
            return call("account:ListRegions", "the account", request, mutates=False)

        return tuple(sorted(one["RegionName"] for page in paging.of_aws(send) for one in page["Regions"]))

    def main_region(self) -> str:
        """Return the region that has the events of IAM; empty where it is not known."""
        from twokey.aws.endpoints import partition_of

        return MAIN_REGIONS.get(partition_of(self.own_region() or "us-east-1"), "")

    def own_region(self) -> str:
        """Return the region that the AWS configuration names; empty where it names none."""
        return self._clients.region

    def events(self, region: str, key_id: str, since: datetime, until: datetime) -> Iterator[TrailEvent]:
        """Yield the events that were signed with a key in a region, newest first (cloudtrail:LookupEvents)."""

        def send(**more: str) -> Any:
            return self._page(region, {**_of_key(key_id, since, until), **more})

        for page in paging.of_aws(send, most=math.inf):  # 50 events a page: a busy key has more than a list may have
            yield from (_event(one, region, key_id) for one in page.get("Events", ()))

    def newest(self, region: str, key_id: str, since: datetime, until: datetime) -> list[TrailEvent]:
        """Return as many of the same events as one request returns: the newest 50."""
        page = self._page(region, _of_key(key_id, since, until))
        return [_event(one, region, key_id) for one in page.get("Events", ())]

    def _page(self, region: str, parameters: dict[str, Any]) -> Any:
        throttled, pauses = 0, list(PAUSES)
        while True:
            self._wait(region)
            client = self._clients.client("cloudtrail", region, once=True)
            try:
                send = partial(client.lookup_events, **parameters)
                return call("cloudtrail:LookupEvents", f"the event history of {region}", send, mutates=False)
            except CredentialsUnavailable:
                raise
            except BadCredentials:
                raise ServiceRejected(
                    f"The region {region} does not accept the credentials in use, although AWS knows them: the account "
                    "has not enabled it, or they are a session of the global endpoint of STS.",
                    remedy="Use a session of a regional endpoint, or leave the region out.",
                ) from None
            except Throttled:
                throttled += 1
                if throttled >= self._throttled_attempts:
                    raise
                self._clients.clock.sleep(THROTTLED_PAUSE)
            except (Ambiguous, Unreachable):
                if not pauses:
                    raise
                self._clients.clock.sleep(pauses.pop(0))

    def _wait(self, region: str) -> None:
        """Wait for the turn of the next request to a region."""
        now = self._clients.clock.monotonic()
        with self._lock:
            turn = self._next.get(region, now - (AT_ONCE - 1) * INTERVAL)
            turn = max(turn, now - (AT_ONCE - 1) * INTERVAL)
            self._next[region] = turn + INTERVAL
        if turn > now:
            self._clients.clock.sleep(turn - now)


def _of_key(key_id: str, since: datetime, until: datetime) -> dict[str, Any]:
    attributes = [{"AttributeKey": "AccessKeyId", "AttributeValue": key_id}]
    return {"LookupAttributes": attributes, "StartTime": since, "EndTime": until}


def _event(event: Any, region: str, key_id: str) -> TrailEvent:
    record = _record(event.get("CloudTrailEvent"))
    identity = _table(record, "userIdentity")
    response = _table(record, "responseElements")
    issued = _table(response, "credentials")
    return TrailEvent(
        id=str(event.get("EventId", "")),
        at=event["EventTime"].astimezone(UTC),
        service=str(event.get("EventSource", "")).removesuffix(".amazonaws.com"),
        name=str(event.get("EventName", "")),
        region=_text(record, "awsRegion") or region,
        source_ip=_text(record, "sourceIPAddress"),
        user_agent=_text(record, "userAgent"),
        key_id=key_id,
        error=_text(record, "errorCode"),
        target=_target(_table(record, "requestParameters")),
        user=_text(identity, "userName") if identity.get("type") == "IAMUser" else "",
        issued=_text(issued, "accessKeyId"),
        assumed=_role(_table(record, "requestParameters"), response),
        expires=_moment(_text(issued, "expiration")),
    )


def _record(text: object) -> dict[str, Any]:
    """Return the record; what is no JSON object has nothing in it."""
    try:
        record = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        record = {}
    return record if isinstance(record, dict) else {}


def _table(record: dict[str, Any], name: str) -> dict[str, Any]:
    found = record.get(name)
    return found if isinstance(found, dict) else {}


def _text(record: dict[str, Any], name: str) -> str:
    found = record.get(name)
    return found if isinstance(found, str) else ""


def _target(parameters: dict[str, Any]) -> str:
    return ", ".join(dict.fromkeys(text for name in _NAMES if (text := _text(parameters, name))))


def _role(parameters: dict[str, Any], response: dict[str, Any]) -> str:
    return _text(parameters, "roleArn") if "assumedRoleUser" in response else ""


def _moment(text: str) -> datetime | None:
    """Return a moment as records write it: ISO 8601, or ``Nov 29, 2026, 1:00:00 PM`` in UTC."""
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%b %d, %Y, %I:%M:%S %p", "%b %d, %Y %I:%M:%S %p"):
        try:
            return datetime.strptime(text.replace("\u202f", " "), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
