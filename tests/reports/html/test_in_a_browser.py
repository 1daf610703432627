"""The report in a real Chromium: axe-core finds nothing, the policy stops nothing of it, the script does its work.

Chromium comes from Debian, axe-core from npm (``make browser``); without them, these tests are skipped.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.audit_results import DAY, NOW, result
from support.browser import PROGRAM, Browser
from support.rehearsals import rehearsal
from support.traces import intrusion
from twokey.reports.html import page, rehearsal_page, trace_page

if TYPE_CHECKING:
    from collections.abc import Iterator

AXE = Path(__file__).parents[3] / ".browser" / "node_modules" / "axe-core" / "axe.min.js"
pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed: apt-get install chromium"),
    pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: make browser"),
]
COLOURS = ", runOnly: ['color-contrast']"
ROWS = "Array.from(document.querySelectorAll('.all tbody tr'))"
SHOWN = f"{ROWS}.filter(row => !row.hidden).map(row => row.cells[0].textContent)"
VIEWS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page of several results, of none, and one that is wrong in a way that axe knows.

    The users are in tables of five each, as those of a large account are in tables of some hundred.
    """
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "AT_ONCE", 5)
        _write(folder)
    return folder


def _write(folder: Path) -> None:
    wrong = result(12, troubled=0.5)
    history = [result(12, now=NOW - 7 * DAY, seed=2, troubled=0.6), wrong]
    (folder / "history.html").write_text(page.render(history), encoding="utf-8")
    (folder / "empty.html").write_text(page.render([result(0)]), encoding="utf-8")
    (folder / "trace.html").write_text(trace_page.render(intrusion()), encoding="utf-8")
    (folder / "rehearsal.html").write_text(rehearsal_page.render(rehearsal()), encoding="utf-8")
    broken = page.render([wrong]).replace('<html lang="en" dir="ltr">', "<html>")
    (folder / "wrong.html").write_text(broken, encoding="utf-8")


@pytest.fixture(scope="module")
def browser(folder: Path) -> Iterator[Browser]:
    """One Chromium for all."""
    with Browser(folder) as browser:
        yield browser


def violations(browser: Browser, only: str = "") -> list[Any]:
    """Return what axe-core finds in the page that is open: its rules and where."""
    run = f"axe.run(document, {{resultTypes: ['violations']{only}}}).then(found => JSON.stringify(found.violations))"
    found = json.loads(browser.evaluate(f"{AXE.read_text(encoding='utf-8')};{run}"))
    return [(one["id"], [node["target"] for node in one["nodes"]]) for one in found]


