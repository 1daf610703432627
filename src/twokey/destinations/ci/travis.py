"""Travis CI: ``travis:OWNER/REPO``, the environment variables in a repository's settings.

Options: ``branch=NAME``, for the variables of one branch, which Travis CI keeps apart from those of all branches and
prefers there; ``provider=``, if the repository is not on GitHub.

All variables are private: Travis CI hides their values in logs and in its API. It does not show the time of a write
either, so that one value cannot be distinguished from another.

Travis CI exports a value to the shell as it is, so a value is quoted for the shell. It stores all variables of a
repository in one document, which a write reads and writes whole: writes of one run follow one another.

Sources: "Environment Variables", "Triggering builds" (tokens), Travis CI Docs; the published sources of
travis-ci/travis-api (``v3/routes.rb``, ``v3/model_renderer.rb``, ``v3/models/env_var.rb``, ``v3/models/json_sync.rb``,
``v3/permissions``, ``app/middleware/scope_check.rb``, ``attack.rb``) and travis-ci/travis-build (``env/settings.rb``).
"""

from __future__ import annotations

import re
import shlex
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from twokey.core.errors import AccessDenied, Ambiguous, Failed, ServiceRejected, Throttled
from twokey.core.secret import Hidden
from twokey.destinations import connections
from twokey.destinations.ci.named_values import NamedValues, Shown
from twokey.destinations.formats import options as formats
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.destinations.sources import Source
from twokey.http.client import Http
from twokey.http.messages import Request, Response
from twokey.http.rate_limits import Limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.destinations.address import Address
    from twokey.destinations.connections import ConnectionContext
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext

