"""Sends the metrics of an audit to a Prometheus push gateway, where they replace those of the audit before.

Source: "Pushgateway", its README ("API": PUT replaces the metrics of a group; 200 or 202).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from twokey.core.errors import UsageError
from twokey.http.client import Http
from twokey.http.messages import Request
from twokey.reports.audit_prometheus import CONTENT_TYPE, render

if TYPE_CHECKING:
    from twokey.core.ports import Clock
    from twokey.reports.audit import Audit

OPTION = "--push-gateway"
PATIENCE = 60.0
"""Seconds for which a gateway that is busy is asked again."""


def open_gateway(url: str, clock: Clock) -> Http:
    """Return the gateway, without calling it; raises ``UsageError`` for what is no URL of one.

    Metrics are no secret: plain HTTP is allowed to private addresses.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(
            f"{OPTION}: expected the URL of a Prometheus push gateway, such as http://pushgateway:9091, got {url!r}."
        )
    base = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    return Http("The push gateway", base, clock, insecure_http=True, patience=PATIENCE)


def push(gateway: Http, result: Audit) -> None:
    """Replace the metrics of this account; raises a ``twokey.core.errors`` error if the gateway does not take them."""
    gateway.request(
        Request(
            "PUT",
            f"/metrics/job/twokey_audit/account/{result.account}",
            "write the metrics",
            raw=render(result).encode(),
            headers={"Content-Type": CONTENT_TYPE},
        )
    )
