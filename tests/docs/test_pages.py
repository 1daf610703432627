"""Every page can be reached, every link leads somewhere, every configuration on a page can be loaded."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from docs import pages
from twokey.config.load import load as load_file

if TYPE_CHECKING:
    from pathlib import Path

YAML = [
    pytest.param(body, id=f"{page.relative_to(pages.ROOT)}-{index}")
    for page in pages.pages()
    for index, body in enumerate(pages.blocks(page, "yaml"))
    if body.startswith("# twokey.yaml")
]


@pytest.mark.parametrize("page", pages.pages(), ids=lambda page: str(page.relative_to(pages.ROOT)))
def test_links(page: Path) -> None:
    """Each link leads to a file or folder of the project, and each anchor to a heading."""
    for link in pages.links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: there is no {target}"
        assert target.is_relative_to(pages.ROOT), link
        assert not anchor or anchor in pages.anchors(target), f"{link}: there is no such heading"


def test_every_page_can_be_reached() -> None:
    """From the README, by links alone."""
    seen: set[Path] = set()
    left = [pages.ROOT / "README.md"]
    while left:
        page = left.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        left += [(page.parent / link.partition("#")[0]).resolve() for link in pages.links(page) if link[0] != "#"]
    assert set(pages.pages()) <= seen


@pytest.mark.parametrize("text", YAML)
def test_configurations(text: str, tmp_path: Path) -> None:
    """Each block that begins with ``# twokey.yaml`` is one that twokey takes."""
    file = tmp_path / "twokey.yaml"
    file.write_text(text, encoding="utf-8")
    assert load_file(file).selections


@pytest.mark.parametrize("page", pages.pages(), ids=lambda page: str(page.relative_to(pages.ROOT)))
def test_times_of_a_page_are_of_one_run(page: Path) -> None:
    """In the examples, all times lie close together, or where a rotation is due next: UPDATE_DOCS=1 makes them so."""
    shown = re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "".join(pages.blocks(page, "console")))
    times = sorted(datetime.fromisoformat(time) for time in shown)
    next_due = timedelta(days=14, hours=9)
    for time in times:
        since = time - times[0]
        assert min(abs(since), abs(since - next_due)) < timedelta(hours=1), f"{time} and {times[0]}"


def test_each_decision_is_in_the_index() -> None:
    """The decisions are numbered without a gap, and the index carries each with its title."""
    folder = pages.DOCS / "adr"
    files = sorted(folder.glob("[0-9]*.md"))
    assert [file.name[:4] for file in files] == [f"{number:04}" for number in range(1, len(files) + 1)]
    index = (folder / "README.md").read_text(encoding="utf-8")
    for file in files:
        title = re.sub(r"^# \d+\. ", "", file.read_text(encoding="utf-8").splitlines()[0])
        assert f"[{title}]({file.name})" in index


def test_each_decision_that_a_page_names_is_a_link_to_the_decision_of_that_number() -> None:
    """Without the link, the number cannot be checked when decisions are renumbered."""
    for page in pages.pages():
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"\bdecision (\d+)", text, re.IGNORECASE)
        linked = re.findall(r"\[decision \d+\]\((?:[^)\s]*/)?(\d{4})-", text, re.IGNORECASE)
        assert [f"{int(number):04}" for number in named] == linked, page
