"""The credential plugins of a kubeconfig: programs that print a bearer token.

Sources: "client-go credential plugins", "Client Authentication (v1)", Kubernetes' documentation.
"""

from __future__ import annotations

import json
import subprocess

import msgspec

from twokey.core.decoding import decoder
from twokey.core.errors import BadCredentials
from twokey.core.secret import Hidden
from twokey.system import environment

LONGEST = 60.0
"""Seconds that a plugin may take; the lease of a rotation must outlast it."""
VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


class Variable(msgspec.Struct, frozen=True):
    """An environment variable that a plugin is run with."""

    name: str
    value: str


class Plugin(msgspec.Struct, frozen=True, rename="camel"):
    """A program that prints a token."""

    command: str
    args: list[str] | None = None
    env: list[Variable] | None = None
    api_version: str = VERSIONS[0]
    provide_cluster_info: bool = False


class _Status(msgspec.Struct, frozen=True):
    token: str


class _Credential(msgspec.Struct, frozen=True):
    status: _Status


def run(plugin: Plugin, command: str) -> Hidden:
    """Run a plugin and return its token; raises ``BadCredentials``.

    Its stderr is discarded, because it may contain a secret; so are exceptions that contain its output.
    """
    text, why = _output(plugin, command)
    if text is None:
        raise _failed(plugin, why)
    try:
        token = Hidden(decoder(_Credential).decode(text.encode()).status.token)
    except (msgspec.DecodeError, UnicodeError):
        raise _failed(plugin, "it printed no ExecCredential with a token") from None
    if not token or any(not 32 < ord(character) < 127 for character in token):
        raise _failed(plugin, "it printed a token with a character that a token cannot have, or an empty one")
    return token


def _output(plugin: Plugin, command: str) -> tuple[Hidden | None, str]:
    """Return what the plugin prints, or None and the reason."""
    exec_info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
    added = {one.name: one.value for one in plugin.env or ()}
    try:
        completed = subprocess.run(  # noqa: S603  the program that the operator's own kubeconfig names
            [command, *(plugin.args or ())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment.for_program({**added, "KUBERNETES_EXEC_INFO": json.dumps(exec_info)}),
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"it took longer than {LONGEST:.0f} s"
    except OSError as error:
        return None, error.strerror or "it cannot be run"
    if completed.returncode:
        return None, f"it ended with exit code {completed.returncode}"
    return Hidden(completed.stdout.decode(errors="replace")), ""


def _failed(plugin: Plugin, why: str) -> BadCredentials:
    return BadCredentials(
        f"The credential plugin {plugin.command} of the kubeconfig cannot be used: {why}.",
        state="Nothing was sent.",
        remedy="Run `kubectl auth whoami` with the same kubeconfig to see the plugin's own message.",
    )
