"""Requests that are made of botocore's parts: they are those that botocore sends, and end as those of botocore do."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.client import ClientCreator
from botocore.exceptions import SSLError
from botocore.httpsession import URLLib3Session
from botocore.model import ServiceModel
from urllib3 import HTTPHeaderDict, HTTPResponse

from aws.test_partitions import HOSTS
from twokey.aws.clients import Clients, signing_as
from twokey.aws.direct import OPERATIONS
from twokey.aws.origin import NotFromAws
from twokey.aws.sending import Sender
from twokey.core.errors import ServiceError, UsageError
from twokey.emulator import Rule

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

SECRET, PARAMETER, USER = {"SecretId": "ci"}, {"Name": "/ci"}, {"UserName": "ci"}
KEY = {**USER, "AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}
VERSION = "d0e711e1-74e7-5e07-b0a2-a17f5d603aae"
PARAMETERS: dict[str, dict[str, Any]] = {
    "GetUser": USER,
    "ListUsers": {"PathPrefix": "/machine-users/", "MaxItems": 1000},
    "ListAccessKeys": USER,
    "GetAccessKeyLastUsed": {"AccessKeyId": KEY["AccessKeyId"]},
    "CreateAccessKey": USER,
    "UpdateAccessKey": {**KEY, "Status": "Inactive"},
    "DeleteAccessKey": KEY,
    "GetCallerIdentity": {},
    "DescribeSecret": SECRET,
    "GetSecretValue": {**SECRET, "VersionStage": "AWSCURRENT"},
    "PutSecretValue": {**SECRET, "ClientRequestToken": VERSION, "SecretString": "ü &=", "VersionStages": ["one"]},
    "UpdateSecretVersionStage": {**SECRET, "VersionStage": "one", "MoveToVersionId": VERSION},
    "GetParameter": {**PARAMETER, "WithDecryption": True},
    "GetParameters": {"Names": ["/ci", "/cd"], "WithDecryption": True},
    "GetParameterHistory": PARAMETER,
    "PutParameter": {**PARAMETER, "Value": "ü", "Type": "SecureString", "Overwrite": True},
}
ALL = [(service, operation) for service, operations in OPERATIONS.items() for operation in sorted(operations)]
OF_THE_CLIENT = {"Region", "UseDualStack", "UseFIPS", "Endpoint", "UseGlobalEndpoint"}
BY_CHANCE = {"authorization", "x-amz-date", "amz-sdk-invocation-id", "amz-sdk-request"}
"""Headers that are another one in each request, and those with which botocore tells AWS of its retries."""


class _Seen(Exception):
    """Ends a request before it is sent."""


def sent(service: str, operation: str) -> list[dict[str, Any]]:
    """Return what two requests of a client would send: the first one is botocore's."""
    requests = []

    def stop(request: Any, **_: Any) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in headers.items()}
        body = request.body if isinstance(request.body, str) else request.body.decode()
        requests.append(
            {
                "to": (request.method, request.url),
                "body": json.loads(body) if "json" in headers["content-type"] else parse_qs(body, strict_parsing=True),
                "scope": headers["authorization"].split(",")[0].split("/")[2:],
                "headers": {name: value for name, value in headers.items() if name not in BY_CHANCE},
            }
        )
        raise _Seen

    clients = Clients("run")
    clients.client(service, once=True).meta.events.register("before-send", stop)
    for _ in range(2):
        with pytest.raises(_Seen):
            clients.send(service, operation, PARAMETERS[operation])
    assert clients._direct[service, None].can(operation)
    return requests


@pytest.fixture
def _a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")


