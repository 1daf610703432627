"""What is told, and how often: once, and again after a period, when it gets worse, or where it did not arrive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.commands import twokey
from support.rig import DAY
from twokey.testing.server import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from alerts.inbox import Inbox
    from support.rig import Rig

SLACK = "to: [{slack: {env: SLACK_URL}}]"
HOUR = 3600.0
MEMORIES = ("ssm:/twokey/alerts", "s3:twokey-alerts/sent.json", "file:state/alerts.json")


def run(*arguments: str, code: int = 3) -> str:
    """Run a command that ends so; return what it reports."""
    ran = twokey(*(arguments or ("rotate",)))
    assert ran.code == code, ran
    return ran.err


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_problem_that_lasts_is_told_once_in_a_period_wherever_twokey_runs(
    refused: Rig, inbox: Inbox, configure: Callable[[str], None], memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = {"LocationConstraint": refused.aws.region}
    refused.aws.client("s3").create_bucket(Bucket="twokey-alerts", CreateBucketConfiguration=location)
    configure(f"{SLACK}, remember: '{memory}', repeat: 12h")
    clock = _moved(refused, monkeypatch)
    for hours, told in ((0, 1), (6, 1), (5, 1), (2, 2), (1, 2)):
        clock(hours * HOUR)
        assert "Warning: twokey.yaml" not in run()
        assert len(inbox.received) == told
    assert "123456789012/ci: refused (cannot_attribute)" in inbox.texts()[0]


def _moved(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return how time passes for AWS and for twokey alike."""
    from twokey.aws import clients
    from twokey.aws.clock import ServiceClock

    def forward(seconds: float) -> None:
        rig.later(seconds=seconds)

    monkeypatch.setattr(clients, "ServiceClock", lambda: ServiceClock(*rig.time()))
    return forward


def test_without_a_memory_every_run_tells(refused: Rig, inbox: Inbox, configure: Callable[[str], None]) -> None:
    assert refused
    configure(SLACK)
    run()
    run()
    assert len(inbox.received) == 2


def test_what_did_not_arrive_is_told_by_the_next_run(
    refused: Rig, inbox: Inbox, configure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each receiver for itself."""
    assert refused
    monkeypatch.setenv("OTHER", f"{inbox.url}/other")
    configure("to: [{slack: {env: SLACK_URL}}, {slack: {env: OTHER}}], remember: 'file:sent.json'")
    inbox.answer = Reply(403, b"no_service")
    run()
    inbox.answer = Reply(200, b"ok")
    monkeypatch.setenv("OTHER", "http://127.0.0.1:9/other")
    run()
    monkeypatch.setenv("OTHER", f"{inbox.url}/other")
    run()
    run()
    assert [one.path == "/other" for one in inbox.received] == [False, True]


def test_a_memory_that_cannot_be_used_silences_nothing(
    refused: Rig, inbox: Inbox, configure: Callable[[str], None]
) -> None:
    refused.aws.client("ssm").put_parameter(Name="/other", Value="of another program", Type="String")
    configure(f"{SLACK}, remember: 'ssm:/other'")
    err = run()
    assert "Warning: twokey.yaml line 2: `remember`: What was sent before is not known, and" in err
    assert "ssm:/other does not hold what twokey remembers of alerts." in err
    assert len(inbox.received) == 1
    kept = refused.aws.client("ssm").get_parameter(Name="/other")["Parameter"]["Value"]
    assert kept == "of another program", "what belongs to another program is not overwritten"
    configure(f"{SLACK}, remember: 's3:no-such-bucket/key'")
    assert "NoSuchBucket" in run()
    assert len(inbox.received) == 2


def test_only_problems(refused: Rig, inbox: Inbox, configure: Callable[[str], None]) -> None:
    refused.aws.make_user("fresh", keys=0)
    configure("to: [{slack: {env: SLACK_URL}, only: problems}]")
    Path("twokey.yaml").write_text(Path("twokey.yaml").read_text().replace("[ci]", "[ci, fresh]"))
    run()
    (text,) = inbox.texts()
    assert text.startswith("twokey rotate: 1 refused (")
    assert "fresh" not in text


def test_the_heartbeat_comes_after_a_good_run_only(due: Rig, inbox: Inbox, configure: Callable[[str], None]) -> None:
    configure("heartbeat: {env: SLACK_URL}")
    run(code=0)
    run(code=0)
    assert [one.method for one in inbox.received] == ["GET", "GET"], "also where nothing was due"
    assert twokey("plan").code == 0
    for part in (("rotate", "ci"), ("deliver", "--to", "file:copy.json", "--unmanaged")):
        run(*part, code=0)
        assert len(inbox.received) == 2, "a part of the users, and a delivery, do not stand for the rotation of all"
    due.aws.client("secretsmanager").put_secret_value(SecretId="machine-users/ci", SecretString="{}")
    assert twokey("rotate").code == 3
    assert len(inbox.received) == 2


def test_a_run_that_fails_before_it_comes_to_any_user_is_told(
    due: Rig, inbox: Inbox, configure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert due
    configure(f"{SLACK}, heartbeat: {{env: SLACK_URL}}, remember: 'file:sent.json'")
    Path("twokey.yaml").write_text(Path("twokey.yaml").read_text().replace("users: [ci]", "path: /machine-users/"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_IAM", "http://127.0.0.1:9")
    run(code=1)
    run(code=1)
    (text,) = inbox.texts()
    assert text.startswith("twokey rotate: 1 the run failed (")
    assert "iam:ListUsers" in text


def test_a_window_that_is_about_to_break_is_another_alert(
    due: Rig, inbox: Inbox, configure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal that was told is told again when a key comes close to the window, and when it passes it."""
    last, current = due.ids()
    due.aws.age_key(last, 22 * DAY)
    due.aws.age_key(current, 16 * DAY)
    due.aws.set_last_used(last, 60.0)
    configure(f"{SLACK}, remember: 'file:sent.json', repeat: 60d, window_within: 7d")
    forward = _moved(due, monkeypatch)
    for days, more in ((0, 1), (0.5, 1), (1, 2), (1, 2), (6, 3), (1, 3)):
        forward(days * DAY)
        due.aws.set_last_used(last, 60.0)
        run()
        assert len(inbox.received) == more, (days, inbox.texts())
    assert "ci: refused (" in inbox.texts()[0]
    assert f"window will be broken. The window will be broken: {last} reaches 30d at " in inbox.texts()[1]
    assert f"window is broken. The window is broken: {last} is 30d" in inbox.texts()[2]


def test_deliver_tells_too(due: Rig, inbox: Inbox, configure: Callable[[str], None]) -> None:
    configure(SLACK)
    text = Path("twokey.yaml").read_text()
    Path("twokey.yaml").write_text(f"{text}    deliver: ['ssm:/copies/{{user}}']\n")
    assert due
    run("deliver", code=0)
    assert inbox.texts()[0].startswith("twokey deliver: 1 window is broken, 1 completed (")
