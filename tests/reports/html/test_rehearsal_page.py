"""The page of a rehearsal: what it says and draws, and that a name in it is text."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from support.rehearsals import DAY, rehearsal, troubled, well
from twokey.reports.html import rehearsal_page
from twokey.reports.html.rehearsal_lanes import drawing


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "</style><!--", "{{ 7 * 7 }}", "##vso[task]"])
def test_a_name_is_text(name: str) -> None:
    found = rehearsal()
    users = [msgspec.structs.replace(user, user=name, path=name) for user in found.users]
    text = rehearsal_page.render(msgspec.structs.replace(found, users=users, notes=[name]))
    assert "<script" not in text
    assert (name in text.partition("</style>")[2]) == (name == "{{ 7 * 7 }}")


def test_it_says_first_what_fails_and_what_to_change() -> None:
    text = rehearsal_page.render(rehearsal())
    assert "2 of 1,920 jobs would have failed." in text
    assert text.index("Set the window to at least 32d.") < text.index('id="timelines"')
    for part in ("Have a monitor call.", "none from day 15 00:00 to day 18 00:00", "with faults", "orphaned keys"):
        assert part in text
    assert text.index("build") < text.index("site"), "users with trouble come first"
    assert "default-src &#39;none&#39;; style-src" in text
    assert " style=" not in text


def test_it_says_that_all_is_well_only_if_it_is() -> None:
    found = rehearsal()
    calm = msgspec.structs.replace(found, users=[well("site")], jobs_failed=0, late=0, weather={})
    assert "No job fails, and no rotation is late." in rehearsal_page.render(calm)
    late = msgspec.structs.replace(calm, late=1)
    assert "No job fails, but 1 rotation would have been late." in rehearsal_page.render(late)


def test_each_user_has_two_rows_of_keys_that_do_not_overlap() -> None:
    found = rehearsal()
    drawn = drawing(well("site"), found)
    assert [[(bar.look, bar.label) for bar in row] for row in drawn.rows] == [
        [("last", "A"), ("current", "C"), ("last", "C")],
        [("current", "B"), ("last", "B"), ("current", "D")],
    ]
    for row in drawn.rows:
        for one, other in pairwise(row):
            assert one.x + one.width <= other.x + 0.3
        assert row[-1].x + row[-1].width == pytest.approx(100)


def test_a_job_that_fails_is_red_and_one_that_could_fail_is_not_green() -> None:
    found = rehearsal()
    looks = {lane.name: [bar.look for bar in lane.bars] for lane in drawing(troubled("build"), found).jobs}
    assert looks == {"6h": ["kept", "kept"], "15d": ["broken", "kept"]}
    assert [bar.look for bar in drawing(well("site"), found).jobs[1].bars] == ["risk", "kept"]


def test_the_drawing_of_many_short_windows_stays_small() -> None:
    found = msgspec.structs.replace(rehearsal(), days=1_000)
    runs = [msgspec.structs.replace(well("x").runs[0], at=day * DAY) for day in range(1_000)]
    user = msgspec.structs.replace(well("x"), runs=runs)
    assert len(drawing(user, found).marks) < 200
