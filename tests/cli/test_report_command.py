"""``twokey report``: results of an audit as a page, a history, and every way in which that cannot be done."""

from __future__ import annotations

import builtins
import io
import json
import stat
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from support.audit_results import DAY, NOW, result
from support.commands import twokey
from support.page_structure import parse
from twokey.cli import terminal
from twokey.reports import documents
from twokey.reports.html import page

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.reports.audit import Audit


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with two results of an account, and one of another."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "new.json", result(10, troubled=0.5))
    write(tmp_path / "old.json", result(10, now=NOW - 7 * DAY))
    write(tmp_path / "other.json", result(1, account="210987654321"))
    return tmp_path


def write(file: Path, audit: Audit) -> None:
    file.write_text(documents.encode(audit), encoding="utf-8")


class TestThePage:
    def test_goes_to_stdout(self) -> None:
        ran = twokey("report", "new.json")
        assert ran.code == 0
        assert ran.out.startswith("<!doctype html>")
        assert "ci-0000" in parse(ran.out).only("section", id="users").text
        assert ran.err.startswith("stdout: 10 users and ")

    def test_goes_to_a_file_that_only_its_owner_can_read(self, folder: Path) -> None:
        ran = twokey("report", "new.json", "--output", "report.html", "--quiet")
        assert (ran.code, ran.out, ran.err) == (0, "", "")
        assert stat.S_IMODE((folder / "report.html").stat().st_mode) == 0o600
        assert "</html>" in (folder / "report.html").read_text(encoding="utf-8")

    def test_of_several_results_has_a_history_whatever_their_order(self) -> None:
        ran = twokey("report", "new.json", "old.json")
        assert parse(ran.out).only("section", id="history")
        assert ran.err.endswith("as of 2026-11-29T06:30:00Z, and 1 earlier result.\n")

    def test_of_the_same_file_twice_has_none(self) -> None:
        assert not parse(twokey("report", "new.json", "new.json").out).all("section", id="history")

    def test_names_the_rules_of_audit(self, folder: Path) -> None:
        write(folder / "new.json", result(40, troubled=0.5))
        assert "An Active key is older than its limit" in twokey("report", "new.json").out

    def test_of_standard_input(self, folder: Path) -> None:
        data = io.TextIOWrapper(io.BytesIO((folder / "new.json").read_bytes()))
        with mock.patch("sys.stdin", data):
            assert twokey("report", "-").code == 0

    def test_shows_short_key_ids_on_request(self, folder: Path) -> None:
        ids = [key["key_id"] for key in json.loads((folder / "new.json").read_text())["keys"]]
        assert any(one in twokey("report", "new.json").out for one in ids)
        assert not any(one in twokey("report", "new.json", "--redact").out for one in ids)

    def test_survives_an_output_that_has_only_ascii(self, folder: Path) -> None:
        out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        with mock.patch("sys.stdout", out):
            terminal.say_page("<p>½ Ω</p>")
        out.seek(0)
        assert out.read() == "<p>&#189; &#937;</p>\n"


class TestWhatItRefuses:
    def refused(self, *arguments: str) -> str:
        ran = twokey("report", *arguments)
        assert (ran.code, ran.out) == (2, "")
        return ran.err

    def test_no_file(self) -> None:
        assert "Missing argument" in self.refused()

    def test_a_file_that_is_missing(self) -> None:
        assert "Error: missing.json cannot be read: No such file or directory." in self.refused("missing.json")

    @pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"results": []}', '{"version": "1"}', "\xff\xfe"])
    def test_a_file_that_is_no_result(self, folder: Path, text: str) -> None:
        (folder / "wrong.json").write_bytes(text.encode("latin-1"))
        err = self.refused("new.json", "wrong.json")
        assert err.startswith("Error: wrong.json: expected a result of twokey audit --json")
        assert "Name files that twokey audit --json wrote." in err

    def test_a_result_of_a_later_version_of_the_format(self, folder: Path) -> None:
        document: dict[str, Any] = json.loads((folder / "new.json").read_text())
        document |= {"version": 2, "users": "of another shape"}
        (folder / "later.json").write_text(json.dumps(document))
        assert "later.json: it has version 2 of the format, and this twokey reads version 1" in self.refused(
            "later.json"
        )

    def test_results_of_different_accounts(self) -> None:
        err = self.refused("old.json", "new.json", "other.json")
        assert "these are of 2: 123456789012 (old.json), 210987654321 (other.json)." in err
        assert "Make one report for each account." in err

    @pytest.mark.parametrize("output", ["missing/report.html", "."])
    def test_an_output_that_cannot_be_written(self, output: str) -> None:
        assert f"--output: {output} cannot be written" in self.refused("new.json", "--output", output)

    def test_a_terminal(self) -> None:
        with mock.patch.object(terminal, "is_interactive", return_value=True):
            err = self.refused("new.json")
        assert "stdout is a terminal" in err
        assert "--output report.html" in err

    def test_an_installation_without_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = builtins.__import__

        def without(name: str, *rest: Any) -> Any:
            if name == "jinja2":
                raise ImportError(name)
            return real(name, *rest)

        page.template_of.cache_clear()
        monkeypatch.setattr(builtins, "__import__", without)
        err = self.refused("new.json")
        assert "with the extra `report`" in err

    def test_a_failure_leaves_the_file_that_was_there(self, folder: Path) -> None:
        (folder / "report.html").write_text("earlier")
        self.refused("wrong.json", "--output", "report.html")
        assert (folder / "report.html").read_text() == "earlier"
        assert sorted(one.name for one in folder.iterdir()) == ["new.json", "old.json", "other.json", "report.html"]
