"""Records of CloudTrail as they come: with everything, with little, and with what is no record."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from twokey.aws.cloudtrail import _event
from twokey.revocation.uses import account_in, sessions

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)


def event(record: Any) -> Any:
    """Return what an event with this record says."""
    text = record if isinstance(record, str) else json.dumps(record)
    outer = {"EventId": "1", "EventName": "AssumeRole", "EventSource": "sts.amazonaws.com", "EventTime": AT}
    return _event({**outer, "CloudTrailEvent": text}, "eu-central-1", "AKIA1")


@pytest.mark.parametrize(
    "record",
    [
        "",
        "no JSON",
        "[]",
        {"userIdentity": 3, "requestParameters": [], "responseElements": "x"},
        {"responseElements": {"credentials": "x", "assumedRoleUser": 1}, "requestParameters": {"roleArn": 7}},
        {"sourceIPAddress": None, "userAgent": {"a": 1}, "errorCode": 4},
    ],
)
def test_a_record_that_says_nothing_leaves_what_the_list_says(record: Any) -> None:
    found = event(record)
    assert (found.name, found.service, found.region, found.at) == ("AssumeRole", "sts", "eu-central-1", AT)
    assert (found.source_ip, found.user_agent, found.error, found.issued, found.assumed) == ("",) * 5


@pytest.mark.parametrize("end", ["2026-11-29T13:00:00Z", "Nov 29, 2026, 1:00:00 PM", "Nov 29, 2026 1:00:00 PM"])
def test_the_end_of_a_session_is_read_as_each_service_writes_it(end: str) -> None:
    credentials = {"accessKeyId": "ASIA1", "sessionToken": "hush", "expiration": end}
    found = event({"responseElements": {"credentials": credentials}})
    assert (found.issued, found.expires) == ("ASIA1", AT.replace(hour=13))
    assert "hush" not in repr(found)


def test_a_role_that_names_no_account_is_not_followed_as_one_of_this_account() -> None:
    answer = {"credentials": {"accessKeyId": "ASIA1"}, "assumedRoleUser": {}}
    found = event({"requestParameters": {"roleArn": "role"}, "responseElements": answer})
    [session] = sessions([found], "123456789012")
    assert (session.followed, account_in("role")) == (False, "unknown")
