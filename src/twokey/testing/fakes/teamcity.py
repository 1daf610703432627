"""TeamCity's REST API for the parameters of projects.

A list holds the inherited parameters too. The value of a password is never shown. A write replaces the whole parameter:
without a type, it makes one whose value every user sees. In a build, two percent signs are one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_PARAMETERS = r"/app/rest/projects/id:(\w+)/parameters"


class TeamCity(FakeService):
    """TeamCity with the project ``Acme_Site`` below the project ``Acme``, and one token."""

    not_found = {"errors": [{"message": "Responding with error, status code: 404 (Not Found)."}]}  # noqa: RUF012

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "eyJ0eXAi" + "t" * 40) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.may_edit = True
        self.parents = {"Acme_Site": "Acme", "Acme": ""}
        self.parameters: dict[str, dict[str, dict[str, Any]]] = {"Acme": {}, "Acme_Site": {}}

    def delete(self, project: str) -> None:
        """Delete a project."""
        self.parameters.pop(project, None)

    def value(self, project: str, name: str) -> str | None:
        """Return what a build of a project gets."""
        while project:
            if name in self.parameters.get(project, {}):
                return str(self.parameters[project][name]["value"]).replace("%%", "%")
            project = self.parents[project]
        return None

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token, and whether its user may edit the project."""
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise Refusal(401, b"Authentication required", {"Content-Type": "text/plain"})
        if request.method != "GET" and not self.may_edit:
            raise _error(403, "You do not have enough permissions to edit project with id: Acme_Site")

    @route("GET", _PARAMETERS)
    def list_parameters(self, request: ReceivedRequest, project: str) -> Reply:
        """Answer ``getBuildParameters``, with the fields that are requested."""
        own = self._project(project)
        inherited = {
            name: {**one, "inherited": True}
            for name, one in self.parameters.get(self.parents[project], {}).items()
            if name not in own
        }
        fields = request.query.get("fields", "property(name,value)").partition("(")[2]
        shown = [_shown(one, fields) for one in (*own.values(), *inherited.values())]
        return Reply(200, {"count": len(shown), "property": shown})

    @route("PUT", _PARAMETERS + "/([^/]+)")
    def write(self, request: ReceivedRequest, project: str, name: str) -> Reply:
        """Answer ``updateBuildParameter``, which also creates one."""
        there = self._project(project)
        body = request.json() or {}
        if not isinstance(body.get("value"), str):
            raise _error(400, f"Parameter value for the parameter '{name}' should be specified (can be \"\").")
        there[name] = {"name": name, "value": body["value"], "type": body.get("type")}
        return Reply(200, _shown(there[name], "name,value,inherited,type"))

    @route("DELETE", _PARAMETERS + "/([^/]+)")
    def remove(self, _request: ReceivedRequest, project: str, name: str) -> Reply:
        """Answer ``deleteBuildParameter``."""
        if self._project(project).pop(name, None) is None:
            raise _error(404, f"No parameter with name '{name}' is found.")
        return Reply(204)

    def _project(self, project: str) -> dict[str, dict[str, Any]]:
        if project not in self.parameters:
            raise _error(404, f"No project found by name or internal/external id '{project}'.")
        return self.parameters[project]


def _shown(one: dict[str, Any], fields: str) -> dict[str, Any]:
    kind = (one.get("type") or {}).get("rawValue", "")
    value = {} if kind.startswith("password") else {"value": one["value"]}
    found = {"name": one["name"], "inherited": one.get("inherited", False), "type": one.get("type"), **value}
    return {name: field for name, field in found.items() if name in fields and field is not None}


def _error(status: int, message: str) -> Refusal:
    return Refusal(status, {"errors": [{"message": message}]})
