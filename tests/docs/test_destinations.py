"""The pages of the destinations and of the formats show URLs that twokey takes, and what really is written."""

from __future__ import annotations

import re

import pytest

from docs import pages
from twokey.core.secret import Credential
from twokey.destinations import registry
from twokey.destinations.formats import options as formats

FOLDER = pages.DOCS / "reference" / "destinations"
FORMATS = pages.DOCS / "reference" / "formats.md"
SCHEMES = "|".join(map(re.escape, registry.SCHEMES))
KEY = Credential("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


URLS = [
    (page.name, url)
    for page in sorted(FOLDER.glob("*.md"))
    for url in re.findall(rf"^    ((?:{SCHEMES}):.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    if not re.search(r"\bNAME", url)
]
"""The page, and each URL that stands in an indented line of its own, patterns such as ``ssm:/NAME`` left aside."""


@pytest.mark.parametrize("scheme", registry.SCHEMES)
def test_each_destination_is_shown_by_a_page(scheme: str) -> None:
    assert [page for page, url in URLS if url.startswith(f"{scheme}:")]


@pytest.mark.parametrize(("page", "url"), URLS)
def test_each_url_on_a_page_is_one_that_twokey_takes(page: str, url: str) -> None:
    assert registry.parse(url).url == url


def test_each_format_stands_on_its_page_with_its_options() -> None:
    rows = pages.tables(FORMATS)["Formats"]
    assert [pages.words(row[0])[0] for row in rows] == list(formats.FORMATS)
    named = {name for row in rows for name in re.findall(r"`([a-z]+)(?:\.NAME)?=`", row[2])}
    assert named == {option.removesuffix(".*") for option in formats.OPTIONS} - {"format"}


def test_what_is_written_is_what_the_page_shows() -> None:
    rows = pages.tables(FORMATS)["What is written"]
    assert len(rows) > 5
    for row in rows:
        url, shown = pages.words(row[0])[0], pages.words(row[1])
        address = registry.parse(url)
        names = formats.MEMBERS if address.scheme == "file" else formats.ENVIRONMENT
        written = formats.format_of(address.options, default="json", names=names).text(KEY)
        assert [part for part in shown if part.replace("…", KEY.reveal()) not in written] == [], url
        if len(shown) == 1:
            assert shown == [written.replace(KEY.reveal(), "…")]
