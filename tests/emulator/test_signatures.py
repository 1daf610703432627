"""Signatures are checked, and every protocol has its own error for a wrong one."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest

from twokey.emulator import KeyPair

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator import Emulator

UNKNOWN = KeyPair("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "iam": ("list_users", {}),
    "sts": ("get_caller_identity", {}),
    "secretsmanager": ("list_secrets", {}),
    "ssm": ("describe_parameters", {}),
    "sqs": ("list_queues", {}),
    "s3": ("list_buckets", {}),
    "lambda": ("list_functions", {}),
    "ec2": ("describe_regions", {}),
}


def ask(aws: Emulator, service: str, key: KeyPair | None = None) -> Any:
    operation, parameters = QUESTIONS[service]
    return getattr(aws.client(service, key), operation)(**parameters)


@pytest.mark.parametrize("service", sorted(QUESTIONS))
def test_a_correctly_signed_request_is_accepted(aws: Emulator, service: str) -> None:
    assert ask(aws, service)["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("iam", "InvalidClientTokenId", 403),
        ("sts", "InvalidClientTokenId", 403),
        ("secretsmanager", "UnrecognizedClientException", 400),
        ("ssm", "UnrecognizedClientException", 400),
        ("s3", "InvalidAccessKeyId", 403),
        ("lambda", "UnrecognizedClientException", 403),
        ("ec2", "AuthFailure", 401),
    ],
)
def test_an_unknown_key_is_refused(
    aws: Emulator, refused: Callable[..., Any], service: str, code: str, status: int
) -> None:
    error = refused(lambda: ask(aws, service, UNKNOWN))
    assert (error.code, error.status) == (code, status)


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("iam", "SignatureDoesNotMatch", 403),
        ("sts", "SignatureDoesNotMatch", 403),
        ("secretsmanager", "InvalidSignatureException", 400),
        ("ssm", "InvalidSignatureException", 400),
        ("s3", "SignatureDoesNotMatch", 403),
    ],
)
def test_a_wrong_secret_is_refused(
    aws: Emulator, refused: Callable[..., Any], service: str, code: str, status: int
) -> None:
    invalid = KeyPair(aws.admin.access_key_id, UNKNOWN.secret_access_key)
    error = refused(lambda: ask(aws, service, invalid))
    assert (error.code, error.status) == (code, status)


@pytest.mark.parametrize("skew", [301, -360])  # a request is up to a minute on its way on a busy machine
@pytest.mark.parametrize(
    ("service", "code"), [("iam", "SignatureDoesNotMatch"), ("secretsmanager", "InvalidSignatureException")]
)
def test_a_clock_more_than_five_minutes_off_is_refused(
    aws: Emulator, one_try: Any, refused: Callable[..., Any], service: str, code: str, skew: int
) -> None:
    client = one_try(aws, service)
    aws.weather.skew = skew
    error = refused(getattr(client, QUESTIONS[service][0]))
    assert error.code == code
    assert error.message.startswith("Signature expired" if skew > 0 else "Signature not yet current")


def test_a_clock_a_little_less_off_is_accepted(aws: Emulator) -> None:
    aws.weather.skew = 280
    assert ask(aws, "iam")["Users"]


def test_advancing_the_emulators_time_leaves_signatures_valid(aws: Emulator) -> None:
    aws.advance(40 * 86400)
    assert ask(aws, "iam")["Users"]


def test_an_unsigned_request_gets_the_error_for_it(aws: Emulator) -> None:
    body = b"Action=ListUsers&Version=2010-05-08"
    request = urllib.request.Request(aws.endpoint_url, body)
    with pytest.raises(HTTPError) as caught:
        urllib.request.urlopen(request)
    with caught.value as response:
        assert response.code == 403
        assert b"<Code>MissingAuthenticationToken</Code>" in response.read()


@pytest.mark.parametrize("service", ["iam", "s3"])
def test_a_body_changed_in_transit_is_rejected(aws: Emulator, service: str) -> None:
    """S3's requests declare the body's hash in a signed header; the others' signatures are over the body."""
    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    url = f"{aws.endpoint_url}/{'bucket/key' if service == 's3' else ''}"
    method = "PUT" if service == "s3" else "POST"
    kind = "application/x-www-form-urlencoded; charset=utf-8"
    signed = AWSRequest(method, url, {"Content-Type": kind}, b"Action=ListUsers&Version=2010-05-08")
    credentials = Credentials(aws.admin.access_key_id, aws.admin.secret_access_key)
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(credentials, service, "us-east-1").add_auth(signed)
    other = b"Action=ListRoles&Version=2010-05-08"
    changed = urllib.request.Request(url, other, dict(signed.headers.items()), method=method)
    with pytest.raises(HTTPError) as caught:
        urllib.request.urlopen(changed)
    with caught.value as response:
        assert b"SignatureDoesNotMatch" in response.read()


def test_a_presigned_url_is_accepted_until_it_expires(aws: Emulator) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": aws.region})
    s3.put_object(Bucket="bucket", Key="a b/ü?", Body=b"hello")
    url = s3.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "a b/ü?"}, ExpiresIn=60)
    with urllib.request.urlopen(url) as response:
        assert response.read() == b"hello"
    aws.weather.skew = 70
    with pytest.raises(HTTPError) as caught:
        urllib.request.urlopen(url)
    caught.value.close()


def test_objects_with_awkward_names_survive_the_signature_check(aws: Emulator) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": aws.region})
    for name in ("a b", "ü/é", "x+y", "a//b", "a%2Fb", "~!*'()"):
        s3.put_object(Bucket="bucket", Key=name, Body=name.encode())
        assert s3.get_object(Bucket="bucket", Key=name)["Body"].read() == name.encode()
    assert s3.head_object(Bucket="bucket", Key="a b")["ContentLength"] == 3
