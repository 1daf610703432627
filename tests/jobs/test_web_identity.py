"""Without any key: the token of the CI system, or the role of the instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.ci_systems import ENTRA, TokenService, become, program
from support.commands import twokey
from support.issuers import AUDIENCE, Issuer, web_role
from support.roles import make_role
from twokey.emulator import KeyPair, Rule
from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.rig import Rig

OPERATION = "sts:AssumeRoleWithWebIdentity"


class Grants(TokenService):
    """Grants tokens that an issuer signs."""

    def __init__(self, issuer: Issuer) -> None:
        super().__init__()
        self.signing = issuer

    def _grant(self, audience: str) -> str:
        return self.signing.token(aud=audience)


@pytest.fixture
def issuer(rig: Rig) -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture
def arn(rig: Rig, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A role for the job, which has no key at all."""
    arn = web_role(rig.aws, issuer.provide(rig.aws))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    return arn


@pytest.fixture
def grants(issuer: Issuer) -> Iterator[Grants]:
    with Grants(issuer) as running:
        yield running


def who(rig: Rig, document: dict[str, Any]) -> str:
    key = KeyPair(document["AccessKeyId"], document["SecretAccessKey"], document["SessionToken"])
    arn: str = rig.aws.client("sts", key).get_caller_identity()["Arn"]
    return arn


SYSTEMS: dict[str, Callable[[Issuer, Grants, Path], dict[str, str]]] = {
    "github": lambda _issuer, grants, _folder: {**grants.github_job(), "GITHUB_REPOSITORY": "acme/site"},
    "gitlab": lambda issuer, _grants, _folder: {"GITLAB_CI": "true", "TWOKEY_ID_TOKEN": issuer.token()},
    "bitbucket": lambda issuer, _grants, _folder: {
        "BITBUCKET_BUILD_NUMBER": "7",
        "BITBUCKET_STEP_OIDC_TOKEN": issuer.token(),
    },
    "terraform": lambda issuer, _grants, _folder: {
        "TFC_RUN_ID": "run-1",
        "TFC_WORKLOAD_IDENTITY_TOKEN": issuer.token(),
    },
    "circleci": lambda issuer, _grants, folder: {"CIRCLECI": "true", "PATH": printing(folder, "circleci", issuer)},
    "buildkite": lambda issuer, _grants, folder: {
        "BUILDKITE": "true",
        "PATH": printing(folder, "buildkite-agent", issuer),
    },
}


def printing(folder: Path, name: str, issuer: Issuer) -> str:
    """Make a program that prints a token; return the PATH with it."""
    program(folder, name, f"print({issuer.token()!r})")
    return f"{folder}:/usr/bin:/bin"


