"""``alerts:`` in twokey.yaml: whom to tell, what, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from twokey.core import durations
from twokey.destinations.sources import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

REPEAT, WINDOW_WITHIN = timedelta(days=1), timedelta(days=7)
KINDS = ("slack", "webhook", "sns", "eventbridge", "ses", "smtp", "apprise")
_DURATION = {"pattern": durations.PATTERN}

Address = Annotated[str, Meta(description="An e-mail address, without a name.", extra_json_schema={"format": "email"})]
Recipients = Annotated[list[Address], Meta(min_length=1, description="Who gets the message.")]


class _Schema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all mappings below ``alerts`` have in common."""


class Webhook(_Schema, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A URL that gets each alert as JSON (``alert.schema.json``), by POST."""

    url: Annotated[str | Source, Meta(description="The URL, or where it comes from, if it is a secret itself.")]
    secret: Annotated[
        Source | UnsetType,
        Meta(description="The secret (whsec_…) to sign with, as Standard Webhooks; without it, nothing is signed."),
    ] = UNSET
    ca: Annotated[str, Meta(description="A file with the CA certificates to trust, instead of the usual.")] = ""
    insecure_http: Annotated[bool, Meta(description="Allow plain http to a private address.")] = False


class Ses(_Schema, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"sender": "from"}):
    """E-mail by Amazon SES."""

    sender: Annotated[Address, Meta(description="The sender: an identity that SES has verified, or of such a domain.")]
    to: Recipients
    region: Annotated[str, Meta(description="The region of SES; by default that of twokey.")] = ""


class Smtp(_Schema, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"sender": "from"}):
    """E-mail by a server that takes it in by SMTP."""

    host: Annotated[str, Meta(min_length=1, description="The name or the address of the server.")]
    port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | UnsetType,
        Meta(description="By default 587 for starttls, 465 for tls, 25 for none."),
    ] = UNSET
    security: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(description="How the connection is encrypted. none: only on this machine or with insecure_smtp."),
    ] = "starttls"
    insecure_smtp: Annotated[
        bool, Meta(description="Allow `security: none` to a private address, without a user and password.")
    ] = False
    user: Annotated[str, Meta(description="The user to log in as.")] = ""
    password: Annotated[Source | UnsetType, Meta(description="Where the password comes from.")] = UNSET
    ca: Annotated[str, Meta(description="A file with the CA certificates to trust, instead of the usual.")] = ""
    sender: Annotated[Address, Meta(description="The sender.")]
    to: Recipients


class Receiver(_Schema, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One receiver: exactly one of the kinds, and which alerts it gets."""

    slack: Annotated[Source | UnsetType, Meta(description="The URL of an incoming webhook of Slack.")] = UNSET
    webhook: Annotated[Webhook | UnsetType, Meta(description="Any URL, which gets JSON.")] = UNSET
    sns: Annotated[
        str | UnsetType,
        Meta(
            description="The ARN of a topic of Amazon SNS.",
            extra_json_schema={"pattern": r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+(\.fifo)?$"},
        ),
    ] = UNSET
    eventbridge: Annotated[
        str | UnsetType,
        Meta(
            description="The ARN of an event bus of Amazon EventBridge.",
            extra_json_schema={"pattern": r"^arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/[\w./-]+$"},
        ),
    ] = UNSET
    ses: Annotated[Ses | UnsetType, Meta(description="E-mail by Amazon SES.")] = UNSET
    smtp: Annotated[Smtp | UnsetType, Meta(description="E-mail by an SMTP server.")] = UNSET
    apprise: Annotated[
        Source | UnsetType, Meta(description="A URL of Apprise, for any other service (extra `apprise`).")
    ] = UNSET
    only: Annotated[
        Literal["all", "problems"],
        Meta(
            description="all: also what was done. problems: only what failed, was refused, breaks a window, or leaked."
        ),
    ] = "all"

    @property
    def kind(self) -> str:
        """The kind of the receiver: the one that is set."""
        return next(kind for kind in KINDS if getattr(self, kind) is not UNSET)


class AlertsSchema(_Schema, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told about a run of rotate, deliver or watch."""

    to: Annotated[
        Annotated[list[Receiver], Meta(min_length=1)] | UnsetType, Meta(description="The receivers of alerts.")
    ] = UNSET
    heartbeat: Annotated[
        Source | UnsetType,
        Meta(
            description="A URL that is called after each run of rotate over the whole configuration in which nothing "
            "failed and nothing was refused."
        ),
    ] = UNSET
    remember: Annotated[
        Annotated[str, Meta(min_length=1)] | UnsetType,
        Meta(
            description="Where twokey remembers which alerts were sent, so that none is repeated: `ssm:/NAME`, "
            "`s3:BUCKET/KEY` or `file:PATH`.",
            extra_json_schema={"examples": ["ssm:/twokey/alerts"]},
        ),
    ] = UNSET
    repeat: Annotated[
        str | UnsetType,
        Meta(
            description="How long the same alert is not sent again, with `remember`.",
            extra_json_schema={"default": "1d", **_DURATION},
        ),
    ] = UNSET
    window_within: Annotated[
        str | UnsetType,
        Meta(
            description="How long before a window is broken that is told.",
            extra_json_schema={"default": "7d", **_DURATION},
        ),
    ] = UNSET


@dataclass(frozen=True, slots=True)
class Alerts:
    """The settings of a run's alerts. ``at`` has the position in twokey.yaml of each receiver (``to.0``) and key."""

    receivers: tuple[Receiver, ...]
    at: Mapping[str, str]
    heartbeat: Source | None = None
    remember: str = ""
    repeat: timedelta = REPEAT
    window_within: timedelta = WINDOW_WITHIN
