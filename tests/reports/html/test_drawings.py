"""What the drawings of the report show: ages, the two-key timeline, the calendar, the figures, the history."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import msgspec
import pytest

from support.audit_results import ACCOUNT, DAY, DUE, NOW, PERIOD, WINDOW, key, result
from twokey.reports.audit import Audit, Destination, Event, Finding, Key, User
from twokey.reports.html import ages, groups, history, strips, timeline, verdict, weeks
from twokey.reports.html.users import Row, rows

ROTATED = NOW - 6 * DAY
CREATED_LAST = NOW - 20 * DAY


def user(**changes: object) -> User:
    """Return a user that was rotated six days ago."""
    one = User(
        account=ACCOUNT,
        user="ci",
        path="/machine-users/",
        managed=True,
        readable=True,
        console_password=False,
        mfa=False,
        window=int(WINDOW.total_seconds()),
        store="file:ci.json",
        period=int(PERIOD.total_seconds()),
        rotated_at=ROTATED,
        next_due=ROTATED + DUE,
    )
    return msgspec.structs.replace(one, **changes)


def pair(last_age: timedelta = NOW - CREATED_LAST) -> list[Key]:
    """Return CURRENT and LAST."""
    return [
        key("ci", "/machine-users/", 1, ROTATED, "current", NOW),
        key("ci", "/machine-users/", 2, NOW - last_age, "last", NOW),
    ]


def row(one: User | None = None, keys: list[Key] | None = None) -> Row:
    """Return a user as the page has it."""
    return Row(one or user(), tuple(pair() if keys is None else keys), (), NOW)


def segments(one: timeline.Timeline, look: str) -> list[tuple[int, float, float]]:
    """Return the lanes, beginnings and ends of the segments of a look."""
    return [(part.lane, part.x, round(part.x + part.width, 1)) for part in one.segments if part.look == look]


class TestState:
    @pytest.mark.parametrize(
        ("one", "keys", "state"),
        [
            (user(), pair(), "kept"),
            (user(managed=False), pair(), "unmanaged"),
            (user(), pair(31 * DAY), "broken"),
            (user(readable=False), pair(), "unknown"),
            (user(interrupted=True), pair(), "late"),
            (user(next_due=NOW - 2 * DAY), pair(), "late"),
            (user(next_due=NOW - timedelta(hours=1)), pair(), "kept"),
            (user(destinations=[Destination("github:a/b", "out_of_date", None, None)]), pair(), "late"),
            (user(destinations=[Destination("github:a/b", "cannot_tell", None, None)]), pair(), "kept"),
        ],
    )
    def test_a_user_is_as_bad_as_the_worst_of_it(self, one: User, keys: list[Key], state: str) -> None:
        assert row(one, keys).state == state

    def test_an_inactive_key_breaks_no_window(self) -> None:
        keys = [msgspec.structs.replace(one, status="Inactive") for one in pair(40 * DAY)]
        assert row(keys=keys).state == "kept"


class TestAges:
    def test_each_active_key_is_in_the_bin_of_its_age(self) -> None:
        drawn = ages.ages([row()])
        assert [(bar.layer, bar.x) for bar in drawn.whole.bars] == [
            ("current", round(6 / 30 / ages.LIMIT * 100, 2)),
            ("last", 43.33),
        ]
        assert (drawn.whole.median, drawn.whole.oldest, drawn.whole.broken) == ("6 d", "20 d", 0)

    def test_a_key_that_is_older_than_the_window_is_right_of_it_however_old(self) -> None:
        drawn = ages.ages([row(keys=pair(old)) for old in (WINDOW + timedelta(seconds=1), 4000 * DAY)])
        broken = [bar for bar in drawn.whole.bars if bar.layer == "broken"]
        assert [bar.x >= round(ages.WINDOW, 2) - 0.01 for bar in broken] == [True, True]
        assert broken[-1].x + broken[-1].width == pytest.approx(100, abs=0.1)

    def test_a_key_at_the_very_end_of_its_window_is_left_of_it(self) -> None:
        drawn = ages.ages([row(keys=pair(WINDOW))])
        assert all(bar.x + bar.width <= ages.WINDOW + 0.1 for bar in drawn.whole.bars)

    def test_each_path_has_a_distribution_of_its_own_and_the_worst_comes_first(self) -> None:
        found = [row(user(path="/a/")), row(user(path="/b/"), pair(40 * DAY)), row(user(path="/a/"))]
        assert [(one.path, one.keys, one.broken) for one in ages.ages(found).groups] == [("/b/", 2, 1), ("/a/", 4, 0)]

    def test_paths_beyond_the_first_are_counted(self) -> None:
        drawn = ages.ages([row(user(path=f"/{number}/")) for number in range(ages.MOST_GROUPS + 3)])
        assert (len(drawn.groups), drawn.further) == (ages.MOST_GROUPS, 3)

    def test_inactive_keys_are_not_counted_and_a_path_without_others_is_left_out(self) -> None:
        keys = [msgspec.structs.replace(one, status="Inactive") for one in pair()]
        drawn = ages.ages([row(keys=keys)])
        assert (drawn.whole.keys, drawn.groups) == (0, ())


class TestFindings:
    def test_remedies_that_differ_in_user_and_key_alone_are_said_once(self) -> None:
        found = [
            finding("ci", "AKIA1", "twokey rotate ci, then AKIA1."),
            finding("etl", "AKIA2", "twokey rotate etl, then AKIA2."),
        ]
        ((part,),) = [group.parts for group in groups.groups(found, {})]
        assert part.remedy == "twokey rotate USER, then KEY_ID."
        assert part.findings == tuple(found)

    def test_a_name_inside_another_word_stays(self) -> None:
        found = [finding("ci", "AKIA1", "Decide; ci-2 is special."), finding("etl", "AKIA2", "Decide otherwise.")]
        assert [part.remedy for part in groups.groups(found, {})[0].parts] == [one.remedy for one in found]

    def test_a_remedy_of_one_finding_is_shown_as_it_is(self) -> None:
        (group,) = groups.groups([finding("ci", "AKIA1", "twokey rotate ci")], {})
        assert group.parts[0].remedy == "twokey rotate ci"

    def test_a_long_list_is_folded_and_a_list_that_is_one_longer_is_not(self) -> None:
        for number, shown in ((7, 7), (8, 6), (50, 6)):
            (part,) = groups.groups([finding("ci", "AKIA1", "x")] * number, {})[0].parts
            assert (len(part.first), len(part.rest)) == (shown, number - shown)

    def test_many_remedies_stay_with_their_findings(self) -> None:
        found = [finding("ci", "AKIA1", f"Call {number}.") for number in range(9)]
        assert [part.remedy for part in groups.groups(found, {})[0].parts] == [""]

    def test_the_most_severe_rule_comes_first_and_what_is_beyond_the_first_is_counted(self) -> None:
        low = [msgspec.structs.replace(finding("ci", "AKIA1", "x"), id="TK100", severity="low")] * 60
        drawn = groups.groups([*low, finding("ci", "AKIA1", "x")], {})
        assert [(group.id, group.count, group.further) for group in drawn] == [("TK701", 1, 0), ("TK100", 60, 10)]


def finding(name: str, key_id: str, remedy: str) -> Finding:
    return Finding("TK701", "high", ACCOUNT, name, "arn:aws:iam::x", "Too old.", remedy, key_id, ["CIS-1.14"])


class TestTimeline:
    def test_a_key_moves_from_the_lane_of_current_to_that_of_last_with_the_rotation(self) -> None:
        drawn = timeline.timeline(row())
        (last_as_current, last) = segments(drawn, "last")
        (current,) = segments(drawn, "current")
        assert [last_as_current[0], last[0], current[0]] == [0, 1, 0]
        assert last_as_current[2] == pytest.approx(current[1], abs=0.1)
        assert last[1] == pytest.approx(current[1], abs=0.1)
        assert current[2] == pytest.approx(drawn.now, abs=0.1)

    def test_what_is_left_of_a_window_is_ahead_of_now_and_what_is_over_it_behind(self) -> None:
        drawn = timeline.timeline(row(keys=pair(35 * DAY)))
        assert [lane for lane, _, _ in segments(drawn, "ahead")] == [0]
        ((lane, _, end),) = segments(drawn, "broken")
        assert lane == 1
        assert end == pytest.approx(drawn.now, abs=0.1)

    def test_rotations_deliveries_and_refusals_are_marked(self) -> None:
        one = user(
            destinations=[
                Destination("github:a/b", "held", None, ROTATED),
                Destination("gitlab:a/b", "out_of_date", None, CREATED_LAST),
            ],
            events=[Event(NOW - DAY, "refused", None, "LAST is in use")],
        )
        drawn = timeline.timeline(row(one))
        assert [mark.look for mark in drawn.marks] == ["rotated", "delivered", "outdated", "refused", "due"]
        assert drawn.lanes == ("CURRENT", "LAST", "events")
        assert any("LAST is in use" in fact for fact in drawn.facts)

    def test_a_user_that_every_run_refuses_has_few_marks_and_one_sentence(self) -> None:
        hours = [NOW - DAY + number * timedelta(hours=1) for number in range(24)]
        before = Event(ROTATED - DAY, "refused", None, "long solved")
        one = user(events=[before, *(Event(at, "refused", None, "LAST is in use") for at in hours)])
        drawn = timeline.timeline(row(one))
        marks = [mark.x for mark in drawn.marks if mark.look == "refused"]
        assert all(later - mark >= timeline.APART for mark, later in pairwise(marks))
        assert [fact for fact in drawn.facts if "refused" in fact] == [
            "refused 2026-11-29 (and 23 more since the latest rotation): LAST is in use"
        ]

    def test_the_soak_is_drawn_from_its_beginning_to_its_end(self) -> None:
        keys = pair()
        keys[1] = msgspec.structs.replace(keys[1], status="Inactive")
        one = user(soak=int((3 * DAY).total_seconds()), events=[Event(NOW - DAY, "inactive", keys[1].key_id, None)])
        ((lane, start, end),) = segments(timeline.timeline(row(one, keys)), "soak")
        now = timeline.timeline(row(one, keys)).now
        assert lane == 1
        assert start < now < end

    def test_what_the_audit_log_knows_of_earlier_keys_is_drawn(self) -> None:
        earlier = [Event(NOW - 34 * DAY, "rotated", None, None), Event(CREATED_LAST, "rotated", None, None)]
        one = user(events=[*earlier, Event(CREATED_LAST + DAY, "removed", None, None)])
        drawn = timeline.timeline(row(one))
        assert [lane for lane, _, _ in segments(drawn, "past")] == [0, 1]
        assert len([mark for mark in drawn.marks if mark.look == "rotated"]) == 3

    def test_two_records_of_one_rotation_are_one(self) -> None:
        events = [Event(ROTATED + timedelta(seconds=2), "rotated", None, None)]
        assert timeline.rotations(row(), events) == [ROTATED]

    def test_a_user_whose_roles_are_unknown_has_a_lane_for_each_key(self) -> None:
        keys = [msgspec.structs.replace(one, role="unknown") for one in pair()]
        drawn = timeline.timeline(row(user(rotated_at=None), keys))
        assert drawn.lanes == ("unknown", "unknown")
        assert [part.lane for part in drawn.segments if part.look == "other"] == [0, 1]

    @pytest.mark.parametrize("old", [0, 1, 40, 4000])
    def test_everything_is_on_the_axis(self, old: int) -> None:
        drawn = timeline.timeline(row(keys=pair(old * DAY)))
        assert all(part.x >= 0 and part.x + part.width <= 100.1 for part in drawn.segments)
        assert all(0 <= mark.x <= 100 for mark in drawn.marks)
        assert 0 < len(drawn.ticks) <= timeline.MOST_TICKS + 1

    def test_users_that_twokey_does_not_rotate_have_none(self) -> None:
        assert timeline.timelines([row(user(managed=False))], {}) == ()


class TestStrip:
    def test_the_current_key_is_above_the_last_one_and_both_end_now(self) -> None:
        paths = dict(strips.strip(row()))
        unit, now = strips.UNIT, strips.NOW
        rotated = round(now - unit * 6 / 30)
        assert paths[""] == f"M{rotated},4h{now - rotated}"
        assert paths["l"].endswith(f"M{rotated},11h{now - rotated}")
        assert "x" not in paths

    def test_the_part_that_is_over_the_window_is_set_apart(self) -> None:
        paths = dict(strips.strip(row(keys=pair(45 * DAY))))
        over = round(strips.UNIT * 15 / 30)
        assert paths["x"] == f"M{strips.NOW - strips.UNIT * 6 // 30 if over < 12 else 67},11h{strips.NOW - 67}"

    @pytest.mark.parametrize("old", [0, 15, 40, 4000])
    def test_nothing_leaves_the_drawing(self, old: int) -> None:
        for _, data in strips.strip(row(keys=pair(old * DAY))):
            for part in data.split("M")[1:]:
                x, _, width = part.replace("h", ",").split(",")
                assert 0 <= int(x) < int(x) + int(width) <= strips.WIDTH


class TestCalendar:
    def test_it_begins_on_the_monday_of_the_audit(self) -> None:
        drawn = weeks.calendar([row()], NOW)
        assert [day.date.isoformat() for day in (drawn.weeks[0][0], drawn.weeks[-1][-1])] == [
            "2026-11-23",
            "2026-12-27",
        ]
        assert [day.date for week in drawn.weeks for day in week if day.today] == [NOW.date()]

    def test_a_rotation_is_on_the_day_on_which_it_is_due_and_an_overdue_one_today(self) -> None:
        late = row(user(next_due=NOW - 9 * DAY))
        drawn = weeks.calendar([row(), row(), late], NOW)
        due = {day.date: day.due for week in drawn.weeks for day in week if day.due}
        assert due == {(ROTATED + DUE).date(): 2, NOW.date(): 1}
        assert (drawn.due, drawn.overdue) == (3, 1)

    def test_a_key_that_the_next_rotation_removes_in_time_breaks_no_window(self) -> None:
        assert weeks.calendar([row()], NOW).breaking == 0

    def test_a_key_that_no_rotation_removes_is_on_the_day_on_which_it_reaches_the_window(self) -> None:
        drawn = weeks.calendar([row(user(managed=False, next_due=None))], NOW)
        breaking = [day.date for week in drawn.weeks for day in week if day.breaking]
        assert breaking == [(CREATED_LAST + WINDOW).date(), (ROTATED + WINDOW).date()]

    def test_a_last_key_that_reaches_the_window_before_the_rotation_is_shown(self) -> None:
        drawn = weeks.calendar([row(keys=pair(25 * DAY))], NOW)
        assert drawn.breaking == 1

    def test_windows_come_before_rotations_in_the_list(self) -> None:
        kinds = [event.kind for event in weeks.calendar([row(keys=pair(25 * DAY)), row()], NOW).agenda]
        assert kinds == ["breaks", "due"]


class TestVerdict:
    def test_the_share_of_kept_windows_is_never_rounded_up_to_all(self) -> None:
        audit = result(2500, troubled=0)
        keys = [msgspec.structs.replace(audit.keys[0], window="broken"), *audit.keys[1:]]
        audit = msgspec.structs.replace(audit, keys=keys)
        assert verdict.verdict(audit, rows(audit)).figures[0].value == "99.9 %"

    @pytest.mark.parametrize(
        ("troubled", "look", "words"),
        [(0.0, "kept", "Every key is younger"), (1.0, "broken", "older than the window")],
    )
    def test_the_first_sentence_is_the_worst_that_is_true(self, troubled: float, look: str, words: str) -> None:
        audit = result(30, troubled=troubled)
        said = verdict.verdict(audit, rows(audit))
        assert said.look == look
        assert words in said.headline

    def test_what_could_not_be_read_is_not_called_good(self) -> None:
        audit = msgspec.structs.replace(result(5, troubled=0), complete=False)
        assert verdict.verdict(audit, rows(audit)).look == "unknown"


class TestHistory:
    def test_the_charts_go_from_the_first_result_to_the_last(self) -> None:
        drawn = history.history(results(5))
        assert drawn is not None
        (kept,) = next(chart for chart in drawn.charts if chart.unit == "%").lines
        assert [x for x, _ in kept.points] == [0, 25, 50, 75, 100]
        assert all(0 <= y <= 100 for chart in drawn.charts for line in chart.lines for _, y in line.points)

    def test_findings_that_appeared_and_that_were_resolved_are_named(self) -> None:
        older, newer = result(40, troubled=0.3), result(40, troubled=0.3)
        older = msgspec.structs.replace(older, generated=NOW - DAY, findings=older.findings[1:])
        newer = msgspec.structs.replace(newer, findings=newer.findings[:-1])
        drawn = history.history([older, newer])
        assert drawn is not None
        assert drawn.appeared == (newer.findings[0],)
        assert drawn.resolved == (older.findings[-1],)

    def test_a_message_that_tells_an_age_makes_no_other_finding(self) -> None:
        older = result(40, troubled=0.3)
        findings = [msgspec.structs.replace(one, message="now a day older") for one in older.findings]
        drawn = history.history([older, msgspec.structs.replace(older, findings=findings)])
        assert drawn is not None
        assert drawn.appeared == drawn.resolved == ()

    def test_many_results_are_thinned_and_the_ends_stay(self) -> None:
        drawn = history.history(results(200))
        assert drawn is not None
        (kept,) = next(chart for chart in drawn.charts if chart.unit == "%").lines
        assert len(kept.points) == history.MOST_POINTS
        assert (kept.points[0][0], kept.points[-1][0]) == (0, 100)
        assert len(drawn.points) == 200

    def test_results_of_the_same_moment_are_drawn(self) -> None:
        assert history.history([result(3), result(3)]) is not None

    def test_earlier_results_tell_of_earlier_rotations(self) -> None:
        audits = [result(1, now=NOW - 15 * DAY), result(1)]
        known = history.earlier_events(audits)
        earlier = audits[0].users[0]
        assert Event(_moment(earlier.rotated_at), "rotated", None, None) in known[ACCOUNT, earlier.user]


def results(number: int) -> list[Audit]:
    """Return daily results."""
    return [result(4, now=NOW - (number - at) * DAY) for at in range(number)]


def _moment(moment: datetime | None) -> datetime:
    assert moment is not None
    return moment
