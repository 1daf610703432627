"""How Vault and OpenBao are reached: with a token, or an auth method that grants one.

Sources: "JWT/OIDC auth method (API)", "Kubernetes auth method (API)", "Token auth method (API)", "Vault Enterprise
Eventual Consistency" (X-Vault-Index, 412), Vault's documentation; "Eventual consistency", OpenBao's, which responds
with 429 instead.
"""

from __future__ import annotations

import base64
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from twokey.core import lifetime
from twokey.core.errors import AccessDenied, BadCredentials, ServiceRejected, UsageError
from twokey.core.secret import Hidden
from twokey.core.waiting import pause
from twokey.destinations import connections
from twokey.destinations.connections import ConnectionKind
from twokey.destinations.logins.vault_methods import (
    AppRole,
    Aws,
    Certificate,
    Login,
    UserPass,
    aws_login,
    check_aws,
    identity,
    reason,
)
from twokey.destinations.sources import Source
from twokey.http.client import Http
from twokey.http.messages import Request, Response
from twokey.http.renewable_token import Grant, RenewableToken

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.destinations.connections import ConnectionContext

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
_METHODS = ("token", "approle", "jwt", "kubernetes", "aws", "cert", "userpass")
_INDEX = "X-Vault-Index"
"""The header with the state that a write led to; a node that does not have it yet must not answer a later request."""
_OPENBAO = base64.b64encode(b'{"c').decode()
_WAITS = (0.25, 0.5, 1.0, 2.0, 3.0, 3.0)
"""Seconds between requests to a node that does not have that state yet."""


class Jwt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JWT that the job's platform issues, such as GitLab's or GitHub's."""

    role: str
    jwt: Source
    mount: str = "jwt"


class Kubernetes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The service account of the pod that twokey runs in."""

    role: str
    jwt: Source = Source(file=SERVICE_ACCOUNT)
    mount: str = "kubernetes"


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Vault is reached, and exactly one auth method."""

    url: Annotated[str, msgspec.Meta(description="Vault's address.")]
    namespace: str = ""
    login_namespace: Annotated[
        str, msgspec.Meta(description="The namespace of the auth method or token; by default `namespace`.")
    ] = ""
    client_certificate: Annotated[str, msgspec.Meta(description="The path of a client certificate (PEM).")] = ""
    client_key: Annotated[str, msgspec.Meta(description="The path of its key (PEM).")] = ""
    token: Source | None = None
    approle: AppRole | None = None
    jwt: Jwt | None = None
    kubernetes: Kubernetes | None = None
    aws: Aws | None = None
    cert: Certificate | None = None
    userpass: UserPass | None = None

    @property
    def server(self) -> str:
        """What distinguishes the Vault that is reached, with its namespace, from others."""
        return f"{super().server} {self.namespace}"

    @property
    def secret_files(self) -> tuple[str, ...]:
        """The files that secrets are read from, the client's key among them."""
        return (*super().secret_files, *filter(None, (self.client_key,)))


