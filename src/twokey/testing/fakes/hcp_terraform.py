"""HCP Terraform's API for variables: of workspaces and of variable sets (JSON:API).

A sensitive variable shows no value. The response for what a token may not see is 404, as for what does not exist. A
variable's ``version-id`` changes with every write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

MEDIA = "application/vnd.api+json"
_VARS = r"/api/v2/(workspaces/[^/]+|varsets/[^/]+/relationships)/vars"
_ORGANIZATION = r"/api/v2/organizations/([^/]+)"


class HcpTerraform(FakeService):
    """HCP Terraform with the organization ``acme``, its workspace ``site``, and sets that tests add."""

    not_found = {"errors": [{"status": "404", "title": "not found"}]}  # noqa: RUF012  as the base has it

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "x.atlasv1." + "y" * 60) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.may_write = True
        self.as_pytfe_expects = False
        """HashiCorp's client and its reference differ in how variables are listed. The client expects those of a
        workspace all at once, whatever page is asked for, and ``meta`` in every page (``Variables.list``, ``_list``);
        by default, there are pages with ``links`` alone."""
        self.owners: dict[str, dict[str, Any]] = {}
        """Workspaces and sets by their id."""
        self.variables: dict[str, list[dict[str, Any]]] = {}
        """By owner, as the path names it."""
        self.add_workspace("acme", "site")

    def add_workspace(self, organization: str, name: str) -> str:
        """Create a workspace."""
        return self._add(f"workspaces/ws-{self.tick():016d}", organization, name)

    def add_set(self, organization: str, name: str) -> str:
        """Create a variable set; return its id."""
        found = self._add(f"varsets/varset-{self.tick():016d}", organization, name)
        return found.partition("/")[2]

    def _add(self, path: str, organization: str, name: str) -> str:
        self.owners[path] = {"organization": organization, "name": name}
        self.variables[path] = []
        return path

    def variable(self, owner: str, key: str, category: str = "env") -> dict[str, Any] | None:
        """Return a variable as it is stored."""
        return next((one for one in self.variables[owner] if (one["key"], one["category"]) == (key, category)), None)

    def documented_limits(self) -> None:
        """Enforce "API documentation overview", rate limits: 30 requests a second."""
        self.limit(lambda _: True, 30, 1)

    def too_many(self, seconds: float) -> Reply:
        """Answer as HCP Terraform does to too many requests."""
        error = {"detail": "You have exceeded the API's rate limit.", "status": 429, "title": "Too many requests"}
        return Reply(429, {"errors": [error]}, {"Retry-After": f"{max(seconds, 1):.0f}"})

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token, and the media type of the body."""
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise Refusal(401, {"errors": [{"status": "401", "title": "unauthorized"}]})
        if request.data and request.headers.get("Content-Type") != MEDIA:
            raise Refusal(415, {"errors": [{"status": "415", "title": "unsupported media type"}]})

    @route("GET", _ORGANIZATION + r"/workspaces/([^/]+)")
    def see_workspace(self, _request: ReceivedRequest, organization: str, name: str) -> Reply:
        """Answer ``Show workspace``."""
        for path, one in self.owners.items():
            if path.startswith("workspaces/") and (one["organization"], one["name"]) == (organization, name):
                return Reply(200, {"data": self._shown(path)}, {"Content-Type": MEDIA})
        raise Refusal(404, self.not_found)

    @route("GET", _ORGANIZATION + r"/varsets")
    def list_sets(self, request: ReceivedRequest, organization: str) -> Reply:
        """Answer ``List variable set``: those whose name contains the query."""
        wanted = request.query.get("q", "").lower()
        found = [
            self._shown(path)
            for path, one in self.owners.items()
            if path.startswith("varsets/") and one["organization"] == organization and wanted in one["name"].lower()
        ]
        return self._page(request, found)

    @route("GET", r"/api/v2/varsets/([^/]+)")
    def see_set(self, _request: ReceivedRequest, number: str) -> Reply:
        """Answer ``Show variable set``."""
        return Reply(200, {"data": self._shown(self._owner(f"varsets/{number}"))}, {"Content-Type": MEDIA})

    @route("GET", _VARS)
    def list_variables(self, request: ReceivedRequest, owner: str) -> Reply:
        """Answer ``List variables``."""
        found = [_variable(one) for one in self._of(owner)]
        if self.as_pytfe_expects and owner.startswith("workspaces/"):
            return Reply(200, {"data": found}, {"Content-Type": MEDIA})
        return self._page(request, found, meta=self.as_pytfe_expects)

    @route("GET", _VARS + r"/([^/]+)")
    def see_variable(self, _request: ReceivedRequest, owner: str, number: str) -> Reply:
        """Answer a request for one variable, which no page of the reference describes."""
        found = next((one for one in self._of(owner) if one["id"] == number), None)
        if found is None:
            raise Refusal(404, self.not_found)
        return Reply(200, {"data": _variable(found)}, {"Content-Type": MEDIA})

    @route("POST", _VARS)
    def create_variable(self, request: ReceivedRequest, owner: str) -> Reply:
        """Answer ``Create a variable``: one of this key and category only."""
        body = self._attributes(request)
        there = self._of(owner)
        if any((one["key"], one["category"]) == (body.get("key"), body.get("category")) for one in there):
            raise _unprocessable("Key has already been taken")
        if not body.get("key") or body.get("category") not in {"env", "terraform"}:
            raise _unprocessable("Key can't be blank")
        made = {"value": "", "description": "", "sensitive": False, "hcl": False, **body}
        there.append({**made, "id": f"var-{self.tick():016d}", "version-id": f"v{self.tick()}"})
        return Reply(201, {"data": _variable(there[-1])}, {"Content-Type": MEDIA})

    @route("PATCH", _VARS + r"/([^/]+)")
    def update_variable(self, request: ReceivedRequest, owner: str, number: str) -> Reply:
        """Answer ``Update variables``: what is left out stays."""
        found = next((one for one in self._of(owner) if one["id"] == number), None)
        if found is None or not self.may_write:
            raise Refusal(404, self.not_found)
        found.update(self._attributes(request), **{"version-id": f"v{self.tick()}"})
        return Reply(200, {"data": _variable(found)}, {"Content-Type": MEDIA})

    @route("DELETE", _VARS + r"/([^/]+)")
    def delete_variable(self, _request: ReceivedRequest, owner: str, number: str) -> Reply:
        """Answer ``Delete variables``."""
        found = next((one for one in self._of(owner) if one["id"] == number), None)
        if found is None or not self.may_write:
            raise Refusal(404, self.not_found)
        self._of(owner).remove(found)
        return Reply(204)

    def _attributes(self, request: ReceivedRequest) -> dict[str, Any]:
        if not self.may_write:
            raise Refusal(404, self.not_found)
        data = (request.json() or {}).get("data") or {}
        body = data.get("attributes") or {}
        if data.get("type") != "vars":
            raise _unprocessable("Type must be vars")
        if len(body.get("key", "")) > 128 or len(body.get("value", "").encode()) > 256 * 1024:
            raise _unprocessable("Value is too long")
        if len(body.get("description") or "") > 512:
            raise _unprocessable("Description is too long (maximum is 512 characters)")
        return dict(body)

    def _owner(self, path: str) -> str:
        if path not in self.owners:
            raise Refusal(404, self.not_found)
        return path

    def _of(self, owner: str) -> list[dict[str, Any]]:
        return self.variables[self._owner(owner.removesuffix("/relationships"))]

    def _page(self, request: ReceivedRequest, found: list[dict[str, Any]], *, meta: bool = True) -> Reply:
        """Return a page with links to the others; only some lists have ``meta`` as well."""
        size, page = int(request.query.get("page[size]", 20)), int(request.query.get("page[number]", 1))
        size = min(size, 100)
        more = page + 1 if len(found) > size * page else None
        pagination = {"current-page": page, "next-page": more, "total-count": len(found)}
        following = f"{self.url}{request.raw_path}?page%5Bnumber%5D={more}&page%5Bsize%5D={size}" if more else None
        body: dict[str, Any] = {"data": found[size * (page - 1) : size * page], "links": {"next": following}}
        if meta:
            body["meta"] = {"pagination": pagination}
        return Reply(200, body, {"Content-Type": MEDIA})

    def _shown(self, path: str) -> dict[str, Any]:
        kind, _, number = path.partition("/")
        attributes = {"name": self.owners[path]["name"]}
        if kind == "workspaces":
            attributes["permissions"] = {"can-update-variable": self.may_write}
        organization = {"data": {"id": self.owners[path]["organization"], "type": "organizations"}}
        return {"id": number, "type": kind, "attributes": attributes, "relationships": {"organization": organization}}


def _variable(variable: dict[str, Any]) -> dict[str, Any]:
    attributes = {name: value for name, value in variable.items() if name != "id"}
    if variable["sensitive"]:
        attributes["value"] = None
    return {"id": variable["id"], "type": "vars", "attributes": attributes}


def _unprocessable(detail: str) -> Refusal:
    return Refusal(422, {"errors": [{"status": "422", "title": "invalid attribute", "detail": detail}]})
