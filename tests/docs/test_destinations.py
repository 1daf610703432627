"""The pages of the destinations and of the formats show URLs that twokey takes, and what really is written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from docs import pages
from twokey.destinations import forms, registry
from twokey.model import Credential

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = pages.DOCS / "reference" / "destinations"
FORMATS = pages.DOCS / "reference" / "formats.md"
SCHEMES = "|".join(map(re.escape, registry.SCHEMES))
KEY = Credential("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


def urls(page: Path) -> list[str]:
    """Return the URLs that stand in lines of their own, indented."""
    return re.findall(rf"^    ((?:{SCHEMES}):\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("scheme", registry.SCHEMES)
def test_each_destination_has_a_page_whose_urls_are_taken(scheme: str) -> None:
    shown = urls(FOLDER / f"{scheme}.md")
    assert shown
    for url in shown:
        assert registry.parse(url).scheme == scheme


def test_the_overview_names_each_destination_and_no_other() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| \[`([a-z-]+):`\]", text, re.MULTILINE)) == set(registry.SCHEMES)


def test_each_format_stands_on_its_page_with_its_options() -> None:
    rows = pages.tables(FORMATS)["Formats"]
    assert [pages.words(row[0])[0] for row in rows] == list(forms.FORMATS)
    named = {name for row in rows for name in re.findall(r"`([a-z]+)(?:\.NAME)?=`", row[2])}
    assert named == {option.removesuffix(".*") for option in forms.OPTIONS} - {"format"}


def test_what_is_written_is_what_the_page_shows() -> None:
    rows = pages.tables(FORMATS)["What is written"]
    assert len(rows) > 5
    for row in rows:
        url, shown = pages.words(row[0])[0], pages.words(row[1])
        address = registry.parse(url)
        names = forms.MEMBERS if address.scheme == "file" else forms.ENVIRONMENT
        written = forms.form_of(address.options, default="json", names=names).text(KEY)
        assert [part for part in shown if part.replace("…", KEY.reveal()) not in written] == [], url
        if len(shown) == 1:
            assert shown == [written.replace(KEY.reveal(), "…")]
