"""Alerts by Apprise (extra ``apprise``), which reaches more than a hundred services by a URL each.

A URL of Apprise contains the service's secrets. Apprise writes about them to its log, which is therefore shut.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from twokey.core.errors import Ambiguous, ServiceRejected
from twokey.http import private_networks
from twokey.system import quiet_logs

if TYPE_CHECKING:
    from typing import Any

    from twokey.alerts.messages import Message
    from twokey.core.secret import Hidden
    from twokey.destinations.connections import ConnectionContext
    from twokey.destinations.sources import Source

_INSTALL = "Install twokey with the extra `apprise`."


class Apprise:
    """One URL of Apprise."""

    def __init__(self, source: Source, context: ConnectionContext) -> None:
        self._source, self._url = source, context.secret(source, "apprise")

    def send(self, message: Message) -> None:
        """Have Apprise send the text. It says whether that worked, and not what went wrong."""
        try:
            import apprise
        except ImportError:
            raise ServiceRejected("Apprise is not installed.", remedy=_INSTALL) from None
        quiet_logs.hide("apprise", above=logging.CRITICAL)
        plugin = self._plugin(apprise, self._url.value())
        if plugin is None:
            raise ServiceRejected(
                f"{self._source} does not contain a URL of Apprise.",
                remedy="Check it on your own terminal: apprise --dry-run URL.",
            )
        if _is_readable(plugin):
            raise ServiceRejected(
                f"The URL in {self._source} would send the alert to {plugin.host} without encryption.",
                remedy=f"Use the encrypted form of the URL ({_first(plugin.secure_protocol)}:).",
            )
        if not plugin.notify(body=message.text, title=message.subject):
            raise Ambiguous(
                f"Apprise could not send the alert by the URL in {self._source}.",
                remedy="See why on your own terminal: apprise -vv --body test URL.",
            )

    @staticmethod
    def _plugin(apprise: Any, url: Hidden) -> Any:
        try:
            return apprise.Apprise.instantiate(url)
        except Exception:  # noqa: BLE001  its text may contain the URL
            return None


def _is_readable(plugin: Any) -> bool:
    """Return whether the alert would leave the private network without encryption.

    A plug-in names the schemes of its two forms; mail is encrypted by other means.
    """
    plain, encrypted = plugin.protocol, plugin.secure_protocol
    host = str(getattr(plugin, "host", "") or "")
    named = bool(plain and encrypted and host) and not plugin.secure and _first(plain) != "mailto"
    return named and not private_networks.may_be_private(host)


def _first(schemes: Any) -> str:
    return str(schemes if isinstance(schemes, str) else next(iter(schemes)))
