"""The reference says what the code says, neither more nor less."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args

import click
import pytest

from docs import pages
from twokey.audit_log import records
from twokey.cli.main import COMMANDS, cli
from twokey.core.errors import ExitCode
from twokey.core.reasons import Outcome, Reason, Revocation
from twokey.inventory import findings, state
from twokey.permissions.findings import RULES
from twokey.reports import audit, documents, plan_file, rehearsal, trace, watch
from twokey.revocation import evidence
from twokey.revocation import watch as leaks

if TYPE_CHECKING:
    import msgspec

REFERENCE = pages.DOCS / "reference"
SHARED = "Options of rotate, deliver, forget, plan, status, revoke and adopt"
DROP_IN = "iam-credential-rotation"
WORDS = (
    *(
        "access key",
        "machine user",
        "CURRENT",
        "LAST",
        "orphaned key",
        "unmanaged key",
        "window",
        "period",
        "grace",
        "slack",
    ),
    *("idle", "soak", "store", "destination", "deliver", "verify", "retire", "revoke", "observe", "plan", "apply"),
    "reason",
)
INNER = (
    "twokey audit-log verify",
    *(f"twokey policy {name}" for name in ("rotator", "machine-user", "role-trust", "source-ip")),
)
STRUCTS: dict[str, type[msgspec.Struct]] = {
    "twokey rotate --json": documents.ResultsDocument,
    "An entry of results": documents.ResultEntry,
    "An entry of destinations": documents.DestinationEntry,
    "twokey status --json": documents.StatusDocument,
    "An entry of users": documents.StatusEntry,
    "The state of a destination": documents.DestinationStateEntry,
    "An entry of keys": documents.KeyEntry,
    "twokey revoke --json": documents.RevokeDocument,
    "A revoked user": documents.RevokeEntry,
    "A contained key": documents.ContainedEntry,
    "The sessions of a role": documents.SessionEntry,
    "twokey revoke --plan --json": documents.RevokePlanDocument,
    "A planned revocation": documents.RevokePlanEntry,
    "twokey adopt --json": documents.AdoptDocument,
    "An adopted user": documents.AdoptEntry,
    "A destination and what it holds": documents.HoldingEntry,
    "twokey lint --json": documents.LintDocument,
    "A finding of lint": documents.LintEntry,
    "twokey audit --json": audit.Audit,
    "A user of audit": audit.User,
    "A destination of audit": audit.Destination,
    "An event of audit": audit.Event,
    "A key of audit": audit.Key,
    "A finding of audit": audit.Finding,
    "twokey trace --json": trace.Trace,
    "A use of trace": trace.Use,
    "A session of trace": trace.MadeSession,
    "twokey rehearse --json": rehearsal.Rehearsal,
    "A user of rehearse": rehearsal.User,
    "A key of rehearse": rehearsal.Key,
    "A run of rehearse": rehearsal.Run,
    "The jobs of one length": rehearsal.Jobs,
    "A failure of rehearse": rehearsal.Failure,
    "A late rotation of rehearse": rehearsal.Late,
    "twokey watch --json": documents.WatchDocument,
    "A finding of watch": watch.Finding,
    "twokey audit-log verify --json": documents.AuditLogDocument,
    "An entry of findings": documents.FindingEntry,
}


def click_command(name: str) -> click.Command:
    """Return a command by the name of its section."""
    if name == DROP_IN:
        command: click.Command = import_module("twokey.cli.drop_in").command
        return command
    short, _, inner = name.removeprefix("twokey").strip().partition(" ")
    if not short:
        return cli
    found: click.Command = import_module(f"twokey.cli.{short.replace('-', '_')}").command
    return found.commands[inner] if inner and isinstance(found, click.Group) else found


def documented(name: str) -> dict[str, str]:
    """Return the options that the page gives to a command, each as it is written, with its default."""
    tables = pages.tables(REFERENCE / "commands.md")
    rows = list(tables.get(name, []))
    if name.removeprefix("twokey ") in {"rotate", "deliver", "forget", "plan", "status", "revoke", "adopt"}:
        rows += tables[SHARED]
    found = {}
    for option, _meaning, default in rows:
        for written in pages.words(option):
            found[written.split()[0]] = default
    return found


def of_click(command: click.Command) -> dict[str, click.Parameter]:
    """Return a command's options and arguments by each of their names, help left aside."""
    found: dict[str, click.Parameter] = {}
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            found["USER" if parameter.name == "users" else str(parameter.name).upper()] = parameter
        else:
            found |= dict.fromkeys((*parameter.opts, *parameter.secondary_opts), parameter)
    return found


