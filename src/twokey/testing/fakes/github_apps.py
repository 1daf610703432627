"""GitHub Apps, as far as a login needs them: installations, and the tokens that they grant for an hour.

Sources: "REST API endpoints for GitHub Apps", "Generating a JSON Web Token (JWT) for a GitHub App", "Permissions
required for GitHub Apps" (the header X-Accepted-GitHub-Permissions), GitHub Docs; the OpenAPI description.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from twokey.core.timestamps import utc
from twokey.testing.fakes.github_bodies import installation, refusal
from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOUR = 3600
LONGEST_JWT = 600
"""Seconds between now and the end of an App's JWT, at most."""


@dataclass
class Installation:
    """An App on one account: ``repositories`` are those that it may access, None for all."""

    account: str
    permissions: Mapping[str, str]
    repositories: set[str] | None = None
    suspended: bool = False
    user: bool = False


class Apps(FakeService):
    """The part of GitHub that knows one App: by its ID or its client ID, and by its public key (PEM).

    ``now`` is the present time as GitHub sees it; ``monotonic`` decides when a token ends. ``accepted`` are the
    permissions that a refusal names, in place of the one that is missing.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.app_id = 1234
        self.client_id = "Iv23liA0000000000000"
        self.app_key = ""
        self.installations: dict[int, Installation] = {}
        self.granted: dict[str, tuple[Installation, float]] = {}
        self.accepted = ""
        self.now: Callable[[], float] = time.time

    def install(self, account: str, **settings: Any) -> int:
        """Install the App on an account; return the installation's ID."""
        number = self.tick() + 1000
        self.installations[number] = Installation(account, **settings)
        return number

    def by_token(self, request: ReceivedRequest) -> Installation | None:
        """Return the installation whose token a request has; raises ``Refusal`` for a token that has ended."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.granted:
            return None
        found, end = self.granted[token]
        if self.monotonic() >= end or found.suspended:
            raise refusal(401, "Bad credentials")
        return found

    def of_app(self, request: ReceivedRequest) -> bool:
        """Return whether only the App itself may send this request; then its JWT is checked."""
        if not request.path.endswith(("/installation", "/access_tokens")):
            return False
        self._check_jwt(request.headers.get("Authorization", "").removeprefix("Bearer "))
        return True

    def allow(self, request: ReceivedRequest, found: Installation) -> None:
        """Raise ``Refusal`` for what an installation does not see, or lacks the permission for."""
        _, _, owner, name = (*request.path.split("/"), "")[:4]
        hidden = found.repositories is not None and f"{owner}/{name}" not in found.repositories
        if owner.lower() != found.account.lower() or (request.path.startswith("/repos/") and hidden):
            raise refusal(404, "Not Found")
        needed = _needed(request)
        if needed and found.permissions.get(needed) not in _enough(request):
            level = "read" if request.method == "GET" else "write"
            refused = refusal(403, "Resource not accessible by integration")
            accepted = self.accepted or f"{needed}={level}"
            raise Refusal(403, refused.reply.body, {"X-Accepted-GitHub-Permissions": accepted})

    @route("GET", r"/repos/([^/]+)/([^/]+)/installation")
    def of_repository(self, _request: ReceivedRequest, owner: str, name: str) -> Reply:
        """Answer ``Get a repository installation for the authenticated app``."""
        return self._installation(owner, lambda one: one.repositories is None or f"{owner}/{name}" in one.repositories)

    @route("GET", r"/orgs/([^/]+)/installation")
    def of_organization(self, _request: ReceivedRequest, owner: str) -> Reply:
        """Answer ``Get an organization installation for the authenticated app``."""
        return self._installation(owner, lambda one: not one.user)

    @route("GET", r"/users/([^/]+)/installation")
    def of_user(self, _request: ReceivedRequest, owner: str) -> Reply:
        """Answer ``Get a user installation for the authenticated app``."""
        return self._installation(owner, lambda one: one.user)

    @route("POST", r"/app/installations/(\d+)/access_tokens")
    def grant(self, _request: ReceivedRequest, number: str) -> Reply:
        """Answer ``Create an installation access token for an app``."""
        found = self.installations.get(int(number))
        if found is None:
            raise refusal(404, "Not Found")
        if found.suspended:
            raise refusal(403, "This installation has been suspended")
        token = f"ghs_{self.tick():036d}"
        self.granted[token] = (found, self.monotonic() + HOUR)
        end = utc(datetime.fromtimestamp(self.now() + HOUR, UTC))
        selection = "all" if found.repositories is None else "selected"
        body = {"token": token, "expires_at": end, "permissions": dict(found.permissions)}
        return Reply(201, {**body, "repository_selection": selection})

    def _installation(self, owner: str, suits: Callable[[Installation], bool]) -> Reply:
        for number, one in self.installations.items():
            if one.account.lower() == owner.lower() and suits(one):
                return Reply(200, installation(number, self.app_id, one.account, dict(one.permissions), user=one.user))
        raise refusal(404, "Not Found")

    def _check_jwt(self, token: str) -> None:
        import jwt

        try:
            claims = jwt.decode(
                token, self.app_key, ["RS256"], options={"verify_exp": False, "verify_iat": False, "verify_aud": False}
            )
        except jwt.PyJWTError:
            raise refusal(401, "A JSON web token could not be decoded") from None
        now = self.now()
        if claims.get("iss") not in (str(self.app_id), self.client_id):
            raise refusal(401, "Integration not found")
        if not isinstance(claims.get("iat"), int) or claims["iat"] > now:
            raise refusal(401, "'Issued at' claim ('iat') must be an Integer representing the time that it was issued")
        if not now < claims.get("exp", 0) <= now + LONGEST_JWT:
            raise refusal(401, "'Expiration time' claim ('exp') is too far in the future, or has passed")


_RESOURCES = {"actions": "secrets", "dependabot": "dependabot_secrets", "codespaces": "codespaces_secrets"}


def _needed(request: ReceivedRequest) -> str:
    """Return the name of the permission for a request ("Permissions required for GitHub Apps")."""
    parts = request.path.split("/")
    if "secrets" not in parts:
        return "metadata"
    if request.path.startswith("/orgs/"):
        return f"organization_{_RESOURCES[parts[3]]}"
    return _RESOURCES.get(parts[4], "environments")


def _enough(request: ReceivedRequest) -> tuple[str, ...]:
    return ("read", "write") if request.method == "GET" else ("write",)
