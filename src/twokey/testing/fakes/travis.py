"""Travis CI's API v3 for the environment variables of repositories.

Values of private variables are not shown. A name may exist once for each branch. An unknown token is refused by two
bare words declared as HTML; without a token, API v3 itself responds.
"""

from __future__ import annotations

import shlex
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_REPOSITORY = r"/repo/((?:[a-z]+/)?[^/]+%2[Ff][^/]+)"
BANNED = 3600.0


class Travis(FakeService):
    """Travis CI with the repository ``acme/site`` of GitHub, and one token."""

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "t" * 22) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.may = {"create_env_var": True, "write": True}
        self.migrated = False
        self.repositories: dict[str, list[dict[str, Any]]] = {"github/acme/site": []}
        self._bans = False
        self._posts: deque[float] = deque()
        self._banned_until = 0.0

    def delete(self, repository: str) -> None:
        """Delete a repository."""
        self.repositories.pop(repository, None)

    def value(self, repository: str, name: str, branch: str) -> str | None:
        """Return what the shell of a job on a branch reads: the branch's own variable takes precedence."""
        found = [one for one in self.repositories.get(repository, []) if one["name"] == name]
        default = [one for one in found if not one["branch"]]
        seen = [*default, *(one for one in found if one["branch"] == branch)]
        return "".join(shlex.split(seen[-1]["value"])) if seen else None

    def add_variable(
        self, repository: str, name: str, value: str, *, public: bool = False, branch: str | None = None
    ) -> None:
        """Create a variable as the operator does."""
        made = {"id": str(uuid.UUID(int=self.tick())), "name": name, "value": value, "public": public, "branch": branch}
        self.repositories[repository].append(made)

    def documented_limits(self) -> None:
        """Enforce what ``attack.rb`` does: requests by the minute, and an hour's ban for 50 POSTs in 30 seconds."""
        self.limit(lambda _: True, 2000, 60)
        self._bans = True

    def too_many(self, seconds: float) -> Reply:
        """Answer as Rack::Attack does."""
        return Reply(429, b"Retry later\n", {"Retry-After": f"{max(seconds, 1):.0f}", "Content-Type": "text/plain"})

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token, the version and the ban."""
        sent = request.headers.get("Authorization")
        if sent is not None and sent != f"token {self.token}":
            raise Refusal(403, b"access denied", {"Content-Type": "text/html;charset=utf-8"})
        if self._bans and self._ban(request):
            raise Refusal(403, b"Forbidden\n", {"Content-Type": "text/plain"})
        if request.headers.get("Travis-Api-Version") != "3":
            raise Refusal(404, b"", {"Content-Type": "text/plain"})
        if sent is None:
            raise _error(403, "login_required", "login required")

    @route("GET", _REPOSITORY)
    def see(self, _request: ReceivedRequest, repository: str) -> Reply:
        """Answer ``find`` of a repository."""
        self._variables(repository)
        return Reply(200, {"@type": "repository", "@permissions": {"create_env_var": self.may["create_env_var"]}})

    @route("GET", _REPOSITORY + "/env_vars")
    def list_variables(self, _request: ReceivedRequest, repository: str) -> Reply:
        """Answer ``for_repository`` of environment variables."""
        return Reply(200, {"@type": "env_vars", "env_vars": [self._shown(one) for one in self._variables(repository)]})

    @route("POST", _REPOSITORY + "/env_vars")
    def create(self, request: ReceivedRequest, repository: str) -> Reply:
        """Answer ``create``: a name may exist once for each branch."""
        there = self._variables(repository)
        if not self.may["create_env_var"]:
            raise _error(403, "insufficient_access", "operation requires create_env_var access to repository")
        self._check_migrated()
        body = request.json() or {}
        name, branch = body.get("env_var.name"), body.get("env_var.branch")
        if not name:
            raise _error(422, "unprocessable_entity", "Variable name is required")
        if any((one["name"], one["branch"]) == (name, branch) for one in there):
            raise _error(409, "duplicate_resource", "resource already exists")
        public = bool(body.get("env_var.public", False))
        self.add_variable(repository_of(repository), name, body.get("env_var.value", ""), public=public, branch=branch)
        return Reply(201, self._shown(there[-1]))

    @route("PATCH", _REPOSITORY + "/env_var/([^/]+)")
    def update(self, request: ReceivedRequest, repository: str, identity: str) -> Reply:
        """Answer ``update``: what the body leaves out stays."""
        found = self._writable(repository, identity)
        body = request.json() or {}
        found.update({key.removeprefix("env_var."): value for key, value in body.items() if key.startswith("env_var.")})
        return Reply(200, self._shown(found))

    @route("DELETE", _REPOSITORY + "/env_var/([^/]+)")
    def remove(self, _request: ReceivedRequest, repository: str, identity: str) -> Reply:
        """Answer ``delete``."""
        self._variables(repository).remove(self._writable(repository, identity))
        return Reply(204)

    def _writable(self, repository: str, identity: str) -> Any:
        """Return a variable that may be changed; raises the refusal otherwise."""
        found = next((one for one in self._variables(repository) if one["id"] == identity), None)
        if found is None:
            raise _error(404, "not_found", "env_var not found (or insufficient access)")
        if not self.may["write"]:
            raise _error(403, "insufficient_access", "operation requires write access to env_var")
        self._check_migrated()
        return found

    def _ban(self, request: ReceivedRequest) -> bool:
        now = self.monotonic()
        if request.method == "POST":
            self._posts.append(now)
        while self._posts and self._posts[0] <= now - 30:
            self._posts.popleft()
        if len(self._posts) >= 50:
            self._banned_until = now + BANNED
        return now < self._banned_until

    def _variables(self, repository: str) -> list[dict[str, Any]]:
        found = self.repositories.get(repository_of(repository))
        if found is None:
            raise _error(404, "not_found", "repository not found (or insufficient access)")
        return found

    def _check_migrated(self) -> None:
        if self.migrated:
            raise _error(403, "repo_migrated", "This repository has been migrated to travis-ci.com.")

    def _shown(self, one: dict[str, Any]) -> dict[str, Any]:
        names = ("id", "name", "value", "public", "branch") if one["public"] else ("id", "name", "public", "branch")
        permissions = {"read": True, "write": self.may["write"]}
        return {"@type": "env_var", "@permissions": permissions, **{name: one[name] for name in names}}


def repository_of(path: str) -> str:
    """Return the fake's name of a repository, which begins with the provider."""
    return path if path.count("/") == 2 else f"github/{path}"


def _error(status: int, kind: str, message: str) -> Refusal:
    return Refusal(status, {"@type": "error", "error_type": kind, "error_message": message})
