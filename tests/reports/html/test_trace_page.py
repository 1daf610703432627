"""The page of a trace: what it draws, and that it obeys nothing that an intruder chose."""

from __future__ import annotations

import msgspec
import pytest

from support.traces import DAY, KEY, NOW, SESSION, intrusion, nothing, use
from twokey.reports.html import trace_page
from twokey.reports.html.trace_lanes import MOST, drawings
from twokey.reports.trace import Trace, grouped

NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><!--",
    "\x1b[2J\u202egnp.exe",
    "##vso[task.setvariable]",
)


def named(trace: Trace, name: str) -> Trace:
    """Return a trace in which every text that comes from outside is ``name``."""
    replace = msgspec.structs.replace
    texts = dict.fromkeys(("service", "event", "region", "source_ip", "user_agent", "session", "error", "target"), name)
    return replace(
        trace,
        user=name,
        held_by=[name],
        reaches=[name],
        regions=[name],
        uses=[replace(one, **texts, mark="user") for one in trace.uses],
        sessions=[replace(one, key_id=name, made_from=name, role=name) for one in trace.sessions],
        incomplete=[name],
        notes=[name],
    )


@pytest.mark.parametrize("name", NASTY)
def test_what_an_intruder_chose_is_text(name: str) -> None:
    text = trace_page.render(named(intrusion(), name))
    assert name not in text.partition("</style>")[2]
    assert "<script" not in text


def test_what_an_intruder_chose_is_no_template() -> None:
    assert "{{ 7 * 7 }}" in trace_page.render(named(intrusion(), "{{ 7 * 7 }}"))


def test_the_page_says_both_answers_and_what_is_left_behind() -> None:
    text = trace_page.render(intrusion())
    assert f"<code>{KEY}</code>" in text
    assert "1 event may have left something behind." in text
    for part in ("No: it is CURRENT of ci.", "61 events from 2 addresses.", "backdoor", "AccessDenied", SESSION):
        assert part in text
    assert "default-src &#39;none&#39;; style-src" in text
    assert " style=" not in text


def test_a_gap_comes_before_all_is_well() -> None:
    found = msgspec.structs.replace(intrusion(), uses=intrusion().uses[1:], complete=False, incomplete=["No region."])
    assert "but not everything could be read" in trace_page.render(found)
    assert "Nothing left behind was found." in trace_page.render(msgspec.structs.replace(found, complete=True))


def test_a_key_of_which_nothing_is_known_has_a_page() -> None:
    text = trace_page.render(nothing())
    assert "No event of the key was found." in text
    assert "The key belongs to another account." in text


class TestTheTimeline:
    def test_has_a_lane_for_each_address_those_with_marked_events_first(self) -> None:
        whole, _ = drawings(intrusion())
        assert [(lane.address, lane.count) for lane in whole.lanes] == [("198.51.100.7", 2), ("203.0.113.5", 59)]
        assert {mark.look for mark in whole.lanes[0].marks} == {"failed", "marked"}

    def test_draws_the_time_around_marked_events_again(self) -> None:
        trace = intrusion()
        whole, near = drawings(trace)
        assert sum(lane.count for lane in near.lanes) < sum(lane.count for lane in whole.lanes)
        assert [bar.lasting for bar in near.bars] == [True]
        unmarked = msgspec.structs.replace(trace, uses=trace.uses[1:])
        assert len(drawings(unmarked)) == 1

    def test_joins_the_addresses_that_are_too_many(self) -> None:
        uses = [use(number * DAY, source_ip=f"203.0.113.{number}") for number in range(40)]
        [whole] = drawings(msgspec.structs.replace(intrusion(), uses=uses))
        assert (len(whole.lanes), whole.lanes[-1].others) == (MOST, 40 - MOST + 1)

    def test_keeps_everything_on_the_axis_also_a_single_use(self) -> None:
        [one] = drawings(msgspec.structs.replace(intrusion(), uses=[use(DAY)]))
        [mark] = one.lanes[0].marks
        assert mark.x == 50
        assert one.ticks
        for bar in one.bars:
            assert 0 <= bar.x <= bar.x + bar.width <= 100

    def test_has_dates_at_midnight_and_times_between(self) -> None:
        _, near = drawings(intrusion())
        assert all(tick.text.count(":") == 1 or tick.text == f"{NOW:%d %b}" for tick in near.ticks)


def test_runs_of_one_program_are_one_use_whatever_each_process_adds_to_its_name() -> None:
    names = ("Botocore/1.44 m/E,b,Z cfg/x twokey/" + "a" * 32, "Botocore/1.44 m/Z,b,E cfg/x twokey/" + "b" * 32)
    uses = [use(number * DAY, user_agent=name) for number, name in enumerate((*names, "Botocore/1.43 cfg/x"))]
    groups = grouped(msgspec.structs.replace(intrusion(), uses=uses))
    assert [(group.latest.user_agent, group.count) for group in groups] == [(names[0], 2), ("Botocore/1.43 cfg/x", 1)]


def test_uses_that_differ_in_their_time_only_are_one_group() -> None:
    groups = grouped(intrusion())
    assert [(group.count, group.by) for group in groups] == [
        (1, f"session {SESSION}"),
        (1, f"session {SESSION}"),
        (59, ""),
    ]
    assert groups[-1].first == NOW - 59 * DAY


def test_uses_by_the_sessions_of_a_role_are_one_group() -> None:
    trace = intrusion()
    ids = [f"ASIA{number}" for number in range(100)]
    made = [msgspec.structs.replace(trace.sessions[0], key_id=id_) for id_ in ids]
    uses = [use(number * DAY / 10, session=id_) for number, id_ in enumerate(ids)]
    [group] = grouped(msgspec.structs.replace(trace, sessions=made, uses=uses))
    assert (group.count, group.by) == (100, "100 sessions of role deploy")
