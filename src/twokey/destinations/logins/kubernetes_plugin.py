"""The credential plugins of a kubeconfig: programs that print a bearer token, a client certificate, or both.

Sources: "client-go credential plugins", "Client Authentication (v1)" (ExecCredential, Cluster), "kubeconfig (v1)"
(ExecConfig), Kubernetes' documentation.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.core.decoding import decoder
from twokey.core.errors import BadCredentials, UsageError
from twokey.core.secret import Hidden
from twokey.core.timestamps import zoned
from twokey.http import transport
from twokey.http.renewable_token import Grant, RenewableToken
from twokey.http.transport import Tls
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.ports import Clock

LONGEST = 60.0
"""Seconds that a plugin may take; the lease of a rotation must outlast it."""
VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
EXTENSION = "client.authentication.k8s.io/exec"
"""The extension of a cluster whose content a plugin gets as ``spec.cluster.config``."""
LONGEST_HINT = 500


class Variable(msgspec.Struct, frozen=True):
    """An environment variable that a plugin is run with."""

    name: str
    value: str


class Plugin(msgspec.Struct, frozen=True, rename="camel"):
    """A program that prints credentials."""

    command: str
    args: list[str] | None = None
    env: list[Variable] | None = None
    api_version: str = VERSIONS[0]
    provide_cluster_info: bool = False
    interactive_mode: str = "IfAvailable"
    install_hint: str = ""


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: datetime | None = None

    def __repr__(self) -> str:
        return "_Status()"


class _Credential(msgspec.Struct, frozen=True, rename="camel"):
    status: _Status
    kind: str = "ExecCredential"
    api_version: str = ""


class PluginCredential:
    """What a plugin prints, kept until it expires or is refused. ``cluster`` is what it is told about the cluster."""

    def __init__(self, plugin: Plugin, command: str, cluster: Mapping[str, Any] | None, clock: Clock) -> None:
        self._plugin, self._command, self._clock = plugin, command, clock
        spec = {"interactive": False, **({"cluster": cluster} if cluster is not None else {})}
        self._info = json.dumps({"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec})
        # The whole status is what is renewed: its token and its certificate belong together.
        self._printed = RenewableToken(self._run, f"the plugin {plugin.command}", clock)

    def headers(self) -> dict[str, str]:
        """Return the header with the token, if the plugin gives one."""
        token = Hidden(self._status().token)
        return {"Authorization": f"Bearer {token}"} if token else {}

    def identified(self, tls: Tls) -> Tls:
        """Return TLS settings with the plugin's client certificate, if it gives one."""
        status = self._status()
        if not status.client_certificate_data:
            return tls
        return _with_identity(tls, status)

    def renew(self) -> bool:
        """Run the plugin again after a refusal; return whether it printed something else."""
        return self._printed.renew()

    def _status(self) -> _Status:
        return decoder(_Status).decode(self._printed.value().encode())

    def _run(self) -> Grant:
        """Run the plugin; raises ``BadCredentials``.

        Its stderr is discarded, because it may contain a secret; so are exceptions that contain its output.
        """
        text, why = self._output()
        if text is None:
            raise self._failed(why)
        try:
            found = decoder(_Credential).decode(text.encode())
        except (msgspec.DecodeError, UnicodeError):
            raise self._failed("it printed no ExecCredential with a token or a client certificate") from None
        self._check(found)
        end = found.status.expiration_timestamp
        seconds = None if end is None else (zoned(end) - self._clock.now()).total_seconds()
        return Grant(Hidden(msgspec.json.encode(found.status).decode()), seconds)

    def _check(self, found: _Credential) -> None:
        """Raise ``BadCredentials`` for what client-go does not accept either, and for what cannot be sent."""
        status, expected = found.status, self._plugin.api_version
        if found.kind != "ExecCredential" or found.api_version not in {"", expected}:
            raise self._failed(f"it printed credentials of another kind or version than {expected}")
        if bool(status.client_certificate_data) != bool(status.client_key_data):
            raise self._failed("it printed a client certificate without its key, or a key without its certificate")
        if not status.token and not status.client_certificate_data:
            raise self._failed("it printed no ExecCredential with a token or a client certificate")
        if any(not 32 < ord(character) < 127 for character in status.token):
            raise self._failed("it printed a token with a character that a token cannot have")
        if status.client_certificate_data:
            try:
                transport.refuse_identity(_with_identity(Tls(), status))
            except UsageError:
                raise self._failed("it printed a client certificate and a key that do not belong together") from None

    def _output(self) -> tuple[Hidden | None, str]:
        """Return what the plugin prints, or None and the reason."""
        plugin = self._plugin
        added = {one.name: one.value for one in plugin.env or ()}
        try:
            completed = subprocess.run(  # noqa: S603  the program that the operator's own kubeconfig names
                [self._command, *(plugin.args or ())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment.for_program({**added, "KUBERNETES_EXEC_INFO": self._info}),
                timeout=LONGEST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None, f"it took longer than {LONGEST:.0f} s"
        except FileNotFoundError:
            raise self._missing() from None
        except OSError as error:
            return None, error.strerror or "it cannot be run"
        if completed.returncode:
            return None, f"it ended with exit code {completed.returncode}"
        return Hidden(completed.stdout.decode(errors="replace")), ""

    def _missing(self) -> BadCredentials:
        hint = " ".join(self._plugin.install_hint.split())[:LONGEST_HINT]
        return BadCredentials(
            f"The credential plugin {self._plugin.command} of the kubeconfig cannot be used: it is not installed, or "
            "not on PATH.",
            state="Nothing was sent.",
            remedy=f"The kubeconfig says: {hint}" if hint else "Install it, or correct its path in the kubeconfig.",
        )

    def _failed(self, why: str) -> BadCredentials:
        return BadCredentials(
            f"The credential plugin {self._plugin.command} of the kubeconfig cannot be used: {why}.",
            state="Nothing was sent.",
            remedy="Run `kubectl auth whoami` with the same kubeconfig to see the plugin's own message.",
        )


def _with_identity(tls: Tls, status: _Status) -> Tls:
    return replace(tls, certificate=status.client_certificate_data, key=Hidden(status.client_key_data))
