"""What the processes of a run report to the one that prints: for a test that passes, that it has passed.

pytest-xdist sends each test's beginning and three reports in full, through a serialiser that is written in Python, to
one process that reads them all. Of a passed set-up and a passed tear-down, nothing is printed. All else is sent as
always: what fails, is skipped or has printed something; and everything where the times of parts, a JUnit file or more
words are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_SENT: Mapping[str, Any] = {"not sent": True}


class BriefReports:
    """The plug-in of pytest for a process that runs tests for another."""

    def __init__(self, interactor: Any) -> None:
        """Let xdist's end in this process send less."""
        send = interactor.sendevent

        def sent(name: str, **contents: Any) -> None:
            if name != "logstart" and "not sent" not in contents.get("data", ()):
                send(name, **contents)

        interactor.sendevent = sent

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_to_serializable(self, report: Any) -> dict[str, Any] | None:
        """Return a report that passed in a few words; None for all others: pytest serialises them."""
        if not isinstance(report, pytest.TestReport) or not report.passed or report.sections or report.user_properties:
            return None
        if report.when != "call":
            return dict(NOT_SENT)
        if hasattr(report, "wasxfail"):
            return None
        return {
            "$report_type": "TestReport",
            **{name: getattr(report, name) for name in ("nodeid", "location", "outcome", "when", "duration")},
            "keywords": {},
            "longrepr": None,
        }


def be_brief(config: pytest.Config) -> None:
    """Begin with it, in a process that runs tests for another."""
    option = config.option
    if not hasattr(config, "workerinput") or option.durations is not None or option.xmlpath or option.verbose > 0:
        return
    interactor = next(one for one in config.pluginmanager.get_plugins() if type(one).__name__ == "WorkerInteractor")
    config.pluginmanager.register(BriefReports(interactor))
