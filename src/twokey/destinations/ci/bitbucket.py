"""Bitbucket Cloud's Pipelines variables: ``bitbucket:WORKSPACE/REPOSITORY`` and ``bitbucket:WORKSPACE``.

Option: ``deployment=NAME`` picks the variables of one of a repository's deployment environments.

Id and secret are created as secured variables, which Bitbucket never shows again. An existing variable stays secured or
not, as it is. Bitbucket shows neither when a variable was written nor a note beside it, so the only proof of a delivery
is that the variable exists. For some seconds after a creation, no list shows it: the response to the creation is the
proof then, and a conflict with a variable that is not listed means to look again.

Sources: "Pipelines" and "Deployments" in the reference of the Bitbucket Cloud REST API and its OpenAPI description
(paths, fields, statuses, scopes, pages), "Variables and secrets" (names), "API request limits", "API token
permissions", "Repository Access Token permissions", "Workspace Access Token permissions", Atlassian Support.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import msgspec

from twokey.core.errors import AccessDenied, Ambiguous, Failed, NotFound, ServiceRejected
from twokey.core.secret import Hidden
from twokey.core.waiting import pause
from twokey.destinations import connections
from twokey.destinations.ci.named_values import NamedValues, Shown
from twokey.destinations.formats import options as formats
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.destinations.sources import Source
from twokey.http import paging
from twokey.http.client import Http
from twokey.http.messages import Request, Response
from twokey.http.rate_limits import Limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.destinations.address import Address
    from twokey.destinations.connections import ConnectionContext
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext

PUBLIC = "https://api.bitbucket.org/2.0"
LIMITS = (Limit(1000, 3600, writes_only=False),)
"""Requests of one user or token ("API request limits"); large workspaces have more, up to 10,000."""
LAG = 30.0
"""Seconds for which a list may not show yet what was created; Bitbucket's Terraform provider waits for five."""
_LOOKS = (0.0, 1.0, 2.0, 3.0, 4.0)
_PAGE = 100
_TARGET = re.compile(r"[A-Za-z0-9_-]{1,62}(/[A-Za-z0-9_.-]{1,62})?", re.ASCII)
_SCOPE = re.compile(r"[a-z:_-]{1,60}", re.ASCII)
_needed = partial(Permission, service="Bitbucket", resource="repository or workspace")
_ADMINISTRATOR = "API token of an administrator"
PERMISSIONS = (
    _needed(name="Pipelines: Edit variables", uses=("write", "create"), grant="access token"),
    _needed(name="Pipelines: Read", uses=("read",), grant="access token"),
    _needed(name="read:pipeline:bitbucket", type="scope", uses=("read",), grant=_ADMINISTRATOR),
    _needed(name="admin:pipeline:bitbucket", type="scope", uses=("write", "create"), grant=_ADMINISTRATOR),
)


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Bitbucket Cloud is reached: with an access token, or as a user (``email``) with an API token."""

    token: Source
    email: Annotated[
        str, msgspec.Meta(description="The email address of the Atlassian account, if the token is an API token.")
    ] = ""


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that Bitbucket allows no workspace, repository or variable."""
    if not _TARGET.fullmatch(address.plain) or address.plain.endswith(("/.", "/..")):
        raise address.error("expected WORKSPACE/REPOSITORY or WORKSPACE.")
    address.allow(("connection", *formats.OPTIONS, *(("deployment",) if "/" in address.rest else ())))
    _format(address)


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=formats.ENVIRONMENT)


def connect(settings: Settings, context: ConnectionContext) -> Http:
    """Return the connection that all destinations of Bitbucket share."""
    secret = context.secret(settings.token)

    def authorization() -> str:
        if not settings.email:
            return f"Bearer {secret.value()}"
        return f"Basic {base64.b64encode(f'{settings.email}:{secret.value()}'.encode()).decode()}"

    return Http(
        "Bitbucket",
        settings.url or PUBLIC,
        context.clock,
        headers=lambda: {"Authorization": authorization()},
        renew=secret.renew,
        limits=LIMITS,
        ca=settings.ca or None,
        insecure_http=settings.insecure_http,
        explain=_explain,
        token=f"a valid token (in {secret}), and the account's `email` if it is an API token",
    )


