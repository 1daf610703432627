"""GitLab's REST API v4 for CI/CD variables of projects, groups and the instance, as far as a rotation needs it.

There is one variable per key and environment scope; those of the instance have no scope, and cannot be hidden. Hidden
ones show no value. As in GitLab, what a request leaves out stays as it is, and a setting that an older version or a
smaller plan does not have is ignored.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_API = "/api/v4"
_TARGET = _API + r"/(projects|groups|admin)/([^/]+)"
_FILTER = "filter[environment_scope]"
_SEVERAL = "There are multiple variables with provided parameters. Please use 'filter[environment_scope]'"
_INSUFFICIENT = "The request requires higher privileges than provided by the access token."
_TEXTS = ("value", "description", "environment_scope", "variable_type")
_SWITCHES = ("masked", "protected", "raw")
_LIMITS = {
    "projects": "project ci variables",
    "groups": "group ci variables",
    "admin": "ci instance level variables",
}
_OWNERS = {"projects": "", "groups": "Group", "admin": "Instance"}
LONGEST = 10_000


class GitLab(FakeService):
    """GitLab with the project ``acme/site``, the group ``acme`` and others that tests add, and one token."""

    not_found: ClassVar[Any] = {"error": "404 Not Found"}

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "glpat-" + "t" * 20) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.oauth_token = ""
        self.scopes = ["api"]
        self.manages = True
        """Whether the token's role may manage variables: Maintainer of a project, Owner of a group, administrator."""
        self.premium = True
        """Whether group variables have environment scopes."""
        self.hides = True
        """Whether it is GitLab 17.4 or later."""
        self.most = {"projects": 8000, "groups": 30_000, "admin": 25}
        self.targets: dict[str, dict[str, Any]] = {}
        self.moved: dict[str, str] = {}
        self.variables: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
        self.add_target("projects", "acme/site")
        self.add_target("groups", "acme")
        self.add_target("admin", "ci")

    def add_target(self, kind: str, path: str) -> None:
        """Create one of the ``projects`` or ``groups``."""
        member = "path_with_namespace" if kind == "projects" else "full_path"
        self.targets[f"{kind}/{path}"] = {"id": self.tick(), member: path, "archived": False}
        self.variables[f"{kind}/{path}"] = {}

    def move(self, before: str, now: str) -> None:
        """Rename a project: its old path redirects to the new one, for reads."""
        self.add_target("projects", now)
        self.variables[f"projects/{now}"] = self.variables.pop(f"projects/{before}")
        del self.targets[f"projects/{before}"]
        self.moved[f"projects/{before}"] = f"projects/{self.targets[f'projects/{now}']['id']}"
        self.targets[self.moved[f"projects/{before}"]] = self.targets[f"projects/{now}"]
        self.variables[self.moved[f"projects/{before}"]] = self.variables[f"projects/{now}"]

    def value(self, target: str, key: str, scope: str = "*") -> str | None:
        """Return what a job reads: ``projects/acme/site``, ``groups/acme``."""
        found = self.variables.get(target, {}).get((key, scope))
        return found["value"] if found else None

    def put(self, target: str, key: str, value: str, scope: str = "*", **settings: Any) -> None:
        """Write a variable as the operator would; other settings stay as they are."""
        default = {"variable_type": "env_var", "description": None, **dict.fromkeys((*_SWITCHES, "hidden"), False)}
        before = self.variables[target].get((key, scope), {**default, "key": key, "environment_scope": scope})
        self.variables[target][key, scope] = {**before, "value": value, **settings}

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token and its scopes; for the token, what it may not see does not exist."""
        authorized = request.headers.get("Private-Token") == self.token
        if self.oauth_token:
            authorized = request.headers.get("Authorization") == f"Bearer {self.oauth_token}"
        if not authorized:
            raise Refusal(401, {"message": "401 Unauthorized"})
        enough = {"api"} if request.method != "GET" else {"api", "read_api"}
        if not enough & set(self.scopes) and not request.path.endswith("/personal_access_tokens/self"):
            body = {"error": "insufficient_scope", "error_description": _INSUFFICIENT, "scope": "api"}
            raise Refusal(403, body)

    @route("GET", _API + "/personal_access_tokens/self")
    def see_token(self, _request: ReceivedRequest) -> Reply:
        """Answer ``Get details on a personal access token``, with the token itself."""
        return Reply(200, {"id": 1, "name": "twokey", "scopes": self.scopes, "active": True, "revoked": False})

    @route("GET", _TARGET)
    def see_target(self, request: ReceivedRequest, kind: str, path: str) -> Reply:
        """Answer ``Get a single project`` and ``Get a single group``."""
        if kind == "admin":
            raise Refusal(404, self.not_found)
        return Reply(200, self._target(request, kind, path)[1])

    @route("GET", _TARGET + "/variables")
    def list_variables(self, request: ReceivedRequest, kind: str, path: str) -> Reply:
        """Answer ``List project variables`` and ``List group variables``: 20 on a page, unless ``per_page`` says."""
        found = [_shown(one, kind) for one in self.variables[self._managed(request, kind, path)].values()]
        size, page = int(request.query.get("per_page", 20)), int(request.query.get("page", 1))
        following = str(page + 1) if size * page < len(found) else ""
        link = f'<{self.url}{request.raw_path}?page={following}&per_page={size}>; rel="next"'
        headers = {"X-Next-Page": following, "X-Page": str(page), "X-Per-Page": str(size)}
        return Reply(200, found[size * (page - 1) : size * page], headers | ({"Link": link} if following else {}))

    @route("GET", _TARGET + r"/variables/(\w+)")
    def see_variable(self, request: ReceivedRequest, kind: str, path: str, key: str) -> Reply:
        """Answer ``Get a single variable``."""
        target = self._managed(request, kind, path)
        return Reply(200, _shown(self._found(request, kind, target, key), kind))

    @route("POST", _TARGET + "/variables")
    def make_variable(self, request: ReceivedRequest, kind: str, path: str) -> Reply:
        """Answer ``Create a variable``."""
        target, body = self._managed(request, kind, path), request.json() or {}
        missing = [f"{name} is missing" for name in ("key", "value") if name not in body]
        if missing:
            raise Refusal(400, {"error": ", ".join(missing)})
        key, scope = str(body["key"]).strip(), str(body.get("environment_scope", "*"))
        if kind == "admin" or (kind == "groups" and not self.premium):
            scope = "*"
        there = self.variables[target]
        if (key, scope) in there:
            taken = f"({key}) has already been taken"
            raise Refusal(400, {"message": {"key": [taken]}})
        if len(there) >= self.most[kind]:
            raise Refusal(
                400, {"message": {"base": [f"Maximum number of {_LIMITS[kind]} ({self.most[kind]}) exceeded"]}}
            )
        hidden = bool(self.hides and body.get("masked_and_hidden")) and kind != "admin"
        default = {"variable_type": "env_var", "description": None, **dict.fromkeys(_SWITCHES, False)}
        made = {**default, **_of(body), "key": key, "environment_scope": scope, "hidden": hidden}
        made["masked"] = made["masked"] or hidden
        _validate(made)
        there[key, scope] = made
        return Reply(201, _shown(made, kind))

    @route("PUT", _TARGET + r"/variables/(\w+)")
    def write_variable(self, request: ReceivedRequest, kind: str, path: str, key: str) -> Reply:
        """Answer ``Update a variable``: what the request leaves out stays as it is."""
        target = self._managed(request, kind, path)
        before = self._found(request, kind, target, key)
        after = {**before, **_of(request.json() or {})}
        if kind == "admin":
            after["environment_scope"] = "*"
        if before["hidden"] and after["masked"] != before["masked"]:
            message = "Updating masked attribute is not allowed on updates for hidden variables."
            raise Refusal(400, {"message": {"base": [message]}})
        _validate(after)
        del self.variables[target][key, before["environment_scope"]]
        self.variables[target][key, after["environment_scope"]] = after
        return Reply(200, _shown(after, kind))

    @route("DELETE", _TARGET + r"/variables/(\w+)")
    def delete_variable(self, request: ReceivedRequest, kind: str, path: str, key: str) -> Reply:
        """Answer ``Delete a variable``."""
        target = self._managed(request, kind, path)
        found = self._found(request, kind, target, key)
        del self.variables[target][key, found["environment_scope"]]
        return Reply(204)

    def _target(self, request: ReceivedRequest, kind: str, path: str) -> tuple[str, dict[str, Any]]:
        target = f"{kind}/{path}"
        if path.isdecimal():
            target = next((one for one, known in self._by_id(kind) if known == int(path)), target)
        if target in self.moved:
            if request.method != "GET":
                raise Refusal(405, {"message": "405 Non GET methods are not allowed for moved projects"})
            rest = request.raw_path.split("/", 5)[5:]
            query = "&".join(f"{name}={quote(value, safe='')}" for name, value in request.query.items())
            location = "/".join((self.url + _API, self.moved[target], *rest)) + (f"?{query}" if query else "")
            raise Refusal(301, {"message": "This resource has been moved"}, {"Location": location})
        if target not in self.targets:
            raise Refusal(404, {"message": f"404 {kind.title()[:-1]} Not Found"})
        return target, self.targets[target]

    def _by_id(self, kind: str) -> list[tuple[str, int]]:
        return [(name, project["id"]) for name, project in self.targets.items() if name.startswith(f"{kind}/")]

    def _managed(self, request: ReceivedRequest, kind: str, path: str) -> str:
        """Return a target whose variables the token may manage: no token may manage those of an archived project."""
        target, project = self._target(request, kind, path)
        if not self.manages or project["archived"]:
            raise Refusal(403, {"message": "403 Forbidden"})
        return target

    def _found(self, request: ReceivedRequest, kind: str, target: str, key: str) -> dict[str, Any]:
        scope = None if kind == "admin" else request.query.get(_FILTER)
        found = [
            one for (name, of), one in self.variables[target].items() if name == key and (scope is None or of == scope)
        ]
        if len(found) > 1:
            raise Refusal(409, {"message": f"409 Conflict: {_SEVERAL}"})
        if not found:
            raise Refusal(404, {"message": f"404 {_OWNERS[kind]}Variable Not Found"})
        return found[0]


def _of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a variable that a request sets; other fields are ignored."""
    return {name: body[name] for name in (*_TEXTS, *_SWITCHES) if name in body}


