"""Deliveries to services, with canaries for keys and for tokens: neither is shown or written down anywhere else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from services.company import CIRCLECI, GITHUB, GITLAB, STORE, TWENTY, VAULT, WEBHOOK, Company, cue
from support.canaries import leaks, suspicious
from twokey.emulator import Rule
from twokey.testing.server import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from secrecy.conftest import Commands
    from support.canaries import Canaries
    from support.rig import Rig

PROGRAM = """#!{python}
import os, sys
with open({notes!r}, "a") as notes:
    print(sys.argv, dict(os.environ), file=notes)
    notes.write(open("/proc/self/cmdline").read())
data = sys.stdin.read()
if os.path.exists({broken!r}):
    sys.exit(f"the vault is closed; the input was {{data}}")
"""


@pytest.fixture
def company(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, canaries: Canaries, commands: Commands
) -> Iterator[Company]:
    """A company in which every token is a canary, with a program of its own besides its twenty pipelines."""
    from twokey.aws.clock import ServiceClock

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ServiceClock, "sleep", lambda *_: None)
    program = tmp_path / "deliver"
    notes, broken = str(tmp_path / "notes"), str(tmp_path / "broken")
    program.write_text(PROGRAM.format(python=sys.executable, notes=notes, broken=broken))
    program.chmod(0o700)
    with Company(rig, tmp_path, monkeypatch, canaries, commands.run) as made:
        made.settle(*TWENTY, f"exec:{program}?arg.1=--user=ci")
        yield made


def denied(company: Company) -> None:
    company.github.delete("acme/site-2")
    company.gitlab.targets["projects/acme/app-2"]["archived"] = True


def away(company: Company) -> None:
    company.far.__exit__()
    company.webhook.__exit__()


def expired(company: Company) -> None:
    company.github.token = company.circleci.token = company.gitlab.token = "another"
    company.vault.tokens = {"another"}
    company.webhook.secret = f"whsec_{'YW5vdGhlcg' * 4}"


def with_a_page_of_a_proxy(company: Company) -> None:
    for service in company.services:
        service.add(Fault("P*", "", "html", times=None, status=502))


def cut_off(company: Company) -> None:
    for service in company.services:
        service.add(Fault("P*", "", "truncated", nth=2, times=None))


def lost(company: Company) -> None:
    for service in company.services:
        service.add(Fault("P*", "", "lost_response", nth=2, times=None))


def sent_elsewhere(company: Company) -> None:
    for service in company.services:
        service.add(Fault("*", "", "redirect", times=None))


def repeated(company: Company) -> None:
    """Let every service repeat its own token, and the stored key, in its error messages."""
    stored = company.rig.stored()
    assert stored
    for service, token in zip(company.services, _tokens(company), strict=True):
        message = f"no: {token}, {stored.secret_access_key}"
        body: dict[str, Any] = {"message": message, "errors": [message], "error": message}
        service.add(Fault("P*", "", "refuse", times=None, status=422, body=body))


def repeated_as_unknown(company: Company) -> None:
    """Let every service repeat the token that it does not accept."""
    for service, token in zip(company.services, _tokens(company), strict=True):
        body = {"message": f"the token {token} is unknown", "errors": [f"the token {token} is unknown"]}
        service.add(Fault("*", "", "refuse", times=None, status=401, body=body))


def broken_program(company: Company) -> None:
    (company.folder / "broken").touch()


def created_in_doubt(company: Company) -> None:
    company.rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="lost_response"))


def _tokens(company: Company) -> list[str]:
    return [
        company.github.token,
        company.gitlab.token,
        company.circleci.token,
        next(iter(company.vault.tokens)),
        next(iter(company.far.tokens)),
        "a receiver never gets its token",
    ]


FAILURES: dict[str, Callable[[Company], None]] = {
    "none": lambda _: None,
    "denied and deleted": denied,
    "away": away,
    "expired tokens": expired,
    "a proxy's page": with_a_page_of_a_proxy,
    "responses that are cut off": cut_off,
    "responses that are lost": lost,
    "redirects": sent_elsewhere,
    "services that repeat their input": repeated,
    "services that repeat a token that they do not know": repeated_as_unknown,
    "a program that repeats its input": broken_program,
    "a creation in doubt": created_in_doubt,
}


@pytest.mark.parametrize("failure", FAILURES)
def test_no_command_shows_a_secret_whatever_fails(
    company: Company, commands: Commands, canaries: Canaries, failure: str
) -> None:
    trail = company.folder / "audit.jsonl"
    if failure in ("none", "denied and deleted", "away", "expired tokens"):
        company.github.add(cue("PUT", "/site-1/", lambda: FAILURES[failure](company)))
    else:
        FAILURES[failure](company)
    company.rig.aws.clear_requests()
    for command in (
        ("rotate", "--force", "-v", "--json", "--audit-log", str(trail)),
        ("status",),
        ("plan", "--json"),
        ("deliver", "-v", "--audit-log", str(trail)),
        ("rotate", "--quiet"),
        ("status", "--json"),
    ):
        commands.run(*command)
    commands.run("status", terminal=True)
    commands.run("rotate", "--force", "-v", terminal=True)
    assert len(canaries.secrets) > len(_tokens(company))
    commands.shown += trail.read_text() if trail.exists() else ""
    commands.assert_silent()
    _assert_silent_besides(company, canaries)


def _assert_silent_besides(company: Company, canaries: Canaries) -> None:
    """Neither the journal, nor the program's arguments and environment, nor a file holds a secret."""
    for service in company.services:
        service.clear()
    journal = company.rig.record().journal.encode()
    assert leaks(journal, canaries.secrets) == []
    notes = (company.folder / "notes").read_text()
    assert "TWOKEY_ACCESS_KEY_ID" in notes
    assert "--user=ci" in notes
    assert leaks(notes, canaries.secrets) == []
    assert suspicious(journal) == []
    files = {path.name: path.read_bytes() for path in company.folder.rglob("*") if path.is_file()}
    assert {name for name, content in files.items() if leaks(content, canaries.secrets)} <= {"gitlab.token"}


@pytest.mark.parametrize("name", ["github", "gitlab", "circleci", "vault"])
def test_a_token_that_is_written_out_is_not_repeated(company: Company, commands: Commands, name: str) -> None:
    entry = {"users": ["ci"], "store": STORE, "deliver": [*GITHUB, *GITLAB, *CIRCLECI, *VAULT, *WEBHOOK]}
    company.write(entry, **{name: {"token": company.github.token}})
    for command in ("rotate", "deliver", "plan", "status"):
        assert commands.run(command).code == 2
    commands.assert_silent()


def test_the_search_finds_every_token(company: Company, canaries: Canaries) -> None:
    for token in (company.github.token, company.gitlab.token, company.circleci.token, company.webhook.secret):
        assert leaks(f"shown: {token}", canaries.secrets)
