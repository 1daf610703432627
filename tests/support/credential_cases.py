"""Configurations of twokey's own credentials that fail, as users have them, and what is to be said about each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

ROLE = "role_arn = arn:aws:iam::123456789012:role/rotator\n"
SSO = (
    "[profile p]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = rotator\nregion = eu-central-1\n"
    "[sso-session corp]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = eu-central-1\n"
)
LEGACY_SSO = (
    "[profile p]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = eu-central-1\n"
    "sso_account_id = 123456789012\nsso_role_name = rotator\n"
)
KEYS = "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = not-a-secret\n"
LATER = (datetime.now(UTC) + timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%SZ")
TOKEN = "a-token-that-is-never-shown"


@dataclass(frozen=True)
class Case:
    """A configuration, and parts of the sentence and of the remedy. ``{dir}`` is a directory, ``{url}`` a service."""

    words: str
    remedy: str
    config: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    signed_in: str = ""
    """When the session of SSO ends; empty where none was begun."""


P = {"AWS_PROFILE": "p"}
CHAINED = {"AWS_PROFILE": "p", "AWS_SHARED_CREDENTIALS_FILE": "{dir}/credentials"}
FILE = {"AWS_WEB_IDENTITY_TOKEN_FILE": "{dir}/token", "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/rotator"}
CONTAINER = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{url}/credentials"}
ASSUMES = f"[profile p]\n{ROLE}source_profile = base\n"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}
CASES = {
    "none at all": Case("No AWS credentials were found: neither in the environment, nor in a profile", "AWS_PROFILE"),
    "a profile without any": Case(
        "neither in the environment, nor in the profile 'p'", "AWS_PROFILE", "[profile p]\nregion = eu-central-1\n", P
    ),
    "a profile that does not exist": Case(
        "there is no profile 'p', which AWS_PROFILE names", "aws configure list-profiles", variables=P
    ),
    "an older variable that names no profile": Case(
        "there is no profile 'p', which AWS_DEFAULT_PROFILE names", "Correct AWS_DEFAULT_PROFILE",
        variables={"AWS_DEFAULT_PROFILE": "p"},
    ),
    "a configuration that is no INI file": Case(
        "Unable to parse config file: {dir}/config", "Correct {dir}/config", "[profile\n", P
    ),
    "a configuration that is not there": Case(
        "AWS_CONFIG_FILE names {dir}/none, which is not a file", "Correct AWS_CONFIG_FILE",
        variables={"AWS_CONFIG_FILE": "{dir}/none"},
    ),
    "a profile in a configuration that is a directory": Case(
        "AWS_CONFIG_FILE names {dir}, which is not a file", "Correct AWS_CONFIG_FILE",
        variables={**P, "AWS_CONFIG_FILE": "{dir}"},
    ),
    "a file of credentials that is a directory": Case(
        "AWS_SHARED_CREDENTIALS_FILE names {dir}, which is not a file", "Correct AWS_SHARED_CREDENTIALS_FILE",
        variables={"AWS_SHARED_CREDENTIALS_FILE": "{dir}"},
    ),
    "half of a pair in the environment": Case(
        "the environment lacks AWS_SECRET_ACCESS_KEY", "Set AWS_SECRET_ACCESS_KEY",
        variables={"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"},
    ),
    "half of a pair in a file": Case(
        "the profile 'p' lacks aws_secret_access_key", "Set aws_secret_access_key",
        variables=CHAINED, files={"credentials": "[p]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"},
    ),
    "half of a pair in the configuration": Case(
        "the profile 'p' lacks aws_secret_access_key", "Set aws_secret_access_key",
        "[profile p]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n", P,
    ),
    "an end that is no time": Case(
        "AWS_CREDENTIAL_EXPIRATION: expected a time", "unset it",
        variables={**ENVIRONMENT, "AWS_CREDENTIAL_EXPIRATION": "tomorrow"},
    ),
    "an environment that has ended": Case(
        "AWS_CREDENTIAL_EXPIRATION: the credentials in the environment have ended", "Set new credentials",
        variables={**ENVIRONMENT, "AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z"},
    ),
    "SSO that was never begun": Case(
        "the SSO session of the profile 'p' has expired, or was never begun", "aws sso login --profile p", SSO, P
    ),
    "SSO that has expired": Case(
        "the SSO session of the profile 'p' has expired", "aws sso login --profile p", SSO, P,
        signed_in="2020-01-01T00:00:00Z",
    ),
    "SSO in the older form, never begun": Case(
        "the SSO session of the profile 'p' has expired", "aws sso login --profile p", LEGACY_SSO, P
    ),
    "SSO in the older form, expired": Case(
        "the SSO session of the profile 'p' has expired", "aws sso login --profile p", LEGACY_SSO, P,
        signed_in="2020-01-01T00:00:00Z",
    ),
    "SSO of a source profile": Case(
        "the SSO session of the profile 'p' has expired", "aws sso login --profile p",
        f"{SSO}[profile role]\n{ROLE}source_profile = p\nregion = eu-central-1\n", {"AWS_PROFILE": "role"},
    ),
    "SSO that was signed out elsewhere": Case(
        "the SSO session of the profile 'p' has expired", "aws sso login --profile p",
        SSO, {**P, "AWS_ENDPOINT_URL_SSO": "{url}/unauthorized"}, signed_in=LATER,
    ),
    "SSO without that role": Case(
        "does not give the role rotator in the account 123456789012 (ForbiddenException)", "sso_role_name",
        SSO, {**P, "AWS_ENDPOINT_URL_SSO": "{url}/forbidden"}, signed_in=LATER,
    ),
    "SSO that is not reached": Case(
        "getting credentials from IAM Identity Center (SSO): no connection", "Check the region, the network",
        SSO, {**P, "AWS_ENDPOINT_URL_SSO": "http://127.0.0.1:9"}, signed_in=LATER,
    ),
    "SSO at an endpoint that is no URL": Case(
        "getting credentials from IAM Identity Center (SSO): the endpoint is not a URL", "AWS_ENDPOINT_URL_SSO",
        SSO, {**P, "AWS_ENDPOINT_URL_SSO": "nonsense"}, signed_in=LATER,
    ),
    "SSO without its session": Case(
        'sso-session does not exist: "corp"', "Correct the profile 'p'", SSO.partition("[sso-session")[0], P
    ),
    "a session of aws login, without what it needs": Case(
        "aws login of the profile 'p' needs the package awscrt, which is not installed", "pip install 'botocore[crt]'",
        "[profile p]\nlogin_session = arn:aws:iam::123456789012:user/me\n", P,
    ),
    "a role that does not exist, or whose trust does not allow it": Case(
        "access denied: sts:AssumeRole on arn:aws:iam::123456789012:role/rotator", "trust policy",
        ASSUMES, CHAINED, {"credentials": "[base]\n{admin}"},
    ),
    "a role whose source key is unknown": Case(
        "AWS does not know the credentials (InvalidClientTokenId): those of the profile 'base'", "deleted",
        ASSUMES, CHAINED, {"credentials": f"[base]\n{KEYS}"},
    ),
    "a role whose name is too short for an ARN": Case(
        "role_arn of the profile 'p' is not valid", "Correct role_arn",
        "[profile p]\nrole_arn = rotator\nsource_profile = base\n", CHAINED, {"credentials": "[base]\n{admin}"},
    ),
    "a role whose name is no ARN": Case(
        "sts:AssumeRole on the-rotator-of-the-account was rejected (ValidationError)", "Check the profile 'p'",
        "[profile p]\nrole_arn = the-rotator-of-the-account\nsource_profile = base\n", CHAINED,
        {"credentials": "[base]\n{admin}"},
    ),
    "a role without a source": Case(
        "the profile 'p' lacks source_profile or credential_source", "Set source_profile", f"[profile p]\n{ROLE}", P
    ),
    "a role with two sources": Case(
        "both source_profile and credential_source", "Correct the profile 'p'",
        f"[profile p]\n{ROLE}source_profile = base\ncredential_source = Environment\n", P,
    ),
    "a role whose source does not exist": Case(
        'The source_profile "base" referenced in the profile "p" does not exist', "Correct the profile 'p'", ASSUMES, P
    ),
    "a role whose source has no credentials": Case(
        'The source profile "base" must have credentials', "Correct the profile 'p'",
        f"{ASSUMES}[profile base]\nregion = eu-central-1\n", P,
    ),
    "roles in a circle": Case(
        "Infinite loop", "Correct the profile 'p'", f"{ASSUMES}[profile base]\n{ROLE}source_profile = p\n", P
    ),
    "a source that is none": Case(
        'credential source "Laptop" referenced in profile "p" is not valid', "Correct the profile 'p'",
        f"[profile p]\n{ROLE}credential_source = Laptop\n", P,
    ),
    "a source that is not here": Case(
        "the source Environment has no credentials here", "Correct credential_source",
        f"[profile p]\n{ROLE}credential_source = Environment\n", P,
    ),
    "an instance that is none": Case(
        "the source Ec2InstanceMetadata has no credentials here", "Correct credential_source",
        f"[profile p]\n{ROLE}credential_source = Ec2InstanceMetadata\n", P,
    ),
    "STS that is not reached": Case(
        "assuming the role (sts:AssumeRole): no connection", "AWS_ENDPOINT_URL",
        ASSUMES, {**CHAINED, "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9"}, {"credentials": "[base]\n{admin}"},
    ),
    "STS without a region": Case(
        "no AWS region is set", "Set AWS_REGION, or region in the profile 'p'", ASSUMES, {**CHAINED, "AWS_REGION": "",
        "AWS_DEFAULT_REGION": ""}, {"credentials": "[base]\n{admin}"},
    ),
    "STS with retries of a kind that does not exist": Case(
        "Invalid value provided to \"mode\": \"bogus\"", "in the environment (AWS_…) or in the profile 'p'",
        ASSUMES, {**CHAINED, "AWS_RETRY_MODE": "bogus"}, {"credentials": "[base]\n{admin}"},
    ),
    "STS with regional endpoints of a kind that does not exist": Case(
        "STS regional endpoints option bogus is invalid", "in the environment (AWS_…) or in the profile 'p'",
        ASSUMES, {**CHAINED, "AWS_STS_REGIONAL_ENDPOINTS": "bogus"}, {"credentials": "[base]\n{admin}"},
    ),
    "STS in a region that is none": Case(
        "Provided region_name 'Frankfurt!' doesn't match", "AWS_REGION",
        ASSUMES, {**CHAINED, "AWS_REGION": "Frankfurt!"}, {"credentials": "[base]\n{admin}"},
    ),
    "a token that is not mounted": Case(
        "the web identity token cannot be read: {dir}/token: No such file or directory", "AWS_WEB_IDENTITY_TOKEN_FILE",
        variables=FILE,
    ),
    "a token of the profile that is not mounted": Case(
        "the web identity token cannot be read: {dir}/token: No such file",
        "web_identity_token_file of the profile 'p'",
        f"[profile p]\n{ROLE}web_identity_token_file = {{dir}}/token\n", P,
    ),
    "a token that is empty": Case(
        "{dir}/token does not contain a token", "AWS_WEB_IDENTITY_TOKEN_FILE", variables=FILE, files={"token": ""}
    ),
    "a token that is a directory": Case(
        "{dir}: Is a directory", "AWS_WEB_IDENTITY_TOKEN_FILE",
        variables={**FILE, "AWS_WEB_IDENTITY_TOKEN_FILE": "{dir}"},
    ),
    "a token whose role is no ARN": Case(
        "AWS_ROLE_ARN is not valid", "Correct AWS_ROLE_ARN", variables={**FILE, "AWS_ROLE_ARN": "rotator"},
        files={"token": TOKEN},
    ),
    "a token without a role": Case(
        "no role ARN configured", "Correct the profile", variables={**FILE, "AWS_ROLE_ARN": ""}, files={"token": TOKEN}
    ),
    "a token that has expired": Case(
        "the web identity token has expired (ExpiredTokenException), so the role", "Renew the token",
        variables={**FILE, "AWS_ENDPOINT_URL_STS": "{url}/ExpiredTokenException"}, files={"token": TOKEN},
    ),
    "a token that IAM does not accept": Case(
        "the web identity token is not accepted (InvalidIdentityToken)", "identity provider",
        variables={**FILE, "AWS_ENDPOINT_URL_STS": "{url}/InvalidIdentityToken"}, files={"token": TOKEN},
    ),
    "a token whose role does not trust it": Case(
        "access denied: sts:AssumeRoleWithWebIdentity on arn:aws:iam::123456789012:role/rotator", "trust policy",
        variables={**FILE, "AWS_ENDPOINT_URL_STS": "{url}/AccessDenied"}, files={"token": TOKEN},
    ),
    "a program that is not there": Case(
        "credential_process of the profile 'p' cannot be started: {dir}/none: No such file", "the whole path",
        "[profile p]\ncredential_process = {dir}/none\n", P,
    ),
    "a program that may not run": Case(
        "credential_process of the profile 'p' cannot be started", "make it executable",
        "[profile p]\ncredential_process = {dir}/program\n", P, {"program": "#!/bin/sh\n"},
    ),
    "a program that fails": Case(
        "credential_process of the profile 'p' failed", "Run it in a shell",
        f"[profile p]\ncredential_process = sh -c 'echo {TOKEN} >&2; exit 1'\n", P,
    ),
    "a program that prints no JSON": Case(
        "credential_process of the profile 'p' did not print what it must", "expected is a JSON object",
        f"[profile p]\ncredential_process = echo {TOKEN}\n", P,
    ),
    "a program that prints a list": Case(
        "did not print what it must", "expected is a JSON object",
        f"[profile p]\ncredential_process = echo '[\"{TOKEN}\"]'\n", P
    ),
    "a program whose line is no command": Case(
        "did not print what it must", "Run it in a shell", "[profile p]\ncredential_process = echo 'open\n", P
    ),
    "a program of a source profile": Case(
        "credential_process of the profile 'base' failed", "Run it in a shell",
        f"{ASSUMES}[profile base]\ncredential_process = false\n", P,
    ),
    "a program that prints another version": Case(
        "credential_process of the profile 'p' did not print what it must", "a JSON object with Version 1",
        "[profile p]\ncredential_process = cat {dir}/printed\n", P,
        {"printed": json.dumps({"Version": 2, "AccessKeyId": "ASIA", "SecretAccessKey": TOKEN})},
    ),
    "a program that prints half of a pair": Case(
        "credential_process of the profile 'p' did not print what it must", "AccessKeyId and SecretAccessKey",
        "[profile p]\ncredential_process = cat {dir}/printed\n", P,
        {"printed": json.dumps({"Version": 1, "SecretAccessKey": TOKEN})},
    ),
    "a program that prints numbers": Case(
        "the access key ID from the credential_process is not text", "Copy it again",
        "[profile p]\ncredential_process = cat {dir}/printed\n", P,
        {"printed": json.dumps({"Version": 1, "AccessKeyId": 5, "SecretAccessKey": TOKEN})},
    ),
    "a program that prints no secret": Case(
        "the secret access key from the credential_process is missing", "Copy it again",
        "[profile p]\ncredential_process = cat {dir}/printed\n", P,
        {"printed": json.dumps({"Version": 1, "AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": None})},
    ),
    "a program whose credentials have expired": Case(
        "credential_process of the profile 'p' returned credentials that have expired", "Run it in a shell",
        "[profile p]\ncredential_process = cat {dir}/printed\n", P,
        {"printed": json.dumps({"Version": 1, "AccessKeyId": "ASIA", "SecretAccessKey": TOKEN, "SessionToken": "x",
                                "Expiration": "2020-01-01T00:00:00Z"})},
    ),
    "a program whose id ends with a line end": Case(
        "the access key ID from the credential_process contains a line end", "Copy it again",
        "[profile p]\ncredential_process = cat {dir}/printed\n", P,
        {"printed": json.dumps({"Version": 1, "AccessKeyId": "AKIAIOSFODNN7EXAMPLE\n", "SecretAccessKey": TOKEN})},
    ),
    "a container's service that fails": Case(
        "credential service (AWS_CONTAINER_CREDENTIALS_FULL_URI) responded with 500", "Check the role of the task",
        variables=CONTAINER,
    ),
    "a container's service that is not reached": Case(
        "credential service (AWS_CONTAINER_CREDENTIALS_FULL_URI) did not supply any", "Check the role of the task",
        variables={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/credentials"},
    ),
    "a container's service that responds with something else": Case(
        "credential service (AWS_CONTAINER_CREDENTIALS_FULL_URI) did not supply any", "Check the role of the task",
        variables={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{url}/other"},
    ),
    "a container's service whose credentials have expired": Case(
        "(AWS_CONTAINER_CREDENTIALS_FULL_URI) returned credentials that have expired", "Check the role of the task",
        variables={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{url}/expired"},
    ),
    "a container's service on another host": Case(
        "has a host that the AWS SDKs do not use without TLS", "Correct AWS_CONTAINER_CREDENTIALS_FULL_URI",
        variables={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://credentials.test/"},
    ),
    "a container's token that is not there": Case(
        "credential service (AWS_CONTAINER_CREDENTIALS_FULL_URI): {dir}/token: No such file",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        variables={**CONTAINER, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "{dir}/token"},
    ),
    "a container's token with a line end": Case(
        "contains a line end", "without one",
        variables={**CONTAINER, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "{dir}/token"}, files={"token": f"{TOKEN}\n"},
    ),
    "a metadata service whose address is none": Case(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT is not valid", "Correct AWS_EC2_METADATA_SERVICE_ENDPOINT",
        variables={"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "not an address"},
    ),
    "a metadata service whose mode is none": Case(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE is not valid", "Correct AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
        variables={"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv5"},
    ),
}  # fmt: skip


class Services(FakeService):
    """IAM Identity Center, STS and a container's credential service, as they refuse."""

    @route("GET", r"/(unauthorized|forbidden)/federation/credentials")
    def sso(self, request: ReceivedRequest, how: str) -> Reply:
        status, code = (401, "UnauthorizedException") if how == "unauthorized" else (403, "ForbiddenException")
        raise Refusal(status, {"message": "No access"}, {"x-amzn-ErrorType": code})

    @route("POST", r"/(ExpiredTokenException|InvalidIdentityToken|AccessDenied)/?")
    def sts(self, request: ReceivedRequest, code: str) -> Reply:
        body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{TOKEN}</Message></Error></ErrorResponse>"
        return Reply(403 if code == "AccessDenied" else 400, body.encode())

    @route("GET", r"/credentials")
    def container(self, request: ReceivedRequest) -> Reply:
        raise Refusal(500, {"message": TOKEN})

    @route("GET", r"/expired")
    def expired(self, request: ReceivedRequest) -> Reply:
        ends = {"Expiration": "2020-01-01T00:00:00Z", "Token": TOKEN}
        return Reply(200, {"AccessKeyId": "ASIAIOSFODNN7EXAMPLE", "SecretAccessKey": TOKEN, **ends})

    @route("GET", r"/other")
    def other(self, request: ReceivedRequest) -> Reply:
        return Reply(200, {"message": TOKEN})
