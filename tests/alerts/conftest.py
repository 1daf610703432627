"""What the tests of alerts share: a user that is due, receivers on this machine, and a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alerts.inbox import Inbox
from support.builders import USER
from support.rig import DAY
from twokey.alerts.decision import Alert
from twokey.alerts.sending import Notifier
from twokey.aws.clients import Clients
from twokey.aws.clock import ServiceClock
from twokey.config.load import load
from twokey.core.reasons import Outcome, Reason
from twokey.destinations.registry import Services
from twokey.rotation.results import Result
from twokey.testing.contract import Hurried

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.rig import Rig

ENTRY = """
machine_users:
  - users: [ci]
    store: secretsmanager:machine-users/{user}
"""


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    with Inbox() as service:
        monkeypatch.setenv("SLACK_URL", service.secret_url)
        yield service


@pytest.fixture
def configure(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Write twokey.yaml with these alerts, here."""
    assert rig
    monkeypatch.chdir(tmp_path)
    return _write


def _write(alerts: str) -> None:
    Path("twokey.yaml").write_text(f"version: 1\nalerts: {{{alerts}}}{ENTRY}", encoding="utf-8")


@pytest.fixture
def due(rig: Rig) -> Rig:
    """A user whose rotation is due."""
    rig.settled()
    return rig


@pytest.fixture
def refused(rig: Rig) -> Rig:
    """A user that every run refuses: it has two keys, and its store is empty."""
    rig.aws.make_user("ci", ages=(20 * DAY, 10 * DAY))
    return rig


ROTATED = Result(USER, Outcome.ROTATED, Reason.DUE, "It was due.", "AKIACURRENT", "AKIALAST", ("AKIAOLD",))


@pytest.fixture
def tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Tell receivers, as they are configured here, that USER was rotated; return what went wrong."""
    monkeypatch.chdir(tmp_path)

    def told(alerts: str) -> list[str]:
        _write(alerts)
        settings, hurried = load(Path("twokey.yaml")).alerts, Hurried()
        assert settings
        clock = ServiceClock(sleep=hurried.sleep, monotonic=hurried.monotonic)
        alert = Alert("outcome", ROTATED.message, "ci", problem=False, result=ROTATED)
        return Notifier(settings, Services(Clients("test", clock=clock))).tell("rotate", [alert], good=True)

    return told