PUBLIC = "https://api.travis-ci.com"
LIMITS = (Limit(45, 30), Limit(2000, 60, writes_only=False))
"""Below what ``attack.rb`` allows: the 50th POST in 30 seconds blocks a token for an hour."""
PROVIDERS = ("github", "gitlab", "bitbucket", "assembla")
_PART = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+"
_REPOSITORY = re.compile(rf"{_PART}/{_PART}", re.ASCII)
_NO_TOKEN = {"login_required", "wrong_credentials"}
PERMISSIONS = (
    Permission(
        service="Travis CI",
        name="push access",
        resource="repository",
        type="permission",
        grant="API token of a user who may change the repository's settings",
    ),
)
_NEEDED = phrase(PERMISSIONS)


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Travis CI is reached: travis-ci.com, or an Enterprise platform (``url: https://HOST/api``)."""

    token: Source


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that Travis CI allows no repository or variable."""
    if not _REPOSITORY.fullmatch(address.plain):
        raise address.error("expected OWNER/REPO.")
    address.allow(("connection", "branch", "provider", *formats.OPTIONS))
    address.one_of("provider", PROVIDERS)
    if address.options.get("branch") == "":
        raise address.error("branch= is empty; expected a branch.", "For the variables of all branches, remove it.")
    _format(address)


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=formats.ENVIRONMENT)


def _open(address: Address, context: DestinationContext) -> Repository:
    """Return the variables of a repository."""
    return Repository(address, context.connection(address, CONNECTION))


class _Variable(msgspec.Struct):
    """A variable. Its value is not read: that of a public one would be shown."""

    id: str | int
    name: str
    branch: str | None = None
    permissions: dict[str, bool] = msgspec.field(name="@permissions", default_factory=dict)


class _Variables(msgspec.Struct):
    env_vars: list[_Variable]


class _Repository(msgspec.Struct):
    permissions: dict[str, bool] = msgspec.field(name="@permissions", default_factory=dict)


class Travis:
    """One Travis CI, as one token sees it."""

    def __init__(self, settings: Settings, context: ConnectionContext) -> None:
        secret = context.secret(settings.token)
        self.http = Http(
            "Travis CI",
            settings.url or PUBLIC,
            context.clock,
            headers=lambda: {"Authorization": f"token {secret.value()}", "Travis-API-Version": "3"},
            renew=secret.renew,
            limits=LIMITS,
            ca=settings.ca or None,
            insecure_http=settings.insecure_http,
            explain=_explain,
            refuses_token=_refuses_token,
            token=f"a valid API token (in {secret})",
        )
        self._lock = threading.Lock()
        self._documents: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)

    def document(self, repository: str) -> threading.RLock:
        """Return the lock that a write of a repository's variables holds."""
        with self._lock:
            return self._documents[repository.lower()]


class Repository(NamedValues):
    """Variables of a repository, for one branch or for all."""

    def __init__(self, address: Address, travis: Travis) -> None:
        super().__init__(address.url, _format(address))
        self._http = travis.http
        self.pace = self._http.pace
        self._target = address.rest
        self._branch = address.options.get("branch", "")
        provider = address.options.get("provider", PROVIDERS[0])
        prefix = "" if provider == PROVIDERS[0] else f"{provider}/"
        self._base = f"/repo/{prefix}{quote(address.rest, safe='')}"
        self._document = travis.document(f"{provider}/{address.rest}")

    def preflight(self) -> None:
        """Raise if the repository is missing, or the token may not write what a delivery would write."""
        description = f"see {self._target}"
        repository = self._http.read(
            Request("GET", self._base, description, mutates=False, permission=_NEEDED), _Repository
        )
        there = self._listed()
        for name in self.format.names:
            may = there[name].permissions.get("write", True) if name in there else None
            if may is None:
                may = repository.permissions.get("create_env_var", True)
            if not may:
                raise AccessDenied(f"write {name} of {self._target}", "Travis CI", remedy=f"The token needs {_NEEDED}.")

    def _look(self) -> Mapping[str, Shown]:
        return {name: Shown(id=str(one.id)) for name, one in self._listed().items()}

    def _listed(self) -> dict[str, _Variable]:
        """Return the variables of this branch option. Of two with the same name, jobs see the last."""
        description = f"list the variables of {self._target}"
        # The response holds the values of public variables.
        request = Request("GET", f"{self._base}/env_vars", description, mutates=False, secret=True, permission=_NEEDED)
        return {
            one.name: one
            for one in self._http.read(request, _Variables).env_vars
            if one.name in self.looked_for and (one.branch or "") == self._branch
        }

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:  # noqa: ARG002  no field for a note
        fields = {"env_var.value": Hidden(shlex.quote(value)), "env_var.public": False}
        with self._document:
            if before is None:
                self._create(name, fields)
            else:
                self._replace(name, before.id, fields)

    def _remove(self, name: str, shown: Shown) -> None:
        description = f"remove {name} of {self._target}"
        path = f"{self._base}/env_var/{quote(shown.id, safe='')}"
        with self._document:
            self._http.find(Request("DELETE", path, description, permission=_NEEDED))

    def _create(self, name: str, fields: dict[str, Any]) -> None:
        """Create a variable once: a second one of the same name would be refused, or exist beside the first."""
        body = {"env_var.name": name, **fields, **({"env_var.branch": self._branch} if self._branch else {})}
        try:
            self._http.request(self._writing("POST", "env_vars", name, body, idempotent=False))
        except Ambiguous:
            made = self._listed().get(name)
            if made is None:
                raise
            self._replace(name, str(made.id), fields)

    def _replace(self, name: str, identity: str, fields: dict[str, Any]) -> None:
        self._http.request(self._writing("PATCH", f"env_var/{quote(identity, safe='')}", name, fields))

    def _writing(self, method: str, path: str, name: str, body: dict[str, Any], *, idempotent: bool = True) -> Request:
        description = f"write {name} of {self._target}"
        return Request(
            method,
            f"{self._base}/{path}",
            description,
            body=body,
            idempotent=idempotent,
            secret=True,
            permission=_NEEDED,
        )


def _refuses_token(response: Response) -> bool:
    """Return whether a token was refused: 403, as an error of API v3 or as two bare words declared as HTML."""
    found = response.json()
    if isinstance(found, dict):
        return response.status == 403 and found.get("error_type") in _NO_TOKEN
    return response.status == 403 and response.body.strip() == "access denied"


def _explain(request: Request, response: Response) -> Failed | None:
    found = response.json()
    if isinstance(found, dict) and found.get("error_type") == "repo_migrated":
        return ServiceRejected(
            f"Travis CI cannot {request.description}: the repository has moved to travis-ci.com.",
            state="Nothing was written there.",
            remedy=f"Remove the connection's url, or set it to {PUBLIC}.",
        )
    if response.status == 403 and response.body.strip() == "Forbidden":
        return Throttled(
            f"Travis CI cannot {request.description}: it blocks this token or address for an hour, after too many "
            "writes.",
            state="Nothing was written there.",
            remedy="Run again after an hour. What was delivered stays delivered.",
        )
    return None


CONNECTION = ConnectionKind(
    name="travis",
    settings=Settings,
    connect=Travis,
    environment={"token": ("TRAVIS_TOKEN",), "url": ("TRAVIS_ENDPOINT",)},
)
KIND = Kind(
    scheme="travis",
    check=check,
    open=_open,
    connection=CONNECTION,
    case_insensitive=True,
    default_options={"provider": PROVIDERS[0]},
    permissions=PERMISSIONS,
)
