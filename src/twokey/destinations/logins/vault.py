"""How Vault and OpenBao are reached: with a token, or an auth method that grants one.

Sources: "AppRole auth method (API)", "JWT/OIDC auth method (API)", "Kubernetes auth method (API)", "AWS auth method
(API)", "Token auth method (API)", Vault's documentation; OpenBao's are equal.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from twokey.core import lifetime
from twokey.core.errors import AccessDenied, BadCredentials, UsageError
from twokey.core.secret import Hidden
from twokey.destinations import connections
from twokey.destinations.connections import ConnectionKind
from twokey.destinations.sources import Source
from twokey.http.client import Http
from twokey.http.messages import Request, Response
from twokey.http.renewable_token import Grant, RenewableToken

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.destinations.connections import ConnectionContext

_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
_METHODS = ("token", "approle", "jwt", "kubernetes", "aws")


class AppRole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """AppRole: a role ID, and a secret ID from another source."""

    role_id: str
    secret_id: Source
    mount: str = "approle"


class Jwt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JWT that the job's platform issues, such as GitLab's or GitHub's."""

    role: str
    jwt: Source
    mount: str = "jwt"


class Kubernetes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The service account of the pod that twokey runs in."""

    role: str
    jwt: Source = Source(file=_SERVICE_ACCOUNT)
    mount: str = "kubernetes"


class Aws(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The AWS identity that twokey itself runs with. ``server_id`` goes into X-Vault-AWS-IAM-Server-ID."""

    role: str
    mount: str = "aws"
    server_id: str = ""


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Vault is reached. Exactly one of ``token``, ``approle``, ``jwt``, ``kubernetes`` and ``aws``."""

    url: Annotated[str, msgspec.Meta(description="Vault's address.")]
    namespace: str = ""
    token: Source | None = None
    approle: AppRole | None = None
    jwt: Jwt | None = None
    kubernetes: Kubernetes | None = None
    aws: Aws | None = None

    @property
    def server(self) -> str:
        """What distinguishes the Vault that is reached, with its namespace, from others."""
        return f"{super().server} {self.namespace}"


class Vault:
    """One Vault, accessed with one identity. Logs in when it needs a token, and again after a token is refused."""

    def __init__(self, settings: Settings, context: ConnectionContext) -> None:
        methods = [name for name in _METHODS if getattr(settings, name) is not None]
        if len(methods) != 1:
            label = context.at or "The connection vault"
            raise UsageError(f"{label}: expected exactly one of {', '.join(_METHODS)}.")
        self.clock = context.clock
        get_token, self._source = self._method(settings, context)
        self._is_given = settings.token is not None
        self._token = RenewableToken(lambda: Grant(get_token()), self._source)
        space = {"X-Vault-Namespace": settings.namespace} if settings.namespace else {}
        self.http = Http(
            "Vault",
            settings.url,
            context.clock,
            headers=lambda: {"X-Vault-Request": "true", **space},
            ca=settings.ca or None,
            insecure_http=settings.insecure_http,
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
        response = self.http.send(self._with_token(request))
        if response.status != 403 or self._is_good():
            return response
        self._token.renew()
        response = self.http.send(self._with_token(request))
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
        if not wanted or not self._is_given:
            return
        found = self._found()
        if 0 < found.get("ttl", 0) < wanted and found.get("renewable"):
            renew = Request("POST", "/v1/auth/token/renew-self", "renew the token", body={}, mutates=False, secret=True)
            self.http.send(self._with_token(renew))
            found = self._found()
        if 0 < found.get("ttl", 0) < wanted:
            self._token.renew()
            found = self._found()
        lifetime.refuse_short("Vault's token", found.get("ttl", 0) or math.inf, f"Provide {self._source} that lasts.")

    def _found(self) -> dict[str, Any]:
        request = Request("GET", "/v1/auth/token/lookup-self", "look up the token", mutates=False, secret=True)
        response = self.http.send(self._with_token(request))
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
        return self.http.send(self._with_token(request)).good

    def _with_token(self, request: Request) -> Request:
        return replace(request, headers={**request.headers, "X-Vault-Token": self._token.value()})

    def _method(self, settings: Settings, context: ConnectionContext) -> tuple[Callable[[], Hidden], str]:
        if settings.token is not None:
            return context.secret(settings.token).latest, f"a valid token (in {settings.token})"
        if settings.approle is not None:
            role = settings.approle
            secret_id = context.secret(role.secret_id, "approle.secret_id")
            return (
                lambda: self._login(role.mount, {"role_id": role.role_id, "secret_id": secret_id.value()}),
                f"a valid secret ID (in {role.secret_id}) of the AppRole",
            )
        if settings.aws is not None:
            aws = settings.aws
            return lambda: self._login(
                aws.mount, {"role": aws.role, **context.sign_identity(aws.server_id)}
            ), "AWS credentials that the role accepts"
        jwt = settings.jwt or settings.kubernetes
        assert jwt is not None
        secret = context.secret(jwt.jwt, "jwt")
        return (
            lambda: self._login(jwt.mount, {"role": jwt.role, "jwt": secret.latest()}),
            f"a valid JWT (in {jwt.jwt}) for the role {jwt.role}",
        )

    def _login(self, mount: str, body: dict[str, str]) -> Hidden:
        request = Request(
            "POST", f"/v1/auth/{mount}/login", f"log in at {mount}", body=body, mutates=False, secret=True
        )
        response = self.http.send(request)
        if response.status in {400, 403}:
            raise BadCredentials(
                f"Vault refuses the login at auth/{mount} ({response.status}).",
                state="Nothing was written there.",
                remedy=f"Provide {self._source}, and check the role's settings in Vault.",
            )
        if not response.good:
            raise self.http.verdicts.error_of(request, response)
        return Hidden(response.json()["auth"]["client_token"])


CONNECTION = ConnectionKind(
    name="vault",
    settings=Settings,
    connect=Vault,
    environment={
        "url": ("VAULT_ADDR", "BAO_ADDR"),
        "token": ("VAULT_TOKEN", "BAO_TOKEN"),
        "namespace": ("VAULT_NAMESPACE", "BAO_NAMESPACE"),
        "ca": ("VAULT_CACERT", "BAO_CACERT"),
    },
)
