"""CircleCI's API v2 for contexts and for the variables of projects.

Of a value it shows the last four characters. A context's variable has the time of its latest write; a project's has the
time of its creation, which stays when it is replaced. Lists come in pages of ``page_size``.
GitHub and Bitbucket have two names each in a slug.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_CONTEXT = r"/api/v2/context/([^/]+)"
_PROJECT = r"/api/v2/project/([^/]+/[^/]+/[^/]+)"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}", re.ASCII)
MOST = 100
LONGEST = 32 * 1024


class CircleCI(FakeService):
    """CircleCI with the project ``gh/acme/site``, the context ``deploy`` of ``gh/acme``, and one token."""

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "CCIPAT_" + "t" * 40) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.role = "Admin"
        self.page_size = 20
        self.contexts: dict[str, dict[str, Any]] = {}
        self.projects: dict[str, dict[str, dict[str, str]]] = {"gh/acme/site": {}}
        self.context = self.add_context("gh/acme", "deploy")

    def add_context(self, owner: str, name: str) -> str:
        """Create a context and return its id."""
        made = str(uuid.UUID(int=self.tick()))
        self.contexts[made] = {"owner": owner, "name": name, "variables": {}}
        return made

    def delete(self, target: str) -> None:
        """Delete a context, by its id, or a project."""
        self.contexts.pop(target, None)
        self.projects.pop(target, None)

    def value(self, target: str, name: str) -> str | None:
        """Return what a job reads of a context, by its id, or of a project."""
        there = self.contexts[target]["variables"] if target in self.contexts else self.projects.get(target, {})
        return there[name]["value"] if name in there else None

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token, and that a viewer only reads."""
        if request.headers.get("Circle-Token") != self.token:
            raise Refusal(401, {"message": "You must log in first."})
        if request.method != "GET" and self.role == "Viewer":
            raise Refusal(403, {"message": "Permission denied"})

    def too_many(self, seconds: float) -> Reply:
        """Answer with the headers of the API developer's guide."""
        headers = {"RateLimit-Remaining": "0", "RateLimit-Reset": f"{seconds:.0f}", "Retry-After": f"{seconds:.0f}"}
        return Reply(429, {"message": "Too many requests"}, headers)

    @route("GET", r"/api/v2/context")
    def list_contexts(self, request: ReceivedRequest) -> Reply:
        """Answer ``List contexts``."""
        owner = _short(request.query.get("owner-slug", ""))
        found = [
            {"id": made, "name": one["name"], "created_at": "2026-01-01T00:00:00Z"}
            for made, one in self.contexts.items()
            if one["owner"] == owner
        ]
        if not found:
            raise Refusal(404, {"message": "Organization not found"})
        return self._page(request, found)

    @route("GET", _CONTEXT + "/environment-variable")
    def list_context(self, request: ReceivedRequest, context: str) -> Reply:
        """Answer ``List environment variables`` of a context."""
        listed = [
            {
                "variable": name,
                "truncated_value": one["value"][-4:],
                "created_at": one["created_at"],
                "updated_at": one["updated_at"],
                "context_id": context,
            }
            for name, one in self._variables(context).items()
        ]
        return self._page(request, listed)

    @route("PUT", _CONTEXT + "/environment-variable/([^/]+)")
    def write_context(self, request: ReceivedRequest, context: str, name: str) -> Reply:
        """Answer ``Add or update an environment variable`` of a context."""
        there = self._variables(context)
        value = _value(request)
        if len(value) > LONGEST:
            raise Refusal(400, {"message": "Environment variable value is too long."})
        self._check(name)
        if name not in there and len(there) >= MOST:
            raise Refusal(400, {"message": f"Context is limited to {MOST} environment variables."})
        now = self.stamp()
        created = there[name]["created_at"] if name in there else now
        there[name] = {"value": value, "created_at": created, "updated_at": now}
        shown = {"variable": name, "context_id": context, "created_at": created, "updated_at": now}
        return Reply(200, {**shown, "truncated_value": value[-4:]})

    @route("DELETE", _CONTEXT + "/environment-variable/([^/]+)")
    def delete_of_context(self, _request: ReceivedRequest, context: str, name: str) -> Reply:
        """Answer ``Remove an environment variable`` of a context."""
        self._check(name)
        self._variables(context).pop(name, None)
        return Reply(200, {"message": "Environment variable deleted."})

    @route("DELETE", _PROJECT + "/envvar/([^/]+)")
    def delete_of_project(self, _request: ReceivedRequest, project: str, name: str) -> Reply:
        """Answer ``Delete an environment variable`` of a project."""
        if self._project(project).pop(name, None) is None:
            raise Refusal(404, {"message": "Environment variable not found."})
        return Reply(200, {"message": "Environment variable deleted."})

    @route("GET", _PROJECT + "/envvar")
    def list_project(self, request: ReceivedRequest, project: str) -> Reply:
        """Answer ``List all environment variables`` of a project."""
        return self._page(request, [_masked(name, one) for name, one in self._project(project).items()])

    @route("POST", _PROJECT + "/envvar")
    def write_project(self, request: ReceivedRequest, project: str) -> Reply:
        """Answer ``Create an environment variable`` of a project, which replaces one of that name."""
        there = self._project(project)
        value = _value(request)
        name = request.json().get("name", "")
        self._check(name)
        there[name] = {"value": value, "created": there[name]["created"] if name in there else self.stamp()}
        return Reply(201, _masked(name, there[name]))

    def _page(self, request: ReceivedRequest, found: list[Any]) -> Reply:
        start = int(request.query.get("page-token") or 0)
        end = start + self.page_size
        return Reply(200, {"items": found[start:end], "next_page_token": str(end) if end < len(found) else None})

    def _variables(self, context: str) -> dict[str, dict[str, str]]:
        if context not in self.contexts:
            raise Refusal(404, {"message": "Context not found."})
        found: dict[str, dict[str, str]] = self.contexts[context]["variables"]
        return found

    def _project(self, project: str) -> dict[str, dict[str, str]]:
        project = _short(project)
        if project not in self.projects:
            raise Refusal(404, {"message": "Project not found"})
        return self.projects[project]

    def _check(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise Refusal(400, {"message": "Environment variable name is invalid."})


def _value(request: ReceivedRequest) -> str:
    value = (request.json() or {}).get("value")
    if not isinstance(value, str):
        raise Refusal(400, {"message": "value: missing or not a string"})
    return value


def _masked(name: str, one: dict[str, str]) -> dict[str, str]:
    return {"name": name, "value": f"xxxx{one['value'][-4:]}", "created-at": one["created"]}


def _short(slug: str) -> str:
    """Return a slug with the short name of its service."""
    return re.sub("^(github|bitbucket)/", lambda found: {"github": "gh/", "bitbucket": "bb/"}[found[1]], slug)
