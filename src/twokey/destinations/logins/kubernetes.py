"""How a Kubernetes cluster is reached: as the pod that twokey runs in, with a kubeconfig, or with a URL and a token.

Sources: "Accessing the Kubernetes API from a Pod" (the service account's files, the two variables), "Kubernetes API
Concepts" (status objects), "Managing Service Accounts" (tokens that are replaced while the pod runs), Kubernetes'
documentation.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from twokey.core.errors import BadCredentials, Failed, NotFound, ServiceRejected, UsageError
from twokey.destinations import connections
from twokey.destinations.connections import ConnectionKind
from twokey.destinations.logins.kubeconfig import Access, Kubeconfig
from twokey.destinations.sources import Source
from twokey.http import transport
from twokey.http.client import Http
from twokey.http.transport import Tls
from twokey.system import environment

if TYPE_CHECKING:
    from twokey.destinations.connections import ConnectionContext
    from twokey.http.messages import Request, Response

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_PATIENCE = 120.0


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a cluster is reached: ``url`` with ``token``, or ``kubeconfig``, or neither inside a pod."""

    token: Annotated[Source | None, msgspec.Meta(description="A bearer token, for `url`.")] = None
    kubeconfig: Annotated[str, msgspec.Meta(description="The path of a kubeconfig; by default ~/.kube/config.")] = ""
    context: Annotated[str, msgspec.Meta(description="A context of the kubeconfig; by default its current one.")] = ""

    @property
    def server(self) -> str:
        """What distinguishes the cluster from others."""
        return f"{super().server} {self.kubeconfig} {self.context}"


class Cluster:
    """One cluster, accessed with one identity."""

    def __init__(self, settings: Settings, context: ConnectionContext) -> None:
        access = _access(settings, context)
        self.clock = context.clock
        self._login = access.login
        self.server = access.cluster
        if access.plugin is not None:
            transport.refuse_unusable(access.server, settings.ca or None, access.tls)
        self.http = Http(
            "Kubernetes",
            access.server,
            context.clock,
            headers=access.headers,
            renew=access.renew,
            ca=settings.ca or None,
            insecure_http=settings.insecure_http,
            tls=access.tls if access.plugin is None else access.tls_now,
            explain=self._explain,
            token=access.login,
            patience=_PATIENCE,
        )

    def _explain(self, request: Request, response: Response) -> Failed | None:
        """Distinguish errors with the same status. Kubernetes' message is quoted unless the request has a secret."""
        message, state = response.error_message(), "Nothing was written there." if request.mutates else ""
        if response.status == 401:
            return BadCredentials(
                "Kubernetes does not accept twokey's credentials: they are unknown or have expired.",
                state=state,
                remedy=f"Provide {self._login}.",
            )
        if response.status == 404 and missing(response) == "namespaces":
            return NotFound(
                f"Kubernetes cannot {request.description}: its namespace does not exist.",
                state=state,
                remedy="Create the namespace, or correct its name in the destination.",
            )
        if response.status == 403:
            for sign, why, remedy in _REFUSALS:
                if sign in message:
                    quoted = "" if request.secret else f" Kubernetes says: {response.quotable()}"
                    return ServiceRejected(
                        f"Kubernetes cannot {request.description}: {why}.{quoted}", state=state, remedy=remedy
                    )
        return None


_REFUSALS = (
    ("exceeded quota", "the namespace's quota is used up", "Raise the quota, or delete what is not needed."),
    ("being terminated", "its namespace is being deleted", "Name another namespace."),
    (
        "denied the request",
        "an admission policy of the cluster refuses it",
        "Change the policy, or the destination so that the policy allows it.",
    ),
)
"""What a 403 contains that is not about permissions; Kubernetes reports all of them as Forbidden."""


def missing(response: Response) -> str:
    """Return the kind of object that a status object reports as missing (``secrets``); empty for any other 404."""
    found: Any = response.json()
    if not isinstance(found, dict) or found.get("reason") != "NotFound":
        return ""
    return str((found.get("details") or {}).get("kind", ""))


def _access(settings: Settings, context: ConnectionContext) -> Access:
    label = context.at or "The connection kubernetes"
    if bool(settings.url) != (settings.token is not None):
        raise UsageError(f"{label}: expected both `url` and `token`, or neither.")
    if settings.url and (settings.kubeconfig or settings.context):
        raise UsageError(f"{label}: expected either `url` and `token`, or `kubeconfig` and `context`, not both.")
    if settings.token is not None:
        secret = context.secret(settings.token)
        return Access(settings.url, Tls(), secret, f"a valid token (in {secret})")
    if not settings.kubeconfig and not settings.context and environment.variable("KUBERNETES_SERVICE_HOST"):
        return _of_the_pod(context)
    paths = settings.kubeconfig or str(Path("~/.kube/config").expanduser())
    if not settings.kubeconfig and not Path(paths).is_file():
        raise UsageError(
            f"{label}: no cluster is configured: twokey does not run in a pod, and there is no {paths}.",
            remedy="Set KUBECONFIG, or add it to twokey.yaml under connections: kubernetes: {kubeconfig: …}.",
        )
    return Kubeconfig(paths, label, context.clock).access(
        settings.context, lambda path: context.secret(Source(file=path), "tokenFile")
    )


def _of_the_pod(context: ConnectionContext) -> Access:
    host = environment.variable("KUBERNETES_SERVICE_HOST")
    port = environment.variable("KUBERNETES_SERVICE_PORT") or "443"
    secret = context.secret(Source(file=str(SERVICE_ACCOUNT / "token")))
    try:
        ca = (SERVICE_ACCOUNT / "ca.crt").read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        raise UsageError(f"The pod's {SERVICE_ACCOUNT / 'ca.crt'} cannot be read.") from None
    server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    # Within a pod, the API of most clusters has the same address; each cluster has its own certificate authority.
    distinction = hashlib.sha256(ca.encode()).hexdigest()[:8]
    return Access(server, Tls(ca), secret, "a valid token of the pod's service account", distinction)


CONNECTION = ConnectionKind(
    name="kubernetes",
    settings=Settings,
    connect=Cluster,
    environment={"kubeconfig": ("KUBECONFIG",)},
)
