"""The control endpoint: the functions of the Python API as JSON over HTTP, for tests in other languages.

Its path is `/_twokey/` on the emulator's own port, which listens on the loopback address only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from twokey.emulator.front import Delivery
from twokey.emulator.responses import Response, timestamp
from twokey.emulator.values import EmulatorError, KeyPair
from twokey.emulator.weather import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twokey.emulator.inside import Inside
    from twokey.emulator.wire import Incoming

PREFIX = "/_twokey/"
_RULE_FIELDS = {field.name for field in fields(Rule)} - {"hits", "seen"}
_NUMBERS = (
    *("propagation", "flicker", "deletion_lag", "list_lag", "last_used_lag", "report_delay", "trail_delay"),
    *("latency", "skew"),
)


class Control:
    """Handles requests to the control endpoint and passes all others on."""

    def __init__(self, emulator: Inside, onward: Callable[[Incoming, Callable[[], bool]], Delivery]) -> None:
        """Control that emulator; `onward` handles every other request."""
        self._emulator = emulator
        self._onward = onward
        self._routes: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "GET requests": self._requests,
            "DELETE requests": lambda _: emulator.clear_requests(),
            "GET weather": lambda _: emulator.weather.to_dict(),
            "PUT weather": self._set_weather,
            "DELETE weather": lambda _: emulator.weather.clear(),
            "POST rules": self._add_rule,
            "POST release": lambda _: emulator.weather.release(),
            "POST wait-until-held": self._wait_until_held,
            "GET clock": lambda _: {"now": emulator.now().isoformat()},
            "POST clock": self._advance,
            "POST users": self._make_user,
            "POST issuer-keys": lambda body: emulator.set_issuer_keys(str(body["issuer"]), str(body["url"])),
            "POST keys": self._keys,
            "POST key-age": self._age_key,
            "POST last-used": self._set_last_used,
            "POST authenticates": self._authenticates,
            "GET credentials": self._credentials,
            "POST credentials": self._credentials,
        }

    def handle(self, incoming: Incoming, disconnected: Callable[[], bool]) -> Delivery:
        """Handle a request to the server."""
        if not incoming.target.startswith(PREFIX):
            return self._onward(incoming, disconnected)
        route = self._routes.get(f"{incoming.method} {incoming.target.removeprefix(PREFIX).partition('?')[0]}")
        if route is None:
            return _json(404, {"error": "unknown path; expected one of: " + ", ".join(sorted(self._routes))})
        try:
            body = json.loads(incoming.body or b"{}")
            return _json(200, route(body) or {})
        except (EmulatorError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            return _json(400, {"error": str(error) or type(error).__name__})

    def _requests(self, body: Mapping[str, Any]) -> Any:  # noqa: ARG002 - one signature for all routes
        recorded = [{**asdict(request), "time": request.time.isoformat()} for request in self._emulator.requests]
        return {"requests": recorded, "count": len(recorded)}

    def _set_weather(self, body: Mapping[str, Any]) -> Any:
        """Replace the weather: fields that the body omits are reset."""
        weather = self._emulator.weather
        unknown = set(body) - {*_NUMBERS, "region_lag", "disabled_regions", "throttle", "rules"}
        if unknown:
            raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}")
        rules = [_rule(rule) for rule in body.get("rules", ())]
        weather.clear()
        for name in _NUMBERS:
            setattr(weather, name, float(body.get(name, 0)))
        weather.region_lag = {region: float(lag) for region, lag in body.get("region_lag", {}).items()}
        weather.disabled_regions = set(map(str, body.get("disabled_regions", ())))
        for service, limit in body.get("throttle", {}).items():
            weather.throttle(service, rate=float(limit["rate"]), burst=float(limit.get("burst", limit["rate"])))
        for rule in rules:
            weather.add(rule)
        return weather.to_dict()

    def _add_rule(self, body: Mapping[str, Any]) -> Any:
        return vars(self._emulator.weather.add(_rule(body)))

    def _wait_until_held(self, body: Mapping[str, Any]) -> None:
        self._emulator.weather.wait_until_held(float(body.get("timeout", 5)), int(body.get("count", 1)))

    def _advance(self, body: Mapping[str, Any]) -> Any:
        self._emulator.advance(float(body["advance"]))
        return {"now": self._emulator.now().isoformat()}

    def _make_user(self, body: Mapping[str, Any]) -> Any:
        return {"keys": [_pair_fields(pair) for pair in self._emulator.make_user(**body)]}

    def _keys(self, body: Mapping[str, Any]) -> Any:
        rows = self._emulator.keys(str(body["user"]), body.get("account"))
        names = ("access_key_id", "status", "created")
        return {"keys": [dict(zip(names, (*row[:2], timestamp(row[2])), strict=True)) for row in rows]}

    def _age_key(self, body: Mapping[str, Any]) -> None:
        self._emulator.age_key(str(body["access_key_id"]), float(body["seconds"]))

    def _set_last_used(self, body: Mapping[str, Any]) -> None:
        options = {key: value for key, value in body.items() if key != "access_key_id"}
        self._emulator.set_last_used(str(body["access_key_id"]), **options)

    def _authenticates(self, body: Mapping[str, Any]) -> Any:
        return {"authenticates": self._emulator.authenticates(KeyPair(**body))}

    def _credentials(self, body: Mapping[str, Any]) -> Any:
        """The administrator's key with its secret, which is valid for this emulator only."""
        return _pair_fields(self._emulator.admin_of(str(body.get("account", self._emulator.account_id))))


def _rule(body: Mapping[str, Any]) -> Rule:
    unknown = set(body) - _RULE_FIELDS
    if unknown:
        raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}; a rule has {', '.join(sorted(_RULE_FIELDS))}")
    return Rule(**body)


def _pair_fields(pair: KeyPair) -> dict[str, str]:
    return {"access_key_id": pair.access_key_id, "secret_access_key": pair.secret_access_key}


def _json(status: int, document: object) -> Delivery:
    headers = (("Content-Type", "application/json"),)
    return Delivery(Response(status, headers, json.dumps(document).encode()))