class TestTheTokenOfACiSystem:
    @pytest.mark.parametrize("system", SYSTEMS)
    def test_is_a_session_of_the_role_named_after_the_job(
        self,
        rig: Rig,
        arn: str,
        issuer: Issuer,
        grants: Grants,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        system: str,
    ) -> None:
        become(monkeypatch, **SYSTEMS[system](issuer, grants, tmp_path))
        ran = twokey("env", "--web-identity", "--role", arn, "--format", "process")
        assert ran.code == 0, ran.err
        assert f":assumed-role/deploy/{system}" in who(rig, ran.document)

    def test_of_azure_is_for_entra_which_the_provider_in_iam_has_to_name(
        self, rig: Rig, issuer: Issuer, grants: Grants, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provider = issuer.provide(rig.aws, ENTRA)
        condition = {"StringEquals": {"token.actions.githubusercontent.com:aud": ENTRA}}
        make_role(rig.aws, "azure", condition=condition)
        document = rig.aws.client("iam").get_role(RoleName="azure")["Role"]["AssumeRolePolicyDocument"]
        document["Statement"][0] |= {"Principal": {"Federated": provider}, "Action": OPERATION}
        import json

        rig.aws.client("iam").update_assume_role_policy(RoleName="azure", PolicyDocument=json.dumps(document))
        become(monkeypatch, **grants.azure_job())
        arn = f"arn:aws:iam::{rig.aws.account_id}:role/azure"
        ran = twokey("env", "--web-identity", "--role", arn, "--format", "process")
        assert ran.code == 0, ran.err

    def test_is_read_again_from_a_file_at_each_refresh(
        self, rig: Rig, arn: str, issuer: Issuer, tmp_path: Path
    ) -> None:
        file = tmp_path / "token"
        file.write_text(issuer.token())
        ran = twokey("credential-process", "--web-identity", str(file), "--role", arn)
        assert ran.code == 0, ran.err
        file.write_text(issuer.token(sub="repo:acme/other"))
        assert twokey("credential-process", "--web-identity", str(file), "--role", arn).code == 1

    def test_begins_a_chain(self, rig: Rig, arn: str, issuer: Issuer, tmp_path: Path) -> None:
        make_role(rig.aws, "next", arn)
        (tmp_path / "token").write_text(issuer.token())
        options = ("--web-identity", str(tmp_path / "token"), "--role", arn, "--role", "next")
        ran = twokey("credential-process", *options)
        assert ran.code == 0, ran.err
        assert ":assumed-role/next/" in who(rig, ran.document)


class TestWhatGoesWrong:
    """One clear sentence each."""

    @pytest.mark.parametrize(
        ("claims", "says"),
        [
            ({"aud": "https://gitlab.com"}, "AWS does not accept the OIDC token: Incorrect token audience."),
            ({"iss": "https://gitlab.com"}, "No OpenIDConnect provider found in your account for https://gitlab.com"),
            ({"sub": "repo:acme/fork"}, "sub repo:acme/fork, aud sts.amazonaws.com"),
            ({"exp": 1}, "it ended at 1970-01-01T00:00:01Z"),
            ({"key": "another"}, "AWS does not accept the OIDC token: The web identity token is not valid"),
        ],
        ids=str,
    )
    def test_with_a_token(
        self, rig: Rig, arn: str, issuer: Issuer, tmp_path: Path, claims: dict[str, Any], says: str
    ) -> None:
        (tmp_path / "token").write_text(issuer.token(**claims))
        ran = twokey("credential-process", "--web-identity", str(tmp_path / "token"), "--role", arn)
        assert (ran.code, ran.out) == (1, "")
        assert says in ran.err

    @pytest.mark.parametrize(
        ("code", "says"),
        [
            ("ExpiredTokenException", "The OIDC token has expired."),
            ("IDPRejectedClaim", "The OIDC provider rejected the token"),
            ("IDPCommunicationError", "AWS cannot reach the OIDC provider"),
        ],
    )
    def test_at_aws(self, rig: Rig, arn: str, issuer: Issuer, tmp_path: Path, code: str, says: str) -> None:
        (tmp_path / "token").write_text(issuer.token())
        rule = Rule(OPERATION, effect="error_before", code=code, status=400, message="Refused", times=None)
        rig.aws.weather.add(rule)
        ran = twokey("credential-process", "--web-identity", str(tmp_path / "token"), "--role", arn)
        assert ran.code == 1
        assert says in ran.err

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("--web-identity", "--role", "deploy"), "No source of identity tokens was found"),
            (("ci", "--web-identity", "--role", "deploy"), "Leave out USER and --store"),
            (("--role", "deploy", "--web-identity"), "No source of identity tokens was found"),
            (("--web-identity",), "no role is set"),
        ],
    )
    def test_with_the_command_line(self, rig: Rig, arguments: tuple[str, ...], says: str) -> None:
        ran = twokey("credential-process", *arguments)
        assert (ran.code, ran.out) == (2, "")
        assert says in ran.err

    def test_with_a_jobs_definition_is_told_with_the_audience_that_it_has_to_name(
        self, rig: Rig, arn: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        become(monkeypatch, GITLAB_CI="true")
        ran = twokey("credential-process", "--web-identity", "--role", arn)
        assert ran.code == 2
        assert "Add id_tokens: {TWOKEY_ID_TOKEN: {aud: sts.amazonaws.com}} to the job in .gitlab-ci.yml" in ran.err

    def test_with_a_name_whose_account_is_not_known(self, rig: Rig, arn: str, issuer: Issuer, tmp_path: Path) -> None:
        (tmp_path / "token").write_text(issuer.token())
        ran = twokey("credential-process", "--web-identity", str(tmp_path / "token"), "--role", "deploy")
        assert ran.code == 2
        assert "without a key its account is not known" in ran.err


class Metadata(FakeService):
    """The metadata service of an EC2 instance, in the version that needs a token ("Use IMDSv2", EC2 User Guide)."""

    def __init__(self, session: dict[str, Any]) -> None:
        super().__init__()
        self._session = session

    def authorize(self, request: ReceivedRequest) -> None:
        if request.method == "GET" and request.headers.get("X-Aws-Ec2-Metadata-Token") != "metadata-token":
            raise Refusal(401, {})

    @route("PUT", r"/latest/api/token")
    def token(self, _request: ReceivedRequest) -> Reply:
        return Reply(200, b"metadata-token")

    @route("GET", r"/latest/meta-data/iam/security-credentials/")
    def name(self, _request: ReceivedRequest) -> Reply:
        return Reply(200, b"instance")

    @route("GET", r"/latest/meta-data/iam/security-credentials/instance")
    def credentials(self, _request: ReceivedRequest) -> Reply:
        return Reply(200, {"Code": "Success", **self._session})


@pytest.fixture
def instance(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Be an EC2 instance with a role of its own, and with no other credentials; return the role's ARN."""
    arn = make_role(rig.aws, "instance", f"arn:aws:iam::{rig.aws.account_id}:user/admin/administrator")
    session = rig.aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="i-0a1b2c3d")["Credentials"]
    session |= {"Token": session.pop("SessionToken"), "Expiration": f"{session['Expiration']:%Y-%m-%dT%H:%M:%SZ}"}
    become(monkeypatch, AWS_EC2_METADATA_DISABLED="false")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with Metadata(session) as running:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", running.url)
        yield arn


class TestOnAnInstance:
    @pytest.mark.parametrize("options", [(), ("--web-identity",)])
    def test_of_ec2_its_own_role_is_used_and_no_machine_user_is_needed(
        self, rig: Rig, instance: str, options: tuple[str, ...]
    ) -> None:
        make_role(rig.aws, "deploy", instance, key=rig.aws.admin)
        ran = twokey("credential-process", *options, "--role", "deploy")
        assert ran.code == 0, ran.err
        assert ":assumed-role/deploy/" in who(rig, ran.document)
        assert "This runs on EC2: its own role is used, and no machine user is needed." in ran.err

    def test_of_ec2_a_machine_user_whose_store_that_role_reads_gets_a_warning(self, rig: Rig, instance: str) -> None:
        rig.aws.make_user("ci", keys=0)
        rig.fill(rig.aws.admin)
        ran = twokey("credential-process", "--store", "secretsmanager:machine-users/ci")
        assert ran.code == 0, ran.err
        assert "This runs on EC2, which has a role of its own: no machine user is needed." in ran.err

    def test_of_eks_with_a_token_of_the_pod_its_own_role_is_used(
        self, rig: Rig, arn: str, issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_role(rig.aws, "next", arn, key=rig.aws.admin)
        (tmp_path / "token").write_text(issuer.token())
        become(monkeypatch, AWS_ROLE_ARN=arn, AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "token"))
        ran = twokey("credential-process", "--role", "next")
        assert ran.code == 0, ran.err
        assert ":assumed-role/next/" in who(rig, ran.document)
        assert "This runs on EKS: its own role is used, and no machine user is needed." in ran.err

    @pytest.mark.parametrize(
        ("variables", "service"),
        [
            ({"AWS_LAMBDA_FUNCTION_NAME": "job"}, "Lambda"),
            ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}, "EKS"),
            ({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x"}, "ECS"),
        ],
    )
    def test_its_own_role_is_used_and_no_machine_user_is_needed(
        self, rig: Rig, variables: dict[str, str], service: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The administrator's key stands in for the instance's."""
        make_role(rig.aws, "deploy", f"arn:aws:iam::{rig.aws.account_id}:user/admin/administrator")
        become(monkeypatch, **variables)
        for options in ((), ("--web-identity",)):
            ran = twokey("credential-process", *options, "--role", "deploy")
            assert ran.code == 0, ran.err
            assert f"This runs on {service}: its own role is used, and no machine user is needed." in ran.err

    def test_a_machine_user_gets_a_warning(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        rig.settled()
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "job")
        ran = twokey("credential-process", "--store", "secretsmanager:machine-users/ci")
        assert ran.code == 0
        assert "This runs on Lambda, which has a role of its own: no machine user is needed." in ran.err

    def test_the_endpoint_of_twokey_itself_is_no_instance(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/credentials")
        assert twokey("credential-process").err == ""


def test_the_audience_is_that_of_aws() -> None:
    from twokey.fleet import for_jobs

    assert for_jobs.AUDIENCE == AUDIENCE
