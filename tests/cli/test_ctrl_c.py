"""What an operator sees who presses Ctrl-C while bars are drawn: each message is complete, and stays."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

from support.ptys import in_terminal
from twokey.emulator import Rule

if TYPE_CHECKING:
    from support.rig import Rig

ENDING = (
    "Ending: no further user is begun, and those under way are finished. A second Ctrl-C or SIGTERM ends at once; the "
    "next run then continues from what it finds."
)
ENDED = (
    "Ended at once. A user that was under way may be half done; no key in use was lost. Run the same command again to "
    "continue."
)
SELECTED = ("--path", "/machine-users/", "--store", "secretsmanager:machine-users/{user}", "--to", "ssm:/m/{user}")
MOVES = re.compile(r"\x1b\[\d*(?:A|2K)")
"""How a bar is drawn over what is there: the cursor goes up, a line is erased."""


@pytest.fixture
def _users(rig: Rig) -> None:
    for number in range(5):
        rig.aws.make_user(f"ci-{number}", path="/machine-users/", keys=0)
    rig.aws.weather.add(Rule("iam:CreateAccessKey", times=None, effect="hold_after"))


@pytest.mark.usefixtures("_users")
@pytest.mark.parametrize("columns", [40, 80])
def test_each_signal_says_what_it_does_and_no_bar_is_drawn_over_it(rig: Rig, columns: int) -> None:
    with in_terminal("rotate", *SELECTED, columns=columns) as terminal:
        terminal.read_until("destinations")
        rig.aws.weather.wait_until_held(300)
        terminal.press_ctrl_c()
        terminal.read_until(ENDING)
        terminal.press_ctrl_c()
        terminal.read_until(ENDED)
        assert terminal.read_all() == -signal.SIGINT
    rig.aws.weather.release()
    after = terminal.text[terminal.text.index("Ending: ") :]
    assert not MOVES.search(after), after
    assert all(len(line) <= columns for line in after.splitlines())
    hidden, shown = terminal.text.rindex("\x1b[?25l"), terminal.text.rindex("\x1b[?25h")
    assert hidden < shown, "the cursor stays hidden"


@pytest.mark.usefixtures("_users")
def test_after_one_signal_the_report_stands_below_its_message(rig: Rig) -> None:
    with in_terminal("rotate", *SELECTED, "--concurrency", "1", columns=80) as terminal:
        rig.aws.weather.wait_until_held(300)
        terminal.press_ctrl_c()
        terminal.read_until(ENDING)
        rig.aws.weather.release()
        assert terminal.read_all() == 130
    assert not MOVES.search(terminal.text[terminal.text.index("Ending: ") :])
    assert "Interrupted. Completed changes remain" in terminal.plain