def test_every_command_has_a_section_and_every_section_a_command() -> None:
    """The headings of the page are the commands."""
    text = (REFERENCE / "commands.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert set(headings) == {"twokey", SHARED, DROP_IN, *(f"twokey {name}" for name in COMMANDS)}


@pytest.mark.parametrize("name", ["twokey", DROP_IN, *(f"twokey {name}" for name in COMMANDS), *INNER])
def test_options(name: str) -> None:
    """Each option is documented, and each documented option is there."""
    assert set(documented(name)) - {"-h", "--help"} == set(of_click(click_command(name)))


@pytest.mark.parametrize("name", [DROP_IN, *(f"twokey {name}" for name in COMMANDS), *INNER])
def test_defaults(name: str) -> None:
    """The default that help shows is the one on the page."""
    said = documented(name)
    for option, parameter in of_click(click_command(name)).items():
        if not isinstance(parameter, click.Option):
            continue
        shown = re.search(r"\[default: (.+?)\]", parameter.help or "")
        if shown:
            assert said[option] == shown[1], option
        elif parameter.show_default:
            assert said[option] == f"{parameter.default}", option


def test_lines_of_the_audit_log() -> None:
    """Each kind of line stands on the page with its members, in their order; then the rules of verify."""
    tables = pages.tables(REFERENCE / "audit-log.md")
    common = [*records.Line.__struct_fields__]
    assert [pages.words(row[0])[0] for row in tables["Every line"]] == ["what", *common, "hash"]
    about_user = [*common, *(field for field in records.OfUser.__struct_fields__ if field not in common)]
    assert [pages.words(row[0])[0] for row in tables["Lines about a user"]] == about_user[len(common) :]
    kinds = {kind.__struct_config__.tag: kind for kind in get_args(records.Record)}
    for name, kind in kinds.items():
        known = about_user if issubclass(kind, records.OfUser) else common
        own = [field for field in kind.__struct_fields__ if field not in known]
        assert [pages.words(row[0])[0] for row in tables[f"The line {name}"]] == own
    rules = [pages.words(row[0])[0] for row in tables["What verify finds"]]
    assert rules == list(get_args(documents.AuditRule))


def test_exit_codes() -> None:
    """Each code stands on the page with the name that the code gives it."""
    rows = pages.tables(REFERENCE / "exit-codes.md")["Exit codes"]
    assert [(pages.words(row[0])[0], row[1]) for row in rows] == [(f"{int(c)}", c.name.lower()) for c in ExitCode]


def test_reasons() -> None:
    """Each reason stands on the page with its sentence, in the order of the code, and says what to do."""
    rows = [row for table in pages.tables(REFERENCE / "reasons.md").values() for row in table]
    assert [(pages.words(row[0])[0], row[1]) for row in rows] == [(r.value, r.sentence) for r in Reason]
    assert all(row[2] for row in rows)


def test_outcomes() -> None:
    """Each outcome stands on the page."""
    rows = pages.tables(REFERENCE / "json.md")["Outcomes"]
    assert [pages.words(row[0])[0] for row in rows] == [outcome.value for outcome in Outcome]
    rows = pages.tables(REFERENCE / "json.md")["Outcomes of revoke"]
    assert [pages.words(row[0])[0] for row in rows] == [outcome.value for outcome in Revocation]


@pytest.mark.parametrize("heading", STRUCTS)
def test_fields(heading: str) -> None:
    """Each field of a document stands on the page, in its order."""
    rows = pages.tables(REFERENCE / "json.md")[heading]
    assert [pages.words(row[0])[0] for row in rows] == list(STRUCTS[heading].__struct_fields__)


@pytest.mark.parametrize(
    ("heading", "struct"),
    [("The JSON document", evidence.EvidenceDocument), ("An entry of users", evidence.UserRecord)],
)
def test_fields_of_the_evidence(heading: str, struct: Any) -> None:
    """Each field stands on the page, in its order."""
    rows = pages.tables(REFERENCE / "evidence.md")[heading]
    assert [pages.words(row[0])[0] for row in rows] == list(struct.__struct_fields__)


@pytest.mark.parametrize(
    ("heading", "struct"),
    [
        ("The file", plan_file.PlanDocument),
        ("The plan", plan_file.PlanFile),
        ("An entry of users", plan_file.PlannedUser),
        ("A decision", plan_file.Decision),
    ],
)
def test_fields_of_the_plan_file(heading: str, struct: Any) -> None:
    """Each field stands on the page, in its order."""
    rows = pages.tables(REFERENCE / "plan-file.md")[heading]
    assert [pages.words(row[0])[0] for row in rows] == list(struct.__struct_fields__)


def test_fields_of_plan() -> None:
    """A plan is a rotation's document, with fields of its own."""
    rows = pages.tables(REFERENCE / "json.md")["twokey plan --json"]
    common = documents.ResultEntry.__struct_fields__
    own = [field for field in documents.PlanEntry.__struct_fields__ if field not in common]
    assert [pages.words(row[0])[0] for row in rows] == own
    assert documents.PlanDocument.__struct_fields__ == documents.ResultsDocument.__struct_fields__


def test_glossary() -> None:
    """Each word that the project uses is explained."""
    said = [row[0] for row in pages.tables(pages.DOCS / "glossary.md")["Glossary"]]
    assert said[: len(WORDS)] == list(WORDS)


def test_every_finding_of_lint_is_on_its_page_with_its_severity() -> None:
    rows = [row for table in pages.tables(REFERENCE / "lint.md").values() for row in table]
    expected = {f"`{name}`": (rule.severity, f"{rule.title}.") for name, rule in RULES.items()}
    assert {row[0]: (row[1], row[2]) for row in rows} == expected


def test_every_finding_of_audit_is_on_its_page_with_its_severity_and_its_controls() -> None:
    tables = pages.tables(REFERENCE / "audit.md")
    rows = tables["Findings of audit"]
    expected = {
        f"`{name}`": (rule.severity, f"{rule.title}.", ", ".join(f"`{one}`" for one in rule.controls))
        for name, rule in findings.RULES.items()
    }
    assert {row[0]: (row[1], row[2], row[3]) for row in rows} == expected
    of_files = {f"`{name}`": (rule.severity, f"{rule.title}.") for name, rule in state.RULES.items()}
    assert {row[0]: (row[1], row[2]) for row in tables["Findings in Terraform's files"]} == of_files


def test_every_finding_of_watch_is_on_its_page_with_its_severity() -> None:
    rows = pages.tables(REFERENCE / "watch.md")["Findings of watch"]
    expected = {f"`{name}`": (rule.severity, f"{rule.title}.") for name, rule in leaks.RULES.items()}
    assert {row[0]: (row[1], row[2]) for row in rows} == expected
