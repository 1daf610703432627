"""Nothing that a terminal or a CI system obeys reaches it from what services, journals, files and names contain."""

from __future__ import annotations

import ast
import io
import json
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.commands import twokey
from twokey.cli import layout, terminal
from twokey.cli.cleaning import clean
from twokey.emulator import Rule

if TYPE_CHECKING:
    from support.rig import Rig

STORE = "secretsmanager:machine-users/{user}"
HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J\n::add-path::/tmp/evil\r\n##vso[task.setvariable variable=a]b"
    "\x9b31m\u202e\u2028 ::stop-commands::x"
)
OBEYED = re.compile(r"^\s*::[A-Za-z]|##\[|##vso\[|##teamcity\[", re.MULTILINE)


def harmless(text: str) -> bool:
    """Return whether a text has no control character but the ends of its lines, and no line that a CI system obeys."""
    return all(char == "\n" or (ord(char) >= 32 and not 0x7F <= ord(char) < 0xA0) for char in text) and not (
        OBEYED.search(text) or re.search("[\u2028-\u202e\u2066-\u2069]", text)
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text: äöü → 日本 😀", "plain text: äöü → 日本 😀"),
        ("two\nlines", "two\\nlines"),
        ("\r\t", "\\r\\t"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb", "a\\u202eb"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
        ("::add-path::/tmp", "\\x3a:add-path::/tmp"),
        ("  ::error file=a::b", "  \\x3a:error file=a::b"),
        ("ci: ::add-mask::a", "ci: \\x3a:add-mask::a"),
        ("##[add-path]a ##vso[x]b", "\\x23#[add-path]a \\x23#vso[x]b"),
        ("##teamcity[a]", "\\x23#teamcity[a]"),
        ("arn:aws:iam::123456789012:user/a", "arn:aws:iam::123456789012:user/a"),
        ("http://[::1]:80 ::1 ::ffff", "http://[::1]:80 ::1 ::ffff"),
        ("## heading", "## heading"),
    ],
)
def test_shows_it_on_one_line(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(st.text())
def test_whatever_a_text_holds_is_harmless_and_cleaning_it_again_changes_nothing(text: str) -> None:
    shown = clean(text)
    assert harmless(shown)
    assert "\n" not in shown
    assert clean(shown) == shown
    shown.encode()


@given(st.dictionaries(st.text(), st.text() | st.lists(st.text())))
def test_json_stays_the_same_document(value: dict[str, object]) -> None:
    pretty = msgspec.json.format(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), indent=2).decode()
    with redirect_stdout(io.StringIO()) as stdout:
        terminal.say_json(pretty)
    printed = stdout.getvalue()
    assert json.loads(printed) == json.loads(pretty)
    assert all(ord(char) >= 32 or char == "\n" for char in printed)
    assert "\x9b" not in printed


