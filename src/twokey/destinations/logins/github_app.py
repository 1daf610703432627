"""The login of a GitHub App: installation tokens, each for one account and valid for an hour.

The App signs a JSON Web Token with its private key, finds its installation on the account of a destination, and gets a
token for it. Tokens are renewed before they end, so a run over hundreds of repositories may take many hours.

Sources: "Generating a JSON Web Token (JWT) for a GitHub App", "Authenticating as a GitHub App installation", "REST API
endpoints for GitHub Apps", "Permissions required for GitHub Apps", GitHub Docs.
"""

from __future__ import annotations

import threading
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import msgspec

from twokey.core.decoding import decoder
from twokey.core.errors import AccessDenied, BadCredentials, NotFound, UsageError
from twokey.core.secret import Hidden
from twokey.destinations.sources import Source
from twokey.http.messages import Request
from twokey.http.renewable_token import Grant, RenewableToken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twokey.destinations.connections import ConnectionContext
    from twokey.http.client import Http

HOUR = 3600.0
EARLIER, LIFE = 60, 540
"""Seconds: a JWT is dated earlier, in case GitHub's clock runs slow; it lives for less than the ten minutes allowed."""
EXTRA = "github-app"


class App(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A GitHub App, by its ID or client ID, and its private key."""

    id: Annotated[int | str, msgspec.Meta(description="The App's ID or client ID.")]
    private_key: Annotated[Source, msgspec.Meta(description="The App's private key, a PEM file.")]
    installation: Annotated[
        int, msgspec.Meta(description="The installation's ID; by default twokey finds it for each account.")
    ] = 0


class _Granted(msgspec.Struct, frozen=True):
    token: Hidden
    expires_at: str = ""
    permissions: dict[str, str] = {}


class AppLogin:
    """One App. Its tokens are kept for each account that it is installed on."""

    def __init__(self, app: App, context: ConnectionContext, http: Callable[[Callable[[], Mapping[str, str]]], Http]):
        """Prepare the login; nothing is called.

        ``http`` returns a connection to GitHub that sends the headers of a function with each request. Raises
        ``UsageError`` if the packages for signatures are not installed.
        """
        if find_spec("jwt") is None or find_spec("cryptography") is None:
            raise UsageError(
                "A GitHub App signs in with a JSON Web Token, but the packages PyJWT and cryptography are not both "
                "installed.",
                remedy=f"Install twokey with the extra `{EXTRA}`: from a checkout, pip install '.[{EXTRA}]'. "
                "Or set a token.",
            )
        self.name = f"GitHub App {app.id}"
        self._app = app
        self._clock = context.clock
        self._key = context.secret(app.private_key, "app.private_key", lines=True)
        self._http = http(lambda: {"Authorization": f"Bearer {self._signed()}"})
        self._installations: dict[str, Installation] = {}
        self._lock = threading.Lock()

    def installation(self, target: str) -> Installation:
        """Return the installation on the account of a target, ``OWNER/REPOSITORY`` or ``ORGANIZATION``."""
        owner = target.partition("/")[0].lower()
        with self._lock:
            return self._installations.setdefault(owner, Installation(self, target))

    def grant(self, target: str, number: int) -> tuple[Grant, dict[str, str]]:
        """Return a token of an installation, and the permissions that it has."""
        number = number or self._app.installation
        path = f"/app/installations/{number}/access_tokens"
        request = Request("POST", path, "grant a token to the App", mutates=False, secret=True)
        response = self._http.send(request)
        if response.status in {403, 404, 422}:
            suspended = "suspended" in response.error_message()
            why = "is suspended" if suspended else f"was not found ({response.status})"
            raise BadCredentials(
                f"GitHub grants the {self.name} no token for {target}: its installation {number} {why}.",
                state="Nothing was written with it.",
                remedy="Let an owner of the account unsuspend the installation."
                if suspended
                else f"Check `app.installation`, or remove it: twokey then looks for the installation on {target}.",
            )
        self._refuse_bad_key(response.status)
        if not response.good:
            raise self._http.verdicts.error_of(request, response)
        try:
            found = decoder(_Granted).decode(response.body.encode())
        except (msgspec.DecodeError, UnicodeError):
            raise self._http.verdicts.unclear(request, "its response has no token.") from None
        return Grant(found.token, self._seconds(found.expires_at)), found.permissions

    def find(self, target: str) -> int:
        """Return the ID of the installation on the account of a target; raises ``NotFound`` without one."""
        if self._app.installation:
            return self._app.installation
        owner = target.partition("/")[0]
        accounts = (f"/orgs/{owner}", f"/users/{owner}")
        for path in (f"/repos/{target}", *accounts) if "/" in target else accounts[:1]:
            request = Request("GET", f"{path}/installation", f"find the installation on {target}", mutates=False)
            response = self._http.send(request)
            self._refuse_bad_key(response.status)
            if response.status != 404:
                if not response.good:
                    raise self._http.verdicts.error_of(request, response)
                return int(response.json()["id"])
        raise NotFound(
            f"The {self.name} is not installed on {owner}, or that account does not exist.",
            state="Nothing was written there.",
            remedy="Let an owner of the account install it (GitHub, the App's page, Install), with access to "
            f"{'the repository' if '/' in target else 'the organization'}.",
        )

    def _refuse_bad_key(self, status: int) -> None:
        if status == 401:
            raise BadCredentials(
                f"GitHub does not accept the private key of the {self.name}.",
                state="Nothing was written with it.",
                remedy=f"Check `app.id`, and provide a valid private key of the App (in {self._key}): GitHub, the "
                "App's settings, Private keys.",
            )

    def _seconds(self, end: str) -> float:
        """Return for how long a token is valid, an hour at most: the clock of this machine may be wrong."""
        try:
            return min((datetime.fromisoformat(end) - self._clock.now()).total_seconds(), HOUR)
        except (ValueError, TypeError):
            return HOUR

    def _signed(self) -> Hidden:
        """Return the App's JWT, signed with RS256."""
        import jwt
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        now = int(self._clock.now().timestamp())
        claims = {"iat": now - EARLIER, "exp": now + LIFE, "iss": str(self._app.id)}
        try:
            key = serialization.load_pem_private_key(memoryview(self._key.latest().encode()), password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise BadCredentials(
                f"The private key of the {self.name} (in {self._key}) cannot be used: expected an RSA key in PEM, "
                "without a password.",
                state="Nothing was sent.",
                remedy="Generate a private key in the App's settings on GitHub, and provide the whole file, from "
                "BEGIN to END.",
            )
        return Hidden(jwt.encode(claims, key, algorithm="RS256"))


class Installation:
    """An App on one account."""

    def __init__(self, app: AppLogin, target: str) -> None:
        self._app = app
        self._target = target
        self._number = 0
        self._permissions: dict[str, str] = {}
        self.token = RenewableToken(self._grant, f"the {app.name} on {target.partition('/')[0]}", app._clock)  # noqa: SLF001  one class in two parts

    def refuse_lacking(self, needed: Mapping[str, str], what: str) -> None:
        """Raise ``AccessDenied`` for permissions that the installation does not have.

        ``needed``: GitHub's own names to the names that people see.
        """
        self.token.value()
        lacking = [name for key, name in needed.items() if self._permissions.get(key) not in ("write", "admin")]
        if lacking:
            raise AccessDenied(
                what,
                "GitHub",
                remedy=f"The {self._app.name} lacks "
                f"{' and '.join(f'{name}: write' for name in lacking)}. Add it in the App's settings (Permissions & "
                f"events), then let an owner of {self._target.partition('/')[0]} accept the new permissions.",
            )

    def _grant(self) -> Grant:
        self._number = self._number or self._app.find(self._target)
        grant, self._permissions = self._app.grant(self._target, self._number)
        return grant
