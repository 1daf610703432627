"""The AWS profile of a command: the settings of the profile in use, without credentials that would win over ours.

In the SDKs' order, a profile's own credentials come before a container's endpoint, and AWS_PROFILE comes before the
variables in some of them ("Standardized credential providers", AWS SDKs and Tools Reference Guide). So the command gets
a configuration file of its own, private, without any secret, and removed at the end. For an access key, which no
endpoint may provide in every SDK, its ``credential_process`` asks ``exec`` over a socket beside the file.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from socketserver import BaseRequestHandler, UnixStreamServer
from typing import TYPE_CHECKING, Any, Self

from twokey.core.errors import Failed, TwokeyError
from twokey.core.secret import Hidden
from twokey.jobs import credential_process
from twokey.jobs.endpoint import Serving

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from twokey.jobs.refreshing import Refreshing

SETTINGS = frozenset(
    {
        *("region", "output", "endpoint_url", "services", "ca_bundle", "retry_mode", "max_attempts", "defaults_mode"),
        *("use_fips_endpoint", "use_dualstack_endpoint", "sts_regional_endpoints", "ignore_configured_endpoint_urls"),
        *("s3", "s3_us_east_1_regional_endpoint", "s3_disable_multiregion_access_points", "sigv4a_signing_region_set"),
        *("request_checksum_calculation", "response_checksum_validation", "disable_request_compression"),
        *("request_min_compression_size_bytes", "account_id_endpoint_mode", "sdk_ua_app_id", "parameter_validation"),
        *("tcp_keepalive", "cli_pager", "cli_timestamp_format", "cli_binary_format", "cli_auto_prompt"),
        *("cli_follow_urlparam", "cli_history", "api_versions", "ec2_metadata_service_endpoint_mode"),
    }
)
"""The settings of a profile that select no credentials; any other may."""


class Profile:
    """A private directory with a configuration file. Use it in a ``with`` block."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Create the directory; nothing in it is readable to other users."""
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="twokey-"))
        except OSError as error:
            raise Failed(
                f"No private directory can be created in {tempfile.gettempdir()}: {error.strerror}.",
                state="The command was not started.",
                remedy="Free space there, or name another directory in TMPDIR.",
            ) from None
        self._settings = settings
        self._relay: _Relay | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def relay(self, credentials: Refreshing, client: str) -> None:
        """Have the profile's ``credential_process`` ask for these credentials.

        ``client``: the module that it runs, with the path of the socket. It prints what the socket provides.
        """
        self._relay = self._open.enter_context(_Relay(self._folder / "socket", credentials, client))

    def variables(self) -> dict[str, str]:
        """Write the file, and return the variables that name it and an empty file of credentials."""
        file = self._folder / "config"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123  opened by descriptor
            stream.write("\n".join(self._lines()) + "\n")
        return {"AWS_CONFIG_FILE": str(file), "AWS_SHARED_CREDENTIALS_FILE": os.devnull}

    def _lines(self) -> list[str]:
        kept = {name: value for name, value in self._settings.items() if name in SETTINGS}
        services = kept.pop("services", None)
        lines = ["[default]", *_rendered(kept)]
        if isinstance(services, dict):
            lines.append("services = job")
        if self._relay:
            lines.append(f"credential_process = {self._relay.command}")
        if isinstance(services, dict):
            lines += ["[services job]", *_rendered(services)]
        return lines


def _rendered(settings: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, value in settings.items():
        if isinstance(value, dict):
            lines += [f"{name} =", *(f"  {inner} = {text}" for inner, text in value.items())]
        else:
            lines.append(f"{name} = {value}")
    return lines


class _Relay(Serving, UnixStreamServer):
    """Answers on a socket in the private directory: only this user can connect to it."""

    def __init__(self, path: Path, credentials: Refreshing, client: str) -> None:
        self.credentials = credentials
        self._client = client
        self._path = str(path)
        try:
            super().__init__(self._path, _Request)
        except OSError as error:
            raise Failed(
                f"The socket {path} cannot be created: {error.strerror or error}.",
                state="The command was not started.",
                remedy="Name a directory with a shorter path in TMPDIR.",
            ) from None

    @property
    def command(self) -> str:
        """The command line that prints the credentials. Without ``-P``, Python would look in the job's directory."""
        return shlex.join([sys.executable, "-P", "-m", self._client, self._path])


class _Request(BaseRequestHandler):
    """One run of the ``credential_process``: it gets ``+`` and the document, or ``-`` and what went wrong."""

    server: _Relay

    def handle(self) -> None:
        """Send the credentials."""
        connection: socket.socket = self.request
        try:
            message = Hidden(f"+{credential_process.document(self.server.credentials.get())}")
        except TwokeyError as error:
            message = Hidden(f"-{error}")
        connection.sendall(memoryview(message.encode()))
