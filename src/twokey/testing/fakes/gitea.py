"""The API of Gitea and of Forgejo for Actions secrets of repositories and organizations.

Names are stored in uppercase. No value is shown; the time is that of the creation. A write replaces the description
too, also by nothing; Forgejo (``describes`` is False) has none. A page has at most ``most`` secrets, however many are
requested.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_REPOSITORY = r"/api/v1/(repos/[^/]+/[^/]+)/actions/secrets"
_ORGANIZATION = r"/api/v1/(orgs/[^/]+)/actions/secrets"
_NAME = re.compile(r"(?!GITEA_|GITHUB_|FORGEJO_)[A-Z_][A-Z0-9_]*", re.ASCII | re.IGNORECASE)
LONGEST = 64 * 1024


class Gitea(FakeService):
    """Gitea with the repository ``acme/site`` and the organization ``acme``, and one token of an owner of both."""

    not_found = {"message": "The target couldn't be found.", "url": "/api/swagger", "errors": []}  # noqa: RUF012

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "g" * 40) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.scopes = {"write:repository", "write:organization"}
        self.owner = True
        self.describes = True
        self.most = 50
        self.targets: dict[str, dict[str, dict[str, str]]] = {"repos/acme/site": {}, "orgs/acme": {}}
        self.renamed: dict[str, str] = {}

    def delete(self, target: str) -> None:
        """Delete a repository or an organization."""
        self.targets.pop(target, None)

    def secret(self, target: str, name: str) -> dict[str, str] | None:
        """Return a secret, its value included."""
        return self.targets.get(target, {}).get(name)

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token, which may be sent in two ways, its scope, and whether its user is an owner."""
        if request.headers.get("Authorization") not in {f"token {self.token}", f"Bearer {self.token}"}:
            raise _error(401, "invalid username, password or token")
        scope = "organization" if "/orgs/" in request.path else "repository"
        enough = {f"write:{scope}"} | ({f"read:{scope}"} if request.method == "GET" else set())
        if not self.scopes & enough:
            raise _error(403, f"token does not have at least one of required scope(s): [write:{scope}]")
        if not self.owner:
            raise _error(403, "user should be the owner of the repo")

    @route("GET", _REPOSITORY)
    @route("GET", _ORGANIZATION)
    def list_secrets(self, request: ReceivedRequest, target: str) -> Reply:
        """Answer ``repoListActionsSecrets`` and ``orgListActionsSecrets``."""
        there = self._target(target)
        size, page = min(int(request.query.get("limit", 30)), self.most), int(request.query.get("page", 1))
        shown = ("name", "description", "created_at") if self.describes else ("name", "created_at")
        found = [{name: one[name] for name in shown} for _, one in sorted(there.items())]
        return Reply(200, found[size * (page - 1) : size * page], {"X-Total-Count": str(len(found))})

    @route("PUT", _REPOSITORY + "/([^/]+)")
    @route("PUT", _ORGANIZATION + "/([^/]+)")
    def write(self, request: ReceivedRequest, target: str, name: str) -> Reply:
        """Answer ``updateRepoSecret`` and ``updateOrgSecret``."""
        there = self._target(target)
        body = request.json() or {}
        data = body.get("data")
        if not isinstance(data, str) or not data:
            raise _error(422, "[Data]: Required")
        if not _NAME.fullmatch(name):
            raise _error(400, "invalid secret name")
        if len(data.encode()) > LONGEST:
            raise _error(400, "data too long")
        before = there.get(name.upper())
        there[name.upper()] = {
            "name": name.upper(),
            "data": data,
            "description": str(body.get("description") or "") if self.describes else "",
            "created_at": before["created_at"] if before else self.stamp(),
        }
        return Reply(204 if before else 201)

    @route("DELETE", _REPOSITORY + "/([^/]+)")
    @route("DELETE", _ORGANIZATION + "/([^/]+)")
    def remove(self, _request: ReceivedRequest, target: str, name: str) -> Reply:
        """Answer ``deleteRepoSecret`` and ``deleteOrgSecret``."""
        if self._target(target).pop(name.upper(), None) is None:
            raise _error(404, f"secret was not found [name: {name}]")
        return Reply(204)

    def _target(self, target: str) -> dict[str, dict[str, str]]:
        if target in self.renamed:
            raise Refusal(307, None, {"Location": f"{self.url}/api/v1/{self.renamed[target]}/actions/secrets"})
        if target not in self.targets:
            raise Refusal(404, self.not_found)
        return self.targets[target]


def _error(status: int, message: str) -> Refusal:
    return Refusal(status, {"message": message, "url": "http://gitea.test/api/swagger"})
