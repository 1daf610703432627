"""The control endpoint: what the Python API can do, as JSON over HTTP for tests in other languages.

It is reached under `/_twokey/` on the emulator's own port, which only ever listens on the loopback address.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from twokey.emulator.answers import Answer, timestamp
from twokey.emulator.front import Delivery
from twokey.emulator.values import EmulatorError, KeyPair
from twokey.emulator.weather import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twokey.emulator.inside import Inside
    from twokey.emulator.wire import Incoming

PREFIX = "/_twokey/"
_RULE_FIELDS = {field.name for field in fields(Rule)} - {"hits", "seen"}
_NUMBERS = ("propagation", "flicker", "deletion_lag", "list_lag", "last_used_lag", "latency", "skew")


class Control:
    """Answers requests to the control endpoint and passes all others on."""

    def __init__(self, emulator: Inside, onward: Callable[[Incoming, Callable[[], bool]], Delivery]) -> None:
        """Control that emulator; `onward` answers what is not for the control endpoint."""
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
            "POST keys": self._keys,
            "POST key-age": self._age_key,
            "POST last-used": self._set_last_used,
            "POST authenticates": self._authenticates,
            "GET credentials": self._credentials,
            "POST credentials": self._credentials,
        }

    def handle(self, incoming: Incoming, gone: Callable[[], bool]) -> Delivery:
        """Answer a request to the server."""
        if not incoming.target.startswith(PREFIX):
            return self._onward(incoming, gone)
        route = self._routes.get(f"{incoming.method} {incoming.target.removeprefix(PREFIX).partition('?')[0]}")
        if route is None:
            return _json(404, {"error": "no such path; there are: " + ", ".join(sorted(self._routes))})
        try:
            asked = json.loads(incoming.body or b"{}")
            return _json(200, route(asked) or {})
        except (EmulatorError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            return _json(400, {"error": str(error) or type(error).__name__})

    def _requests(self, asked: Mapping[str, Any]) -> Any:  # noqa: ARG002 - one signature for all routes
        shown = [{**asdict(request), "time": request.time.isoformat()} for request in self._emulator.requests]
        return {"requests": shown, "count": len(shown)}

    def _set_weather(self, asked: Mapping[str, Any]) -> Any:
        """Everything not named goes back to fine, as PUT means to replace."""
        weather = self._emulator.weather
        unknown = set(asked) - {*_NUMBERS, "region_lag", "throttle", "rules"}
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        rules = [_rule(rule) for rule in asked.get("rules", ())]
        weather.clear()
        for name in _NUMBERS:
            setattr(weather, name, float(asked.get(name, 0)))
        weather.region_lag = {region: float(lag) for region, lag in asked.get("region_lag", {}).items()}
        for service, limit in asked.get("throttle", {}).items():
            weather.throttle(service, rate=float(limit["rate"]), burst=float(limit.get("burst", limit["rate"])))
        for rule in rules:
            weather.add(rule)
        return weather.to_dict()

    def _add_rule(self, asked: Mapping[str, Any]) -> Any:
        return vars(self._emulator.weather.add(_rule(asked)))

    def _wait_until_held(self, asked: Mapping[str, Any]) -> None:
        self._emulator.weather.wait_until_held(float(asked.get("timeout", 5)), int(asked.get("count", 1)))

    def _advance(self, asked: Mapping[str, Any]) -> Any:
        self._emulator.advance(float(asked["advance"]))
        return {"now": self._emulator.now().isoformat()}

    def _make_user(self, asked: Mapping[str, Any]) -> Any:
        return {"keys": [_shown(pair) for pair in self._emulator.make_user(**asked)]}

    def _keys(self, asked: Mapping[str, Any]) -> Any:
        found = self._emulator.keys(str(asked["user"]), asked.get("account"))
        names = ("access_key_id", "status", "created")
        return {"keys": [dict(zip(names, (*row[:2], timestamp(row[2])), strict=True)) for row in found]}

    def _age_key(self, asked: Mapping[str, Any]) -> None:
        self._emulator.age_key(str(asked["access_key_id"]), float(asked["seconds"]))

    def _set_last_used(self, asked: Mapping[str, Any]) -> None:
        given = {key: value for key, value in asked.items() if key != "access_key_id"}
        self._emulator.set_last_used(str(asked["access_key_id"]), **given)

    def _authenticates(self, asked: Mapping[str, Any]) -> Any:
        return {"authenticates": self._emulator.authenticates(KeyPair(**asked))}

    def _credentials(self, asked: Mapping[str, Any]) -> Any:
        """The administrator's key, secret included: it opens nothing but this emulator."""
        return _shown(self._emulator.admin_of(str(asked.get("account", self._emulator.account_id))))


def _rule(asked: Mapping[str, Any]) -> Rule:
    unknown = set(asked) - _RULE_FIELDS
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; a rule has {', '.join(sorted(_RULE_FIELDS))}")
    return Rule(**asked)


def _shown(pair: KeyPair) -> dict[str, str]:
    return {"access_key_id": pair.access_key_id, "secret_access_key": pair.secret_access_key}


def _json(status: int, shown: object) -> Delivery:
    headers = (("Content-Type", "application/json"),)
    return Delivery(Answer(status, headers, json.dumps(shown).encode()))
