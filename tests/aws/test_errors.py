"""Responses of AWS, or their absence, as messages that never contain a secret."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from twokey.aws.clients import Clients
from twokey.aws.credentials import UnknownKey
from twokey.aws.errors import LONGEST_QUOTE, call, translate
from twokey.aws.iam import Iam
from twokey.core.errors import (
    AccessDenied,
    Ambiguous,
    BadCredentials,
    NotFound,
    ServiceError,
    ServiceRejected,
    Throttled,
    TwokeyError,
    Unreachable,
)
from twokey.emulator import Rule

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig


def aws_error(code: str, message: str = "", status: int = 400) -> boto.ClientError:
    return boto.ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "Op",
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (aws_error("Throttling"), Throttled),
        (aws_error("ThrottlingException"), Throttled),
        (aws_error("LimitExceeded", status=409), ServiceRejected),
        (aws_error("NoSuchEntity", status=404), NotFound),
        (aws_error("ResourceNotFoundException"), NotFound),
        (aws_error("AccessDenied", status=403), AccessDenied),
        (aws_error("ExpiredToken", status=403), BadCredentials),
        (aws_error("InvalidClientTokenId", status=403), UnknownKey),
        (aws_error("SignatureDoesNotMatch", status=403), BadCredentials),
        (aws_error("ServiceFailure", status=500), Ambiguous),
        (aws_error("502", status=502), Ambiguous),
        (aws_error("403", "You are not authorized to do this.", status=403), Ambiguous),
        (aws_error("", status=404), Ambiguous),
        (aws_error("RequestTimeout", status=408), Ambiguous),
        (aws_error("RequestExpired"), BadCredentials),
        (aws_error("MissingAuthenticationToken", status=403), BadCredentials),
        (boto.ConfigParseError(path="config"), ServiceRejected),
        (boto.EndpointProviderError(msg="x"), ServiceRejected),
        (boto.ParamValidationError(report="x"), ServiceRejected),
        (boto.LoginRefreshRequired(), BadCredentials),
        (boto.SSLError(endpoint_url="https://x", error=OSError("bad record")), Ambiguous),
        (aws_error("ServiceUnavailable", status=503), Ambiguous),
        (boto.EndpointConnectionError(endpoint_url="http://x"), Unreachable),
        (boto.ConnectTimeoutError(endpoint_url="http://x"), Unreachable),
        (boto.ReadTimeoutError(endpoint_url="http://x"), Ambiguous),
        (boto.ConnectionClosedError(endpoint_url="http://x"), Ambiguous),
        (boto.NoCredentialsError(), BadCredentials),
        (boto.ProfileNotFound(profile="x"), BadCredentials),
        (boto.NoRegionError(), ServiceRejected),
        (ResponseParserError("x"), Ambiguous),
        (RuntimeError("x"), Ambiguous),
    ],
)
def test_each_error_says_whether_the_effect_took_place(error: Exception, kind: type[ServiceError]) -> None:
    assert type(translate(error, action="iam:CreateAccessKey", resource="ci")) is kind


NOT_ALLOWED = "User: arn:aws:iam::1:user/x is not authorized to perform: iam:CreateAccessKey on resource: user ci "
MESSAGES = {
    "no response arrived in time": boto.ReadTimeoutError(endpoint_url="https://x"),
    "the connection broke": boto.ConnectionClosedError(endpoint_url="https://x"),
    "cut off, or is not from AWS": ResponseParserError("x"),
    "TLS failed": boto.SSLError(endpoint_url="https://x", error=OSError("x")),
    "Set this machine's clock": aws_error("RequestExpired", "Request has expired."),
    "removed the Authorization header": aws_error("MissingAuthenticationToken", "Missing Authentication Token", 403),
    "Check the region, the network": boto.EndpointConnectionError(
        endpoint_url="https://sts.eu-central-1a.amazonaws.com/"
    ),
    "enabled the region": aws_error("InvalidClientTokenId", "The security token included is invalid.", 403),
    "share its request rate": aws_error("Throttling", "Rate exceeded"),
    "AWS rejected it: it had no effect": aws_error("LimitExceeded", "Cannot exceed quota", 409),
    "Unable to parse config file: config": boto.ConfigParseError(path="config"),
    "Unknown parameter in input": boto.ParamValidationError(report="Unknown parameter in input"),
    "Change the service control policy: it denies the action explicitly": aws_error(
        "AccessDenied", f"{NOT_ALLOWED}with an explicit deny in a service control policy", 403
    ),
    "Also allow iam:CreateAccessKey in the permissions boundary": aws_error(
        "AccessDenied", f"{NOT_ALLOWED}because no permissions boundary allows the iam:CreateAccessKey action", 403
    ),
    "Allow iam:CreateAccessKey on it for the principal": aws_error(
        "AccessDenied", f"{NOT_ALLOWED}because no identity-based policy allows the iam:CreateAccessKey action", 403
    ),
}


@pytest.mark.parametrize("words", MESSAGES)
def test_the_message_points_at_the_problem(words: str) -> None:
    message = str(translate(MESSAGES[words], action="iam:CreateAccessKey", resource="ci"))
    assert words.lower() in message.lower()


@pytest.mark.parametrize(
    ("code", "message", "status", "says"),
    [
        (
            "ValidationError",
            "The access key K1 does not exist.",
            400,
            "The access key K1 does not exist (ValidationError).",
        ),
        ("OptInRequired", "", 403, "AWS does not serve the account (OptInRequired)"),
        ("Throttling", "Rate exceeded", 400, "AWS throttled the request (Throttling)"),
        ("Strange", "", 400, "iam:GetUser on ci: rejected (Strange)."),
    ],
)
def test_only_of_a_change_is_it_said_that_it_had_no_effect(code: str, message: str, status: int, says: str) -> None:
    for mutates in (True, False):
        found = translate(aws_error(code, message, status), action="iam:GetUser", resource="ci", mutates=mutates)
        assert says in found.message
        assert ("no effect" in found.state) is mutates
        assert "AWS rejected it" in found.state or code == "Throttling"


@pytest.mark.parametrize(
    ("key", "hint"), [("AKIAIOSFODNN7EXAMPLE", True), ("ASIAIOSFODNN7EXAMPLE", False), ("", False)]
)
def test_a_session_token_that_was_left_beside_a_long_term_key_is_named(
    key: str, hint: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-session-token")
    error = aws_error("InvalidClientTokenId", "The security token included is invalid.", 403)
    found = translate(error, action="iam:GetUser", resource="ci", mutates=False)
    assert ("unset AWS_SESSION_TOKEN" in found.remedy) == hint
    assert "a-session-token" not in str(found)


def test_a_configuration_that_cannot_be_read_leaves_no_call_in_doubt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[profile\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    with pytest.raises(ServiceRejected, match="Unable to parse config file") as caught:
        Iam(Clients("run")).create_key("ci")
    assert caught.value.state == "The request was not sent."


def test_a_denial_names_the_permission_and_the_resource_that_aws_names() -> None:
    message = (
        "User: arn:aws:iam::1:user/x is not authorized to perform: iam:CreateAccessKey on resource: user ci "
        "because no identity-based policy allows the iam:CreateAccessKey action"
    )
    error = translate(aws_error("AccessDenied", message, 403), action="iam:Other", resource="other")
    assert isinstance(error, AccessDenied)
    assert (error.action, error.resource) == ("iam:CreateAccessKey", "user ci")
    assert "Allow iam:CreateAccessKey" in str(error)


SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00"


@pytest.mark.parametrize(
    ("action", "resource", "stated", "shown"),
    [
        (
            "ssm:PutParameter",
            "/jobs/ci",
            "arn:aws-cn:ssm:cn-north-1:123456789012:parameter/jobs/ci",
            "arn:aws-cn:ssm:cn-north-1:123456789012:parameter/jobs/ci",
        ),
        (
            "secretsmanager:PutSecretValue",
            "jobs/ci",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:jobs/ci-AbCdEf",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:jobs/ci-AbCdEf",
        ),
        (
            "kms:GenerateDataKey",
            "jobs/ci",
            "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        ),
        ("kms:Decrypt", "jobs/ci", f"alias/{SECRET}", "the KMS key of jobs/ci"),
        ("ssm:PutParameter", "/jobs/ci", f"arn:aws:ssm:eu-central-1:123456789012:parameter/{SECRET}", "/jobs/ci"),
        ("ssm:PutParameter", "/jobs/ci", f"{SECRET}/jobs/ci", "/jobs/ci"),
        ("ssm:PutParameter", "/jobs/ci", f"/jobs/ci {SECRET}", "/jobs/ci"),
        ("ssm:PutParameter", "/jobs/ci", "", "/jobs/ci"),
    ],
)
def test_a_denial_of_a_request_with_a_secret_names_the_resource_and_nothing_else(
    action: str, resource: str, stated: str, shown: str
) -> None:
    on = f" on resource: {stated}" if stated else ""
    message = f"User: arn:aws:iam::1:user/x is not authorized to perform: {action}{on} because no policy allows it"
    error = translate(aws_error("AccessDeniedException", message), action=action, resource=resource, quote=False)
    assert isinstance(error, AccessDenied)
    assert (error.action, error.resource) == (action, shown)
    assert SECRET not in str(error)


def test_a_long_message_is_cut_and_none_is_quoted_about_a_request_with_a_secret() -> None:
    long = translate(aws_error("ValidationException", "x" * 2000), action="ssm:PutParameter", resource="/x")
    assert len(str(long)) < LONGEST_QUOTE + 100
    secret = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00"
    error = translate(aws_error("ValidationException", secret), action="ssm:PutParameter", resource="/x", quote=False)
    assert secret[:5] not in str(error)
    assert "ValidationException" in str(error)


def test_a_refused_signature_does_not_show_the_request_with_its_session_token() -> None:
    message = (
        "The request signature we calculated does not match the signature you provided.\n\n"
        "The Canonical String for this request should have been\n'POST\n/\n\nx-amz-security-token:FwoGZXIvYXdzE'"
    )
    error = translate(aws_error("SignatureDoesNotMatch", message, 403), action="iam:ListUsers", resource="/")
    assert "AWS rejected the signature (SignatureDoesNotMatch)" in str(error)
    assert "FwoGZXIvYXdzE" not in str(error)
    assert "the secret access key does not belong to the access key ID: copy both again" in error.remedy


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("SignatureDoesNotMatch", "Signature expired: 20261128T200000Z is now earlier than 20261128T205500Z."),
        ("InvalidSignatureException", "Signature not yet current: 20261128T230000Z is still later than …"),
        ("RequestExpired", "Request has expired."),
    ],
)
def test_a_signature_that_is_refused_for_its_time_blames_the_clock_alone(code: str, message: str) -> None:
    error = translate(aws_error(code, message, 403), action="iam:ListUsers", resource="/")
    assert error.remedy.startswith("Set this machine's clock")
    assert "secret" not in error.remedy


def test_a_denial_is_parsed_even_with_long_names() -> None:
    user = f"arn:aws:iam::123456789012:user/{'a' * 500}"
    message = f"User: {user} is not authorized to perform: iam:CreateAccessKey on resource: user ci because no policy"
    error = translate(aws_error("AccessDenied", message, 403), action="iam:Other", resource="other")
    assert isinstance(error, AccessDenied)
    assert (error.action, error.resource) == ("iam:CreateAccessKey", "user ci")


def test_a_broken_response_that_quotes_a_secret_shows_nothing_of_it() -> None:
    secret = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00"

    def send() -> None:
        raise ResponseParserError(f"Unable to parse: b'<SecretAccessKey>{secret}</SecretAccessKey'")

    with pytest.raises(TwokeyError) as caught:
        call("iam:CreateAccessKey", "ci", send)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert secret not in "".join(traceback.format_exception(caught.value)) + str(caught.value)


def test_a_creation_whose_response_is_cut_off_is_in_doubt_and_the_next_run_fixes_it(rig: Rig) -> None:
    _, current = rig.settled()
    rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="truncated"))
    first = rig.rotate()
    assert first.outcome == "failed"
    assert "Run again" in first.message
    assert len(rig.ids()) == 2
    assert rig.rotate().outcome == "rotated"
    assert rig.aws.authenticates(current)
    assert len(rig.ids()) == 2
