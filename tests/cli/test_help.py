"""The help of every command, as it is read in 80 columns."""

from __future__ import annotations

import re

import pytest

from support.commands import twokey
from twokey.cli.help import epilog
from twokey.cli.main import COMMANDS

POLICIES = tuple(("policy", name) for name in ("rotator", "drop-in", "machine-user", "role-trust", "source-ip"))
PATHS = [(), *((name,) for name in COMMANDS), ("audit-log", "verify"), *POLICIES]


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
class TestHelp:
    def test_fits_and_breaks_nothing_at_a_hyphen(self, path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        ran = twokey(*path, "--help")
        assert ran.code == 0
        lines = ran.out.splitlines()
        assert max(map(len, lines)) <= 80
        assert not [line for line in lines if line.endswith("-")]
        assert not [line for line in lines if line.endswith("...") and line[-4].isalpha()], "a summary is cut off"
        assert ran.out.isascii()
        assert re.findall(r"(?<![-\w])ids?\b", ran.out) == [], "an identifier is an ID"
        assert any(line.endswith("Print this help and exit.") for line in lines)
        assert "None" not in ran.out, "a bound that is missing is shown"


def test_every_command_of_a_group_is_looked_at() -> None:
    named = {path[0] for path in PATHS if len(path) == 2}
    assert named == {name for name in COMMANDS if "COMMAND [ARGS]" in twokey(name, "--help").out}
    listed = twokey("policy", "--help").out.split("Commands:")[1].split("Examples:")[0]
    assert {line.split()[0] for line in listed.splitlines() if line[:2] == "  " and line[2:3].strip()} == {
        name for _, name in POLICIES
    }


def test_an_example_that_is_long_is_continued_as_a_shell_reads_it() -> None:
    command, meaning = f"twokey a --first {'x' * 40} --second {'y' * 30} --third", "Do it."
    assert epilog((command, meaning)).splitlines() == [
        "\b",
        "Examples:",
        f"  twokey a --first {'x' * 40} \\",
        f"    --second {'y' * 30} --third",
        "      Do it.",
    ]


WITH_FILE = "--path, --store, --lock, --to, --window, --grace, --idle and --soak"


@pytest.mark.parametrize(
    ("command", "excluded"),
    [
        *((name, WITH_FILE) for name in ("rotate", "plan", "status", "adopt", "forget")),
        ("deliver", WITH_FILE.replace(" --to,", "")),
        ("revoke", "--store, --lock, --to, --window, --grace, --idle, --soak and, without --all, --path"),
    ],
)
def test_says_which_options_a_configuration_file_excludes(command: str, excluded: str) -> None:
    shown = " ".join(twokey(command, "--help").out.split())
    assert f"The configuration file. It excludes {excluded}. [default: ./twokey.yaml]" in shown
    for name in ("--path", "--store", "--lock", "--to", "--window", "--grace", "--idle", "--soak"):
        values = (
            ("--config", "nowhere.yaml", name, "1d", "--yes")
            if command in ("revoke", "adopt")
            else ("--config", "nowhere.yaml", name, "1d")
        )
        more = ("--destination", "file:a") if command == "forget" else ()
        refused = f"{name} cannot be combined with a configuration file" in twokey(command, "ci", *values, *more).err
        assert refused is (name in excluded), name


def test_says_of_deliver_what_its_destinations_are() -> None:
    shown = " ".join(twokey("deliver", "--help").out.split())
    assert (
        "A destination to deliver to, such as github:acme/site: with twokey.yaml, one of those that it names." in shown
    )
    assert "A further destination" not in shown


def test_says_once_what_a_dry_run_is_and_what_secrets_manager_calls_last() -> None:
    ran = twokey("--help")
    assert ran.out.count("(dry run)") == 1
    assert " ".join(ran.out.split()).count("LAST (Secrets Manager: AWSPREVIOUS)") == 1


def test_the_summary_of_a_command_begins_its_own_help() -> None:
    for name in ("rotate", "deliver", "plan", "adopt", "demo", "audit-log"):
        assert COMMANDS[name] in " ".join(twokey(name, "--help").out.split())