@pytest.mark.usefixtures("_a_key")
class TestARequest:
    @pytest.mark.parametrize(("service", "operation"), ALL)
    def test_is_the_one_that_botocore_sends(self, service: str, operation: str) -> None:
        theirs, ours = sent(service, operation)
        assert ours == theirs

    @pytest.mark.parametrize(("region", "variant"), HOSTS)
    def test_goes_where_botocore_sends_it_and_is_signed_for_that(
        self, monkeypatch: pytest.MonkeyPatch, region: str, variant: str
    ) -> None:
        monkeypatch.setenv("AWS_REGION", region)
        if variant:
            monkeypatch.setenv(variant, "true")
        for service, operation in (("iam", "ListAccessKeys"), ("sts", "GetCallerIdentity")):
            theirs, ours = sent(service, operation)
            assert (ours["to"], ours["scope"]) == (theirs["to"], theirs["scope"])

    def test_with_a_session_has_its_token(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token")
        theirs, ours = sent("ssm", "GetParameter")
        assert ours["headers"]["x-amz-security-token"] == theirs["headers"]["x-amz-security-token"] == "a-token"


@pytest.mark.usefixtures("_a_key")
def test_a_protocol_whose_urls_name_the_operation_is_left_to_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later botocore may have it for these services: the URL of the first request is that of a read."""
    model = botocore.session.Session().get_component("data_loader").load_service_model("secretsmanager", "service-2")
    later = {**model, "metadata": {**model["metadata"], "protocols": ["smithy-rpc-v2-cbor"]}}
    monkeypatch.setattr(ClientCreator, "_load_service_model", lambda *_: ServiceModel(later, "secretsmanager"))
    clients, urls = Clients("run"), []

    def stop(request: Any, **_: Any) -> None:
        urls.append(request.url.rpartition("/")[2])
        raise _Seen

    clients.client("secretsmanager", once=True).meta.events.register("before-send", stop)
    operations = ("DescribeSecret", "PutSecretValue", "UpdateSecretVersionStage")
    for operation in operations:
        with pytest.raises(_Seen):
            clients.send("secretsmanager", operation, PARAMETERS[operation])
    assert urls == [*operations]


@pytest.mark.parametrize(("service", "operation"), ALL)
def test_where_a_request_goes_depends_on_the_client_alone(service: str, operation: str) -> None:
    session = botocore.session.Session()
    model = session.get_service_model(service).operation_model(operation)
    rules = session.get_component("data_loader").load_service_model(service, "endpoint-rule-set-1")
    assert rules["parameters"].keys() <= OF_THE_CLIENT
    assert not model.static_context_parameters
    assert not model.context_parameters
    assert not model.endpoint
    assert (model.has_streaming_input, model.has_streaming_output) == (False, False)


class TestTheSecondRequest:
    def test_is_signed_with_the_credentials_of_the_block(self, rig: Rig) -> None:
        (key,) = rig.aws.make_user("ci", keys=1)
        clients = rig.clients()
        own = clients.send("sts", "GetCallerIdentity", {})["Arn"]
        with signing_as(key.access_key_id, key.secret_access_key):
            assert clients.send("sts", "GetCallerIdentity", {})["Arn"].endswith("/ci")
        assert clients.send("sts", "GetCallerIdentity", {})["Arn"] == own

    def test_tells_the_time_of_aws(self, rig: Rig) -> None:
        clients = rig.clients()
        clients.send("sts", "GetCallerIdentity", {})
        before = clients.clock.now()
        rig.aws.advance(100)
        clients.send("sts", "GetCallerIdentity", {})
        assert (clients.clock.now() - before).total_seconds() >= 98

    def test_is_botocores_where_the_changes_of_a_run_are_recorded(self, rig: Rig) -> None:
        clients = rig.clients()
        clients.send("ssm", "GetParameters", {"Names": ["/ci"]})
        log = clients.record_requests()
        clients.send("ssm", "PutParameter", {**PARAMETER, "Value": "x", "Type": "String"})
        assert [(one.action, one.status) for one in log.sent] == [("ssm:PutParameter", "")]

    @pytest.mark.parametrize(
        "rule",
        [
            Rule("*", times=None, effect="lost_response"),
            Rule("*", times=None, effect="reset"),
            Rule("*", times=None, effect="truncated"),
            Rule("*", times=None, effect="html", status=200),
            Rule("*", times=None, effect="html", status=403),
            Rule("*", times=None, effect="error_before", status=503),
            Rule("*", times=None, effect="error_before", status=400, code="ExpiredTokenException"),
            Rule("*", times=None, effect="error_before", status=400, code="AccessDeniedException"),
            Rule("*", times=None, effect="error_before", status=400, code="ParameterNotFound"),
            Rule("*", times=None, effect="throttle"),
        ],
        ids=lambda rule: f"{rule.effect}-{rule.status}-{rule.code}",
    )
    def test_fails_as_the_first_one(self, rig: Rig, rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("twokey.aws.sending.ATTEMPTS", 1)
        monkeypatch.setattr("twokey.aws.sending.PATIENCE", 0)
        failures = []
        for requests_before in (0, 1):
            sender = Sender(rig.clients(), "ssm")
            for _ in range(requests_before):
                sender.send("GetParameters", "/ci", mutates=False, Names=["/ci"])
            rig.aws.weather.add(rule)
            with pytest.raises(ServiceError) as raised:
                sender.send("PutParameter", "/ci", Name="/ci", Value="x", Type="String", Overwrite=True)
            rig.aws.weather.clear()
            failures.append((type(raised.value), raised.value.message, raised.value.state, raised.value.remedy))
        assert failures[0] == failures[1]

    def test_is_not_sent_where_a_handler_responds(self, rig: Rig) -> None:
        clients = rig.clients()
        clients.send("ssm", "GetParameters", {"Names": ["/ci"]})
        rig.aws.clear_requests()
        body: Any = BytesIO(b'{"Parameters": [], "InvalidParameters": ["from the handler"]}')
        raw = HTTPResponse(body=body, preload_content=False)
        headers: Any = HTTPHeaderDict()
        clients.client("ssm", once=True).meta.events.register(
            "before-send", lambda request, **_: AWSResponse(request.url, 200, headers, raw)
        )
        assert clients.send("ssm", "GetParameters", {"Names": ["/ci"]})["InvalidParameters"] == ["from the handler"]
        assert rig.aws.requests == []

    def test_takes_no_page_for_a_response(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=1)
        clients = rig.clients()
        clients.send("iam", "ListAccessKeys", USER)
        rig.aws.weather.add(Rule("iam:DeleteAccessKey", effect="html", status=200))
        with pytest.raises(NotFromAws):
            clients.send("iam", "DeleteAccessKey", KEY)

    def test_without_what_it_needs_is_not_sent(self, rig: Rig) -> None:
        sender = Sender(rig.clients(), "ssm")
        sender.send("GetParameters", "/ci", mutates=False, Names=["/ci"])
        rig.aws.clear_requests()
        with pytest.raises(ServiceError, match="Missing required parameter"):
            sender.send("GetParameters", "/ci", mutates=False)
        assert rig.aws.requests == []

    def test_names_damaged_certificates(self, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        damaged = tmp_path / "ca.pem"
        damaged.write_text("-----BEGIN CERTIFICATE-----\n")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(damaged))
        sender = Sender(rig.clients(), "ssm")
        sender.send("GetParameters", "/ci", mutates=False, Names=["/ci"])

        def fail(_session: object, request: Any) -> None:
            raise SSLError(endpoint_url=request.url, error=OSError("certificate verify failed"))

        monkeypatch.setattr(URLLib3Session, "send", fail)
        with pytest.raises(UsageError, match="AWS_CA_BUNDLE"):
            sender.send("GetParameters", "/ci", mutates=False, Names=["/ci"])
