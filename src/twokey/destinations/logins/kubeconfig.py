"""What a kubeconfig configures: a cluster's address, its CA certificates, and the credentials to use.

Sources: "Organizing Cluster Access Using kubeconfig Files" (several files, relative paths), "kubeconfig (v1)",
Kubernetes' documentation.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec

from twokey.core.errors import UsageError
from twokey.core.secret import Hidden
from twokey.core.sentences import nearest
from twokey.destinations.logins.kubernetes_plugin import EXTENSION, VERSIONS, Plugin, PluginCredential
from twokey.http.renewable_token import Grant, RenewableToken
from twokey.http.transport import Tls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twokey.core.ports import Clock

_LOGINS = "a token, a client certificate or a credential plugin"


@dataclass(frozen=True, slots=True)
class Access:
    """How a cluster is reached. ``login`` describes, for messages, the credentials that are sent.

    ``token`` or ``plugin`` is what gives them, besides a certificate in ``tls``. ``distinction`` tells apart clusters
    with the same address, each in a network of its own.
    """

    server: str
    tls: Tls
    token: RenewableToken | None
    login: str
    distinction: str = ""
    plugin: PluginCredential | None = None

    def headers(self) -> Mapping[str, str]:
        """Return the headers that authenticate."""
        if self.plugin is not None:
            return self.plugin.headers()
        return {"Authorization": f"Bearer {self.token.value()}"} if self.token is not None else {}

    def renew(self) -> bool:
        """Get the credentials again after a refusal; return whether they are different ones now."""
        source = self.plugin or self.token
        return source.renew() if source is not None else False

    def tls_now(self) -> Tls:
        """Return the TLS settings, with the certificate that a plugin gives."""
        return self.tls if self.plugin is None else self.plugin.identified(self.tls)

    @property
    def cluster(self) -> str:
        """What distinguishes the cluster from others."""
        return f"{self.server.rstrip('/').lower()} {self.distinction}".rstrip()


class _Part(msgspec.Struct, frozen=True, rename="kebab"):
    """A part of a kubeconfig, which writes names with dashes. Unknown fields are ignored."""


class _Extension(_Part, frozen=True):
    name: str = ""
    extension: Any = None


class _Cluster(_Part, frozen=True):
    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    extensions: list[_Extension] | None = None


class _User(_Part, frozen=True):
    token: str = ""
    token_file: str = msgspec.field(name="tokenFile", default="")
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    exec: Plugin | None = None
    username: str = ""
    auth_provider: Any = None
    impersonate: str = msgspec.field(name="as", default="")


class _Context(_Part, frozen=True):
    cluster: str = ""
    user: str = ""


class _NamedCluster(_Part, frozen=True):
    name: str
    cluster: _Cluster


class _NamedUser(_Part, frozen=True):
    name: str
    user: _User | None = None


class _NamedContext(_Part, frozen=True):
    name: str
    context: _Context


class _File(_Part, frozen=True):
    current_context: str = ""
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None


_Entry = TypeVar("_Entry")


class Kubeconfig:
    """The content of one or more kubeconfig files; the first entry of a name counts."""

    def __init__(self, paths: str, label: str, clock: Clock) -> None:
        """Read the files; ``paths`` is written as in ``KUBECONFIG``. Raises ``UsageError``."""
        self._label = label
        self._clock = clock
        self._paths = paths
        self._current = ""
        self._clusters: dict[str, tuple[_Cluster, Path]] = {}
        self._users: dict[str, tuple[_User, Path]] = {}
        self._contexts: dict[str, _Context] = {}
        there = [path for path in map(Path, filter(None, paths.split(os.pathsep))) if path.is_file()]
        if not there:
            raise self._error("there is no such file.", "Name an existing file.")
        for path in there:
            self._add(path)

    def access(self, context: str, secret_of: Callable[[str], RenewableToken]) -> Access:
        """Return how the cluster of a context, by default the current one, is reached.

        ``secret_of`` reads a file with a token. Raises ``UsageError`` for a field that twokey does not support.
        """
        name = context or self._current
        if not name:
            raise self._error("it has no current context.", "Set `context` in the connection.")
        found = self._named(self._contexts, name, "context")
        cluster, beside = self._named(self._clusters, found.cluster, "cluster")
        tls = self._trusted(cluster, beside)
        if not found.user:
            raise self._error(f"the context {name} has no user.")
        user, beside = self._named(self._users, found.user, "user")
        certificate, key = self._certificate(user, beside)
        token = self._token(user, beside, secret_of)
        plugin = self._plugin(user.exec, cluster, tls, beside) if user.exec is not None and token is None else None
        if token is None and plugin is None and not certificate:
            raise self._error(f"the user {found.user} has no credentials; expected {_LOGINS}.")
        tls = replace(tls, certificate=certificate, key=key)
        login = f"valid credentials (of the user {found.user} in {self._paths})"
        return Access(cluster.server, tls, token, login, plugin=plugin)

    def _add(self, path: Path) -> None:
        try:
            read = msgspec.yaml.decode(path.read_bytes(), type=_File)
        except OSError as error:
            raise self._error(f"{path} cannot be read: {error.strerror}.") from None
        except msgspec.ValidationError as error:
            raise self._error(f"{path} is not a kubeconfig: {error}.") from None
        except (msgspec.DecodeError, UnicodeError):
            # The parser's message quotes the file, which may contain a token.
            raise self._error(f"{path} is not YAML.") from None
        self._current = self._current or read.current_context
        for cluster in read.clusters or ():
            self._clusters.setdefault(cluster.name, (cluster.cluster, path.parent))
        for user in read.users or ():
            self._users.setdefault(user.name, (user.user or _User(), path.parent))
        for context in read.contexts or ():
            self._contexts.setdefault(context.name, context.context)

    def _trusted(self, cluster: _Cluster, beside: Path) -> Tls:
        if cluster.insecure_skip_tls_verify:
            raise self._error(
                "insecure-skip-tls-verify would send the token to any server that answers at this address.",
                "Set the cluster's certificate-authority instead.",
            )
        return Tls(
            self._pem(cluster.certificate_authority, cluster.certificate_authority_data, beside),
            server_name=cluster.tls_server_name,
            proxy=cluster.proxy_url,
            proxy_source=f"`proxy-url` in {self._paths}",
        )

    def _certificate(self, user: _User, beside: Path) -> tuple[str, Hidden]:
        certificate = self._pem(user.client_certificate, user.client_certificate_data, beside)
        key = self._pem(user.client_key, user.client_key_data, beside)
        if bool(certificate) != bool(key):
            raise self._error("expected a client certificate and its key, but one of them is missing.")
        return certificate, key

    def _token(self, user: _User, beside: Path, secret_of: Callable[[str], RenewableToken]) -> RenewableToken | None:
        for value, field in (
            (user.username, "username"),
            (user.auth_provider, "auth-provider"),
            (user.impersonate, "as"),
        ):
            if value:
                raise self._error(f"twokey does not support `{field}` of a user.", f"Use {_LOGINS}.")
        if user.token_file:
            return secret_of(str(beside / user.token_file))
        if user.token:
            return RenewableToken(lambda: Grant(Hidden(user.token)), self._paths)
        return None

    def _plugin(self, plugin: Plugin, cluster: _Cluster, tls: Tls, beside: Path) -> PluginCredential:
        if plugin.api_version not in VERSIONS:
            raise self._error(
                f"twokey does not support credential plugins of {plugin.api_version}.", f"Use {VERSIONS[0]}."
            )
        if plugin.interactive_mode == "Always":
            raise self._error(
                f"the credential plugin {plugin.command} has the interactiveMode Always, and twokey runs no program "
                "that asks on a terminal.",
                "Set it to IfAvailable or Never, or configure credentials that need no terminal.",
            )
        # A path is relative to the file; a bare name is searched on PATH ("client-go credential plugins").
        command = str(beside / plugin.command) if "/" in plugin.command else plugin.command
        info = _described(cluster, tls) if plugin.provide_cluster_info else None
        return PluginCredential(plugin, command, info, self._clock)

    def _pem(self, file: str, data: str, beside: Path) -> Hidden:
        if data:
            try:
                return Hidden(base64.b64decode(data, validate=True).decode(errors="replace"))
            except ValueError:
                raise self._error("a certificate or key in it is not base64.") from None
        if not file:
            return Hidden()
        try:
            return Hidden((beside / file).read_bytes().decode(errors="replace"))
        except OSError:
            raise self._error(f"{beside / file} cannot be read.") from None

    def _named(self, known: dict[str, _Entry], name: str, what: str) -> _Entry:
        if name not in known:
            raise self._error(
                f"it has no {what} {name!r}; {nearest(name, known) if known else f'it has no {what} at all.'}"
            )
        return known[name]

    def _error(self, message: str, remedy: str = "") -> UsageError:
        return UsageError(f"{self._label}: kubeconfig {self._paths}: {message}", remedy=remedy)


def _described(cluster: _Cluster, tls: Tls) -> dict[str, Any]:
    """Return what client-go tells a plugin about the cluster; the proxy without its password."""
    parts = urlsplit(cluster.proxy_url)
    proxy = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    authority = base64.b64encode(tls.ca.encode()).decode()
    messages = {
        "server": cluster.server,
        "tls-server-name": cluster.tls_server_name,
        "certificate-authority-data": authority,
        "proxy-url": proxy,
    }
    config = next((one.extension for one in cluster.extensions or () if one.name == EXTENSION), None)
    return {**{name: text for name, text in messages.items() if text}, "config": config}
