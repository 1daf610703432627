"""Endpoints of AWS that are configured: without TLS, they are used on this machine only.

Responses contain secrets: a created key, a stored credential, the credentials of a role.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from twokey.core.errors import UsageError
from twokey.http.transport import is_readable_on_the_network
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import botocore.session

SERVICES = ("iam", "sts", "secrets_manager", "ssm")
"""The services that twokey calls, as the settings for their endpoints name them ("Service-specific endpoints", AWS SDKs
and Tools Reference Guide)."""


def partition_of(region: str) -> str:
    """Return the partition of a region, as ARNs begin: ``aws``, ``aws-cn``, ``aws-us-gov``, …; ``aws`` if unknown."""
    import botocore.session
    from botocore.exceptions import UnknownRegionError

    try:
        return botocore.session.Session().get_partition_for_region(region)
    except UnknownRegionError:
        return "aws"


def refuse_unusable(session: botocore.session.Session) -> None:
    """Raise ``UsageError`` for a configured endpoint that is none, or whose responses could be read on the network."""
    for setting, url in _configured(session):
        if not _is_endpoint(url):
            raise UsageError(
                f"{setting}: expected the URL of an endpoint.",
                remedy="Write https:// and the name of the server, or remove the setting to call AWS.",
            )
        if is_readable_on_the_network(url):
            raise UsageError(
                f"{setting}: {_shown(url)} is not encrypted: the secrets could be read on the network.",
                remedy="Use https://. Plain http is for an endpoint on this machine.",
            )


def refuse_to_send(**event: Any) -> None:
    """Raise ``UsageError`` for a request that could be read on the network; a handler of ``before-send``.

    botocore makes clients of its own, such as those that assume the role of a profile.
    """
    url = event["request"].url
    if is_readable_on_the_network(url):
        raise UsageError(
            f"An AWS endpoint is not encrypted: {_shown(url)}. The secrets could be read on the network.",
            state="The request was not sent.",
            remedy="Use https:// in AWS_ENDPOINT_URL, or in endpoint_url of the profile.",
        )


def _is_endpoint(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # such as a bracket that is not closed
        return False


def _shown(url: str) -> str:
    """Return what may be shown of a URL: anything else may be a password."""
    return f"http://{urlsplit(url).hostname}"


def _configured(session: botocore.session.Session) -> Iterator[tuple[str, str]]:
    url: Any
    for name in ("AWS_ENDPOINT_URL", *(f"AWS_ENDPOINT_URL_{service.upper()}" for service in SERVICES)):
        if url := environment.variable(name):
            yield name, url
    try:
        profile: Mapping[str, Any] = session.get_scoped_config()
        sections = session.full_config.get("services", {})
    except Exception:  # noqa: BLE001  the first client raises it, and it is reported with its cause there
        return
    if url := profile.get("endpoint_url"):
        yield "endpoint_url of the AWS profile", url
    chosen: Mapping[str, Any] = sections.get(profile.get("services"), {})
    for service in SERVICES:
        settings = chosen.get(service)
        if isinstance(settings, dict) and (url := settings.get("endpoint_url")):
            yield f"endpoint_url of {service} in the AWS configuration", url
