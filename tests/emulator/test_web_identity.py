"""Sessions for the holders of OIDC tokens: whose tokens, for whom, and AWS's errors for all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.issuers import SUB, Issuer, web_role
from twokey.emulator import KeyPair, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twokey.emulator import Emulator


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture
def arn(aws: Emulator, issuer: Issuer) -> str:
    return web_role(aws, issuer.provide(aws))


def assume(aws: Emulator, arn: str, token: str, **more: Any) -> Any:
    nobody = KeyPair("AKIAIOSFODNN7EXAMPLE", "of no user")
    sts = aws.client("sts", nobody)
    return sts.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="run-1", WebIdentityToken=token, **more)


def test_a_token_is_a_session_without_any_key(aws: Emulator, issuer: Issuer, arn: str) -> None:
    response = assume(aws, arn, issuer.token())
    assert response["SubjectFromWebIdentityToken"] == SUB
    assert response["Audience"] == "sts.amazonaws.com"
    found = response["Credentials"]
    key = KeyPair(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
    assert aws.client("sts", key).get_caller_identity()["Arn"].endswith(":assumed-role/deploy/run-1")


def test_an_issuer_is_discovered_by_its_own_address(aws: Emulator) -> None:
    with Issuer() as issuer:
        issuer.issuer = issuer.url
        made = aws.client("iam").create_open_id_connect_provider(
            Url=issuer.url, ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40]
        )
        assume(aws, web_role(aws, made["OpenIDConnectProviderArn"]), issuer.token())


@pytest.mark.parametrize(
    ("claims", "code", "says"),
    [
        ({"key": "another"}, "InvalidIdentityToken", "Signature verification failed"),
        ({"kid": "another"}, "InvalidIdentityToken", "Couldn't retrieve verification key"),
        ({"iss": "https://gitlab.com"}, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for"),
        ({"aud": "https://github.com/acme"}, "InvalidIdentityToken", "Incorrect token audience"),
        ({"exp": 1}, "ExpiredTokenException", "Token expired: current date/time"),
        ({"exp": None}, "InvalidIdentityToken", "exp"),
        (
            {"sub": "repo:acme/site:ref:refs/heads/other"},
            "AccessDenied",
            "Not authorized to perform sts:AssumeRoleWith",
        ),
    ],
    ids=str,
)
def test_a_token_that_does_not_fit_is_refused_with_awss_error(
    aws: Emulator, issuer: Issuer, arn: str, refused: Callable[..., Any], claims: dict[str, Any], code: str, says: str
) -> None:
    error = refused(lambda: assume(aws, arn, issuer.token(**claims)))
    assert (error.code, error.status) == (code, 403 if code == "AccessDenied" else 400)
    assert says in error.message


def test_what_is_no_token_is_refused(aws: Emulator, arn: str, refused: Callable[..., Any]) -> None:
    assert "not a valid JWT" in refused(lambda: assume(aws, arn, "an access token")).message


def test_tokens_end_by_the_time_of_the_emulator(
    aws: Emulator, issuer: Issuer, arn: str, refused: Callable[..., Any]
) -> None:
    token = issuer.token()  # ten minutes of the machine's time
    aws.advance(300)
    assume(aws, arn, token)
    aws.advance(600)
    assert refused(lambda: assume(aws, arn, token)).code == "ExpiredTokenException"


def test_a_role_that_does_not_exist_or_trusts_users_only(
    aws: Emulator, issuer: Issuer, arn: str, refused: Callable[..., Any]
) -> None:
    assert refused(lambda: assume(aws, f"{arn}x", issuer.token())).code == "AccessDenied"


def test_the_roles_maximum_bounds_the_session(
    aws: Emulator, issuer: Issuer, arn: str, refused: Callable[..., Any]
) -> None:
    assert "MaxSessionDuration" in refused(lambda: assume(aws, arn, issuer.token(), DurationSeconds=7200)).message


def test_an_issuer_that_cannot_be_reached(aws: Emulator, issuer: Issuer, arn: str, refused: Callable[..., Any]) -> None:
    aws.set_issuer_keys(issuer.issuer, "http://127.0.0.1:1/keys")
    assert refused(lambda: assume(aws, arn, issuer.token())).code == "IDPCommunicationError"


def test_a_claim_that_the_provider_rejects_is_weather(
    aws: Emulator, issuer: Issuer, arn: str, refused: Callable[..., Any]
) -> None:
    rule = Rule("sts:AssumeRoleWithWebIdentity", effect="error_before", code="IDPRejectedClaim", status=403)
    aws.weather.add(rule)
    assert refused(lambda: assume(aws, arn, issuer.token())).code == "IDPRejectedClaim"
