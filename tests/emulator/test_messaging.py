"""SNS, EventBridge and SES: what a policy must allow, on which resource."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator import Emulator, KeyPair

ENTRY = {"Source": "twokey", "DetailType": "test", "Detail": "{}"}
CONTENT = {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "b"}}}}


def allowed(aws: Emulator, action: str, resource: str) -> KeyPair:
    """A user that may do one thing."""
    pair = aws.make_user("sender", keys=1)[0]
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    aws.client("iam").put_user_policy(UserName="sender", PolicyName="one", PolicyDocument=document)
    return pair


def test_a_topic_is_published_to_with_permission_for_it_alone(aws: Emulator, refused: Callable[..., Any]) -> None:
    one, other = (aws.client("sns").create_topic(Name=name)["TopicArn"] for name in ("alerts", "others"))
    sns = aws.client("sns", allowed(aws, "sns:Publish", one))
    assert sns.publish(TopicArn=one, Message="hello")["MessageId"]
    error = refused(sns.publish, TopicArn=other, Message="hello")
    assert (error.code, error.status) == ("AuthorizationError", 403)
    assert f"sns:Publish on resource: {other}" in error.message


def test_events_are_put_to_buses_that_the_policy_names(aws: Emulator, refused: Callable[..., Any]) -> None:
    arn = aws.client("events").create_event_bus(Name="ops")["EventBusArn"]
    events = aws.client("events", allowed(aws, "events:PutEvents", arn))
    for name in (arn, "ops"):
        assert events.put_events(Entries=[{**ENTRY, "EventBusName": name}])["FailedEntryCount"] == 0
    both = [{**ENTRY, "EventBusName": "ops"}, ENTRY]
    assert refused(events.put_events, Entries=both).code == "AccessDeniedException"


def test_mail_is_sent_by_the_identity_of_the_address_or_of_its_domain(
    aws: Emulator, refused: Callable[..., Any]
) -> None:
    ses = aws.client("sesv2")
    ses.create_email_identity(EmailIdentity="example.com")
    start = f"arn:aws:ses:{aws.region}:{aws.account_id}:identity"
    sender = aws.client("sesv2", allowed(aws, "ses:SendEmail", f"{start}/example.com"))
    mail: dict[str, Any] = {"Destination": {"ToAddresses": ["a@example.org"]}, "Content": CONTENT}
    assert sender.send_email(FromEmailAddress="ops@example.com", **mail)["MessageId"]
    ses.create_email_identity(EmailIdentity="ops@example.com")
    error = refused(sender.send_email, FromEmailAddress="ops@example.com", **mail)
    assert (error.code, error.status) == ("AccessDeniedException", 403)
    assert f"ses:SendEmail on resource: {start}/ops@example.com" in error.message
    assert refused(ses.send_email, FromEmailAddress="ops@other.example", **mail).code == "MessageRejected"