def _open(address: Address, context: DestinationContext) -> PipelinesVariables:
    """Return the variables of a workspace, a repository or a deployment environment."""
    return PipelinesVariables(address, context.connection(address, CONNECTION))


@dataclass(frozen=True, slots=True)
class Found(Shown):
    """An existing variable; its ``id`` is its UUID."""

    secured: bool = True


class PipelinesVariables(NamedValues):
    """Pipelines variables of one workspace, repository or deployment environment."""

    confirms = "nothing"

    def __init__(self, address: Address, http: Http) -> None:
        super().__init__(address.url, _format(address))
        self._http = http
        self.pace = self._http.pace
        self._target = address.rest
        self._deployment = address.options.get("deployment")
        self._created: dict[str, tuple[Found, float]] = {}
        self._confirming = False
        self._environment = ""
        self._permission = phrase(PERMISSIONS)
        self._base = f"/repositories/{address.rest}" if "/" in address.rest else f"/workspaces/{address.rest}"

    def preflight(self) -> None:
        """Raise if the workspace, the repository or the environment is missing, or the token sees no variables."""
        self._environment = ""
        self.check_content(self._look())

    def _look(self) -> Mapping[str, Found]:
        found = self._look_in_list()
        now = self._http.clock.monotonic()
        created = {name: one for name, (one, at) in self._created.items() if now - at < LAG}
        if self._confirming:
            return created | found
        for wait in _LOOKS:
            if created.keys() <= found.keys():
                break
            pause(self._http.clock, wait)
            found = self._look_in_list()
        return found

    def _confirm(self, wanted: Mapping[str, Hidden]) -> str:
        """Check that the values arrived. The response to a creation proves it; no list does for some seconds."""
        self._confirming = True
        try:
            return super()._confirm(wanted)
        finally:
            self._confirming = False

    def _look_in_list(self) -> dict[str, Found]:
        listed = self._listed(self._variables(), f"list the variables of {self._target}")
        return {
            str(one["key"]): Found(
                value=None if one.get("secured") else Hidden(one.get("value") or ""),
                id=str(one["uuid"]),
                secured=bool(one.get("secured")),
            )
            for one in listed
            if one["key"] in self.looked_for
        }

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:  # noqa: ARG002  nowhere to put a note
        if before is None:
            before = self._create(name, value)
        if isinstance(before, Found):
            # A write that leaves `secured` out would change it.
            body = {"key": name, "value": value, "secured": before.secured}
            path = f"{self._variables()}/{quote(before.id, safe='')}"
            self._http.request(self._request("PUT", path, f"write the variable {name} of {self._target}", body=body))

    def _remove(self, name: str, shown: Shown) -> None:
        path = f"{self._variables()}/{quote(shown.id, safe='')}"
        self._http.find(self._request("DELETE", path, f"remove the variable {name} of {self._target}"))

    def _create(self, name: str, value: Hidden) -> Found | None:
        """Create a variable. If it exists although no list showed it, return it: it is written again.

        Either its creation was this run's and the response was lost, or it was another run's a moment ago. Bitbucket
        creates no second one of the same name, so sending the request again does no harm.
        """
        body = {"key": name, "value": value, "secured": name in self.format.names[:2]}
        request = self._request("POST", self._variables(), f"create the variable {name} of {self._target}", body=body)
        try:
            made = self._http.request(request).json()
        except (Ambiguous, _Exists):
            there = self._listed_later(name)
            if there is None:
                raise
            return there
        if isinstance(made, dict) and made.get("uuid"):
            found = Found(id=str(made["uuid"]), secured=bool(made.get("secured")))
            self._created[name] = found, self._http.clock.monotonic()
        return None

    def _listed_later(self, name: str) -> Found | None:
        """Look for a variable until a list shows it, or surely would."""
        for wait in _LOOKS:
            pause(self._http.clock, wait)
            found = self._look_in_list().get(name)
            if found is not None:
                return found
        return None

    def _variables(self) -> str:
        """Return the path of the variables; an environment is looked up by its name once."""
        if "/" not in self._target:
            return f"{self._base}/pipelines-config/variables"
        if self._deployment is None:
            return f"{self._base}/pipelines_config/variables"
        if not self._environment:
            self._environment = self._uuid(self._deployment)
        return f"{self._base}/deployments_config/environments/{quote(self._environment, safe='')}/variables"

    def _uuid(self, deployment: str) -> str:
        path = f"{self._base}/environments"
        listed = self._listed(path, f"list the deployment environments of {self._target}")
        found = {str(one["name"]): str(one["uuid"]) for one in listed}
        if deployment not in found:
            there = f"It has {', '.join(sorted(found))}." if found else "It has none."
            message = f"{self._target} has no deployment environment {deployment!r}."
            raise NotFound(message, state="Nothing was written there.", remedy=f"{there} Names are case-sensitive.")
        return found[deployment]

    def _listed(self, path: str, description: str) -> list[dict[str, Any]]:
        """Return a whole list. Some of Bitbucket's lists have neither `next` nor `size`."""
        found: dict[str, dict[str, Any]] = {}
        announced = True

        def page(number: int | None) -> tuple[list[dict[str, Any]], int | None]:
            nonlocal announced
            this = number or 1
            request = self._request("GET", f"{path}?pagelen={_PAGE}&page={this}", description)
            # A page that was not announced may be missing.
            response = self._http.request(request) if announced else self._http.find(request)
            if response is None:
                return [], None
            body = response.json()
            fresh = {str(one["uuid"]): one for one in body["values"] if one["uuid"] not in found}
            found.update(fresh)
            announced = "next" in body or len(found) < int(body.get("size", 0))
            full = "size" not in body and len(body["values"]) >= int(body.get("pagelen", _PAGE))
            return list(fresh.values()), this + 1 if fresh and (announced or full) else None

        return list(paging.chained(page))

    def _request(self, method: str, path: str, description: str, *, body: Any = None) -> Request:
        return Request(
            method, path, description, body=body, mutates=method != "GET", secret=True, permission=self._permission
        )


