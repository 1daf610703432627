"""The resources of SNS, EventBridge and SES, as policies name them; moto performs their operations.

Sources: "Actions, resources, and condition keys" for Amazon SNS, Amazon EventBridge and Amazon Simple Email Service v2
(Service Authorization Reference); "Verified identities in Amazon SES" (an address is sent from by its own identity, or
by that of its domain).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.emulator import partition

if TYPE_CHECKING:
    from twokey.emulator.wire import Call

SERVICES = ("sns", "events", "ses")
"""As signatures name them: SES signs as ``ses``, in both of its versions."""


def arns_of(call: Call, account: str) -> tuple[str, ...]:
    """Return the ARNs that a request acts on; none for one that acts on nothing in particular."""
    if call.service == "sns":
        topic = str(call.params.get("TopicArn") or call.params.get("TargetArn") or "")
        return (topic,) if topic else ()
    if call.service == "events":
        entries = call.params.get("Entries") if call.operation == "PutEvents" else None
        buses = {str(one.get("EventBusName", "default")) for one in entries or ()}
        return tuple(sorted(_bus(name, call.region, account) for name in buses))
    sender = str(call.params.get("FromEmailAddress", ""))
    return (_identity(sender, call.region, account),) if sender else ()


def _bus(name: str, region: str, account: str) -> str:
    return name if name.startswith("arn:") else partition.arn("events", region, account, f"event-bus/{name}")


def _identity(sender: str, region: str, account: str) -> str:
    from moto.sesv2.models import sesv2_backends

    known = sesv2_backends[account][region].core_backend.email_identities
    address = sender.rpartition("<")[2].rstrip("> ")
    name = address if address in known else address.rpartition("@")[2]
    return partition.arn("ses", region, account, f"identity/{name}")
