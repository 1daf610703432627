"""What a kubeconfig says: where a cluster is, whom to trust there, and who one is.

Sources: "Organizing Cluster Access Using kubeconfig Files" (several files, relative paths), "kubeconfig (v1)",
Kubernetes' documentation.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from twokey.core.errors import UsageError
from twokey.core.secret import Hidden
from twokey.destinations.address import nearest
from twokey.destinations.logins.kubernetes_plugin import VERSIONS, Plugin, run
from twokey.http.renewable_token import Grant, RenewableToken
from twokey.http.transport import Tls

if TYPE_CHECKING:
    from collections.abc import Callable

_ONE_BEARER = "a token, a client certificate or a credential plugin"


@dataclass(frozen=True, slots=True)
class Access:
    """How a cluster is reached. ``who`` is what the service is shown, in words for a person."""

    server: str
    tls: Tls
    token: RenewableToken | None
    who: str


class _Part(msgspec.Struct, frozen=True, rename="kebab"):
    """kubeconfig writes names with dashes; what twokey does not know, it passes over."""


class _Cluster(_Part, frozen=True):
    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""


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
    """One or more kubeconfig files, read; what comes first of a name counts."""

    def __init__(self, paths: str, label: str) -> None:
        """Read the files; ``paths`` as ``KUBECONFIG`` has them. Raises ``UsageError``."""
        self._label = label
        self._paths = paths
        self._current = ""
        self._clusters: dict[str, tuple[_Cluster, Path]] = {}
        self._users: dict[str, tuple[_User, Path]] = {}
        self._contexts: dict[str, _Context] = {}
        there = [path for path in map(Path, filter(None, paths.split(os.pathsep))) if path.is_file()]
        if not there:
            raise self._wrong("there is no such file.")
        for path in there:
            self._add(path)

    def access(self, context: str, secret_of: Callable[[str], RenewableToken]) -> Access:
        """Return how the cluster of a context, by default the current one, is reached.

        ``secret_of`` reads a file with a token. Raises ``UsageError`` for what twokey cannot do.
        """
        name = context or self._current
        if not name:
            raise self._wrong("it has no current context.", "Name one: `context` in the connection.")
        found = self._named(self._contexts, name, "context")
        cluster, beside = self._named(self._clusters, found.cluster, "cluster")
        ca, server = self._trusted(cluster, beside), cluster.server
        if not found.user:
            raise self._wrong(f"the context {name} names no user.")
        user, beside = self._named(self._users, found.user, "user")
        certificate, key = self._certificate(user, beside)
        token = self._token(user, beside, secret_of)
        if token is None and not certificate:
            raise self._wrong(f"the user {found.user} has neither {_ONE_BEARER}.")
        return Access(server, Tls(ca, certificate, key), token, f"what the user {found.user} of {self._paths} needs")

    def _add(self, path: Path) -> None:
        try:
            read = msgspec.yaml.decode(path.read_bytes(), type=_File)
        except OSError as error:
            raise self._wrong(f"{path} cannot be read: {error.strerror}.") from None
        except msgspec.ValidationError as error:
            raise self._wrong(f"{path} is no kubeconfig: {error}.") from None
        except (msgspec.DecodeError, UnicodeError):
            # What the parser says quotes the file, which may hold a token.
            raise self._wrong(f"{path} is no YAML.") from None
        self._current = self._current or read.current_context
        for cluster in read.clusters or ():
            self._clusters.setdefault(cluster.name, (cluster.cluster, path.parent))
        for user in read.users or ():
            self._users.setdefault(user.name, (user.user or _User(), path.parent))
        for context in read.contexts or ():
            self._contexts.setdefault(context.name, context.context)

    def _trusted(self, cluster: _Cluster, beside: Path) -> str:
        if cluster.insecure_skip_tls_verify:
            raise self._wrong(
                "insecure-skip-tls-verify would give the token to anybody.", "Give the cluster's certificate-authority."
            )
        for value, field in ((cluster.tls_server_name, "tls-server-name"), (cluster.proxy_url, "proxy-url")):
            if value:
                raise self._wrong(f"twokey does not know {field}.", "For a proxy, set HTTPS_PROXY.")
        return self._pem(cluster.certificate_authority, cluster.certificate_authority_data, beside)

    def _certificate(self, user: _User, beside: Path) -> tuple[str, Hidden]:
        certificate = self._pem(user.client_certificate, user.client_certificate_data, beside)
        key = self._pem(user.client_key, user.client_key_data, beside)
        if bool(certificate) != bool(key):
            raise self._wrong("a client certificate and its key go together.")
        return certificate, key

    def _token(self, user: _User, beside: Path, secret_of: Callable[[str], RenewableToken]) -> RenewableToken | None:
        for value, field in (
            (user.username, "username"),
            (user.auth_provider, "auth-provider"),
            (user.impersonate, "as"),
        ):
            if value:
                raise self._wrong(f"twokey does not know `{field}` of a user.", f"Give it {_ONE_BEARER}.")
        if user.token_file:
            return secret_of(str(beside / user.token_file))
        if user.token:
            return RenewableToken(lambda: Grant(Hidden(user.token)), self._paths)
        return self._plugin(user.exec, beside) if user.exec is not None else None

    def _plugin(self, plugin: Plugin, beside: Path) -> RenewableToken:
        if plugin.api_version not in VERSIONS:
            raise self._wrong(f"twokey does not know plugins of {plugin.api_version}.", f"Use {VERSIONS[0]}.")
        if plugin.provide_cluster_info:
            raise self._wrong("twokey does not know provideClusterInfo of a plugin.")
        # A path is beside the file, a bare name on PATH ("client-go credential plugins").
        command = str(beside / plugin.command) if "/" in plugin.command else plugin.command
        return RenewableToken(lambda: Grant(run(plugin, command)), f"the plugin {plugin.command}")

    def _pem(self, file: str, data: str, beside: Path) -> Hidden:
        if data:
            try:
                return Hidden(base64.b64decode(data, validate=True).decode(errors="replace"))
            except ValueError:
                raise self._wrong("a certificate or key in it is not base64.") from None
        if not file:
            return Hidden()
        try:
            return Hidden((beside / file).read_bytes().decode(errors="replace"))
        except OSError:
            raise self._wrong(f"{beside / file} cannot be read.") from None

    def _named(self, known: dict[str, _Entry], name: str, what: str) -> _Entry:
        if name not in known:
            raise self._wrong(f"it has no {what} {name!r}; {nearest(name, known) if known else 'none at all.'}")
        return known[name]

    def _wrong(self, message: str, remedy: str = "") -> UsageError:
        return UsageError(f"{self._label}: kubeconfig {self._paths}: {message}", remedy=remedy)
