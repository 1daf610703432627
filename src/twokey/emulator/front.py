"""The way of a request: read, record, weather, authenticate, authorise, answer, weather again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from twokey.emulator import refusals, wire
from twokey.emulator.answers import Answer, ServiceError, error_answer, html_answer
from twokey.emulator.authentication import authenticate
from twokey.emulator.authorisation import authorise
from twokey.emulator.corrections import ask_moto, check_imitated
from twokey.emulator.resources import target_of
from twokey.emulator.services import operations

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator.record import Record
    from twokey.emulator.weather import Rule
    from twokey.emulator.wire import Call, Incoming
    from twokey.emulator.world import World


class Ending(Enum):
    """How an answer reaches the client."""

    WHOLE = "whole"
    TRUNCATED = "truncated"
    LOST = "lost"  # the connection closes without an answer
    RESET = "reset"  # the connection is reset


@dataclass(frozen=True)
class Delivery:
    """An answer, if there is one, and how it goes out."""

    answer: Answer | None
    ending: Ending = Ending.WHOLE


class Front:
    """Answers requests for one World and records them."""

    def __init__(self, world: World, record: Record) -> None:
        """Use that state and that record."""
        self._world = world
        self._record = record

    def handle(self, incoming: Incoming, gone: Callable[[], bool]) -> Delivery:
        """Answer a request; `gone` says whether its client has left meanwhile."""
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
            rules = self._world.weather.striking(call.name, target)
            effects = [rule.effect for rule in rules]
            delivery = self._through_weather(call, rules, gone)
        else:
            delivery, effects = Delivery(error_answer(call, refusals.throttled(call))), ["throttle"]
        answer = delivery.answer
        self._record.close(
            number,
            status=answer.status if answer else 0,
            error_code=answer.error_code if answer else None,
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

    def _through_weather(self, call: Call, rules: list[Rule], gone: Callable[[], bool]) -> Delivery:
        if self._world.weather.latency:
            time.sleep(self._world.weather.latency)
        for rule in rules:
            early = self._before(call, rule, gone)
            if early is not None:
                return early
        delivery = Delivery(self.answer(call))
        for rule in rules:
            delivery = self._after(call, rule, delivery, gone)
        return delivery

    def _before(self, call: Call, rule: Rule, gone: Callable[[], bool]) -> Delivery | None:
        """What a rule does ahead of the effect; a Delivery ends the request without any effect."""
        if rule.effect == "delay":
            time.sleep(rule.seconds)
        elif rule.effect == "hold_before":
            self._world.weather.hold(gone)
            return Delivery(None, Ending.LOST) if gone() else None
        elif rule.effect == "reset":
            return Delivery(None, Ending.RESET)
        elif rule.effect == "html":
            return Delivery(html_answer(rule.status))
        elif rule.effect == "throttle":
            return Delivery(error_answer(call, refusals.throttled(call)))
        elif rule.effect == "error_before":
            return Delivery(error_answer(call, ServiceError(rule.code, rule.message, rule.status)))
        return None

    def _after(self, call: Call, rule: Rule, delivery: Delivery, gone: Callable[[], bool]) -> Delivery:
        """What a rule does to the answer of a request that had its effect."""
        if rule.effect == "hold_after":
            self._world.weather.hold(gone)
        elif rule.effect == "lost_answer":
            return Delivery(delivery.answer, Ending.LOST)
        elif rule.effect == "truncated":
            return Delivery(delivery.answer, Ending.TRUNCATED)
        elif rule.effect == "error_after":
            return Delivery(error_answer(call, ServiceError(rule.code, rule.message, rule.status)))
        return delivery

    def answer(self, call: Call) -> Answer:
        """What AWS says to the request in fine weather."""
        with self._world.lock:
            try:
                check_imitated(call)
                caller = authenticate(self._world, call)
                authorise(self._world, call, caller)
                own = operations().get(call.name)
                return own(self._world, call, caller) if own else ask_moto(self._world, call, caller)
            except ServiceError as error:
                return error_answer(call, error)
            except Exception as error:  # noqa: BLE001 - a bug in moto must reach the client as AWS's 500
                return error_answer(call, ServiceError("InternalFailure", f"{type(error).__name__}: {error}", 500))
