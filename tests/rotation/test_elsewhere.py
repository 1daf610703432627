"""A URL that means another thing when twokey runs from elsewhere: what the other thing holds stays protected."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from support.rig import DAY, Rig
from twokey.core.reasons import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


PERIOD = 16 * DAY


@pytest.fixture
def moving(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A settled user whose job reads a file in the directory that twokey is started in."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    rig.settled()
    rig.deliver = ("file:ci.json",)
    return rig


@pytest.fixture
def move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda name: monkeypatch.chdir(tmp_path / name)


def read(path: Path) -> str:
    """Return the id of the key that a job reads there."""
    found: str = json.loads(path.read_text())["AccessKeyId"]
    return found


class TestTheSameUrlElsewhere:
    def test_gets_current_and_the_other_one_keeps_a_key_that_works(
        self, moving: Rig, move: Callable[[str], None], tmp_path: Path
    ) -> None:
        first = moving.rotate().current
        move("two")
        moved = moving.rotate()
        assert (moved.outcome, moved.reason) == (Outcome.COMPLETED, Reason.OUT_OF_DATE)
        assert read(tmp_path / "two" / "ci.json") == first
        moving.later(seconds=PERIOD)
        second = moving.rotate()
        assert second.outcome is Outcome.ROTATED
        assert read(tmp_path / "one" / "ci.json") == first
        moving.later(seconds=PERIOD)
        third = moving.rotate()
        assert (third.outcome, third.reason) == (Outcome.REFUSED, Reason.LAST_HELD)
        assert "file:ci.json (" in third.message
        assert first in moving.ids()

    def test_is_recognized_again_by_a_run_from_there(
        self, moving: Rig, move: Callable[[str], None], tmp_path: Path
    ) -> None:
        moving.rotate()
        move("two")
        moving.rotate()
        moving.later(seconds=PERIOD)
        newest = moving.rotate().current
        move("one")
        back = moving.rotate()
        assert (back.outcome, back.reason) == (Outcome.COMPLETED, Reason.OUT_OF_DATE)
        assert read(tmp_path / "one" / "ci.json") == newest
        moving.later(seconds=PERIOD)
        assert moving.rotate().outcome is Outcome.ROTATED

    def test_in_another_region_is_another_parameter(
        self, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rig.store_url = f"file:{tmp_path}/{{user}}.json"
        rig.deliver = ("ssm:/jobs/{user}",)
        rig.aws.make_user("ci", keys=0)
        first = rig.rotate().current
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        assert rig.rotate().reason is Reason.OUT_OF_DATE
        rig.later(seconds=PERIOD)
        assert rig.rotate().outcome is Outcome.ROTATED
        rig.later(seconds=PERIOD)
        refused = rig.rotate()
        assert refused.reason is Reason.LAST_HELD
        assert "ssm:/jobs/ci (" in refused.message
        assert first in rig.ids()


class TestOtherOptionsOfAUrl:
    def test_reach_what_the_journal_names_already(self, moving: Rig, tmp_path: Path) -> None:
        moving.rotate()
        moving.deliver = (f"file:{tmp_path}/one/ci.json?id=AccessKeyId",)
        assert moving.rotate().outcome is Outcome.NOT_DUE
        for _ in range(3):
            moving.later(seconds=PERIOD)
            assert moving.rotate().outcome is Outcome.ROTATED
        assert list(moving.record().journal.delivered) == list(moving.deliver)

    def test_that_name_other_members_reach_others(self, moving: Rig) -> None:
        moving.rotate()
        moving.deliver = ("file:ci.json?id=Key&secret=Secret",)
        assert moving.rotate().reason is Reason.OUT_OF_DATE
        assert set(moving.record().journal.delivered) == {"file:ci.json", *moving.deliver}


def without_identities(rig: Rig) -> None:
    """Make the journal one of a version of twokey that recorded no identities."""
    record = rig.record()
    delivered = {
        name: msgspec.structs.replace(delivery, identity="") for name, delivery in record.journal.delivered.items()
    }
    rig.store().save_journal(msgspec.structs.replace(record.journal, delivered=delivered), record.revision)


def test_a_journal_of_an_earlier_version_is_believed(moving: Rig) -> None:
    moving.rotate()
    without_identities(moving)
    assert moving.rotate().outcome is Outcome.NOT_DUE
    moving.later(seconds=PERIOD)
    assert moving.rotate().outcome is Outcome.ROTATED
    (delivery,) = moving.record().journal.delivered.values()
    assert delivery.identity


def test_the_store_keeps_what_is_needed_and_no_secret(moving: Rig) -> None:
    moving.rotate()
    stored = moving.stored()
    assert stored
    assert stored.secret_access_key not in moving.record().journal.encode()