class Vault:
    """One Vault, accessed with one identity. Logs in when it needs a token, and again after a token is refused."""

    def __init__(self, settings: Settings, context: ConnectionContext) -> None:
        label = context.at or "The connection vault"
        methods = [name for name in _METHODS if getattr(settings, name) is not None]
        if len(methods) != 1:
            raise UsageError(f"{label}: expected exactly one of {', '.join(_METHODS)}.")
        self.clock = context.clock
        self.versions: dict[str, int] = {}
        self._index = ""
        tls = identity(settings.client_certificate, settings.client_key, label)
        if settings.cert is not None and tls is None:
            raise UsageError(f"{label}: `cert` needs `client_certificate` and `client_key`.")
        get_token, self._source = self._method(settings, context)
        self._has_token = settings.token is not None
        self._token = RenewableToken(lambda: Grant(get_token()), self._source)
        self._space = _in_namespace(settings.namespace)
        self._login_space = _in_namespace(settings.login_namespace or settings.namespace)
        self.http = Http(
            "Vault",
            settings.url,
            context.clock,
            headers=lambda: {"X-Vault-Request": "true"},
            ca=settings.ca or None,
            insecure_http=settings.insecure_http,
            tls=tls,
            token=self._source,
            patience=120,
        )

    def request(self, request: Request) -> Response:
        """Send a request and return a good response; raises the errors of ``twokey.core.errors`` for all others."""
        response = self.send(request)
        if not response.good:
            raise self.http.verdicts.error_of(request, response)
        return response

    def send(self, request: Request) -> Response:
        """Send a request with a token. Raises ``BadCredentials`` if the token itself is refused."""
        response = self._send(request)
        if response.status != 403 or self._is_good():
            return response
        self._token.renew()
        response = self._send(request)
        if response.status == 403 and not self._is_good():
            raise BadCredentials(
                "Vault does not accept the token: it is unknown or has expired.",
                state="Nothing was written there." if request.mutates else "",
                remedy=f"Provide {self._source}.",
            )
        return response

    def outlast(self) -> None:
        """Raise ``BadCredentials`` if a token ends too soon for what the engine needs it for; renew it first if it can.

        A login can be repeated, so only a token that is read from somewhere is looked up ("Lookup a token (self)",
        "Renew a token (self)", Vault's API).
        """
        wanted = lifetime.needed()
        if not wanted or not self._has_token:
            return
        found = self._found()
        if 0 < found.get("ttl", 0) < wanted and found.get("renewable"):
            renew = Request("POST", "/v1/auth/token/renew-self", "renew the token", body={}, mutates=False, secret=True)
            self._send(renew, self._login_space)
            found = self._found()
        if 0 < found.get("ttl", 0) < wanted:
            self._token.renew()
            found = self._found()
        lifetime.refuse_short("Vault's token", found.get("ttl", 0) or math.inf, f"Provide {self._source} that lasts.")

    def _found(self) -> dict[str, Any]:
        request = Request("GET", "/v1/auth/token/lookup-self", "look up the token", mutates=False, secret=True)
        response = self._send(request, self._login_space)
        found: dict[str, Any] = (response.json() or {}).get("data") or {} if response.good else {}
        return found

    def lacking(self, path: str, capabilities: list[str]) -> AccessDenied:
        """Return the error for capabilities that the token does not have."""
        return AccessDenied(
            f"{' and '.join(capabilities)}",
            path,
            remedy="Add them to a policy of twokey's token or role in Vault.",
        )

    def _is_good(self) -> bool:
        """Say whether the token itself is accepted: Vault answers 403 for a bad token and for a missing permission."""
        request = Request("GET", "/v1/auth/token/lookup-self", "look up the token", mutates=False, secret=True)
        return self._send(request, self._login_space).good

    def _send(self, request: Request, space: dict[str, str] | None = None) -> Response:
        """Send a request with the token, to a node that has the state of what was written before.

        A standby that lags refuses with 412, and nothing took effect. Without the header, it may answer from an older
        state: the reader of a version compares its number.
        """
        for wait in (*_WAITS, None):
            token = {"X-Vault-Token": self._token.value()}
            # At the end without the index: a cluster that was restored from a backup never reaches it.
            index = _required(self._index) if wait is not None else {}
            headers = {**request.headers, **(self._space if space is None else space), **token, **index}
            response = self.http.send(replace(request, headers=headers))
            if response.status != 412:
                return self._recorded(response)
            if wait is not None:
                pause(self.clock, wait)
        raise ServiceRejected(
            f"Vault cannot {request.description}: the node that answered does not have the latest state yet (412).",
            state="Nothing was written there." if request.mutates else "",
            remedy="Run again. If that does not help, check the replication of the cluster's standbys, or set the "
            "connection's url to the active node.",
        )

    def _recorded(self, response: Response) -> Response:
        self._index = response.headers.get(_INDEX) or self._index
        return response

    def _method(self, settings: Settings, context: ConnectionContext) -> tuple[Callable[[], Hidden], str]:
        if settings.token is not None:
            return context.secret(settings.token).latest, f"a valid token (in {settings.token})"
        if settings.approle is not None:
            role = settings.approle
            secret_id = context.secret(role.secret_id, "approle.secret_id")
            return (
                lambda: self._with_secret(role.mount, {"role_id": role.role_id}, "secret_id", secret_id.value()),
                f"a valid secret ID (in {role.secret_id}) of the AppRole",
            )
        if settings.aws is not None:
            aws = settings.aws
            check_aws(aws, context.at or "The connection vault")
            return lambda: self._login(aws_login(aws, context)), (
                "AWS credentials that the role accepts, with `region` and `endpoint` of `aws` as sts_region and "
                "sts_endpoint of the auth method"
            )
        if settings.cert is not None:
            login = Login(settings.cert.mount, {"name": settings.cert.role} if settings.cert.role else {})
            return lambda: self._login(login), f"a client certificate (in {settings.client_certificate}) it accepts"
        if settings.userpass is not None:
            user = settings.userpass
            password = context.secret(user.password, "userpass.password")
            return (
                lambda: self._with_secret(user.mount, {}, "password", password.value(), user.username),
                f"a valid password (in {user.password}) of {user.username}",
            )
        if settings.kubernetes is not None:
            _check_in_a_pod(settings.kubernetes.jwt, context.at or "The connection vault")
        jwt = settings.jwt or settings.kubernetes
        assert jwt is not None
        secret = context.secret(jwt.jwt, "jwt")
        return (
            lambda: self._with_secret(jwt.mount, {"role": jwt.role}, "jwt", secret.latest()),
            f"a valid JWT (in {jwt.jwt}) for the role {jwt.role}",
        )

    def _with_secret(self, mount: str, body: dict[str, str], name: str, secret: Hidden, user: str = "") -> Hidden:
        return self._login(Login(mount, {**body, name: secret}, (secret,), user))

    def _login(self, login: Login) -> Hidden:
        request = Request(
            "POST",
            login.path,
            f"log in at {login.mount}",
            body=login.body,
            headers=self._login_space,
            mutates=False,
            secret=True,
        )
        response = self.http.send(request)
        if response.status in {400, 403}:
            words = reason(response, login.secrets)
            quoted = f" Vault says: {words}" if words else ""
            raise BadCredentials(
                f"Vault refuses the login at auth/{login.mount} ({response.status}).{quoted}",
                state="Nothing was written there.",
                remedy=f"Provide {self._source}, and check the role's settings in Vault.",
            )
        if not response.good:
            raise self.http.verdicts.error_of(request, response)
        found = self._recorded(response).json()
        auth = found.get("auth") if isinstance(found, dict) else None
        if not isinstance(auth, dict):
            raise self.http.verdicts.unclear(request, "its response has no token.")
        if not auth.get("client_token"):
            # With "Login MFA", a response grants nothing before a second request with a code.
            raise BadCredentials(
                f"Vault grants no token for the login at auth/{login.mount}"
                f"{': it requires MFA' if auth.get('mfa_requirement') else ''}.",
                state="Nothing was written there.",
                remedy="Let an administrator exempt twokey's role from the login enforcement of MFA, or use another "
                "auth method.",
            )
        return Hidden(auth["client_token"])


