"""The stage of a rehearsal: time that stands still, and processes that are really dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twokey.cli import rehearse
from twokey.cli.rehearse_stage import EmulatedStage, begun
from twokey.config.load import from_flags
from twokey.rehearsal.stage import Killed
from twokey.rehearsal.weather import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twokey.fleet.roster import Job


@pytest.fixture
def staged(tmp_path: Path) -> Iterator[tuple[EmulatedStage, Job]]:
    """A stage with one user that has one key."""
    parts, _ = rehearse.cast(from_flags(store="ssm:/m/{user}", users=["ci"]), ["ci"], as_found=False)
    with begun(0) as (aws, clock):
        stage = EmulatedStage(aws, clock)
        [job] = stage.set_up(parts, [], tmp_path)
        yield stage, job


@pytest.mark.parametrize(("after", "keys"), [(False, 1), (True, 2)])
def test_what_a_killed_process_would_still_do_reaches_nothing(
    staged: tuple[EmulatedStage, Job], *, after: bool, keys: int
) -> None:
    stage, job = staged
    world = stage.world(job, "killed")
    [(first, _, _)] = stage.keys("ci")
    with stage.weather(Fault("killed", killed_at=1, after=after), ["ssm"]):
        with pytest.raises(Killed):
            world.iam.create_key("ci")
        assert len(stage.keys("ci")) == keys
        with pytest.raises(Killed):
            world.iam.delete_key("ci", first)
    assert len(stage.keys("ci")) == keys
    assert world.iam.delete_key("ci", first), "the next process is alive"


def test_time_passes_only_with_requests_and_when_it_is_advanced(staged: tuple[EmulatedStage, Job]) -> None:
    stage, job = staged
    began, sent = stage.now(), stage.requests
    stage.world(job, "run").iam.keys("ci")
    assert stage.now() - began == pytest.approx(0.04 * (stage.requests - sent))
    stage.advance_to(3_600)
    stage.advance_to(60)
    assert stage.now() == pytest.approx(3_600)