def _validate(variable: dict[str, Any]) -> None:
    """Refuse what GitLab's models refuse."""
    problems: dict[str, list[str]] = {}
    if not re.fullmatch(r"[a-zA-Z0-9_]{1,255}", variable["key"]):
        problems["key"] = ["can contain only letters, digits and '_'."]
    mask = r"\S{8,}" if variable["raw"] else r"[a-zA-Z0-9_+=/@:.~-]{8,}"
    if variable["masked"] and not re.fullmatch(mask, variable["value"]):
        problems["value"] = ["is invalid"]
    if len(variable["value"]) > LONGEST:
        problems["value"] = [f"The value of the provided variable exceeds the {LONGEST} character limit"]
    if len(variable["description"] or "") > 255:
        problems["description"] = ["is too long (maximum is 255 characters)"]
    if variable["variable_type"] not in {"env_var", "file"}:
        raise Refusal(400, {"error": "variable_type does not have a valid value"})
    if problems:
        raise Refusal(400, {"message": problems})


def _shown(variable: dict[str, Any], kind: str) -> dict[str, Any]:
    shown = {**variable, "value": None if variable["hidden"] else variable["value"]}
    without = ("environment_scope", "hidden") if kind == "admin" else ()
    return {name: value for name, value in shown.items() if name not in without}
