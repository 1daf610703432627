"""What counts as the same alert, and how much a memory and a message can hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from alerts.conftest import ROTATED
from support.builders import NOW, USER, ago, key
from twokey.alerts import decision, memory, messages
from twokey.alerts.decision import Ended
from twokey.core.errors import ServiceRejected
from twokey.core.reasons import Outcome, Reason
from twokey.planning.policy import RotationPolicy
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from twokey.core.model import AccessKey

WEEK = timedelta(days=7)
REFUSED = Result(USER, Outcome.REFUSED, Reason.IN_USE, "LAST was used 3 minutes ago.", "AKIAC", "AKIAL")
NOT_DUE = Result(USER, Outcome.NOT_DUE, Reason.NOT_DUE, "", "AKIAC", next_due=NOW + timedelta(days=3))


def told(result: Result, *keys: AccessKey) -> list[str]:
    return [one.kind for one in decision.alerts([Ended(result, keys, RotationPolicy())], NOW, WEEK)]


def test_a_run_in_which_nothing_is_due_has_nothing_to_tell() -> None:
    assert told(NOT_DUE, key("AKIAL", days=26), key("AKIAC", days=11)) == []
    assert told(NOT_DUE, key("AKIAL", days=28), key("AKIAC", days=11)) == ["window_breaks"]


def test_a_key_close_to_its_window_is_told_of_where_no_rotation_is_sure_to_remove_it() -> None:
    assert told(REFUSED, key("AKIAL", days=22), key("AKIAC", days=11)) == ["outcome"]
    assert told(REFUSED, key("AKIAL", days=24), key("AKIAC", days=11)) == ["outcome", "window_breaks"]
    assert told(REFUSED, key("AKIAL", days=31), key("AKIAC", days=11)) == ["outcome", "window_broken"]
    assert told(replace(REFUSED, removed=("AKIAL",)), key("AKIAL", days=31)) == ["outcome"]
    assert told(REFUSED, key("AKIAL", days=31, active=False)) == ["outcome"]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (replace(REFUSED, message="LAST was used 5 minutes ago."), True),
        (replace(REFUSED, reason=Reason.GRACE), False),
        (replace(REFUSED, outcome=Outcome.FAILED), False),
        (replace(REFUSED, user=replace(USER, name="other")), False),
        (replace(REFUSED, user=replace(USER, account="210987654321")), False),
    ],
)
def test_an_alert_is_the_same_as_long_as_user_outcome_and_reason_are(other: Result, *, same: bool) -> None:
    (first,), (second,) = (decision.alerts([Ended(one)], NOW, WEEK) for one in (REFUSED, other))
    sent = {first.mark("slack"): ago(hours=1)}
    assert decision.due([second], "slack", sent, NOW, WEEK) == (() if same else (second,))
    assert decision.due([first], "sns", sent, NOW, WEEK) == (first,), "each receiver for itself"
    assert decision.due([first], "slack", sent, NOW, timedelta(minutes=30)) == (first,)
    assert decision.due([first], "slack", {first.mark("slack"): NOW + WEEK}, NOW, WEEK) == (first,), "a wrong clock"


def test_what_was_done_is_always_told() -> None:
    (alert,) = decision.alerts([Ended(ROTATED)], NOW, WEEK)
    assert decision.due([alert], "slack", {alert.mark("slack"): NOW}, NOW, WEEK) == (alert,)


def test_a_memory_keeps_what_counts_and_forgets_the_oldest_where_there_is_no_room() -> None:
    sent = {f"mark{number:04}": ago(seconds=number) for number in range(1000)}
    text = memory.encode(sent)
    assert len(text) <= memory.LONGEST
    kept = memory.decode(text.encode(), "ssm:/x")
    assert len(kept) > 150
    assert [*kept] == [*sent][: len(kept)]
    assert memory.decode(memory.encode(dict.fromkeys(list(sent)[:450], NOW)).encode(), "x").keys() == {
        *list(sent)[:450]
    }
    remembered = decision.remembered({"old": ago(days=8), "new": ago(days=1)}, ["now"], NOW, WEEK)
    assert remembered == {"new": ago(days=1), "now": NOW}


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"version":2,"sent":{}}', '{"version":1,"sent":{"x":"y"}}'])
def test_a_text_of_another_program_is_no_memory(text: str) -> None:
    with pytest.raises(ServiceRejected, match="does not hold what twokey remembers"):
        memory.decode(text.encode(), "ssm:/x")


def test_a_message_about_many_users_stays_within_what_every_service_accepts() -> None:
    results = [replace(REFUSED, user=replace(USER, name=f"user-{one}"), message="x " * 5000) for one in range(5000)]
    found = decision.alerts(map(Ended, results), NOW, WEEK)
    message = messages.message("rotate", found, NOW)
    assert message.subject == "twokey rotate: 5000 refused"
    assert message.text.endswith("\nAnd 4980 more.")
    assert len(message.text) < 30_000
    assert len(message.json) < 200_000
    assert (len(message.document.alerts), message.document.left_out) == (100, 4900)


def test_a_summary_counts_by_values_that_a_program_compares_and_a_subject_in_words() -> None:
    found = [
        decision.Alert("window_breaks", "Soon.", "ci", problem=True, result=REFUSED),
        *decision.alerts([Ended(REFUSED)], NOW, WEEK),
        decision.of_failed_run("rotate", "No credentials."),
    ]
    message = messages.message("rotate", found, NOW)
    assert message.document.summary == {"window_breaks": 1, "refused": 1, "run": 1}
    assert message.subject == "twokey rotate: 1 window will be broken, 1 refused, 1 the run failed"


def test_a_result_about_a_whole_account_names_the_account_and_no_user() -> None:
    account = replace(REFUSED, user=replace(USER, name="", path=""), outcome=Outcome.FAILED, reason=Reason.ERROR)
    message = messages.message("rotate", decision.alerts([Ended(account)], NOW, WEEK), NOW)
    assert f"\n{USER.account}: failed (error). " in message.text
    assert (message.document.alerts[0].account, message.document.alerts[0].user) == (USER.account, None)
