"""CloudTrail's event history, and the regions of an account."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.rig import DAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator import Emulator, KeyPair

EVERYTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


def session(aws: Emulator, key: KeyPair, service: str, region: str = "us-east-1", **headers: str) -> Any:
    """Return a client that signs with a key, and sends these headers."""
    client = aws.client(service, key=key, region=region)

    def add(request: Any, **_: object) -> None:
        for name, value in headers.items():
            request.headers[name] = value

    client.meta.events.register("before-send", add)
    return client


def events(aws: Emulator, region: str = "us-east-1", **question: Any) -> list[dict[str, Any]]:
    """Return the records that a question finds, newest first."""
    aws.advance(2)  # the limit of the requests before
    found = aws.client("cloudtrail", region=region).lookup_events(**question)["Events"]
    return [json.loads(one["CloudTrailEvent"]) for one in found]


def by_key(key_id: str) -> dict[str, Any]:
    """Return the question for the events of a key."""
    return {"LookupAttributes": [{"AttributeKey": "AccessKeyId", "AttributeValue": key_id}]}


@pytest.fixture
def ci(aws: Emulator) -> KeyPair:
    """The key of a user who may do everything, and of a role that it may assume."""
    [key] = aws.make_user("ci", keys=1)
    aws.client("iam").put_user_policy(UserName="ci", PolicyName="all", PolicyDocument=EVERYTHING)
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    aws.client("iam").create_role(RoleName="deploy", AssumeRolePolicyDocument=json.dumps(trust))
    return key


def test_an_event_says_who_did_what_from_where_with_what(aws: Emulator, ci: KeyPair) -> None:
    iam = session(aws, ci, "iam", **{"x-emulator-source-ip": "198.51.100.7", "User-Agent": "tool/1"})
    iam.create_user(UserName="backdoor")
    [event] = events(aws, **by_key(ci.access_key_id))
    assert (event["eventName"], event["eventSource"], event["awsRegion"]) == (
        "CreateUser",
        "iam.amazonaws.com",
        "us-east-1",
    )
    assert (event["sourceIPAddress"], event["userAgent"]) == ("198.51.100.7", "tool/1")
    assert event["requestParameters"] == {"userName": "backdoor"}
    assert (event["readOnly"], event["userIdentity"]["type"]) == (False, "IAMUser")
    assert (event["userIdentity"]["userName"], event["userIdentity"]["accessKeyId"]) == ("ci", ci.access_key_id)


def test_a_session_is_named_where_it_is_made_and_where_it_is_used(aws: Emulator, ci: KeyPair) -> None:
    made = session(aws, ci, "sts").assume_role(
        RoleArn=f"arn:aws:iam::{aws.account_id}:role/deploy", RoleSessionName="job"
    )
    id_ = made["Credentials"]["AccessKeyId"]
    from twokey.emulator import KeyPair

    role = KeyPair(id_, made["Credentials"]["SecretAccessKey"], made["Credentials"]["SessionToken"])
    session(aws, role, "sts").get_caller_identity()
    [event] = events(aws, **by_key(ci.access_key_id))
    assert event["responseElements"]["credentials"]["accessKeyId"] == id_
    assert event["responseElements"]["assumedRoleUser"]["arn"].endswith(":assumed-role/deploy/job")
    [used] = events(aws, **by_key(id_))
    assert used["userIdentity"]["sessionContext"]["sessionIssuer"]["userName"] == "deploy"


def test_no_secret_is_recorded(aws: Emulator, ci: KeyPair) -> None:
    created = session(aws, ci, "iam").create_access_key(UserName="ci")["AccessKey"]
    session(aws, ci, "secretsmanager").create_secret(Name="x", SecretString="hush-hush")
    session(aws, ci, "ssm").put_parameter(Name="/x", Value="hush-hush", Type="SecureString")
    text = json.dumps(events(aws, **by_key(ci.access_key_id)))
    assert created["AccessKeyId"] in text
    assert created["SecretAccessKey"] not in text
    assert "hush-hush" not in text
    assert text.count("HIDDEN_DUE_TO_SECURITY_REASONS") == 2


def test_what_was_denied_is_recorded_and_what_did_not_authenticate_is_not(
    aws: Emulator, refused: Callable[..., Any]
) -> None:
    [key] = aws.make_user("ci", keys=1)
    refused(session(aws, key, "iam").list_users)
    [event] = events(aws, **by_key(key.access_key_id))
    assert event["errorCode"] == "AccessDenied"
    aws.client("iam").update_access_key(UserName="ci", AccessKeyId=key.access_key_id, Status="Inactive")
    refused(session(aws, key, "sts").get_caller_identity)
    assert len(events(aws, **by_key(key.access_key_id))) == 1


def test_events_are_of_their_region_and_data_events_are_not_recorded(aws: Emulator, ci: KeyPair) -> None:
    s3 = session(aws, ci, "s3", "eu-central-1")
    s3.create_bucket(Bucket="things", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="things", Key="thing", Body=b"x")
    session(aws, ci, "sts", "eu-central-1").get_caller_identity()
    session(aws, ci, "iam", "eu-central-1").list_users()
    there, main = (events(aws, region, **by_key(ci.access_key_id)) for region in ("eu-central-1", "us-east-1"))
    assert [one["eventName"] for one in there] == ["GetCallerIdentity", "CreateBucket"]
    assert [one["eventName"] for one in main] == ["ListUsers"]


def test_the_newest_come_first_in_pages_of_at_most_fifty(aws: Emulator, ci: KeyPair) -> None:
    sts = session(aws, ci, "sts")
    for _ in range(51):
        sts.get_caller_identity()
    client = aws.client("cloudtrail", region="us-east-1")
    first = client.lookup_events(**by_key(ci.access_key_id))
    rest = client.lookup_events(**by_key(ci.access_key_id), NextToken=first["NextToken"])
    assert (len(first["Events"]), len(rest["Events"]), "NextToken" in rest) == (50, 1, False)
    ids = [one["EventId"] for one in (*first["Events"], *rest["Events"])]
    assert ids == sorted(set(ids), reverse=True)


def test_a_token_belongs_to_its_question(aws: Emulator, ci: KeyPair, refused: Callable[..., Any]) -> None:
    client = aws.client("cloudtrail", region="us-east-1")
    token = client.lookup_events(MaxResults=1)["NextToken"]
    assert refused(client.lookup_events, **by_key(ci.access_key_id), NextToken=token).code == (
        "InvalidNextTokenException"
    )


def test_an_event_is_shown_after_the_delay_and_for_90_days(aws: Emulator, ci: KeyPair) -> None:
    aws.weather.trail_delay = 900
    session(aws, ci, "sts").get_caller_identity()
    assert events(aws, **by_key(ci.access_key_id)) == []
    aws.advance(900)
    assert len(events(aws, **by_key(ci.access_key_id))) == 1
    early = aws.now() - timedelta(days=1)
    assert events(aws, **by_key(ci.access_key_id), StartTime=early - timedelta(days=1), EndTime=early) == []
    aws.advance(91 * DAY)
    assert events(aws, **by_key(ci.access_key_id)) == []


def test_more_than_two_requests_in_a_second_are_throttled_in_each_region(
    aws: Emulator, one_try: Callable[..., Any], refused: Callable[..., Any]
) -> None:
    client = one_try(aws, "cloudtrail")
    client.lookup_events()
    client.lookup_events()
    assert refused(client.lookup_events).code == "ThrottlingException"
    assert aws.client("cloudtrail", region="us-east-1").lookup_events()["Events"] == []
    aws.advance(1)
    client.lookup_events()


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"LookupAttributes": [{"AttributeKey": "Colour", "AttributeValue": "red"}]}, "InvalidLookupAttributes"),
        (
            {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name} for name in "ab"]},
            "InvalidLookupAttributes",
        ),
        ({"StartTime": 20, "EndTime": 10}, "InvalidTimeRange"),
    ],
)
def test_what_cannot_be_looked_up_is_refused(
    aws: Emulator, refused: Callable[..., Any], question: dict[str, Any], code: str
) -> None:
    assert refused(aws.client("cloudtrail").lookup_events, **question).code == f"{code}Exception"


def test_the_regions_of_the_account_are_listed_without_those_that_are_not_enabled(aws: Emulator) -> None:
    aws.weather.disabled_regions = {"ap-southeast-2"}
    account = aws.client("account")
    every = {one["RegionName"]: one["RegionOptStatus"] for one in account.list_regions()["Regions"]}
    assert (every["us-east-1"], every["ap-southeast-2"]) == ("ENABLED_BY_DEFAULT", "DISABLED")
    enabled = account.list_regions(RegionOptStatusContains=["ENABLED", "ENABLED_BY_DEFAULT"])["Regions"]
    assert "ap-southeast-2" not in {one["RegionName"] for one in enabled}
    assert len(enabled) == len(every) - 1
