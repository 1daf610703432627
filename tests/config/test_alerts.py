"""``alerts:`` in twokey.yaml: what it makes, and what is said with which line where it is wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from twokey.config.load import load as load_file
from twokey.core.errors import UsageError
from twokey.destinations.sources import Source

if TYPE_CHECKING:
    from twokey.alerts.settings import Alerts

ENTRY = "machine_users:\n  - path: /ci/\n    store: ssm:/ci/{user}\n"
SMTP = "smtp: {host: mail.example.com, from: a@b.example, to: [c@d.example]"


def load(alerts: str) -> Alerts:
    Path("twokey.yaml").write_text(f"version: 1\nalerts:\n  {alerts}\n{ENTRY}")
    found = load_file(Path("twokey.yaml")).alerts
    assert found
    return found


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_is_left_out_has_its_default() -> None:
    found = load("to:\n    - slack: {env: A}\n    - {sns: 'arn:aws:sns:eu-west-1:123456789012:a', only: problems}")
    assert [(one.kind, one.only) for one in found.receivers] == [("slack", "all"), ("sns", "problems")]
    assert found.receivers[0].slack == Source(env="A")
    assert (found.at["to.0"], found.at["to.1"]) == ("twokey.yaml line 4", "twokey.yaml line 5")
    assert (found.remember, found.repeat, found.window_within) == ("", timedelta(days=1), timedelta(days=7))


@pytest.mark.parametrize(
    ("alerts", "line", "sentence"),
    [
        ("repeat: 1d", 2, "`alerts` has neither `to` nor `heartbeat`. Add one"),
        ("heartbeat: https://hc.example/abc", 3, "`heartbeat` contains the secret itself"),
        ("heartbeat: {env: A}\n  repeat: 1d", 4, "`repeat` needs `remember`: twokey keeps no state of its own."),
        ("heartbeat: {env: A}\n  repeat: 5\n  remember: ssm:/a", 4, "`repeat`: 5 is not a duration."),
        ("heartbeat: {env: A}\n  remember: vault:secret/a", 4, "`remember`: expected a parameter, an object or a file"),
        ("heartbeat: {env: A}\n  remembr: ssm:/a", 4, "unknown key `remembr`; did you mean `remember`?"),
        ("to:\n    - slack: https://hooks.slack.com/services/T/B/xyz", 4, "`slack` contains the secret itself"),
        (f"to:\n    - {SMTP}, user: u, password: hunter2}}", 4, "`password` contains the secret itself"),
        ("to:\n    - {only: all}", 4, "a receiver of `alerts` has exactly one of slack, webhook, sns,"),
        ("to:\n    - slack: {env: A}\n      apprise: {env: B}", 4, "it has `slack` and `apprise`."),
        ("to:\n    - slak: {env: A}", 4, "unknown key `slak`; did you mean `slack`?"),
        ("to:\n    - slack: {evn: A}", 4, "unknown key `evn`; did you mean `env`?"),
        ("to:\n    - {slack: {env: A}, only: errors}", 4, "`only`: expected all or problems, got errors."),
        ("to:\n    - sns: alerts", 4, "`sns`: expected an ARN like arn:aws:sns:REGION:ACCOUNT:TOPIC, got 'alerts'."),
        ("to:\n    - eventbridge: default", 4, "`eventbridge`: expected an ARN like arn:aws:events:REGION"),
        ("to:\n    - ses: {from: Team <a@b.example>, to: [c@d.example]}", 4, "`from`: expected an e-mail address"),
        ('to:\n    - ses: {from: a@b.example, to: ["c@d.example\\nBcc: e@f.example"]}', 4, "`to`: expected an e-mail"),
        (f"to:\n    - {SMTP}, user: u}}", 4, "`smtp`: expected both `user` and `password`, or neither."),
        (
            f"to:\n    - {SMTP}, security: none}}",
            4,
            "`smtp`: the connection to mail.example.com would not be encrypted.",
        ),
        (f"to:\n    - {SMTP}, security: none, insecure_smtp: true}}", 4, "would not be encrypted."),
        (
            f"to:\n    - {SMTP}, security: none, insecure_smtp: true, user: u, password: {{env: P}}}}",
            4,
            "`smtp`: a password is not sent without encryption.",
        ),
        (
            "to:\n    - webhook: {url: 'http://alerts.example.com/'}",
            4,
            "`webhook`: the receiver: 'http://alerts.example",
        ),
        ("to:\n    - webhook: {url: 'http://10.0.0.1/'}", 4, "insecure_http: true"),
        ("to:\n    - webhook: {url: 'https://u:p@alerts.example.com/'}", 4, "contains a user name or a password"),
        (
            "to:\n    - webhook: {url: 'https://x.example/hooks/SECRET7q8w9e0r1t2y3'}",
            4,
            "`url` seems to contain a secret",
        ),
        ("to:\n    - webhook: {url: 'https://x.example/a?token=SECRET'}", 4, "Secrets are never in this file"),
        ("to:\n    - webhook: {url: 'https://x.example/0c5e4a1e-5EC2-4e57-8ac1-0123456789ab'}", 4, "{env: NAME}"),
        ("to: []", 3, "`to` is an empty list."),
    ],
)
def test_what_is_wrong_is_said_with_its_line(alerts: str, line: int, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        load(alerts)
    assert str(refused.value).startswith(f"twokey.yaml line {line}: ")
    assert sentence in str(refused.value)
    for secret in ("hc.example", "xyz", "hunter2", "u:p@", "SECRET", "5EC2"):
        assert secret not in str(refused.value)


def test_plain_connections_within_a_private_network_are_allowed_on_demand() -> None:
    load("to:\n    - webhook: {url: 'http://alerts.internal/x?y=1', insecure_http: true}")
    load("to:\n    - smtp: {host: mail, security: none, insecure_smtp: true, from: a@b.example, to: [c@d.example]}")


@pytest.mark.parametrize(
    "path", ["/alerts/aws-production-2026-11-29?team=platform&region=eu-central-1", "/", "/v2/a#b"]
)
def test_the_url_of_a_webhook_that_a_human_wrote_may_be_in_the_file(path: str) -> None:
    assert load(f"to:\n    - webhook: {{url: 'https://alerts.example.com{path}'}}").receivers
