"""The HTML report: one file that loads nothing, is complete without its script, and obeys nothing that it shows."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from datetime import timedelta, timezone
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec
import pytest

from support.audit_results import DAY, NOW, result
from support.page_structure import Page, parse
from twokey.reports import audit as audits
from twokey.reports import html
from twokey.reports.html import page as pages

if TYPE_CHECKING:
    from twokey.reports.audit import Audit

NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}",
    "</td></table></style><!--",
    "&lt;b&gt;",
    "a=b d=M0,0 class=x",
)
OVERRIDE = "\u202egnp.exe"
HEBREW = "משתמש"


@pytest.fixture(scope="module")
def many() -> str:
    """The page of an account with 5,000 users whose names are as long as IAM allows."""
    return html.render(result(5000, length=64))


@pytest.fixture(scope="module")
def text() -> str:
    """The page of a small account in which something of everything is wrong."""
    return html.render(result(60, troubled=0.3))


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return parse(text)


def renamed(audit: Audit, name: str) -> Audit:
    """Return a result in which every text that comes from outside is ``name``."""
    replace = msgspec.structs.replace
    return replace(
        audit,
        users=[
            replace(
                user,
                user=name,
                path=f"/{name}/",
                store=name,
                destinations=[replace(one, destination=name, outcome="out_of_date") for one in user.destinations],
                events=[replace(one, kind="refused", detail=name) for one in user.events],
            )
            for user in audit.users
        ],
        keys=[replace(key, user=name, path=f"/{name}/", key_id=name) for key in audit.keys],
        findings=[
            replace(one, user=name, message=name, remedy=name, resource=name, controls=[name], key_id=name, id=name)
            for one in audit.findings
        ],
        warnings=[name],
        complete=False,
    )


class TestTheFile:
    def test_an_account_with_5000_users_of_64_characters_fits_into_a_megabyte_and_a_half(self, many: str) -> None:
        assert len(many.encode()) <= 1_500_000
        assert len(set(re.findall("<tr><td>([^<]{64})<td>", many))) == 5000

    def test_every_element_is_closed_and_every_id_is_there_once(self, page: Page) -> None:
        assert page.unbalanced == []
        ids = [one.attributes["id"] for one in page.elements if "id" in one.attributes]
        assert len(ids) == len(set(ids))

    def test_the_links_stay_in_the_page_and_lead_somewhere(self, page: Page) -> None:
        ids = {one.attributes.get("id") for one in page.elements}
        links = [one.attributes["href"] for one in page.elements if "href" in one.attributes]
        assert links
        assert {link.removeprefix("#") for link in links} <= ids

    def test_nothing_is_loaded_and_nothing_is_sent(self, text: str, page: Page) -> None:
        assert not {one.tag for one in page.elements} & {"link", "img", "iframe", "form", "object", "embed", "base"}
        assert not [one for one in page.elements if {"src", "srcset", "action", "ping"} & set(one.attributes)]
        assert "url(" not in text
        assert "//" not in re.sub(r"^\s*// .*$", "", page.only("script").text, flags=re.MULTILINE)

    def test_the_policy_allows_the_one_style_sheet_and_the_one_script_and_nothing_else(self, page: Page) -> None:
        policy = page.only("meta", **{"http-equiv": "Content-Security-Policy"}).attributes["content"]
        directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        assert directives["default-src"] == "'none'"
        assert directives["style-src"] == f"'{_hash(page.only('style').text)}'"
        assert directives["script-src"] == f"'{_hash(page.only('script').text)}'"
        assert "unsafe" not in policy
        assert "http" not in policy

    def test_the_policy_comes_before_what_it_rules(self, text: str) -> None:
        assert text.index("Content-Security-Policy") < min(text.index("<style"), text.index("<script"))

    def test_no_attribute_holds_style_or_script(self, page: Page) -> None:
        names = {name for one in page.elements for name in one.attributes}
        assert not {name for name in names if name == "style" or name.startswith("on")}

    @pytest.mark.parametrize("name", ["page.css", "page.js"])
    def test_style_and_script_are_the_same_in_every_encoding(self, name: str) -> None:
        assert (files("twokey.reports.html") / name).read_text(encoding="utf-8").isascii()

    def test_only_style_and_script_are_put_in_as_they_are(self) -> None:
        template = (files("twokey.reports.html") / "page.html").read_text(encoding="utf-8")
        unescaped = re.findall(r"{{[^}]*\|\s*safe[^}]*}}", template)
        assert unescaped == ["{{ style | safe }}", "{{ script | safe }}"]
        assert "autoescape" not in template


class TestWithoutTheScript:
    def test_only_the_controls_that_the_script_serves_are_hidden(self, page: Page) -> None:
        assert [one.attributes["class"] for one in page.elements if "hidden" in one.attributes] == ["tools"]

    def test_every_user_is_in_the_table_with_its_state_and_the_rules_of_its_findings(self, page: Page) -> None:
        audit = result(60, troubled=0.3)
        rows = _rows(page)
        assert {row[0] for row in rows} == {user.user for user in audit.users}
        for finding in audit.findings:
            (row,) = [row for row in rows if row[0] == finding.user]
            assert finding.id in row[-1]

    def test_the_worst_users_come_first(self, page: Page) -> None:
        states = [row[-1].split()[0] for row in _rows(page)]
        order = ["broken", "unknown", "late", "unmanaged", "kept"]
        assert states == sorted(states, key=order.index)
        assert set(states) == set(order)

    def test_every_finding_is_there_with_its_message_and_what_to_do(self, page: Page) -> None:
        for finding in result(60, troubled=0.3).findings:
            assert finding.message in page.text
            assert finding.remedy in page.text

    def test_the_findings_come_before_everything_but_the_verdict(self, page: Page) -> None:
        sections = [one.attributes["aria-labelledby"] for one in page.all("section")]
        assert sections[:2] == ["verdict", "findings-title"]

    def test_what_the_script_finds_has_the_name_that_it_looks_for(self, page: Page) -> None:
        script = page.only("script").text
        for name in re.findall(r'getElementById\("(\w+)"\)', script):
            assert [one for one in page.elements if one.attributes.get("id") == name], name
        assert len(_rows(page)[0]) == 10


class TestWhatItShows:
    @pytest.mark.parametrize("name", NASTY)
    def test_a_name_that_looks_like_markup_is_shown_as_text(self, name: str) -> None:
        audit = result(12, troubled=0.5)
        shown, plain = parse(html.render(renamed(audit, name))), parse(html.render(renamed(audit, "plain")))
        assert name in shown.text
        assert _skeleton(shown) == _skeleton(plain)

    def test_a_name_cannot_reverse_the_text_around_it(self) -> None:
        text = html.render(renamed(result(12), OVERRIDE))
        assert "\u202e" not in text
        assert r"\u202egnp.exe" in text

    def test_a_name_from_right_to_left_is_isolated(self) -> None:
        shown = parse(html.render(renamed(result(12, troubled=0.5), HEBREW)))
        innermost = [one for one in shown.elements if one.text.strip().strip("/") == HEBREW]
        assert {one.tag for one in innermost} & {"bdi", "td"} == {"bdi", "td"}
        assert "unicode-bidi: isolate" in shown.only("style").text

    def test_a_sentence_that_begins_with_such_a_name_stays_one_from_left_to_right(self) -> None:
        audit = result(12, troubled=0.8)
        found = [msgspec.structs.replace(one, message=f"{HEBREW}: too old.") for one in audit.findings]
        shown = parse(html.render(msgspec.structs.replace(audit, findings=found)))
        sentences = [one for one in shown.all("bdi") if one.text == f"{HEBREW}: too old."]
        assert {one.attributes.get("dir") for one in sentences} == {"ltr"}

    def test_a_control_character_is_shown_not_obeyed(self) -> None:
        text = html.render(renamed(result(4), "a\x1b[2Jb\r\nc"))
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
        assert r"a\x1b[2Jb\r\nc" in text

    def test_a_log_that_the_page_is_written_to_obeys_no_name(self) -> None:
        text = html.render(renamed(result(4), "##vso[task.setvariable]x"))
        assert "##" not in text
        assert "##vso[task.setvariable]x" in parse(text).text

    def test_key_ids_are_shortened_in_drawings_texts_and_messages_alike(self) -> None:
        audit = result(60, troubled=0.3)
        full = {key.key_id for key in audit.keys if key.key_id}
        assert any(one in html.render(audit) for one in full)
        text = html.render(audits.redact(audit))
        assert not any(one in text for one in full)

    def test_the_root_user_is_named_as_what_it_is(self) -> None:
        audit = result(3)
        audit.users[0] = msgspec.structs.replace(audit.users[0], user=audits.ROOT)
        assert "root user" in {row[0] for row in _rows(parse(html.render(audit)))}

    def test_a_key_of_a_user_that_is_not_listed_is_shown(self) -> None:
        audit = result(5)
        alone = msgspec.structs.replace(audit, users=audit.users[1:])
        assert {row[0] for row in _rows(parse(html.render(alone)))} == {user.user for user in audit.users}

    def test_no_known_use_is_unknown_and_never_unused(self) -> None:
        audit = result(6)
        unknown = [msgspec.structs.replace(key, last_used=None, last_use_known=False) for key in audit.keys]
        page = parse(html.render(msgspec.structs.replace(audit, keys=unknown)))
        assert {row[6] for row in _rows(page)} == {"unknown"}
        assert "never used" not in page.text

    def test_what_could_not_be_read_is_said_under_the_verdict(self) -> None:
        audit = msgspec.structs.replace(result(4, troubled=0), complete=False, warnings=["The report is denied."])
        page = parse(html.render(audit))
        assert "The report is denied." in page.only("section", **{"aria-labelledby": "verdict"}).text
        assert "could not be read" in page.only("h2", id="verdict").text

    def test_an_account_without_users_says_so(self) -> None:
        page = parse(html.render(result(0)))
        assert page.unbalanced == []
        assert "There is no user in this result." in page.text

    def test_a_key_of_unknown_age_is_drawn_nowhere_and_shown_all_the_same(self) -> None:
        audit = result(6, troubled=0)
        unknown = [
            msgspec.structs.replace(key, created=None, breaks_at=None, window="unknown", key_id=None)
            for key in audit.keys
        ]
        page = parse(html.render(msgspec.structs.replace(audit, keys=unknown)))
        assert {row[-1] for row in _rows(page)} == {"unknown"}
        assert "age unknown" in page.text

    def test_times_are_in_utc_whatever_zone_the_result_has(self) -> None:
        elsewhere = msgspec.structs.replace(result(3), generated=NOW.astimezone(timezone(timedelta(hours=9))))
        assert (
            "2026-11-29 06:30 UTC"
            in parse(html.render(elsewhere)).only("time", datetime=elsewhere.generated.isoformat()).text
        )

    def test_a_rule_has_its_title_once_and_one_that_this_version_does_not_know_its_id(self) -> None:
        audit = result(60, troubled=0.3)
        page = parse(html.render(audit, {"TK701": "An Active key is older than its limit"}))
        titles = [one.text for one in page.all("h3")]
        assert titles.count("An Active key is older than its limit") == 1
        assert "Findings of TK703" in titles

    def test_rules_without_a_finding_are_named_and_only_as_far_as_the_account_could_be_read(self) -> None:
        audit = result(60, troubled=0.3)
        page = parse(html.render(audit, {"TK705": "A user has two Active keys"}))
        cells = [cell.text for cell in page.all("td")]
        assert cells[cells.index("TK705") + 1] == "A user has two Active keys"
        assert "As far as the account could be read." not in page.text
        assert "As far as the account could be read." in html.render(msgspec.structs.replace(audit, complete=False))
        assert "Checked without a finding" not in html.render(msgspec.structs.replace(audit, checked=[]))

    def test_a_user_that_is_not_adopted_yet_is_late_and_has_no_destination_that_is_out_of_date(self) -> None:
        audit = result(1)
        [user], [finding, *_] = audit.users, result(60, troubled=0.3).findings
        empty = [msgspec.structs.replace(one, outcome="empty", key_id=None) for one in user.destinations]
        user = msgspec.structs.replace(user, destinations=empty, rotated_at=None, next_due=None, events=[])
        found = msgspec.structs.replace(finding, id="TK714", severity="medium", user=user.user, account=user.account)
        audit = msgspec.structs.replace(audit, users=[user], findings=[found])
        page = parse(html.render(audit))
        assert [row[-1].split()[0] for row in _rows(page)] == ["late"]
        assert "There is no destination with a key in this result." in page.text
        assert "Every destination" not in page.text


class TestHistory:
    def test_one_result_has_none(self, page: Page) -> None:
        assert "history" not in {one.attributes.get("id") for one in page.elements}

    def test_several_results_show_the_latest_whatever_their_order(self) -> None:
        older, newer = result(30, now=NOW - 7 * DAY), result(20)
        for order in ([older, newer], [newer, older]):
            page = parse(pages.render(order))
            assert len(_rows(page)) == 20
            assert "2 results from 2026-11-22 to 2026-11-29" in page.only("section", id="history").text

    def test_a_hundred_results_stay_small(self) -> None:
        text = pages.render([result(3, now=NOW - number * DAY) for number in range(100)])
        assert len(text) < 200_000


def _hash(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _rows(page: Page) -> list[list[str]]:
    """Return the cells of the table of users."""
    at = page.elements.index(page.only("section", id="users"))
    rows: list[list[str]] = []
    for one in page.elements[at + 1 :]:
        if one.tag == "section":
            break
        if one.tag == "tr":
            rows.append([])
        elif one.tag == "td":
            rows[-1].append(one.text.strip())
    return [row for row in rows if row]


def _skeleton(page: Page) -> list[tuple[str, tuple[str, ...]]]:
    """Return the elements with the names of their attributes."""
    return [(one.tag, tuple(sorted(one.attributes))) for one in page.elements]
