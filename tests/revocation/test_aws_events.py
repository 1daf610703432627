"""Events of AWS about exposed keys are read as EventBridge, SNS and SQS pass them on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from twokey.core.errors import UsageError
from twokey.revocation import aws_events
from twokey.revocation.reported import Reported

KEY = "AKIARZPUZDIKDS4GJPMX"


def event(source: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {"version": "0", "detail-type": "x", "source": source, "account": "1", "detail": detail}


def health(*entities: str, code: str = "AWS_RISK_CREDENTIALS_EXPOSED") -> dict[str, Any]:
    found = [{"entityValue": one} for one in entities]
    return event("aws.health", {"service": "RISK", "eventTypeCode": code, "affectedEntities": found})


def read(document: object) -> tuple[Reported, ...]:
    return aws_events.read("event.json", json.dumps(document).encode()).reported


EXPOSED = Reported("TK821", "AWS Health reports AWS_RISK_CREDENTIALS_EXPOSED", KEY, account="1")
QUARANTINE = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV9"


class TestAnEvent:
    def test_of_aws_health_names_the_keys_or_else_the_users(self) -> None:
        assert read(health(KEY)) == (EXPOSED,)
        [one] = read(health("arn:aws:iam::123456789012:user/machine-users/ci"))
        assert (one.key_id, one.user) == ("", "ci")
        described = health()
        described["detail"]["eventDescription"] = [{"latestDescription": f"Your key {KEY}, of the user ci"}]
        assert read(described) == (EXPOSED,)
        assert read(health(code="AWS_RISK_IAM_QUARANTINE"))[0].rule == "TK821"

    def test_of_trusted_advisor_says_where_the_key_is(self) -> None:
        item = {"Access Key ID": KEY, "User Name (IAM or Root)": "ci", "Location": "www.github.com/a/b"}
        detail = {"check-name": "Exposed Access Keys", "status": "ERROR", "check-item-detail": item}
        [one] = read(event("aws.trustedadvisor", detail))
        assert (one.rule, one.key_id, one.user, one.where) == ("TK821", KEY, "ci", "www.github.com/a/b")

    def test_of_guardduty_is_unusual_use_and_not_a_leak(self) -> None:
        key = {"accessKeyId": KEY, "userName": "ci", "userType": "IAMUser"}
        detail = {"type": "UnauthorizedAccess:IAMUser/TorIPCaller", "resource": {"accessKeyDetails": key}}
        [one] = read(event("aws.guardduty", detail))
        assert (one.rule, one.key_id) == ("TK822", KEY)

    def test_of_the_trail_names_the_user_that_aws_put_under_quarantine(self) -> None:
        parameters = {"userName": "ci", "policyArn": QUARANTINE}
        detail = {"eventName": "AttachUserPolicy", "requestParameters": parameters}
        assert read(event("aws.iam", detail)) == (
            Reported("TK821", "AWS has attached AWSCompromisedKeyQuarantineV9", user="ci", account="1"),
        )
        parameters["policyArn"] = "arn:aws:iam::123456789012:policy/AWSCompromisedKeyQuarantineV9"
        assert read(event("aws.iam", detail)) == ()

    @pytest.mark.parametrize(
        "around",
        [
            lambda one: [one, one],
            lambda one: {"Type": "Notification", "Message": json.dumps(one)},
            lambda one: {"Records": [{"body": json.dumps(one)}]},
            lambda one: {"Records": [{"Sns": {"Message": json.dumps(one)}}]},
            lambda one: {"Messages": [{"Body": json.dumps({"Message": json.dumps(one)})}]},
        ],
    )
    def test_is_found_in_what_carries_it(self, around: Any) -> None:
        assert set(read(around(health(KEY)))) == {EXPOSED}

    def test_may_be_one_of_many_each_on_a_line(self) -> None:
        lines = f"{json.dumps(health(KEY))}\n\n{json.dumps(health('ci'))}\n"
        assert len(aws_events.read("lines", lines.encode()).reported) == 2

    def test_about_something_else_is_said(self) -> None:
        found = aws_events.read("e", json.dumps(event("aws.ec2", {})).encode())
        assert found.notes == ("e: an event of aws.ec2 (x) reports no exposed key.",)


@pytest.mark.parametrize("content", [b"", b"key", b"[1]", b"{}", b'{"Message": "x"}', b"[" * 50, b"\xff\xfe"])
def test_what_is_no_event_is_a_mistake(content: bytes) -> None:
    with pytest.raises(UsageError, match="has no event that twokey knows"):
        aws_events.read("e", content)