class _Exists(ServiceRejected):
    """Bitbucket has the variable that it was asked to create."""


def _explain(request: Request, response: Response) -> Failed | None:
    """Name the scopes that Bitbucket reports as missing. Nothing else is quoted: its response may hold a value."""
    if response.status == 409 and request.method == "POST":
        return _Exists(
            f"Bitbucket cannot {request.description}: another client changed it at the same time.",
            state="Nothing was written there.",
            remedy="Run again.",
        )
    if response.status != 403:
        return None
    body = response.json()
    error = body.get("error") if isinstance(body, dict) else None
    detail = error.get("detail") if isinstance(error, dict) else None
    required = detail.get("required") if isinstance(detail, dict) else None
    scopes = [str(one) for one in required or [] if _SCOPE.fullmatch(str(one))]
    if not scopes:
        return None
    return AccessDenied(
        request.description,
        "Bitbucket",
        remedy=f"The token lacks the scope {' or '.join(scopes)}; it needs {request.permission}.",
    )


CONNECTION = ConnectionKind(
    name="bitbucket",
    settings=Settings,
    connect=connect,
    environment={"token": ("BITBUCKET_ACCESS_TOKEN", "BITBUCKET_TOKEN")},
)
KIND = Kind(
    scheme="bitbucket",
    check=check,
    open=_open,
    connection=CONNECTION,
    case_insensitive=True,
    permissions=PERMISSIONS,
)
