"""The shortcut of the other tests to the emulator: it changes nothing that a client sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.exceptions import ClientError, HTTPClientError

from support.shortcut import SHORTCUT
from twokey.emulator import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.emulator import Emulator

CALLS = [
    ("sts", "get_caller_identity", {}),
    ("iam", "list_access_keys", {"UserName": "ci"}),
    ("iam", "get_user", {"UserName": "nobody"}),
    ("secretsmanager", "get_secret_value", {"SecretId": "given"}),
    ("secretsmanager", "get_secret_value", {"SecretId": "missing"}),
    ("ssm", "get_parameter", {"Name": "/Größe", "WithDecryption": True}),
    ("s3", "head_object", {"Bucket": "given", "Key": "a b/ü"}),
    ("s3", "get_object", {"Bucket": "given", "Key": "a b/ü"}),
    ("kms", "list_keys", {}),
]
"""Each protocol, with and without success, without a body, and with one that is left on the connection."""


@pytest.fixture
def given(aws: Emulator) -> Emulator:
    """An emulator with something to read."""
    aws.make_user("ci")
    aws.client("secretsmanager").create_secret(Name="given", SecretString="schön")
    aws.client("ssm").put_parameter(Name="/Größe", Value="groß", Type="SecureString")
    storage = aws.client("s3")
    storage.create_bucket(Bucket="given", CreateBucketConfiguration={"LocationConstraint": aws.region})
    storage.put_object(Bucket="given", Key="a b/ü", Body=b"content", Metadata={"name": "value"})
    return aws


def _seen(aws: Emulator, service: str, operation: str, parameters: Mapping[str, str]) -> Any:
    """Return all that a client sees, except for the time and the id of the request."""
    try:
        seen = getattr(aws.client(service), operation)(**parameters)
    except ClientError as error:
        seen = error.response
    if "Body" in seen:
        seen["Body"] = seen["Body"].read()
    del seen["ResponseMetadata"]["RequestId"]
    headers = seen["ResponseMetadata"]["HTTPHeaders"]
    assert headers.pop("date")
    assert headers.pop("x-amzn-requestid")
    if seen["ResponseMetadata"]["HTTPStatusCode"] >= 400 or service == "sts":
        headers.pop("content-length")  # of an XML document with the id of the request
    return seen


def _counted(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list of all connections that begin from now on."""
    connections: list[Any] = []
    begin = aws._server.process_request

    def counted(connection: Any, address: Any) -> None:
        connections.append(address)
        begin(connection, address)

    monkeypatch.setattr(aws._server, "process_request", counted)
    return connections


@pytest.mark.parametrize(("service", "operation", "parameters"), CALLS)
def test_a_client_sees_the_same_with_and_without_a_connection(
    given: Emulator, monkeypatch: pytest.MonkeyPatch, service: str, operation: str, parameters: Mapping[str, str]
) -> None:
    with_connection = _seen(given, service, operation, parameters)
    connections = _counted(given, monkeypatch)
    monkeypatch.setattr(SHORTCUT, "open", True)
    assert _seen(given, service, operation, parameters) == with_connection
    assert connections == []


def test_a_client_has_connections_from_the_first_fault_on(
    aws: Emulator, one_try: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SHORTCUT, "open", True)
    connections = _counted(aws, monkeypatch)
    aws.make_user("ci")
    iam, other = one_try(aws, "iam"), one_try(aws, "iam")
    aws.weather.add(Rule("iam:DeleteAccessKey"))
    iam.list_access_keys(UserName="ci")
    assert len(connections) == 1
    with pytest.raises(HTTPClientError):
        iam.delete_access_key(UserName="ci", AccessKeyId=aws.keys("ci")[0][0])
    iam.list_access_keys(UserName="ci")
    assert len(connections) == 2
    other.list_access_keys(UserName="ci")
    assert len(connections) == 2


def test_a_latency_needs_a_connection(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SHORTCUT, "open", True)
    connections = _counted(aws, monkeypatch)
    aws.weather.latency = 0.001
    aws.client("sts").get_caller_identity()
    assert len(connections) == 1


def test_a_proxy_needs_a_connection(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator takes the place of the proxy, which it is not: what matters is who was asked."""
    monkeypatch.setattr(SHORTCUT, "open", True)
    connections = _counted(aws, monkeypatch)
    monkeypatch.setenv("http_proxy", aws.endpoint_url)
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    sts: Any = botocore.session.Session().create_client("sts")
    with pytest.raises(ClientError):
        sts.get_caller_identity()
    assert len(connections) == 1
