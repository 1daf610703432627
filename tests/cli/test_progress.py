"""How far a run is, told where nobody looks at a bar."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from twokey.cli.progress import OFTEN, Progress, Steps
from twokey.core.events import Event, Phase
from twokey.core.model import UserKey

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def delivered(phase: Phase = "done") -> Event:
    return Event(NOW, "ci", "deliver to github:acme/site", phase, "AKIA", "")


class TestManyDeliveries:
    def test_are_counted_in_a_line_now_and_then(self, capsys: pytest.CaptureFixture[str]) -> None:
        seconds = iter(range(0, 300 * 30, 30))
        bar = Progress(1, quiet=False, deliveries=300, clock=lambda: float(next(seconds)))
        for _ in range(6):
            bar.heard(delivered("begin"))
            bar.heard(delivered())
        said = capsys.readouterr().err.splitlines()
        assert said
        assert len(said) <= 6 * 30 // OFTEN + 1
        assert all(line.endswith("of at most 300 deliveries are done.") for line in said)

    @pytest.mark.parametrize("quiet", [True, False])
    def test_that_are_done_soon_or_in_quiet_say_nothing(self, quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
        bar = Progress(1, quiet=quiet, deliveries=300, clock=lambda: 0.0)
        for _ in range(300):
            bar.heard(delivered())
        assert capsys.readouterr().err == ""


def test_a_long_wait_for_a_service_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps(verbose=False, quiet=False)
    for _ in range(3):
        steps.show(UserKey("123456789012", "ci"), "ci", Event(NOW, "ci", "limit", "note", "", "2026-11-21T13:00:00Z"))
    said = "ci: a service's rate limit is used up; waiting for it, until 2026-11-21T13:00:00Z"
    assert capsys.readouterr().err.splitlines() == [said]


@pytest.mark.parametrize(
    ("verbose", "named"), [(False, ["ci-0", "ci-1", "ci-2"]), (True, [f"ci-{n}" for n in range(6)])]
)
def test_of_many_users_that_wait_for_the_same_the_first_are_named(
    verbose: bool, named: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    steps = Steps(verbose=verbose, quiet=False)
    for number in range(6):
        event = Event(NOW, f"ci-{number}", "settle", "note", "", "2026-11-21T13:00:00Z")
        steps.show(UserKey("123456789012", f"ci-{number}"), f"ci-{number}", event)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines if line.startswith("ci-")] == named
    assert lines.count("Further users wait for the same; --verbose names each.") == (not verbose)
