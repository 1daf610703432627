"""Cloudflare's API for the secrets of Workers and of Pages projects.

Of a secret only the name is shown. A change is merged into what is there (RFC 7396), and None removes a secret. A
change of a Pages project that leaves out ``wrangler_config_hash`` removes that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNT = "c" * 32
LONGEST = 5 * 1024
TYPES = {"plain_text", "secret_text"}
_SCRIPT = r"/client/v4/accounts/([^/]+)/workers/scripts/([^/]+)"
_PROJECT = r"/client/v4/accounts/([^/]+)/pages/projects/([^/]+)"


class Cloudflare(FakeService):
    """Cloudflare with the Worker ``site`` and the Pages project ``site`` of one account, and one token."""

    not_found = {  # noqa: RUF012
        "success": False,
        "errors": [{"code": 7003, "message": "No route for that URI"}],
        "messages": [],
        "result": None,
    }

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "cfut_" + "t" * 40) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.may_write = True
        self.deployed = True
        self.workers: dict[str, dict[str, str]] = {"site": {"OTHER": "x"}}
        self.projects: dict[str, dict[str, dict[str, Any]]] = {
            "site": {"production": self._environment(), "preview": self._environment()}
        }

    @staticmethod
    def _environment() -> dict[str, Any]:
        plain = {"MODE": {"type": "plain_text", "value": "fast"}}
        return {"env_vars": plain, "wrangler_config_hash": "1cbac7", "fail_open": True}

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token, and whether it may write."""
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise _error(403, 9109, "Invalid access token")
        if request.method != "GET" and not self.may_write:
            raise _error(403, 10000, "Authentication error")

    @route("GET", _SCRIPT + "/secrets")
    def list_secrets(self, _request: ReceivedRequest, account: str, script: str) -> Reply:
        """Answer ``workers.scripts.secrets.list``."""
        return _good([{"name": name, "type": "secret_text"} for name in self._worker(account, script)])

    @route("PATCH", _SCRIPT + "/secrets-bulk")
    def change_secrets(self, request: ReceivedRequest, account: str, script: str) -> Reply:
        """Answer ``workers.scripts.secrets.bulkUpdate``."""
        there = self._worker(account, script)
        if not self.deployed:
            raise _error(400, 10215, "Secret edit failed: the latest version isn't currently deployed.")
        wanted = (request.json() or {}).get("secrets") or {}
        for name, one in wanted.items():
            if one is not None and (one.get("type") != "secret_text" or one.get("name") != name or "text" not in one):
                raise _error(400, 10021, "invalid binding")
            if one is not None and len(one["text"].encode()) > LONGEST:
                raise _error(400, 10021, "text is too long")
        for name, one in wanted.items():
            there.pop(name, None)
            if one is not None:
                there[name] = one["text"]
        return _good({name: {"name": name, "type": "secret_text"} for name in there})

    @route("GET", _PROJECT)
    def get_project(self, _request: ReceivedRequest, account: str, project: str) -> Reply:
        """Answer ``pages.projects.get``."""
        return _good(self._shown(account, project))

    @route("PATCH", _PROJECT)
    def edit_project(self, request: ReceivedRequest, account: str, project: str) -> Reply:
        """Answer ``pages.projects.edit``."""
        found = self._project(account, project)
        for environment, config in ((request.json() or {}).get("deployment_configs") or {}).items():
            there = found[environment]
            there.pop("wrangler_config_hash", None)
            for name, one in (config.get("env_vars") or {}).items():
                if one is not None and (
                    {*one} != {"type", "value"} or one["type"] not in {"plain_text", "secret_text"}
                ):
                    raise _error(400, 8000000, "invalid variable")
                there["env_vars"].pop(name, None)
                if one is not None:
                    there["env_vars"][name] = one
            there.update({name: value for name, value in config.items() if name != "env_vars"})
        return _good(self._shown(account, project))

    def _shown(self, account: str, project: str) -> dict[str, Any]:
        configs = {
            environment: {
                **config,
                "env_vars": {
                    name: {**one, "value": "" if one["type"] == "secret_text" else one["value"]}
                    for name, one in config["env_vars"].items()
                },
            }
            for environment, config in self._project(account, project).items()
        }
        return {"name": project, "deployment_configs": configs}

    def _worker(self, account: str, script: str) -> dict[str, str]:
        if account != ACCOUNT or script not in self.workers:
            raise _error(404, 10007, "This Worker does not exist on your account.")
        return self.workers[script]

    def _project(self, account: str, project: str) -> dict[str, dict[str, Any]]:
        if account != ACCOUNT or project not in self.projects:
            raise _error(404, 8000007, "Project not found.")
        return self.projects[project]


def _good(result: Any) -> Reply:
    return Reply(200, {"success": True, "errors": [], "messages": [], "result": result})


def _error(status: int, code: int, message: str) -> Refusal:
    errors = [{"code": code, "message": message}]
    return Refusal(status, {"success": False, "errors": errors, "messages": [], "result": None})
