"""GitHub's REST API for secrets: repositories, environments, organizations; Actions, Dependabot, Codespaces.

Values are sealed boxes that only the fake can open, and it shows none. Names are stored in uppercase. A write of an
organization's secret that leaves the selected repositories out removes them, as GitHub does.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox

from twokey.testing.fakes.github_apps import Apps
from twokey.testing.fakes.github_bodies import environment, error, organization, refusal, repository
from twokey.testing.server import ReceivedRequest, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_REPOSITORY = r"/repos/([^/]+/[^/]+)"
_SET = r"/(actions|dependabot|codespaces|environments/[^/]+)/secrets"
_ORGANIZATION = r"/orgs/([^/]+)"
MOST = {"repository": 100, "environment": 100, "organization": 1000}


class GitHub(Apps):
    """GitHub with repositories ``acme/site`` and others that tests add, one token, and one App."""

    not_found = error(404, "Not Found")

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "ghp_" + "t" * 36) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.scopes = "repo, admin:org"
        self.repositories: dict[str, dict[str, Any]] = {}
        self.environments: dict[str, set[str]] = {}
        self.secrets: dict[str, dict[str, dict[str, Any]]] = {}
        self.gone: set[str] = set()
        self.unseen: set[str] = set()
        self.former: dict[str, int] = {}
        self._keys: dict[str, PrivateKey] = {}
        self.add_repository("acme/site")

    def add_repository(self, name: str, *environments: str) -> None:
        """Create a repository, with environments."""
        self.repositories[name] = {"id": self.tick(), "full_name": name, "archived": False, "private": True}
        self.environments[name] = set(environments)

    def delete(self, name: str) -> None:
        """Delete a repository, or an organization with all that it has."""
        self.gone.add(name)

    def rename(self, before: str, now: str) -> None:
        """Rename a repository: its former name redirects, with 301 for reads and 307 for writes."""
        self.repositories[now] = {**self.repositories.pop(before), "full_name": now}
        self.environments[now] = self.environments.pop(before)
        for target in [one for one in self.secrets if one.startswith(f"{before}/")]:
            self.secrets[f"{now}{target.removeprefix(before)}"] = self.secrets.pop(target)
        self.former[before] = self.repositories[now]["id"]

    def handle(self, request: ReceivedRequest) -> Reply:
        """Answer one request: under a former name with a redirect to the ID, which is an address as well."""
        _, kind, *parts = request.raw_path.split("/")
        if kind == "repos" and (number := self.former.get("/".join(parts[:2]))) is not None:
            query = f"?{urlencode(request.query)}" if request.query else ""
            location = "/".join((f"{self.url}/repositories/{number}", *parts[2:])) + query
            return Reply(301 if request.method == "GET" else 307, error(301, "Moved"), {"Location": location})
        if kind == "repositories":
            found = [one["full_name"] for one in self.repositories.values() if str(one["id"]) == parts[0]]
            path = "/".join(("/repos", *found, *parts[1:]))
            request = replace(request, path=unquote(path), raw_path=path)
        return super().handle(request)

    def change_key(self, target: str) -> None:
        """Change the public key of a target (see ``value``): a value sealed with the former key is refused."""
        self._keys.pop(target, None)

    def value(self, target: str, name: str) -> str | None:
        """Return what a job reads: ``acme/site/actions``, ``acme/site/environments/production``, ``acme/actions``."""
        found = self.secrets.get(target, {}).get(name)
        return found["value"] if found else None

    def documented_limits(self) -> None:
        """Enforce "Rate limits for the REST API": content writes by minute and hour, points by minute, all by hour."""
        self.limit(_creates_content, 80, 60)
        self.limit(_creates_content, 500, 3600)
        self.limit(lambda _: True, 5000, 3600)

    def too_many(self, seconds: float) -> Reply:
        """Answer as GitHub does to secondary limits: 403 and Retry-After."""
        message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        return Reply(403, error(403, message), {"Retry-After": f"{max(seconds, 1):.0f}"})

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token; without the scope, a private repository does not exist."""
        if self.of_app(request):
            return
        installation = self.by_token(request)
        if installation is not None:
            self.allow(request, installation)
            return
        if request.headers.get("Authorization") not in {f"Bearer {self.token}", f"token {self.token}"}:
            raise refusal(401, "Bad credentials")
        if request.path.startswith("/orgs/") and "admin:org" not in self.scopes:
            raise refusal(403, "Resource not accessible by personal access token")
        _, kind, owner, name = (*request.path.split("/"), "")[:4]
        if {owner, f"{owner}/{name}"} & self.gone or (kind == "repos" and "repo" not in self.scopes):
            raise refusal(404, "Not Found")

    @route("GET", _REPOSITORY)
    def see_repository(self, _request: ReceivedRequest, name: str) -> Reply:
        """Answer ``Get a repository``."""
        return Reply(200, repository(self._repository(name), self.url))

    @route("GET", _REPOSITORY + "/environments/([^/]+)")
    def see_environment(self, _request: ReceivedRequest, name: str, environment_name: str) -> Reply:
        """Answer ``Get an environment``."""
        self._target(name, f"environments/{environment_name}")
        return Reply(200, environment(name, environment_name, self.url))

    @route("GET", _ORGANIZATION)
    def see_organization(self, _request: ReceivedRequest, name: str) -> Reply:
        """Answer ``Get an organization``."""
        return Reply(200, organization(name, self.url))

    @route("GET", _REPOSITORY + _SET + "/public-key")
    def repository_key(self, _request: ReceivedRequest, name: str, kind: str) -> Reply:
        """Answer ``Get a repository public key``."""
        return self._public_key(self._target(name, kind))

    @route("GET", _ORGANIZATION + _SET + "/public-key")
    def organization_key(self, _request: ReceivedRequest, name: str, kind: str) -> Reply:
        """Answer ``Get an organization public key``."""
        return self._public_key(f"{name}/{kind}")

    @route("GET", _REPOSITORY + _SET)
    def list_repository(self, request: ReceivedRequest, name: str, kind: str) -> Reply:
        """Answer ``List repository secrets``."""
        return self._page(
            request, "secrets", [_shown(one) for one in self.secrets.get(self._target(name, kind), {}).values()]
        )

    @route("GET", _ORGANIZATION + _SET)
    def list_organization(self, request: ReceivedRequest, name: str, kind: str) -> Reply:
        """Answer ``List organization secrets``."""
        found = self.secrets.get(f"{name}/{kind}", {}).values()
        return self._page(request, "secrets", [{**_shown(one), "visibility": one["visibility"]} for one in found])

    @route("GET", _REPOSITORY + _SET + r"/(\w+)")
    def see_repository_secret(self, _request: ReceivedRequest, name: str, kind: str, secret: str) -> Reply:
        """Answer ``Get a repository secret``."""
        return Reply(200, _shown(self._secret(self._target(name, kind), secret)))

    @route("PUT", _REPOSITORY + _SET + r"/(\w+)")
    def write_repository_secret(self, request: ReceivedRequest, name: str, kind: str, secret: str) -> Reply:
        """Answer ``Create or update a repository secret``."""
        target = self._target(name, kind)
        if self.repositories[name]["archived"]:
            raise refusal(403, "Repository was archived so is read-only.")
        return self._write(request, target, secret, MOST["environment" if "/" in kind else "repository"])

    @route("DELETE", _REPOSITORY + _SET + r"/(\w+)")
    def delete_repository_secret(self, _request: ReceivedRequest, name: str, kind: str, secret: str) -> Reply:
        """Answer ``Delete a repository secret``."""
        target = self._target(name, kind)
        self._secret(target, secret)
        del self.secrets[target][secret.upper()]
        return Reply(204)

    @route("DELETE", _ORGANIZATION + _SET + r"/(\w+)")
    def delete_organization_secret(self, _request: ReceivedRequest, name: str, kind: str, secret: str) -> Reply:
        """Answer ``Delete an organization secret``."""
        self._secret(f"{name}/{kind}", secret)
        del self.secrets[f"{name}/{kind}"][secret.upper()]
        return Reply(204)

    @route("GET", _ORGANIZATION + _SET + r"/(\w+)")
    def see_organization_secret(self, _request: ReceivedRequest, name: str, kind: str, secret: str) -> Reply:
        """Answer ``Get an organization secret``."""
        found = self._secret(f"{name}/{kind}", secret)
        return Reply(200, {**_shown(found), "visibility": found["visibility"]})

    @route("GET", _ORGANIZATION + _SET + r"/(\w+)/repositories")
    def who_sees(self, request: ReceivedRequest, name: str, kind: str, secret: str) -> Reply:
        """Answer ``List selected repositories for an organization secret``."""
        known = {one["id"]: one for one in self.repositories.values()}
        chosen = self._secret(f"{name}/{kind}", secret)["repositories"]
        seen = [one for one in chosen if known[one]["full_name"] not in self.unseen]
        return self._page(
            request, "repositories", [repository(known[one], self.url) for one in seen], total=len(chosen)
        )

    @route("PUT", _ORGANIZATION + _SET + r"/(\w+)")
    def write_organization_secret(self, request: ReceivedRequest, name: str, kind: str, secret: str) -> Reply:
        """Answer ``Create or update an organization secret``: visibility and repositories are those of the body."""
        body = request.json() or {}
        if body.get("visibility") not in {"all", "private", "selected"}:
            raise refusal(422, "Invalid request.\n\nFor 'allOf/0', \"visibility\" wasn't supplied.")
        reply = self._write(request, f"{name}/{kind}", secret, MOST["organization"])
        access = {"visibility": body["visibility"], "repositories": body.get("selected_repository_ids", [])}
        self.secrets[f"{name}/{kind}"][secret.upper()].update(access)
        return reply

    def _write(self, request: ReceivedRequest, target: str, name: str, most: int) -> Reply:
        body = request.json() or {}
        if name.upper().startswith("GITHUB_") or name[0].isdigit():
            raise refusal(422, "Secret names must not start with GITHUB_ or a number.")
        key = self._key(target)
        if body.get("key_id") != _id_of(key):
            raise refusal(422, "The key_id is not the one of the current public key.")
        try:
            value = SealedBox(key).decrypt(base64.b64decode(body.get("encrypted_value", ""))).decode()
        except (CryptoError, ValueError):
            raise refusal(422, "The value is not encrypted with libsodium.") from None
        if len(value.encode()) > 48 * 1024:
            raise refusal(422, "Secret value is too long (maximum is 48 KB).")
        there = self.secrets.setdefault(target, {})
        before = there.get(name.upper())
        if before is None and len(there) >= most:
            raise refusal(422, f"You have reached the maximum of {most} secrets.")
        now = self.stamp()
        created = before["created_at"] if before else now
        there[name.upper()] = {"name": name.upper(), "created_at": created, "updated_at": now, "value": value}
        return Reply(204) if before else Reply(201, {})

    def _page(
        self, request: ReceivedRequest, member: str, found: list[dict[str, Any]], *, total: int | None = None
    ) -> Reply:
        size, page = int(request.query.get("per_page", 30)), int(request.query.get("page", 1))
        following = f'<{self.url}{request.raw_path}?per_page={size}&page={page + 1}>; rel="next"'
        headers = {"Link": following} if size * page < len(found) else {}
        count = len(found) if total is None else total
        return Reply(200, {"total_count": count, member: found[size * (page - 1) : size * page]}, headers)

    def _repository(self, name: str) -> dict[str, Any]:
        if name not in self.repositories:
            raise refusal(404, "Not Found")
        return self.repositories[name]

    def _target(self, name: str, kind: str) -> str:
        self._repository(name)
        if kind.startswith("environments/") and kind.partition("/")[2] not in self.environments[name]:
            raise refusal(404, "Not Found")
        return f"{name}/{kind}"

    def _secret(self, target: str, name: str) -> dict[str, Any]:
        found = self.secrets.get(target, {}).get(name.upper())
        if found is None:
            raise refusal(404, "Not Found")
        return found

    def _key(self, target: str) -> PrivateKey:
        return self._keys.setdefault(target, PrivateKey.generate())

    def _public_key(self, target: str) -> Reply:
        key = self._key(target)
        return Reply(200, {"key_id": _id_of(key), "key": base64.b64encode(bytes(key.public_key)).decode()})


def _creates_content(request: ReceivedRequest) -> bool:
    return request.method != "GET" and not request.path.startswith("/app/")


def _id_of(key: PrivateKey) -> str:
    return str(int.from_bytes(bytes(key.public_key)[:8], "big"))


def _shown(secret: dict[str, Any]) -> dict[str, Any]:
    return {name: secret[name] for name in ("name", "created_at", "updated_at")}
