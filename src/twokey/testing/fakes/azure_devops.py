"""Azure DevOps' REST API for variable groups.

A group is written as a whole: a variable that is left out is gone, a secret one without a value keeps the one it has,
and no response shows a secret's value. The response for a group that does not exist is 200 and ``null``, as the
service's is.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

RESOURCE = "499b84ac-1321-427f-aa17-267ca6975798"
"""What Entra calls Azure DevOps."""
_GROUPS = r"/([^/]+)/([^/]+)/_apis/distributedtask/variablegroups"
_IN_ACCEPT = re.compile(r".*;\s*api-version=([\w.-]+).*")
"""Clients may name the version in this header: "REST API versioning", Azure DevOps Services."""
_TASK_AGENT = "a85b8835-c1a1-4aac-ae97-1c3d0ba72dbd"
_LOCATIONS = (
    ("e81700f7-3be2-46de-8624-2eb35882fcaa", "", "Location/ResourceAreas", "/{areaId}"),
    ("f5b09dd5-9d54-45a1-8b5a-1c8287d634cc", "{project}/", "distributedtask/variablegroups", "/{groupId}"),
    ("ef5b7057-ffc3-4c77-bbad-c10b4a4abcc7", "", "distributedtask/variablegroups", "/{groupId}"),
)


class AzureDevOps(FakeService):
    """Azure DevOps with the organization ``acme``, its project ``web shop``, and groups that tests add."""

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "p" * 84) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.bearer = "eyJhbGciOiJub25l.eyJzdWIiOiJ0d29rZXkifQ.c2lnbmF0dXJl"
        self.role = "Administrator"
        self.projects = {"acme/web shop"}
        self.groups: dict[int, dict[str, Any]] = {}
        self.versions: tuple[str, ...] = ("7.1", "7.0")
        """The versions of the API that the server knows; one that ends in a preview needs that ending."""
        self.throttling = 0.0
        """Seconds that a response asks to wait, although it is good."""
        self.then: Callable[[], None] | None = None
        """What another client does immediately after the next write."""

    def add_group(self, project: str, name: str, *also: str, **variables: dict[str, Any]) -> int:
        """Create a group in a project, shared with others."""
        number = 40 + self.tick()
        references = [
            {
                "projectReference": {"id": f"id-of-{one}", "name": one.partition("/")[2]},
                "name": name,
                "description": f"{name} of {one}",
            }
            for one in (project, *also)
        ]
        self.groups[number] = {
            "id": number,
            "type": "Vsts",
            "name": name,
            "description": "Written by the operator",
            "project": project,
            "variables": {one: dict(variable) for one, variable in variables.items()},
            "variableGroupProjectReferences": references,
            "isShared": bool(also),
            "createdBy": {"displayName": "The operator"},
            "modifiedOn": self.stamp(),
        }
        return number

    def value(self, group: int, name: str) -> str | None:
        """Return what a job reads."""
        found = self.groups[group]["variables"].get(name)
        return None if found is None else str(found["value"])

    def set(self, group: int, **values: str) -> None:
        """Write values as the operator does in the library."""
        for name, value in values.items():
            self.groups[group]["variables"].setdefault(name, {"isSecret": True})["value"] = value
        self.groups[group]["modifiedOn"] = self.stamp()

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token and the API's version; Entra's login needs neither."""
        if request.path.endswith("/oauth2/v2.0/token"):
            return
        basic = f"Basic {base64.b64encode(f':{self.token}'.encode()).decode()}"
        if request.headers.get("Authorization") not in {basic, f"Bearer {self.bearer}"}:
            message = "TF400813: The user '' is not authorized to access this resource."
            raise Refusal(401, _error(message, "UnauthorizedRequestException"))
        version = request.query.get("api-version") or _IN_ACCEPT.sub(r"\1", request.headers.get("Accept", ""))
        if request.method != "OPTIONS":
            self._check_version(version)

    def _check_version(self, version: str) -> None:
        # Clients that were written before a version was released name its preview.
        if version in self.versions or version.partition("-preview")[0] in self.versions:
            return
        message, kind = "No api-version was supplied.", "VssVersionNotSpecifiedException"
        if f"{version}-preview.2" in self.versions:
            message = f'The requested version "{version}" of the resource is under preview.'
            kind = "VssInvalidPreviewVersionException"
        elif version:
            newest = self.versions[0].partition("-")[0]
            message = f"The requested REST API version of {version} is out of range for this server. The latest REST "
            message += f"API version this server supports is {newest}."
            kind = "VssVersionOutOfRangeException"
        raise Refusal(400, _error(message, kind))

    def handle(self, request: ReceivedRequest) -> Reply:
        """Answer one request; while it slows a client down, with the time to wait ("Rate and usage limits")."""
        reply = super().handle(request)
        if self.throttling and reply.status == 200:
            return Reply(200, reply.body, {**reply.headers, "Retry-After": f"{self.throttling:g}"})
        return reply

    @route("POST", r"/([^/]+)/oauth2/v2.0/token")
    def log_in(self, request: ReceivedRequest, _tenant: str) -> Reply:
        """Answer the client credentials flow of Entra; ``bearer`` is the token that it grants."""
        form = request.form()
        if form.get("scope") != f"{RESOURCE}/.default" or form.get("client_secret") != "s-of-the-application":
            raise Refusal(401, {"error": "invalid_client", "error_description": f"AADSTS7000215: {form}"})
        return Reply(200, {"access_token": self.bearer, "expires_in": 3599, "token_type": "Bearer"})

    @route("OPTIONS", r"/([^/]+)/_apis")
    def locations(self, _request: ReceivedRequest, _organization: str) -> Reply:
        """Answer the first request of Microsoft's clients: which paths the resources have that they know by an id."""
        versions = {"resourceVersion": 2, "minVersion": 1.0, "maxVersion": 7.2, "releasedVersion": "7.1"}
        found = [
            {"id": number, "area": path.split("/")[0], "resourceName": path.split("/")[-1], **versions}
            | {"routeTemplate": f"{before}_apis/{'' if 'Areas' in path else '{area}/'}{{resource}}{after}"}
            for number, before, path, after in _LOCATIONS
        ]
        return Reply(200, {"count": len(found), "value": found})

    @route("GET", r"/([^/]+)/_apis/ResourceAreas")
    def areas(self, _request: ReceivedRequest, organization: str) -> Reply:
        """Answer which server has the resources of an area."""
        area = {"id": _TASK_AGENT, "name": "distributedtask", "locationUrl": f"{self.url}/{organization}/"}
        return Reply(200, {"count": 1, "value": [area]})

    @route("GET", _GROUPS)
    def list_groups(self, request: ReceivedRequest, organization: str, project: str) -> Reply:
        """Answer ``Get Variable Groups``: without the projects that share each."""
        name = request.query.get("groupName", "*").lower()
        there = self._of(organization, project)
        found = [one for one in there if name in {"*", one["name"].lower()}]
        listed = [{**_shown(one), "variableGroupProjectReferences": None} for one in found]
        return Reply(200, {"count": len(listed), "value": listed})

    @route("GET", _GROUPS + r"/(\d+)")
    def see_group(self, _request: ReceivedRequest, organization: str, project: str, number: str) -> Reply:
        """Answer ``Get``."""
        found = [one for one in self._of(organization, project) if one["id"] == int(number)]
        return Reply(200, _shown(found[0]) if found else b"null", {"Content-Type": "application/json"})

    @route("PUT", r"/([^/]+)/_apis/distributedtask/variablegroups/(\d+)")
    def update_group(self, request: ReceivedRequest, _organization: str, number: str) -> Reply:
        """Answer ``Update``: the body replaces the group."""
        group, body = self.groups.get(int(number)), request.json() or {}
        if group is None:
            missing = f"VariableGroup with id {number} does not exist."
            raise Refusal(404, _error(missing, "VariableGroupNotFoundException"))
        if self.role != "Administrator":
            denied = "You do not have permissions to perform this operation on the variable group."
            raise Refusal(403, _error(denied, "AccessDeniedException"))
        self._refuse(group, body)
        before = group["variables"]
        group["variables"] = {name: _kept(one, before.get(name)) for name, one in body["variables"].items()}
        for name in ("name", "description", "type", "variableGroupProjectReferences"):
            group[name] = body.get(name)
        group["modifiedOn"] = self.stamp()
        reply = Reply(200, _shown(group))
        then, self.then = self.then, None
        if then is not None:
            then()
        return reply

    def _refuse(self, group: dict[str, Any], body: dict[str, Any]) -> None:
        references = body.get("variableGroupProjectReferences") or []
        names = [name.lower() for name in body.get("variables") or {}]
        problem = ""
        if not references:
            problem = "At least one variable group project reference is required."
        elif any(not one.get("projectReference", {}).get("name") for one in references):
            problem = "Project information name is not valid for variable group."
        elif not body.get("name"):
            problem = "Value cannot be null. Parameter name: group.Name"
        elif len(names) != len(set(names)) or not names:
            problem = "Variable names must be unique, and there must be one."
        elif group["type"] == "AzureKeyVault":
            problem = "Values of a variable group that is linked to a key vault cannot be set."
        if problem:
            raise Refusal(400, _error(problem, "ArgumentException"))

    def _of(self, organization: str, project: str) -> list[dict[str, Any]]:
        """Return the groups that a project may see: its own, and those shared with it."""
        target = f"{organization}/{project}"
        if target not in self.projects:
            message = f"TF200016: The following project does not exist: {project}. Verify that the name is correct."
            raise Refusal(404, _error(message, "ProjectDoesNotExistWithNameException"))
        shared = {
            number
            for number, one in self.groups.items()
            if project in {other["projectReference"]["name"] for other in one["variableGroupProjectReferences"]}
        }
        return [self.groups[number] for number in sorted(shared)]


def _kept(body: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """Return a variable as an update leaves it."""
    keeps = body.get("isSecret") and body.get("value") is None and before is not None
    return {**body, "value": before["value"] if keeps and before else body.get("value") or ""}


def _shown(group: dict[str, Any]) -> dict[str, Any]:
    variables = {
        name: {**one, "value": None} if one.get("isSecret") else {k: v for k, v in one.items() if k != "isSecret"}
        for name, one in group["variables"].items()
    }
    return {**{name: value for name, value in group.items() if name != "project"}, "variables": variables}


def _error(message: str, kind: str) -> dict[str, Any]:
    """Return an error as the service words it."""
    return {
        "$id": "1",
        "innerException": None,
        "message": message,
        "typeName": f"Microsoft.TeamFoundation.{kind}, Microsoft.TeamFoundation",
        "typeKey": kind,
        "errorCode": 0,
        "eventId": 3000,
    }