def complaints(browser: Browser) -> list[Any]:
    """Return what Chromium complains about: the policy, the script, anything that could not be loaded."""
    return [one for one in browser.events if one.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")]


def requests(browser: Browser) -> list[str]:
    """Return the addresses that were asked for."""
    return [
        one["params"]["request"]["url"] for one in browser.events if one.get("method") == "Network.requestWillBeSent"
    ]


def test_axe_finds_no_violation(browser: Browser, folder: Path) -> None:
    for width, scheme in VIEWS:
        browser.emulate(width=width, scheme=scheme)
        browser.open(folder / "history.html")
        assert violations(browser, COLOURS if scheme == "dark" else "") == [], (width, scheme)
    browser.open(folder / "empty.html")
    assert violations(browser) == []


@pytest.mark.parametrize("name", ["trace", "rehearsal"])
def test_axe_finds_none_in_the_pages_without_a_script_either(browser: Browser, folder: Path, name: str) -> None:
    for width, scheme in ((1280, "light"), (390, "dark")):
        browser.emulate(width=width, scheme=scheme)
        browser.open(folder / f"{name}.html")
        browser.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        assert violations(browser) == [], (width, scheme)
        assert complaints(browser) == []
        assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_axe_would_find_one(browser: Browser, folder: Path) -> None:
    browser.open(folder / "wrong.html")
    assert "html-has-lang" in {rule for rule, _ in violations(browser)}


def test_the_policy_stops_nothing_and_nothing_else_is_loaded(browser: Browser, folder: Path) -> None:
    browser.open(folder / "history.html")
    assert complaints(browser) == []
    assert requests(browser) == [(folder / "history.html").as_uri()]
    assert browser.evaluate("getComputedStyle(document.querySelector('.verdict')).borderLeftWidth") == "5px"


def test_the_policy_stops_what_a_name_would_run(browser: Browser, folder: Path) -> None:
    """Even if a name became markup, no script and no style of it would run."""
    text = (folder / "empty.html").read_text(encoding="utf-8")
    forged = text.replace("</main>", "<script>document.title = 'run'</script><p style='color: red'>x</p></main>")
    (folder / "forged.html").write_text(forged, encoding="utf-8")
    browser.open(folder / "forged.html")
    assert browser.evaluate("document.title") != "run"
    assert len(complaints(browser)) == 2


def test_no_view_is_wider_than_the_window(browser: Browser, folder: Path) -> None:
    for width in (1280, 940, 768, 390, 320):
        browser.emulate(width=width)
        browser.open(folder / "history.html")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_the_script_filters_by_words_and_by_state(browser: Browser, folder: Path) -> None:
    browser.emulate()
    browser.open(folder / "history.html")
    everyone = browser.evaluate(SHOWN)
    assert len(everyone) == 12
    browser.evaluate(
        "(() => { const field = document.getElementById('filter'); field.value = 'CI-0000';"
        " field.dispatchEvent(new Event('input')); })()"
    )
    assert browser.evaluate(SHOWN) == ["ci-0000"]
    assert browser.evaluate("document.querySelectorAll('.part:not([hidden])').length") == 1
    assert browser.evaluate("document.getElementById('shown').textContent") == "1 of 12 users"
    browser.evaluate(
        "(() => { const field = document.getElementById('filter'); field.value = '';"
        " const state = document.getElementById('state'); state.value = 'kept';"
        " state.dispatchEvent(new Event('change')); })()"
    )
    kept = {row.user.user for row in _kept()}
    assert set(browser.evaluate(SHOWN)) == kept


def test_the_script_sorts_both_ways_and_keeps_empty_cells_last(browser: Browser, folder: Path) -> None:
    browser.emulate()
    browser.open(folder / "history.html")
    column = f"{ROWS}.map(row => row.cells[3].textContent.trim())"
    click = "document.querySelectorAll('.all thead button')[2].click()"
    assert browser.evaluate("document.querySelectorAll('.all').length") == 3
    for descending in (False, True):
        browser.evaluate(click)
        texts = browser.evaluate(column)
        days = [int(text.split()[0]) for text in texts if text]
        assert days == sorted(days, reverse=descending)
        assert texts[: len(days)] == [text for text in texts if text]


def test_on_paper_everything_is_unfolded_and_nothing_is_cut_off(browser: Browser, folder: Path) -> None:
    browser.emulate(width=688, media="print", scheme="dark")
    browser.open(folder / "history.html")
    assert browser.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    folded = "Array.from(document.querySelectorAll('details .body')).filter(one => !one.checkVisibility()).length"
    assert browser.evaluate(folded) == 0
    assert browser.evaluate("document.documentElement.scrollWidth") <= 688


def _kept() -> list[Any]:
    from twokey.reports.html.users import rows

    return [row for row in rows(result(12, troubled=0.5)) if row.state == "kept"]


def test_a_browser_that_is_started_takes_no_descriptor_of_this_process(tmp_path: Path) -> None:
    """What it took would be a socket of another test, which fails when that is closed, long afterwards."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(250)]
        for low in sockets[:10]:
            low.close()
        others = sockets[10:]
        before = [os.fstat(other.fileno()).st_ino for other in others]
        stack.enter_context(Browser(tmp_path))
        assert [os.fstat(other.fileno()).st_ino for other in others] == before
