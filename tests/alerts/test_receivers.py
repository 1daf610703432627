"""Each receiver gets the alert, at a real server or in the emulated AWS; what keeps it from that ends no run."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

import twokey as package
from alerts.inbox import PASSWORD, SECRET_PATH, USER, Inbox, mail_server
from permissions.test_rotator import actions, policy, without
from support.commands import Ran, twokey
from support.http_servers import signed_by_itself
from support.store_faults import user_with
from twokey.alerts import sending
from twokey.core.secret import Hidden
from twokey.destinations.hooks.webhook import signature
from twokey.emulator import Rule
from twokey.testing.server import FakeService, Fault, Reply, route

if TYPE_CHECKING:
    from support.rig import Rig
    from twokey.testing.server import ReceivedRequest

SCHEMA = Path(package.__file__).parent / "schemas" / "alert.schema.json"
SIGNING = "whsec_dGhlLXNpZ25pbmctc2VjcmV0LW9mLXRlc3Rz"


Tell = Callable[[str], list[str]]


def rotated(rig: Rig) -> Ran:
    """Run twokey, which rotates whatever happens to the alert."""
    before = rig.held()
    ran = twokey("rotate")
    assert (ran.code, rig.held() != before) == (0, True), ran
    return ran


def test_slack_gets_who_was_rotated_with_ids_as_everywhere(
    due: Rig, inbox: Inbox, configure: Callable[[str], None]
) -> None:
    configure("to: [{slack: {env: SLACK_URL}}]")
    last, current = due.ids()
    assert rotated(due).err.count("Warning") == 0
    (text,) = inbox.texts()
    assert inbox.received[0].path == f"/{SECRET_PATH}"
    assert text.startswith("twokey rotate: 1 rotated (20")
    assert "123456789012/ci: rotated (due). " in text
    assert f"CURRENT {due.held()}, LAST {current}, removed {last}" in text
    assert due.stored().secret_access_key not in str(inbox.received[0].data)  # type: ignore[union-attr]
    assert twokey("rotate").code == 0
    assert len(inbox.received) == 1, "nothing was due, and nothing is told"


def test_what_slack_would_read_as_markup_is_escaped(due: Rig, inbox: Inbox, configure: Callable[[str], None]) -> None:
    due.aws.client("secretsmanager").put_secret_value(SecretId="machine-users/ci", SecretString="<!channel> & {")
    configure("to: [{slack: {env: SLACK_URL}}]")
    assert twokey("rotate").code != 0
    (text,) = inbox.texts()
    assert "<" not in text
    assert ">" not in text


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (
            Reply(403, b"invalid_token", {"Content-Type": "text/plain"}),
            "Slack responded with 403. It says: invalid_token.",
        ),
        (Fault("POST", "/", "lost_response", times=None), "the connection broke before the response arrived"),
        (Fault("POST", "/", "redirect", location=f"/{SECRET_PATH}"), "its URL has moved"),
        ("http://example.com/services/", "is not encrypted"),
        ("not a url", "The environment variable SLACK_URL does not contain a URL."),
        ("", "the environment variable SLACK_URL is not set"),
    ],
)
def test_a_failed_alert_is_reported_without_its_url(
    inbox: Inbox, tell: Tell, fault: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(fault, Fault):
        inbox.add(fault)
    elif isinstance(fault, Reply):
        inbox.answer = fault
    else:
        monkeypatch.setenv("SLACK_URL", fault)
    (line,) = tell("to: [{slack: {env: SLACK_URL}}]")
    assert line.startswith("twokey.yaml line 2: `slack`: The alert was not sent: ")
    assert says.casefold() in line.casefold()
    assert "Run again" not in line, "no run sends it again"
    assert SECRET_PATH.split("/")[-1].lower() not in line.lower()


def test_a_webhook_gets_json_by_the_published_schema_signed(
    inbox: Inbox, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNING", SIGNING)
    assert tell(f"to: [{{webhook: {{url: '{inbox.url}/alerts?team=a', secret: {{env: SIGNING}}}}}}]") == []
    (request,) = inbox.received
    document = request.json()
    jsonschema.validate(document, json.loads(SCHEMA.read_text(encoding="utf-8")))
    (alert,) = document["alerts"]
    assert (alert["user"], alert["outcome"], alert["current"]) == ("ci", "rotated", "AKIACURRENT")
    assert (request.path, dict(request.query)) == ("/alerts", {"team": "a"})
    at, name = request.headers["Webhook-Timestamp"], request.headers["Webhook-Id"]
    assert request.headers["Webhook-Signature"] == signature(Hidden(SIGNING), name, int(at), memoryview(request.data))


AWS = {
    "sns": "sns: 'arn:aws:sns:eu-central-1:123456789012:alerts'",
    "eventbridge": "eventbridge: 'arn:aws:events:eu-central-1:123456789012:event-bus/ops'",
    "ses": "ses: {from: twokey@example.com, to: [team@example.com]}",
}
ACTIONS = {"sns": "sns:Publish", "eventbridge": "events:PutEvents", "ses": "ses:SendEmail"}


def received_in_aws(rig: Rig, kind: str) -> list[str]:
    """Return the bodies that arrived."""
    if kind == "ses":
        from moto.ses.models import ses_backends

        backend = ses_backends[rig.aws.account_id][rig.aws.region]
        return [f"{one.subject}\n{one.body}" for one in backend.sent_messages]
    sqs = rig.aws.client("sqs")
    queue = sqs.get_queue_url(QueueName="inbox")["QueueUrl"]
    return [one["Body"] for one in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", ())]


def prepare(rig: Rig, kind: str) -> None:
    """Make the topic, the bus or the identity, with a queue that shows what arrives."""
    if kind == "ses":
        rig.aws.client("sesv2").create_email_identity(EmailIdentity="example.com")
        return
    sqs = rig.aws.client("sqs")
    queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    if kind == "sns":
        sns = rig.aws.client("sns")
        topic = sns.create_topic(Name="alerts")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        return
    events = rig.aws.client("events")
    events.create_event_bus(Name="ops")
    pattern = {"source": ["twokey"], "detail": {"command": ["rotate"]}}
    events.put_rule(Name="all", EventBusName="ops", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="all", EventBusName="ops", Targets=[{"Id": "1", "Arn": arn}])


@pytest.mark.parametrize("kind", AWS)
def test_aws_delivers_with_just_the_policy_that_is_printed(rig: Rig, kind: str, tell: Tell) -> None:
    prepare(rig, kind)
    alerts = f"to: [{{{AWS[kind]}}}], remember: 'ssm:/twokey/alerts'"
    assert tell(alerts) == []
    (body,) = received_in_aws(rig, kind)
    assert "twokey rotate: 1 rotated" in body
    assert "AKIACURRENT" in body
    document = policy("--command", "rotate")
    assert ACTIONS[kind] in actions(document)
    assert ACTIONS[kind] not in actions(policy("--command", "plan"))
    assert "ssm:PutParameter" in actions(document)

    def failures(text: str) -> str:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in rig.aws.environment(user_with(rig.aws, text)).items():
                environment.setenv(name, value)
            return "\n".join(tell(alerts))

    assert failures(json.dumps(document)) == ""
    assert f"Access denied: {ACTIONS[kind]}" in failures(without(document, ACTIONS[kind]))


def test_a_fifo_topic_gets_the_alert_too(rig: Rig, tell: Tell) -> None:
    sqs, sns = rig.aws.client("sqs"), rig.aws.client("sns")
    queue = sqs.create_queue(QueueName="inbox.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="alerts.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    assert tell(f"to: [{{sns: '{topic}'}}]") == []
    (got,) = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert "twokey rotate: 1 rotated" in got["Body"]


def test_a_topic_whose_kms_key_may_not_be_used_is_an_error_that_names_what_to_allow(rig: Rig, tell: Tell) -> None:
    prepare(rig, "sns")
    key = "arn:aws:kms:eu-central-1:123456789012:key/0c5e4a1e-5ec2-4e57-8ac1-0123456789ab"
    message = f"User: x is not authorized to perform: kms:GenerateDataKey on resource: {key} because no identity-based"
    rule = Rule("sns:Publish", times=2, effect="error_before", status=400, code="KMSAccessDenied", message=message)
    rig.aws.weather.add(rule)
    (failure,) = tell(f"to: [{{{AWS['sns']}}}]")
    assert f"Access denied: kms:GenerateDataKey on {key}. Allow kms:GenerateDataKey on it" in failure
    rule.message = "The ciphertext references a key that doesn't exist or that you don't have access to."
    assert "the KMS key of arn:aws:sns:" in tell(f"to: [{{{AWS['sns']}}}]")[0]


def test_an_event_that_eventbridge_does_not_accept_is_a_failed_alert(
    rig: Rig, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response has status 200 all the same."""
    prepare(rig, "eventbridge")
    monkeypatch.setattr("twokey.alerts.by_aws.SOURCE", "")
    assert "EventBridge did not accept the event" in tell(f"to: [{{{AWS['eventbridge']}}}]")[0]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return signed_by_itself(tmp_path_factory.mktemp("tls") / "mail.pem", "127.0.0.1", "localhost")


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # aiosmtpd does not know of the TLS around it
@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
def test_mail_arrives_by_smtp(security: str, certificate: Path, tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    encrypted = security != "none"
    login = f", user: {USER}, password: {{env: MAIL_PASSWORD}}, ca: '{certificate}'" if encrypted else ""
    with mail_server(certificate if encrypted else None, tls=security == "tls", login=encrypted) as mails:
        alerts = (
            f"to: [{{smtp: {{host: 127.0.0.1, port: {mails.port}, security: {security}, from: twokey@example.com, "
            f"to: [a@example.com, b@example.com]{login}}}}}]"
        )
        assert tell(alerts) == []
    ((sender, recipients, text),) = mails.received
    assert (sender, recipients) == ("twokey@example.com", ["a@example.com", "b@example.com"])
    assert "Subject: twokey rotate: 1 rotated" in text
    assert "AKIACURRENT" in text.replace("=\r\n", "")
    assert mails.logins == ([(USER.encode(), PASSWORD.encode())] if encrypted else [])


@pytest.mark.parametrize(
    ("server", "settings", "says"),
    [
        ({}, "", "cannot be trusted: TLS failed"),
        ({"certificate": None}, "", "does not support what is configured"),
        (
            {"certificate": None},
            ", security: none, to: [unknown@example.com]",
            "refuses the recipients unknown@example",
        ),
        ({"login": True}, ", ca: CERTIFICATE, user: other, password: {env: MAIL_PASSWORD}", "does not accept user and"),
    ],
)
def test_a_mail_server_that_cannot_be_used_is_reported_and_gets_no_password_in_the_clear(
    certificate: Path,
    tell: Tell,
    monkeypatch: pytest.MonkeyPatch,
    server: dict[str, Any],
    settings: str,
    says: str,
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    to = "" if "to:" in settings else ", to: [a@example.com]"
    with mail_server(**{"certificate": certificate, **server}) as mails:
        settings = settings.replace("CERTIFICATE", f"'{certificate}'")
        (failure,) = tell(
            f"to: [{{smtp: {{host: 127.0.0.1, port: {mails.port}, from: twokey@example.com{to}{settings}}}}}]"
        )
    assert says in failure
    assert mails.received == []
    assert PASSWORD not in failure


@pytest.mark.filterwarnings("ignore")  # those of Apprise's plug-ins, which are imported now
def test_apprise_reaches_any_other_service(inbox: Inbox, tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPRISE_URL", f"json://127.0.0.1:{inbox.port}/alerts")
    assert tell("to: [{apprise: {env: APPRISE_URL}}]") == []
    (request,) = inbox.received
    assert request.json()["title"] == "twokey rotate: 1 rotated"
    assert "AKIACURRENT" in request.json()["message"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("json://alerts.example.com/SECRETTOKEN", "to alerts.example.com without encryption"),
        ("nothing-like-it://SECRETTOKEN", "does not contain a URL of Apprise"),
        ("json://127.0.0.1:9/SECRETTOKEN", "Apprise could not send the alert"),
    ],
)
def test_what_apprise_cannot_send_is_reported_without_its_url(
    tell: Tell, monkeypatch: pytest.MonkeyPatch, url: str, says: str
) -> None:
    monkeypatch.setenv("APPRISE_URL", url)
    (failure,) = tell("to: [{apprise: {env: APPRISE_URL}}]")
    assert says in failure
    assert "SECRETTOKEN" not in failure


def test_without_apprise_the_extra_is_named(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    monkeypatch.setenv("APPRISE_URL", "json://127.0.0.1")
    assert "Install twokey with the extra `apprise`" in tell("to: [{apprise: {env: APPRISE_URL}}]")[0]


class Slow(FakeService):
    """Responds when ``expected`` requests have arrived."""

    def __init__(self, expected: int) -> None:
        super().__init__()
        self.arrived = threading.Barrier(expected)

    @route("POST", r"/.*")
    def take(self, _request: ReceivedRequest) -> Reply:
        with suppress(threading.BrokenBarrierError):
            self.arrived.wait(30)
        return Reply(200, b"ok")


def test_receivers_are_told_at_the_same_time(tell: Tell) -> None:
    with Slow(3) as slow:
        receivers = ", ".join(f"{{webhook: {{url: '{slow.url}/{number}'}}}}" for number in range(3))
        assert tell(f"to: [{receivers}]") == []


def test_a_receiver_that_does_not_respond_is_given_up_and_reported_as_in_doubt(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LIMIT", 0.0)
    with Slow(2) as slow:
        (failure,) = tell(f"to: [{{webhook: {{url: '{slow.url}/'}}}}]")
        slow.arrived.abort()
    assert failure.startswith("twokey.yaml line 2: `webhook`: The alert was not sent: it was not over after 0 seconds.")
    assert failure.endswith("It may still arrive. No later run sends what was done: see the output of this one.")


def test_a_failed_alert_ends_no_run(due: Rig, configure: Callable[[str], None]) -> None:
    configure("to: [{slack: {env: UNSET}}, {slack: {file: missing}}], heartbeat: {env: UNSET}")
    warnings = [line for line in rotated(due).err.splitlines() if line.startswith("Warning: ")]
    assert [line.split("`")[1] for line in warnings] == ["slack", "slack", "heartbeat"]


def test_what_others_can_read_is_warned_of(due: Rig, configure: Callable[[str], None], tmp_path: Path) -> None:
    exposed = tmp_path / "slack-url"
    exposed.write_text("http://127.0.0.1:9/services/x")
    exposed.chmod(0o644)
    smtp = "host: mail.internal, security: none, insecure_smtp: true, from: a@b.example, to: [c@d.example]"
    configure(
        f"heartbeat: {{file: {exposed}}}, to: [{{webhook: {{url: 'http://10.0.0.1/', insecure_http: true}}}}, "
        f"{{smtp: {{{smtp}}}}}]"
    )
    assert due
    err = twokey("plan").err
    assert f"Warning: Other users of this machine may read the secret in {exposed}." in err
    assert "Warning: twokey.yaml line 2: `webhook` is not encrypted: every machine between here" in err
    assert "Warning: twokey.yaml line 2: `smtp` is not encrypted" in err
