"""Options of a URL that apply to an object that twokey creates, and to no other: tags, the KMS key, replicas.

Companies require them of each new secret, in a service control policy or an organization policy. An object that exists
keeps what it has. So these options do not say which thing a URL names, and a destination's name leaves them out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from twokey.core.errors import AccessDenied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.destinations.address import Address
    from twokey.destinations.kind import AwsScope

TAG = "tag.*"
LABEL = "label.*"
KMS = "kms"
REPLICA = "replica"
OF_SECRETS_MANAGER = (TAG, KMS, REPLICA)
OF_PARAMETER_STORE = (TAG, KMS)
OF_GOOGLE = (LABEL, KMS, REPLICA)
OF_AZURE = (TAG,)
_MOST_TAGS = 50
_AWS_TEXT = re.compile(r"[\w .:/=+@-]*")
_AWS_KEY = re.compile(
    r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key/[A-Za-z0-9-]+|alias/[\w/-]+)"
    r"|alias/[\w/-]+|mrk-[0-9a-f]+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.ASCII,
)
_IN_EVERY_REGION = re.compile(r"alias/.+|mrk-.+", re.ASCII)
"""A key that may have the same name in every region: the others exist in one region only."""
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}", re.ASCII)
_GOOGLE_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}", re.ASCII)
_GOOGLE_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}", re.ASCII)
_GOOGLE_KEY = re.compile(
    r"projects/[\w.:-]+/locations/[a-z0-9-]+/keyRings/[A-Za-z0-9_-]+/cryptoKeys/[A-Za-z0-9_-]+", re.ASCII
)
_GOOGLE_LOCATION = re.compile(r"[a-z]+-[a-z]+\d{1,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CreationOptions:
    """What a new object gets. ``tags`` are the labels at Google."""

    tags: tuple[tuple[str, str], ...] = ()
    kms: str = ""
    replicas: tuple[str, ...] = ()

    @property
    def aws_tags(self) -> list[dict[str, str]]:
        """The tags as AWS takes them."""
        return [{"Key": name, "Value": value} for name, value in self.tags]


def of_aws(address: Address) -> CreationOptions:
    """Return the options of a URL of AWS; raises ``UsageError`` for what AWS does not take.

    Sources: "Tagging your AWS resources" (rules for tags), "CreateSecret" and "PutParameter" (API references).
    """
    options = _read(address, "tag")
    for name, value in options.tags:
        if not 0 < len(name) <= 128 or not _AWS_TEXT.fullmatch(name) or name.lower().startswith("aws:"):
            raise address.error(
                f"tag.{name}: expected a name of 1 to 128 letters, digits, spaces and characters _.:/=+-@, not "
                "beginning with aws:."
            )
        if len(value) > 256 or not (_AWS_TEXT.fullmatch(value) or "{" in value):
            raise address.error(
                f"tag.{name}={value}: expected at most 256 letters, digits, spaces and characters _.:/=+-@ as a tag's "
                "value."
            )
    if len(options.tags) > _MOST_TAGS:
        raise address.error(f"expected at most {_MOST_TAGS} tags, got {len(options.tags)}.")
    if options.kms and "{" not in options.kms and not _AWS_KEY.fullmatch(options.kms):
        raise address.error(f"kms={options.kms}: expected alias/NAME, a key's ID, or the ARN of either.")
    for region in options.replicas:
        if not _REGION.fullmatch(region):
            raise address.error(f"replica={region}: expected an AWS region, such as eu-west-1.")
    if options.replicas and options.kms and not _IN_EVERY_REGION.fullmatch(options.kms):
        raise address.error(
            f"kms={options.kms} is a key of one region, and replica= needs a key in each.",
            "Name the key by an alias that every region has (kms=alias/NAME), or a multi-region key (kms=mrk-…).",
        )
    return options


def keys(address: Address, scope: AwsScope) -> dict[str, tuple[str, ...]]:
    """Return the ARNs of the KMS keys that a URL of AWS names, in its region and in those of its replicas."""
    options = of_aws(address)
    if not options.kms:
        return {}
    if options.kms.startswith("arn:"):
        return {"key": (options.kms,)}
    name = options.kms if options.kms.startswith("alias/") else f"key/{options.kms}"
    regions = dict.fromkeys((scope.region, *options.replicas))
    return {"key": tuple(replace(scope, region=region).arn("kms", name) for region in regions)}


def is_google_location(text: str) -> bool:
    """Return whether a text can be the name of a location of Google Cloud."""
    return bool(_GOOGLE_LOCATION.fullmatch(text))


def of_google(address: Address) -> CreationOptions:
    """Return the options of a URL of Google; raises ``UsageError`` for what Google does not take.

    Source: "Secret" and "Replication" (Secret Manager API, REST).
    """
    options = _read(address, "label")
    for name, value in options.tags:
        if not _GOOGLE_LABEL.fullmatch(name) or not (_GOOGLE_LABEL_VALUE.fullmatch(value) or "{" in value):
            raise address.error(
                f"label.{name}={value}: expected a name and a value of at most 63 lowercase letters, "
                "digits, - and _, the name beginning with a letter."
            )
    if options.kms and "{" not in options.kms and not _GOOGLE_KEY.fullmatch(options.kms):
        raise address.error(f"kms={options.kms}: expected projects/P/locations/L/keyRings/R/cryptoKeys/K.")
    for location in options.replicas:
        if not is_google_location(location):
            raise address.error(f"replica={location}: expected a location of Google Cloud, such as europe-west3.")
    if options.kms and len(options.replicas) > 1:
        raise address.error(
            "kms= names the key of one location, and replica= names several.",
            "Create the secret with its keys (gcloud secrets create), and leave both options out.",
        )
    return options


def of_azure(address: Address) -> CreationOptions:
    """Return the options of a URL of Azure; raises ``UsageError`` for what Key Vault does not take.

    Source: "About Azure Key Vault secrets", secret tags: at most 15, of 256 characters each. One is twokey's own.
    """
    options = _read(address, "tag")
    for name, value in options.tags:
        if not 0 < len(name) <= 256 or len(value) > 256 or name == "twokey":
            raise address.error(
                f"tag.{name}: expected a name and a value of at most 256 characters, and another name than twokey."
            )
    if len(options.tags) > 14:
        raise address.error(
            f"expected at most 14 tags, got {len(options.tags)}: Key Vault takes 15, and one is twokey's."
        )
    return options


def denied(error: AccessDenied, options: str, beforehand: str) -> AccessDenied:
    """Return the error for a denied creation: a policy may require something of each new object (``options``).

    ``beforehand`` creates the object without a value, for a company in which others than twokey do that.
    """
    if not error.action.startswith(("secretsmanager:", "ssm:")):
        return error
    return AccessDenied(
        error.action,
        error.resource,
        remedy=f"If a policy requires tags or a KMS key of what is created, add them to the URL: {options}. Or create "
        f"it beforehand, and run again: {beforehand}. Otherwise, {error.remedy[:1].lower()}{error.remedy[1:]}",
    )


def _read(address: Address, family: str) -> CreationOptions:
    return CreationOptions(
        tuple(_family(address, f"{family}.")),
        address.options.get(KMS, ""),
        tuple(dict.fromkeys(part.strip() for part in address.options.get(REPLICA, "").split(",") if part.strip())),
    )


def _family(address: Address, prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in address.options.items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), value
