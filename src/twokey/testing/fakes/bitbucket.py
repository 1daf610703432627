"""Bitbucket Cloud's REST API for Pipelines variables: of workspaces, repositories and deployment environments.

A secured variable shows no value. A write that leaves ``secured`` out makes the variable an open one. Lists come in
pages; those of environments ignore ``pagelen``, and have neither ``size`` nor ``next``.
"""

from __future__ import annotations

import base64
import re
import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_REPOSITORY = r"/repositories/([^/]+/[^/]+)"
_OF_REPOSITORY = _REPOSITORY + "/pipelines_config/variables"
_OF_WORKSPACE = r"/workspaces/([^/]+)/pipelines-config/variables"
_OF_ENVIRONMENT = _REPOSITORY + r"/deployments_config/environments/([^/]+)/variables"
SCOPES = ("pipeline", "pipeline:variable")


def _error(message: str, detail: Any = "", key: str = "") -> dict[str, Any]:
    data = {"data": {"key": key, "arguments": {}}} if key else {}
    return {"type": "error", "error": {"message": message, **({"detail": detail} if detail else {}), **data}}


class Bitbucket(FakeService):
    """Bitbucket with the workspace ``acme``, its repository ``site``, others that tests add, and one token."""

    not_found: ClassVar[Any] = _error("Resource not found")

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "ATCTT3" + "t" * 20) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.email = ""
        """The account that the token belongs to; it is an access token without one."""
        self.scopes: tuple[str, ...] = SCOPES
        self.targets: dict[str, list[dict[str, Any]]] = {"acme": []}
        """Variables by ``acme``, ``acme/site`` and ``acme/site/{uuid of an environment}``."""
        self.environments: dict[str, list[dict[str, Any]]] = {}
        self.most_on_a_page = 100
        self.lag = 0.0
        """Seconds for which the lists do not show a created variable yet."""
        self._created: dict[str, float] = {}
        self.add_repository("acme/site")

    def add_repository(self, name: str, *environments: str) -> None:
        """Create a repository with deployment environments."""
        self.targets[name] = []
        kind = {"type": "deployment_environment"}
        self.environments[name] = [{**kind, "uuid": _uuid(), "name": one, "slug": one.lower()} for one in environments]
        self.targets |= {f"{name}/{one['uuid']}": [] for one in self.environments[name]}

    def environment(self, name: str, deployment: str) -> str:
        """Return the key in ``targets`` of an environment's variables."""
        return next(f"{name}/{one['uuid']}" for one in self.environments[name] if one["name"] == deployment)

    def variable(self, target: str, key: str) -> dict[str, Any] | None:
        """Return a variable with its value."""
        return next((one for one in self.targets.get(target, []) if one["key"] == key), None)

    def value(self, target: str, key: str) -> str | None:
        """Return what a job reads."""
        found = self.variable(target, key)
        return found["value"] if found else None

    def put(self, target: str, key: str, value: str, *, secured: bool = True) -> None:
        """Write a variable as the operator would."""
        found = self.variable(target, key)
        if found is None:
            self.targets[target].append({"uuid": _uuid(), "key": key, "value": value, "secured": secured})
        else:
            found.update(value=value, secured=secured)

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token and its scopes."""
        basic = f"Basic {base64.b64encode(f'{self.email}:{self.token}'.encode()).decode()}"
        if request.headers.get("Authorization") != (basic if self.email else f"Bearer {self.token}"):
            raise Refusal(401, _error("Token is invalid, expired, or not supported for this endpoint."))
        needed = "pipeline" if request.method == "GET" else "pipeline:variable"
        if needed not in self.scopes:
            detail = {"granted": list(self.scopes), "required": [needed]}
            raise Refusal(403, _error("Your credentials lack one or more required privilege scopes.", detail))

    @route("GET", _REPOSITORY)
    def see_repository(self, _request: ReceivedRequest, name: str) -> Reply:
        """Answer ``Get a repository``."""
        self._target(name)
        links = {"self": {"href": f"{self.url}/repositories/{name}"}}
        return Reply(200, {"type": "repository", "full_name": name, "slug": name.partition("/")[2], "links": links})

    @route("GET", _REPOSITORY + "/environments")
    def list_environments(self, request: ReceivedRequest, name: str) -> Reply:
        """Answer ``List environments``: ten on a page, whatever ``pagelen`` is."""
        self._target(name)
        page = int(request.query.get("page", 1))
        values = self.environments[name][10 * (page - 1) : 10 * page]
        if page > 1 and not values:
            raise Refusal(404, _error("Invalid page"))
        return Reply(200, {"page": page, "pagelen": 10, "values": values})

    @route("GET", _OF_REPOSITORY + "/?")
    @route("GET", _OF_WORKSPACE + "/?")
    def list_variables(self, request: ReceivedRequest, name: str) -> Reply:
        """Answer ``List variables for a repository`` and ``List variables for a workspace``."""
        return self._page(request, self._target(name))

    @route("GET", _OF_ENVIRONMENT)
    def list_of_environment(self, request: ReceivedRequest, name: str, environment: str) -> Reply:
        """Answer ``List variables for an environment``."""
        return self._page(request, self._target(name, environment))

    @route("POST", _OF_REPOSITORY)
    @route("POST", _OF_WORKSPACE)
    def make_variable(self, request: ReceivedRequest, name: str) -> Reply:
        """Answer ``Create a variable for a repository`` and ``Create a variable for a workspace``."""
        return self._make(request, self._target(name))

    @route("POST", _OF_ENVIRONMENT)
    def make_of_environment(self, request: ReceivedRequest, name: str, environment: str) -> Reply:
        """Answer ``Create a variable for an environment``: its response names no type."""
        made = self._make(request, self._target(name, environment)).body
        return Reply(201, {field: value for field, value in made.items() if field != "type"})

    @route("PUT", _OF_REPOSITORY + r"/([^/]+)")
    @route("PUT", _OF_WORKSPACE + r"/([^/]+)")
    def write_variable(self, request: ReceivedRequest, name: str, variable: str) -> Reply:
        """Answer ``Update a variable for a repository`` and ``Update variable for a workspace``."""
        return self._write(request, self._target(name), variable)

    @route("PUT", _OF_ENVIRONMENT + r"/([^/]+)")
    def write_of_environment(self, request: ReceivedRequest, name: str, environment: str, variable: str) -> Reply:
        """Answer ``Update a variable for an environment``."""
        return self._write(request, self._target(name, environment), variable)

    @route("DELETE", _OF_REPOSITORY + r"/([^/]+)")
    @route("DELETE", _OF_WORKSPACE + r"/([^/]+)")
    def delete_variable(self, _request: ReceivedRequest, name: str, variable: str) -> Reply:
        """Answer ``Delete a variable for a repository`` and ``Delete a variable for a workspace``."""
        return self._delete(self._target(name), variable)

    @route("DELETE", _OF_ENVIRONMENT + r"/([^/]+)")
    def delete_of_environment(self, _request: ReceivedRequest, name: str, environment: str, variable: str) -> Reply:
        """Answer ``Delete a variable for an environment``."""
        return self._delete(self._target(name, environment), variable)

    def _delete(self, variables: list[dict[str, Any]], variable: str) -> Reply:
        found = next((one for one in variables if one["uuid"] == variable), None)
        if found is None:
            detail = "The variable was not found."
            raise Refusal(404, _error("Not found", detail, "variable-service.variable.not-found"))
        variables.remove(found)
        return Reply(204)

    def _target(self, *parts: str) -> list[dict[str, Any]]:
        target = "/".join(parts)
        if target not in self.targets:
            raise Refusal(404, _error(f"{'Workspace' if '/' not in target else 'Repository'} {target} not found"))
        return self.targets[target]

    def _page(self, request: ReceivedRequest, all_variables: list[dict[str, Any]]) -> Reply:
        late = {one for one, at in self._created.items() if self.monotonic() - at < self.lag}
        variables = [one for one in all_variables if one["uuid"] not in late]
        size, page = int(request.query.get("pagelen", 10)), int(request.query.get("page", 1))
        size = min(size, self.most_on_a_page)
        values = [_shown(one) for one in variables[size * (page - 1) : size * page]]
        following = {"next": f"{self.url}{request.path}?page={page + 1}"} if size * page < len(variables) else {}
        return Reply(200, {"page": page, "pagelen": size, "size": len(variables), "values": values, **following})

    def _make(self, request: ReceivedRequest, variables: list[dict[str, Any]]) -> Reply:
        body = request.json() or {}
        _validate(body)
        if any(one["key"] == body["key"] for one in variables):
            detail = f"A variable with the key {body['key']} already exists."
            raise Refusal(409, _error("Conflict", detail, "variable-service.variable.duplicate"))
        made = {"uuid": _uuid(), "secured": False, **{name: body[name] for name in _FIELDS if name in body}}
        variables.append(made)
        self._created[made["uuid"]] = self.monotonic()
        return Reply(201, _shown(made))

    def _write(self, request: ReceivedRequest, variables: list[dict[str, Any]], variable: str) -> Reply:
        body = request.json() or {}
        _validate(body)
        found = next((one for one in variables if one["uuid"] == variable), None)
        if found is None:
            detail = "The variable was not found."
            raise Refusal(404, _error("Not found", detail, "variable-service.variable.not-found"))
        found.update({"secured": False, **{name: body[name] for name in _FIELDS if name in body}})
        return Reply(200, _shown(found))


_FIELDS = ("key", "value", "secured")


def _validate(body: dict[str, Any]) -> None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(body.get("key", ""))) or not body.get("value"):
        raise Refusal(400, _error("Bad request", "The key or the value of the variable is not valid."))


def _shown(variable: dict[str, Any]) -> dict[str, Any]:
    shown = {"type": "pipeline_variable", **variable}
    return {name: value for name, value in shown.items() if name != "value"} if variable["secured"] else shown


def _uuid() -> str:
    return f"{{{uuid.uuid4()}}}"
