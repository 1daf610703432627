"""Tells the receivers. Nothing that goes wrong here ends a run: it is returned, for the operator to see."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from twokey.alerts import decision, memory, messages
from twokey.alerts.at_once import at_once
from twokey.alerts.failures import text_of
from twokey.core.errors import TwokeyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from twokey.alerts.decision import Alert
    from twokey.alerts.messages import Message
    from twokey.alerts.settings import Alerts, Receiver
    from twokey.destinations.registry import Services

LIMIT = 45.0
"""Seconds after which alerts are given up, all together: a run does not wait for its receivers."""


class Sender(Protocol):
    """Sends messages to one receiver."""

    def send(self, message: Message) -> None:
        """Send a message; raises a ``TwokeyError``."""
        ...


def name_of(receiver: Receiver) -> str:
    """Return what distinguishes a receiver from others, also after the file was edited: never a secret."""
    target = getattr(receiver, receiver.kind)
    if receiver.kind == "webhook":
        target = target.url
    elif receiver.kind in ("ses", "smtp"):
        target = ",".join(target.to)
    return f"{receiver.kind} {target}"


@dataclass(frozen=True, slots=True)
class _Sending:
    """One thing to send. ``meaning``: what it means if that fails, and ``after``: what follows from it."""

    at: str
    key: str
    meaning: str
    do: Callable[[], None]
    after: str = ""
    marks: tuple[str, ...] = ()


class Notifier:
    """Tells the receivers of one configuration what happened in a run."""

    def __init__(self, settings: Alerts, services: Services) -> None:
        self._settings, self._services = settings, services
        self._clock = services.clients.clock

    def tell(self, command: str, found: Sequence[Alert], *, good: bool) -> list[str]:
        """Send what is due to each receiver, and the heartbeat after a ``good`` run; return what went wrong."""
        now, failures = self._clock.now(), list[str]()
        sent: memory.Sent = {}
        kept = memory.open_memory(self._settings.remember, self._services.clients) if self._settings.remember else None
        known = kept is not None and any(alert.problem for alert in found)
        if kept and known:
            unknown = "What was sent before is not known, and what is sent now is not remembered"
            known = self._attempt(lambda: sent.update(kept.read()), "remember", "remember", unknown, failures)
        marks = self._send([*self._alerts(command, found, sent, now), *self._heartbeat(good=good)], failures)
        if kept and known and marks:
            remembered = decision.remembered(sent, marks, now, self._settings.repeat)
            forgotten = "The next run may send the same alerts again"
            self._attempt(lambda: kept.write(remembered), "remember", "remember", forgotten, failures)
        return failures

    def _alerts(self, command: str, found: Sequence[Alert], sent: memory.Sent, now: datetime) -> Iterator[_Sending]:
        for index, receiver in enumerate(self._settings.receivers):
            name = name_of(receiver)
            wanted = [alert for alert in found if alert.problem or receiver.only == "all"]
            due = decision.due(wanted, name, sent, now, self._settings.repeat)
            if not due:
                continue
            message, at = messages.message(command, due, now), f"to.{index}"
            yield _Sending(
                at,
                receiver.kind,
                "The alert was not sent",
                partial(self._open_and_send, receiver, at, message),
                decision.after_failure(due),
                tuple(alert.mark(name) for alert in due if alert.problem),
            )

    def _heartbeat(self, *, good: bool) -> Iterator[_Sending]:
        if good and self._settings.heartbeat is not None:
            yield _Sending("heartbeat", "heartbeat", "The heartbeat was not sent", self._beat)

    def _send(self, sendings: Sequence[_Sending], failures: list[str]) -> list[str]:
        """Send all at the same time; return the marks of what was sent."""

        def send(one: _Sending) -> list[str]:
            failed: list[str] = []
            self._attempt(one.do, one.at, one.key, one.meaning, failed, one.after)
            return failed

        marks: list[str] = []
        for one, failed in zip(sendings, at_once([partial(send, one) for one in sendings], LIMIT), strict=True):
            if failed is None:
                late = f"it was not over after {LIMIT:g} seconds. It may still arrive.{one.after}"
                failures.append(f"{self._where(one.at, one.key)}: {one.meaning}: {late}")
            elif failed:
                failures += failed
            else:
                marks += one.marks
        return marks

    def _where(self, at: str, key: str) -> str:
        return f"{self._settings.at.get(at, 'alerts')}: `{key}`"

    def _attempt(
        self, do: Callable[[], None], at: str, key: str, meaning: str, failures: list[str], after: str = ""
    ) -> bool:
        """Do something; return whether it worked, and record what went wrong."""
        where = self._where(at, key)
        try:
            do()
        except TwokeyError as error:
            failures.append(f"{where}: {meaning}: {text_of(error).removeprefix(f'{where}: ')}{after}")
        except Exception as error:  # noqa: BLE001  an alert never fails a run; a library's text may hold a secret
            failures.append(f"{where}: {meaning}: an unexpected {type(error).__name__} was raised.{after}")
        else:
            return True
        return False

    def _open_and_send(self, receiver: Receiver, at: str, message: Message) -> None:
        self._open(receiver, at).send(message)

    def _beat(self) -> None:
        from twokey.alerts.by_http import Heartbeat

        assert self._settings.heartbeat is not None
        Heartbeat(
            self._settings.heartbeat, self._services.context("heartbeat", self._settings.at.get("heartbeat", ""))
        ).beat()

    def _open(self, receiver: Receiver, at: str) -> Sender:
        from twokey.alerts import by_apprise, by_aws, by_http, by_mail

        clients, context = self._services.clients, self._services.context(receiver.kind, self._settings.at.get(at, ""))
        target: Any = getattr(receiver, receiver.kind)
        makers: dict[str, Callable[[], Sender]] = {
            "slack": lambda: by_http.Slack(target, context),
            "webhook": lambda: by_http.Receiver(target, context),
            "sns": lambda: by_aws.Topic(target, clients),
            "eventbridge": lambda: by_aws.EventBus(target, clients),
            "ses": lambda: by_aws.Mail(target, clients),
            "smtp": lambda: by_mail.Mail(target, context),
            "apprise": lambda: by_apprise.Apprise(target, context),
        }
        return makers[receiver.kind]()
