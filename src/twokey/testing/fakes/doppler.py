"""Doppler's API for the secrets of configs: change requests with expected values, references, visibilities.

The fake does not promise more than Doppler's reference: a change that creates a secret succeeds although another client
created it in the meantime.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_VISIBILITIES = {"masked", "unmasked", "restricted"}
_SECRETS = r"/v3/configs/config/secrets"
_ONE = r"/v3/configs/config/secret"


class Doppler(FakeService):
    """Doppler with the config ``site/prd`` and a service token."""

    not_found: ClassVar[Any] = {"messages": ["Could not find requested resource"], "success": False}

    def __init__(self, monotonic: Callable[[], float] | None = None) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.tokens = {"dp.st.prd.token"}
        self.configs: dict[str, dict[str, dict[str, str]]] = {"site/prd": {}}
        self.read_only = False
        self.of_a_person = False
        self.before_write: list[Callable[[], None]] = []
        self.put("site/prd", "DOPPLER_CONFIG", "prd")

    def put(self, config: str, name: str, value: str, visibility: str = "masked") -> None:
        """Write a secret as the operator does in the dashboard."""
        self.configs[config][name] = {"raw": value, "visibility": visibility}

    def read(self, config: str, name: str) -> str | None:
        """Return what ``doppler run`` passes to a program."""
        found = self.configs.get(config, {}).get(name)
        return self._computed(config, found["raw"]) if found else None

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token, and whether it may write."""
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            raise _refusal(401, "Invalid Auth token")
        if request.method != "GET" and self.read_only:
            raise _refusal(403, "This token does not have write access")

    def too_many(self, seconds: float) -> Reply:
        """Answer as Doppler does to more requests than a token may send."""
        body = {"messages": ["Too many requests"], "success": False}
        return Reply(429, body, {"Retry-After": f"{max(seconds, 1):.0f}"})

    @route("GET", _SECRETS)
    def list(self, request: ReceivedRequest) -> Reply:
        """Answer ``List`` of secrets; names that do not exist are left out."""
        config = self._config(request.query)
        wanted = request.query.get("secrets")
        names = wanted.split(",") if wanted else [*self.configs[config]]
        shown = {name: self._shown(config, name) for name in names if name in self.configs[config]}
        return Reply(200, {"secrets": shown, "success": True})

    @route("GET", _SECRETS + "/names")
    def names(self, request: ReceivedRequest) -> Reply:
        """Answer ``List Names`` of secrets."""
        return Reply(200, {"names": [*self.configs[self._config(request.query)]], "success": True})

    @route("GET", _ONE)
    def see(self, request: ReceivedRequest) -> Reply:
        """Answer ``Retrieve`` of a secret."""
        config, name = self._named(request)
        return Reply(200, {"name": name, "value": self._shown(config, name), "success": True})

    @route("DELETE", _ONE)
    def delete(self, request: ReceivedRequest) -> Reply:
        """Answer ``Delete`` of a secret."""
        config, name = self._named(request)
        del self.configs[config][name]
        return Reply(204)

    @route("POST", _SECRETS)
    def update(self, request: ReceivedRequest) -> Reply:
        """Answer ``Update`` of secrets: all change requests, or none."""
        body = request.json() or {}
        config = self._config(body)
        if self.before_write:
            self.before_write.pop(0)()
        changes, values = body.get("change_requests"), body.get("secrets")
        if (changes is None) == (values is None):
            raise _refusal(400, "Either secrets or change_requests is required")
        if values is not None:
            changes = [{"name": name, "value": value} for name, value in values.items()]
        for change in changes or ():
            self._check(config, change)
        for change in changes or ():
            self._apply(config, change)
        return Reply(200, {"secrets": {}, "success": True})

    def _check(self, config: str, change: dict[str, Any]) -> None:
        name, there = change["name"], self.configs[config]
        if not _NAME.fullmatch(name) or name.startswith("DOPPLER_"):
            raise _refusal(400, f"Invalid secret name {name}")
        if (change.get("visibility") or "masked") not in _VISIBILITIES:
            raise _refusal(400, "Invalid visibility")
        original = change.get("originalName")
        if original is not None and original not in there:
            raise _refusal(400, f"Secret {original} does not exist")
        expected = change.get("originalValue")
        if expected is not None and (name not in there or there[name]["raw"] != expected):
            raise _refusal(409, f"The value of {name} is stale: it is {there.get(name)}")

    def _apply(self, config: str, change: dict[str, Any]) -> None:
        if change.get("shouldDelete"):
            del self.configs[config][change["name"]]
            return
        there = self.configs[config].setdefault(change["name"], {"raw": "", "visibility": "masked"})
        if change.get("value") is not None:
            there["raw"] = change["value"]
        there["visibility"] = change.get("visibility") or there["visibility"]

    def _shown(self, config: str, name: str) -> dict[str, Any]:
        found = self.configs[config][name]
        hidden = self.of_a_person and found["visibility"] == "restricted"
        return {
            "raw": None if hidden else found["raw"],
            "computed": None if hidden else self._computed(config, found["raw"]),
            "note": "",
            "rawVisibility": found["visibility"],
            "computedVisibility": found["visibility"],
        }

    def _computed(self, config: str, raw: str) -> str:
        def of(match: re.Match[str]) -> str:
            named = self.configs[config].get(match[1])
            return named["raw"] if named else ""

        return re.sub(r"\$\{(\w+)\}", of, raw)

    def _named(self, request: ReceivedRequest) -> tuple[str, str]:
        config, name = self._config(request.query), request.query.get("name", "")
        if name not in self.configs[config]:
            raise _refusal(404, f"Could not find requested secret: {name}")
        return config, name

    def _config(self, named: Any) -> str:
        config = f"{named.get('project')}/{named.get('config')}"
        if config not in self.configs:
            raise _refusal(404, f"Could not find requested config '{named.get('config')}'")
        return config


def _refusal(status: int, message: str) -> Refusal:
    return Refusal(status, {"messages": [message], "success": False})
