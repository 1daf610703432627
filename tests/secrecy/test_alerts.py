"""Alerts and hooks: no message holds a key's secret, and nothing shows what the receivers are reached with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alerts.inbox import Inbox, mail_server
from secrecy.outcomes import PATH, Stage
from secrecy.test_crashes import Variables
from support.canaries import leaks
from support.http_servers import signed_by_itself
from twokey.testing.server import Fault, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secrecy.conftest import Commands
    from support.canaries import Canaries
    from support.rig import Rig

SIGNING = "whsec_dGhlLXNpZ25pbmctc2VjcmV0LW9mLXRlc3Rz"


@pytest.fixture
def stage(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(rig, tmp_path, monkeypatch)


@pytest.fixture
def inbox(canaries: Canaries, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    """A receiver whose URL is a secret."""
    monkeypatch.setattr("twokey.http.client.pause", lambda *_: None)
    with Inbox() as service:
        for name in ("SLACK_URL", "HEARTBEAT_URL", "MAIL_PASSWORD"):
            secret = canaries.take().replace("/", "x").replace("+", "y")
            canaries.secrets.add(secret)
            monkeypatch.setenv(name, secret if name == "MAIL_PASSWORD" else f"{service.url}/services/{secret}?t=1")
        monkeypatch.setenv("SIGNING", SIGNING)
        canaries.secrets.add(SIGNING)
        yield service


FAULTS = {
    "none": None,
    "refused": Reply(403, b"invalid_token"),
    "lost": Fault("*", "/services/", "lost_response", times=None),
    "moved": Fault("*", "/services/", "redirect", times=None),
}


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
@pytest.mark.parametrize("fault", FAULTS)
def test_neither_an_alert_nor_what_is_said_of_it_holds_a_secret(
    stage: Stage, commands: Commands, canaries: Canaries, inbox: Inbox, fault: str
) -> None:
    stage.rig.settled()
    certificate = signed_by_itself(stage.folder / "mail.pem", "127.0.0.1")
    happens = FAULTS[fault]
    if isinstance(happens, Fault):
        happens.location = os.environ["SLACK_URL"]
        inbox.add(happens)
    elif happens is not None:
        inbox.answer = happens
    with mail_server(certificate, login=True) as mails:
        alerts = (
            "alerts: {heartbeat: {env: HEARTBEAT_URL}, remember: 'file:sent.json', to: [{slack: {env: SLACK_URL}}, "
            "{webhook: {url: {env: SLACK_URL}, secret: {env: SIGNING}}}, {smtp: {host: 127.0.0.1, "
            f"port: {mails.port}, user: twokey, password: {{env: MAIL_PASSWORD}}, ca: '{certificate}', "
            "from: a@example.com, to: [b@example.com]}}]}"
        )
        stage.patch.chdir(stage.folder)
        options = stage.configured(alerts)
        with Variables(canaries) as variables:
            ran = commands.run("rotate", *options, "-v", "--json")
    assert ran.code == 0
    assert "does not accept user and password" in ran.err
    commands.shown += Path("sent.json").read_text() if Path("sent.json").exists() else ""
    commands.assert_silent()
    of_the_receiver = {where for where in variables.leaks() if where.startswith("/testing/")}
    assert variables.leaks() - of_the_receiver == set()
    received = b"".join(one.data for one in inbox.received) + "".join(text for *_, text in mails.received).encode()
    assert bool(inbox.received) == (fault in ("none", "lost"))
    assert leaks(received, canaries.secrets) == []


def test_a_hook_gets_no_secret_and_what_it_prints_of_one_is_not_shown(
    stage: Stage, commands: Commands, canaries: Canaries
) -> None:
    secret = canaries.take()
    stage.patch.setenv("CLUSTER_TOKEN", secret)
    stage.rig.settled()
    program, log = stage.folder / "hook", stage.folder / "seen"
    program.write_text(f'#!/bin/sh\ncat > {log}\nenv | grep -v CLUSTER >> {log}\necho "$CLUSTER_TOKEN" >&2\nexit 1\n')
    program.chmod(0o755)
    options = stage.filed(PATH)
    file = stage.folder / "twokey.yaml"
    hook = f"{{run: [{program}], env: [CLUSTER_TOKEN]}}"
    for name in ("before", "after"):
        file.write_text(f"{file.read_text().partition('    hooks')[0]}    hooks: {{{name}: {hook}}}\n")
        with Variables(canaries) as variables:
            ran = commands.run("rotate", *options, "-v", "--json")
        assert "hook_failed" in ran.out
        commands.run("status", *options)
        assert variables.leaks() == set()
        commands.shown += log.read_text()
    commands.assert_silent()