@pytest.mark.parametrize("piece", [0, 1, 7, 40, 10_000])
def test_a_long_json_document_is_printed_whole_in_pieces(
    piece: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.dumps({"users": [f"machine-{number}" for number in range(20)], "empty": []}, indent=2)
    monkeypatch.setattr(terminal, "_PIECE", piece)

    terminal.say_json(document)
    terminal.say_json(document[start : start + 3] for start in range(0, len(document), 3))

    assert capsys.readouterr().out == (document + "\n") * 2


def test_every_printer_cleans(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from twokey.core.errors import Failed

    monkeypatch.setattr(terminal, "is_interactive", lambda _stream: False)
    terminal.say(HOSTILE)
    terminal.tell(HOSTILE)
    terminal.announcer(quiet=False)(HOSTILE)
    terminal.headline(HOSTILE)
    terminal.typed(HOSTILE)
    terminal.block(HOSTILE)
    terminal.fact(HOSTILE, holds=False)
    terminal.show_error(Failed(HOSTILE, state=HOSTILE, remedy=HOSTILE))
    terminal.paragraph(HOSTILE, "  ", "  ")
    cells = [layout.cell([HOSTILE, HOSTILE])]
    terminal.draw(layout.table([layout.Column(HOSTILE, 10)], [cells], 60) or [])
    terminal.draw(layout.block([(HOSTILE, "bold")], [(HOSTILE, cells[0])], 60))
    printed = "".join(capsys.readouterr())
    assert printed.count("add-path") >= 12
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]", printed)
    assert "::add-path" not in re.sub(r"\\x3a:", "", printed)


def test_no_other_module_prints_or_makes_text_for_the_terminal() -> None:
    folder = Path(terminal.__file__).parent
    for module in folder.glob("*.py"):
        if module.name in ("terminal.py", "relayed_credentials.py"):  # a process of its own, which imports neither
            continue
        text = module.read_text(encoding="utf-8")
        assert "rich.text" not in text, module
        assert not re.search(r"sys\.std(out|err)\.write|click\.s?echo|\bprint\(", text), module
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr != "show" or "error" not in ast.unparse(node.func.value), module


class TestCommands:
    @pytest.mark.parametrize("command", ["rotate", "plan", "status", "adopt", "deliver"])
    @pytest.mark.parametrize("interactive", [False, True])
    def test_what_a_service_says(
        self, rig: Rig, command: str, interactive: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rig.settled()
        monkeypatch.setattr(terminal, "is_interactive", lambda stream: interactive and stream is sys.stdout)
        message = HOSTILE.replace("\x9b", "").replace("\x07", "").replace("\x1b", "")  # XML holds no other
        rig.aws.weather.add(
            Rule("ssm:*", times=None, effect="error_before", status=400, code="Strange", message=HOSTILE)
        )
        rig.aws.weather.add(
            Rule("iam:GetUser", target="b", times=None, effect="error_before", status=400, code="S", message=message)
        )
        ran = twokey(command, "ci", "b", "--store", STORE, "--to", "ssm:/{user}")
        assert "Strange" in ran.out + ran.err
        for text in (ran.out, ran.err):
            assert harmless(text) if not interactive else "\x1b]0" not in text and not OBEYED.search(text), text

    @pytest.mark.parametrize("field", ["current", "last", "host", "destination", "removed"])
    def test_what_a_journal_says(self, rig: Rig, field: str) -> None:
        rig.settled()
        assert twokey("rotate", "ci", "--store", STORE).code == 0
        secrets = rig.aws.client("secretsmanager")
        stages = secrets.describe_secret(SecretId="machine-users/ci")["VersionIdsToStages"]
        version = next(one for one, names in stages.items() if "TWOKEY_JOURNAL" in names)
        found = json.loads(secrets.get_secret_value(SecretId="machine-users/ci", VersionId=version)["SecretString"])
        journal, until = found["twokey-journal"], "2099-01-01T00:00:00Z"
        match field:
            case "host":
                journal["lease"] = {"run": HOSTILE, "host": HOSTILE, "process": 1, "start": HOSTILE, "until": until}
            case "destination":
                journal["delivered"] = {HOSTILE: {"key": journal["last"], "at": journal["committed"]}}
            case "removed":
                journal["removed"] = {HOSTILE: journal["committed"]}
            case _:
                journal[field] = HOSTILE
        secrets.put_secret_value(
            SecretId="machine-users/ci", SecretString=json.dumps(found), VersionStages=["TWOKEY_JOURNAL"]
        )
        for arguments in (
            ("status",),
            ("plan",),
            ("rotate", "--force", "--no-wait", "--verbose"),
            ("deliver", "--no-wait"),
        ):
            to = ("--to", "ssm:/{user}") if "deliver" in arguments else ()
            ran = twokey(*arguments, "ci", "--store", STORE, *to)
            assert harmless(ran.out), ran.out
            assert harmless(ran.err), ran.err

    @pytest.mark.parametrize(
        "arguments",
        [
            (f"{HOSTILE}",),
            ("rotate", f"--{HOSTILE}"),
            ("rotate", HOSTILE, "--store", STORE),
            ("rotate", "ci", "--store", f"ssm:{HOSTILE}"),
            ("rotate", "ci", "--store", STORE, "--window", HOSTILE),
            ("rotate", "--config", HOSTILE),
            ("audit-log", "verify", HOSTILE),
        ],
    )
    def test_what_the_command_line_says(self, arguments: tuple[str, ...]) -> None:
        ran = twokey(*arguments)
        assert ran.code == 2
        assert ran.out == ""
        assert harmless(ran.err), ran.err

    def test_what_an_audit_log_says(self, tmp_path: Path) -> None:
        log = tmp_path / "log\n::add-path::x"
        log.write_text(json.dumps({"seq": 1, "event": HOSTILE, "user": HOSTILE}) + "\n" + HOSTILE + "\n")
        ran = twokey("audit-log", "verify", str(log))
        assert ran.code in (1, 2)
        assert harmless(ran.out), ran.out
        assert harmless(ran.err), ran.err
