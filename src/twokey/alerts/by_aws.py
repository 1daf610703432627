"""Alerts by Amazon SNS, Amazon EventBridge and Amazon SES, with twokey's own AWS credentials.

Sources: "Publish" (Amazon SNS API Reference: the subject has at most 100 characters of ASCII), "PutEvents" (Amazon
EventBridge API Reference: entries that were not accepted are counted in a response with status 200), "SendEmail"
(Amazon SES API v2 Reference); "Actions, resources, and condition keys" of the three services (Service Authorization
Reference).
"""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import UnsetType

from twokey.aws.sending import Sender
from twokey.core.errors import ServiceRejected
from twokey.destinations.kind import Permission

if TYPE_CHECKING:
    from twokey.alerts.messages import Message
    from twokey.alerts.settings import Receiver, Ses
    from twokey.aws.clients import Clients
    from twokey.destinations.kind import AwsScope

SOURCE, DETAIL_TYPE = "twokey", "twokey alert"
LONGEST_SUBJECT = 99
_action = partial(Permission, type="action", uses=("write",))
PERMISSIONS = {
    "sns": _action(service="Amazon SNS", resource="topic", name="sns:Publish"),
    "eventbridge": _action(service="Amazon EventBridge", resource="event-bus", name="events:PutEvents"),
    "ses": _action(service="Amazon SES", resource="identity", name="ses:SendEmail"),
}


def _region_of(arn: str) -> str:
    return arn.split(":")[3]


class Topic:
    """A topic of SNS."""

    def __init__(self, arn: str, clients: Clients) -> None:
        self._arn, self._sender = arn, Sender(clients, "sns", _region_of(arn))

    def send(self, message: Message) -> None:
        """Publish the text."""
        ordered: dict[str, Any] = {}
        if self._arn.endswith(".fifo"):
            ordered = {"MessageGroupId": SOURCE, "MessageDeduplicationId": str(uuid.uuid4())}
        self._sender.send(
            "Publish",
            self._arn,
            TopicArn=self._arn,
            Subject=message.subject[:LONGEST_SUBJECT],
            Message=message.text,
            **ordered,
        )


class EventBus:
    """An event bus of EventBridge."""

    def __init__(self, arn: str, clients: Clients) -> None:
        self._arn, self._sender = arn, Sender(clients, "events", _region_of(arn))

    def send(self, message: Message) -> None:
        """Put one event with the document."""
        entry = {
            "Source": SOURCE,
            "DetailType": DETAIL_TYPE,
            "Detail": message.json.decode(),
            "EventBusName": self._arn,
        }
        response = self._sender.send("PutEvents", self._arn, Entries=[entry])
        if response.get("FailedEntryCount"):
            code = str(response["Entries"][0].get("ErrorCode", "unknown"))
            raise ServiceRejected(f"EventBridge did not accept the event for {self._arn} ({code}).")


class Mail:
    """E-mail by SES."""

    def __init__(self, settings: Ses, clients: Clients) -> None:
        self._settings, self._sender = settings, Sender(clients, "sesv2", settings.region or None)

    def send(self, message: Message) -> None:
        """Send the text."""
        self._sender.send(
            "SendEmail",
            f"identity/{self._settings.sender}",
            FromEmailAddress=self._settings.sender,
            Destination={"ToAddresses": self._settings.to},
            Content={
                "Simple": {
                    "Subject": {"Data": message.subject, "Charset": "UTF-8"},
                    "Body": {"Text": {"Data": message.text, "Charset": "UTF-8"}},
                }
            },
        )


def permissions(receiver: Receiver, scope: AwsScope) -> list[tuple[Permission, tuple[str, ...]]]:
    """Return what twokey needs to tell a receiver, with the ARNs. SES checks the address, or its domain."""
    permission = PERMISSIONS.get(receiver.kind)
    if permission is None:
        return []
    settings = receiver.ses
    if isinstance(settings, UnsetType):
        return [(permission, (str(getattr(receiver, receiver.kind)),))]
    start = f"arn:{scope.partition}:ses:{settings.region or scope.region}:{scope.account}:identity/"
    return [(permission, (f"{start}{settings.sender}", f"{start}{settings.sender.rpartition('@')[2]}"))]
