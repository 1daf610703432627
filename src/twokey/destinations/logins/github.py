"""How GitHub is reached: with a token, or as a GitHub App.

Sources: "Rate limits for the REST API", "Permissions required for fine-grained personal access tokens" (the header
X-Accepted-GitHub-Permissions), GitHub Docs.
"""

from __future__ import annotations

import base64
import re
import threading
from typing import TYPE_CHECKING, Annotated

import msgspec

from twokey.core.errors import AccessDenied, Failed, NotFound, ServiceRejected, UsageError
from twokey.destinations import connections
from twokey.destinations.connections import ConnectionKind
from twokey.destinations.logins.github_app import App, AppLogin
from twokey.destinations.sources import Source
from twokey.http.client import Http
from twokey.http.messages import Request, Response
from twokey.http.rate_limits import Limit, Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twokey.destinations.connections import ConnectionContext

PUBLIC = "https://api.github.com"
LIMITS = (Limit(80, 60), Limit(500, 3600))
"""Secondary limits for requests that create content ("Rate limits for the REST API")."""
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_PERMISSIONS = re.compile(r"[a-z_]{2,40}=[a-z]{4,5}([,;] ?[a-z_]{2,40}=[a-z]{4,5}){0,9}", re.ASCII)


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How GitHub is reached: github.com, or your own server (``url: https://HOST/api/v3``). ``token`` or ``app``."""

    token: Annotated[Source | None, msgspec.Meta(description="A token: personal, or of an installation.")] = None
    app: Annotated[App | None, msgspec.Meta(description="A GitHub App, whose tokens twokey gets itself.")] = None


class GitHub:
    """One GitHub, as one token or one App sees it."""

    def __init__(self, settings: Settings, context: ConnectionContext) -> None:
        self._settings = settings
        self._clock = context.clock
        self._pace = Pace(context.clock, LIMITS)
        self._keys: dict[str, tuple[str, bytes]] = {}
        self._https: dict[str, Http] = {}
        self._lock = threading.Lock()
        if (settings.token is None) == (settings.app is None):
            raise UsageError(
                f"{context.at}: expected either `token` or `app`."
                if context.at
                else f"The connection {context.name} is not configured.",
                remedy="Set GH_TOKEN or GITHUB_TOKEN, or add it to twokey.yaml under connections: "
                "github: {token: …} or {app: …}.",
            )
        if settings.app is not None:
            self._app: AppLogin | None = AppLogin(settings.app, context, self._reached)
            return
        self._app = None
        assert settings.token is not None
        secret = context.secret(settings.token)
        self._https[""] = self._reached(
            lambda: {"Authorization": f"Bearer {secret.value()}"}, secret.renew, f"a valid token (in {secret})"
        )

    def http(self, target: str) -> Http:
        """Return the connection for a target, ``OWNER/REPOSITORY`` or ``ORGANIZATION``; nothing is called."""
        if self._app is None:
            return self._https[""]
        owner = target.partition("/")[0].lower()
        token = self._app.installation(target).token
        with self._lock:
            if owner not in self._https:
                self._https[owner] = self._reached(
                    lambda: {"Authorization": f"Bearer {token.value()}"},
                    token.renew,
                    f"a private key of the {self._app.name} that GitHub accepts",
                )
            return self._https[owner]

    def refuse_lacking(self, target: str, needed: Mapping[str, str], description: str) -> None:
        """Raise ``AccessDenied`` if an App's installation lacks a permission; what a token may do is not shown."""
        if self._app is not None:
            self._app.installation(target).refuse_lacking(needed, description)

    def public_key(self, http: Http, prefix: str, permission: str) -> tuple[str, bytes]:
        """Return the id and the key that secrets below ``prefix`` are sealed with; requested once in a run."""
        with self._lock:
            if prefix in self._keys:
                return self._keys[prefix]
        request = Request(
            "GET", f"{prefix}/public-key", "read the public key for secrets", mutates=False, permission=permission
        )
        found = http.request(request).json()
        with self._lock:
            self._keys[prefix] = (str(found["key_id"]), base64.b64decode(found["key"]))
            return self._keys[prefix]

    def forget_key(self, prefix: str) -> None:
        """Request the public key again next time: GitHub may have changed it."""
        with self._lock:
            self._keys.pop(prefix, None)

    def _reached(
        self,
        headers: Callable[[], Mapping[str, str]],
        renew: Callable[[], bool] = lambda: False,
        token: str = "a valid private key of the GitHub App",  # noqa: S107  text for messages
    ) -> Http:
        return Http(
            "GitHub",
            self._settings.url or PUBLIC,
            self._clock,
            headers=lambda: {**headers(), **_HEADERS},
            renew=renew,
            ca=self._settings.ca or None,
            insecure_http=self._settings.insecure_http,
            explain=_explain,
            token=token,
            pace=self._pace,
        )


def archived(name: str) -> ServiceRejected:
    """Return the error for a repository that is read-only."""
    return ServiceRejected(
        f"{name} is archived: GitHub takes no secrets for it.",
        state="Nothing was written there.",
        remedy="Unarchive the repository, or remove it from the destinations.",
    )


def _explain(request: Request, response: Response) -> Failed | None:
    error_message = response.error_message()
    if response.status != 403:
        return None
    if "archived" in error_message:
        return archived(request.path.removeprefix("/repos/").partition("/actions")[0])
    if "SAML" in error_message:
        return NotFound(
            f"GitHub cannot {request.description}: the token is not authorized for the organization's single sign-on.",
            remedy="Authorize the token for the organization (GitHub, Settings, Tokens, Configure SSO).",
        )
    # Several sets of permissions are separated by semicolons: each of them is enough.
    accepted = response.headers.get("X-Accepted-GitHub-Permissions", "").strip()
    if _PERMISSIONS.fullmatch(accepted):
        names = " or ".join(
            " and ".join(one.strip().replace("=", ": ") for one in enough.split(",")) for enough in accepted.split(";")
        )
        return AccessDenied(
            request.description,
            "GitHub",
            remedy=f"GitHub says that this needs the permission {names}. The token needs {request.permission}.",
        )
    return None


CONNECTION = ConnectionKind(
    name="github",
    settings=Settings,
    connect=GitHub,
    environment={"token": ("GH_TOKEN", "GITHUB_TOKEN"), "url": ("GITHUB_API_URL",)},
)