def _check_in_a_pod(jwt: Source, label: str) -> None:
    """Raise ``UsageError`` where the token of the pod's service account is missing."""
    if jwt.file and not jwt.oidc and not Path(jwt.file).is_file():
        raise UsageError(
            f"{label}: `kubernetes`: there is no service account token at {jwt.file} (not in a pod?).",
            remedy="Name another file with `jwt: {file: PATH}`, or use another auth method.",
        )


def _required(index: str) -> dict[str, str]:
    """Return the headers that require a state.

    A standby of OpenBao can be told to pass the request on to the active node, so that nothing has to wait. Vault
    refuses that header unless its configuration allows it. OpenBao's index is JSON in Base64, Vault's is not.
    """
    if not index:
        return {}
    openbao = index.startswith(_OPENBAO)
    return {_INDEX: index, **({"X-Vault-Inconsistent": "forward-active-node"} if openbao else {})}


def _in_namespace(name: str) -> dict[str, str]:
    return {"X-Vault-Namespace": name} if name else {}


CONNECTION = ConnectionKind(
    name="vault",
    settings=Settings,
    connect=Vault,
    environment={
        "url": ("VAULT_ADDR", "BAO_ADDR"),
        "token": ("VAULT_TOKEN", "BAO_TOKEN"),
        "namespace": ("VAULT_NAMESPACE", "BAO_NAMESPACE"),
        "ca": ("VAULT_CACERT", "BAO_CACERT"),
        "client_certificate": ("VAULT_CLIENT_CERT", "BAO_CLIENT_CERT"),
        "client_key": ("VAULT_CLIENT_KEY", "BAO_CLIENT_KEY"),
    },
)
