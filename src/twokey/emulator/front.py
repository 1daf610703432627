"""The path of a request: read, record, weather, authenticate, authorise, perform, weather again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from twokey.emulator import errors, wire
from twokey.emulator.authentication import authenticate
from twokey.emulator.authorisation import authorise
from twokey.emulator.corrections import check_implemented, forward_to_moto
from twokey.emulator.moto_side import without_profile
from twokey.emulator.resources import target_of
from twokey.emulator.responses import Response, ServiceError, error_response, html_response
from twokey.emulator.services import operations, unsigned

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator.record import Record
    from twokey.emulator.weather import Rule
    from twokey.emulator.wire import Call, Incoming
    from twokey.emulator.world import World


class Ending(Enum):
    """How a response reaches the client."""

    WHOLE = "whole"
    TRUNCATED = "truncated"
    LOST = "lost"  # the connection closes without a response
    RESET = "reset"  # the connection is reset


@dataclass(frozen=True)
class Delivery:
    """A response, if there is one, and how it reaches the client."""

    response: Response | None
    ending: Ending = Ending.WHOLE


class Front:
    """Handles the requests to one World and records them."""

    def __init__(self, world: World, record: Record) -> None:
        """Use that state and that record."""
        self._world = world
        self._record = record

    def handle(self, incoming: Incoming, disconnected: Callable[[], bool]) -> Delivery:
        """Handle a request; `disconnected` says whether its client has disconnected."""
        call = wire.read(incoming)
        target = target_of(call)
        account = self._account(call)
        number = self._record.open(
            {
                "time": self._world.clock.now(),
                "service": call.service,
                "operation": call.operation,
                "access_key_id": call.scope.access_key_id if call.scope else None,
                "account": account,
                "target": target,
                "user_agent": incoming.headers.get("user-agent", ""),
            }
        )
        if self._world.weather.admits(account, call.service):
            rules = self._world.weather.matching(call.name, target, account)
            effects = [rule.effect for rule in rules]
            delivery = self._through_weather(call, rules, disconnected)
        else:
            delivery, effects = Delivery(error_response(call, errors.throttled(call))), ["throttle"]
        response = delivery.response
        self._record.close(
            number,
            status=response.status if response else 0,
            error_code=response.error_code if response else None,
            effect=",".join(effects),
        )
        return delivery

    def _account(self, call: Call) -> str | None:
        if call.scope is None:
            return None
        session = self._world.sessions.find(call.scope.access_key_id)
        if session is not None:
            return session.account
        entry = self._world.keyring.find(call.scope.access_key_id)
        return entry.account if entry is not None else None

    def _through_weather(self, call: Call, rules: list[Rule], disconnected: Callable[[], bool]) -> Delivery:
        if self._world.weather.latency:
            time.sleep(self._world.weather.latency)
        for rule in rules:
            early = self._before(call, rule, disconnected)
            if early is not None:
                return early
        delivery = Delivery(self.respond(call))
        for rule in rules:
            delivery = self._after(call, rule, delivery, disconnected)
        return delivery

    def _before(self, call: Call, rule: Rule, disconnected: Callable[[], bool]) -> Delivery | None:
        """Apply a rule before the request is performed. A Delivery ends the request without any effect."""
        if rule.effect == "delay":
            time.sleep(rule.seconds)
        elif rule.effect == "hold_before":
            self._world.weather.hold(disconnected)
            return Delivery(None, Ending.LOST) if disconnected() else None
        elif rule.effect == "reset":
            return Delivery(None, Ending.RESET)
        elif rule.effect == "html":
            return Delivery(html_response(rule.status))
        elif rule.effect == "throttle":
            return Delivery(error_response(call, errors.throttled(call)))
        elif rule.effect == "error_before":
            return Delivery(error_response(call, ServiceError(rule.code, rule.message, rule.status)))
        return None

    def _after(self, call: Call, rule: Rule, delivery: Delivery, disconnected: Callable[[], bool]) -> Delivery:
        """Apply a rule to the response of a request that was performed."""
        if rule.effect == "hold_after":
            self._world.weather.hold(disconnected)
        elif rule.effect == "lost_response":
            return Delivery(delivery.response, Ending.LOST)
        elif rule.effect == "truncated":
            return Delivery(delivery.response, Ending.TRUNCATED)
        elif rule.effect == "error_after":
            return Delivery(error_response(call, ServiceError(rule.code, rule.message, rule.status)))
        return delivery

    def respond(self, call: Call) -> Response:
        """AWS's response to the request, without any fault."""
        with self._world.lock, without_profile():
            try:
                check_implemented(call)
                if call.name in unsigned():
                    return unsigned()[call.name](self._world, call)
                caller = authenticate(self._world, call)
            except Exception as error:  # noqa: BLE001 - as below
                return _failed(call, error)
            try:
                authorise(self._world, call, caller)
                own = operations().get(call.name)
                response = own(self._world, call, caller) if own else forward_to_moto(self._world, call, caller)
            except Exception as error:  # noqa: BLE001 - an error in moto must reach the client as AWS's 500
                response = _failed(call, error)
            self._world.trail.record(call, caller, response, self._world.clock.seconds())
            return response


def _failed(call: Call, error: Exception) -> Response:
    if isinstance(error, ServiceError):
        return error_response(call, error)
    return error_response(call, ServiceError("InternalFailure", f"{type(error).__name__}: {error}", 500))
