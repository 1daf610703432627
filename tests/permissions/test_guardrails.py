"""The policies for machine users do what they say, as the emulator evaluates them."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from support.commands import twokey
from twokey.permissions.pipelines import SYSTEMS

if TYPE_CHECKING:
    from support.rig import Rig
    from twokey.emulator import Emulator, KeyPair

INSIDE = {"X-Emulator-Source-Ip": "203.0.113.7"}
OUTSIDE = {"X-Emulator-Source-Ip": "198.51.100.7"}
OUR_VPC = {"X-Emulator-Source-Vpce": "vpce-0aaaaaaaa", "X-Emulator-Source-Vpc": "vpc-0aaaaaaaa"}
OTHER_VPC = {"X-Emulator-Source-Vpce": "vpce-0bbbbbbbb", "X-Emulator-Source-Vpc": "vpc-0bbbbbbbb"}
BY_A_SERVICE = {**OUTSIDE, "X-Emulator-Via-Aws-Service": "true"}
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def policy(*arguments: str) -> str:
    """The document that ``twokey policy`` prints."""
    ran = twokey("policy", *arguments, "-q")
    assert (ran.code, ran.err) == (0, "")
    return ran.out


def attach(aws: Emulator, name: str, document: str) -> None:
    aws.client("iam").put_user_policy(UserName="ci", PolicyName=name, PolicyDocument=document)


@pytest.fixture
def aws(rig: Rig) -> Emulator:
    return rig.aws


@pytest.fixture
def ci(aws: Emulator) -> KeyPair:
    key = aws.make_user("ci", keys=1)[0]
    attach(aws, "everything", json.dumps(EVERYTHING))
    return key


def denied(client: Any, headers: dict[str, str]) -> bool:
    """Whether a request with these headers is denied."""

    def add(request: Any, **_: Any) -> None:
        for name, value in headers.items():
            request.headers[name] = value

    client.meta.events.register("before-sign.iam.*", add)
    try:
        client.list_users()
    except client.exceptions.ClientError as error:
        return str(error.response["Error"]["Code"]) == "AccessDenied"
    return False


class TestTheGuardBySourceAddress:
    @pytest.mark.parametrize(
        ("arguments", "headers", "expected"),
        [
            ((), INSIDE, False),
            ((), OUTSIDE, True),
            ((), BY_A_SERVICE, False),
            ((), OUR_VPC, True),
            (("--vpc", "vpc-0aaaaaaaa"), INSIDE, False),
            (("--vpc", "vpc-0aaaaaaaa"), OUTSIDE, True),
            (("--vpc", "vpc-0aaaaaaaa"), BY_A_SERVICE, False),
            (("--vpc", "vpc-0aaaaaaaa"), OUR_VPC, False),
            (("--vpc", "vpc-0aaaaaaaa"), OTHER_VPC, True),
            (("--vpce", "vpce-0aaaaaaaa"), OUR_VPC, False),
            (("--vpce", "vpce-0aaaaaaaa"), OTHER_VPC, True),
            (("--vpce", "vpce-0aaaaaaaa"), {**OTHER_VPC, "X-Emulator-Via-Aws-Service": "true"}, False),
        ],
    )
    def test_denies_what_comes_from_elsewhere_and_nothing_else(
        self, aws: Emulator, ci: KeyPair, arguments: tuple[str, ...], headers: dict[str, str], expected: bool
    ) -> None:
        attach(aws, "guard", policy("source-ip", "--allow", "203.0.113.0/24", "--allow", "2001:db8::/32", *arguments))
        assert denied(aws.client("iam", ci), headers) is expected

    @pytest.mark.parametrize(
        ("network", "expected"),
        [
            ("10.0.0.0/8", "is private"),
            ("fd00::/8", "is private"),
            ("0.0.0.0/0", "allows every address"),
            ("::/0", "allows every address"),
            ("203.0.113.1/24", "has host bits set"),
            ("example.org", "--allow: expected a network in CIDR notation, got 'example.org'"),
        ],
    )
    def test_of_a_network_that_cannot_be_meant_is_refused(self, network: str, expected: str) -> None:
        ran = twokey("policy", "source-ip", "--allow", network)
        assert (ran.code, ran.out) == (2, "")
        assert expected in ran.err

    def test_without_a_network_is_refused(self) -> None:
        assert "Add --allow CIDR." in twokey("policy", "source-ip").err

    @pytest.mark.parametrize("option", [("--vpc", "vpce-0aaaaaaaa"), ("--vpce", "vpc-0aaaaaaaa"), ("--vpc", "*")])
    def test_of_what_is_no_vpc_is_refused(self, option: tuple[str, str]) -> None:
        ran = twokey("policy", "source-ip", "--allow", "203.0.113.0/24", *option)
        assert ran.code == 2
        assert f"{option[0]}: expected an ID" in ran.err


class TestAMachineUser:
    ROLE = "arn:aws:iam::123456789012:role/deploy"

    def role(self, aws: Emulator, trust: str, name: str = "deploy") -> None:
        aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)

    def assume(self, aws: Emulator, ci: KeyPair, role: str = ROLE, **more: Any) -> None:
        aws.client("sts", ci).assume_role(RoleArn=role, RoleSessionName="job", **more)

    def test_assumes_its_role_and_does_nothing_else_whatever_else_is_attached(self, aws: Emulator, ci: KeyPair) -> None:
        trust = policy("role-trust", "--principal", "arn:aws:iam::123456789012:user/machine-users/ci")
        for name in ("deploy", "other"):
            self.role(aws, trust, name)
        attach(aws, "only", policy("machine-user", "--role", self.ROLE))
        self.assume(aws, ci)
        assert denied(aws.client("iam", ci), {})

    def test_without_its_role_in_the_policy_may_not_assume_it(self, aws: Emulator) -> None:
        key = aws.make_user("ci", keys=1)[0]
        self.role(aws, policy("role-trust", "--principal", "123456789012"), "other")
        attach(aws, "only", policy("machine-user", "--role", self.ROLE))
        with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
            self.assume(aws, key, "arn:aws:iam::123456789012:role/other")

    def test_needs_the_external_id_of_the_trust_policy(self, aws: Emulator, ci: KeyPair) -> None:
        user = "arn:aws:iam::123456789012:user/machine-users/ci"
        self.role(aws, policy("role-trust", "--principal", user, "--external-id", "acme-1"))
        attach(aws, "only", policy("machine-user", "--role", self.ROLE))
        with pytest.raises(ClientError, match="sts:AssumeRole"):
            self.assume(aws, ci, ExternalId="acme-2")
        self.assume(aws, ci, ExternalId="acme-1")

    @pytest.mark.parametrize("role", ["deploy", "*", "arn:aws:iam::*:role/deploy", "arn:aws:iam::123456789012:user/ci"])
    def test_gets_no_role_that_is_not_named_by_its_arn(self, role: str) -> None:
        ran = twokey("policy", "machine-user", "--role", role)
        assert ran.code == 2
        assert "expected the ARN of a role" in ran.err


class TestTiers:
    CONFIG = """
version: 1
tiers:
  production:
    path: /ci/production/
    roles: ["arn:aws:iam::111122223333:role/production-*"]
    reaches: [test]
  test:
    users: ["*"]
    roles: ["arn:aws:iam::111122223333:role/test"]
machine_users:
  - path: /ci/
    store: secretsmanager:ci/{user}
"""

    @pytest.fixture(autouse=True)
    def _configured(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        tmp_path.joinpath("twokey.yaml").write_text(self.CONFIG)

    def roles(self, *arguments: str) -> Any:
        return json.loads(policy("machine-user", *arguments))["Statement"][0]["Resource"]

    def test_a_tier_has_its_roles_and_those_of_the_tiers_that_it_reaches(self) -> None:
        production, test = "arn:aws:iam::111122223333:role/production-*", "arn:aws:iam::111122223333:role/test"
        assert self.roles("--tier", "production") == [production, test]
        assert self.roles("--tier", "test") == test

    def test_without_a_choice_there_is_a_policy_for_each(self) -> None:
        assert list(json.loads(policy("machine-user"))) == ["production", "test"]

    def test_an_unknown_tier_is_named_with_those_that_exist(self) -> None:
        assert "Its tiers: production, test." in twokey("policy", "machine-user", "--tier", "prod").err

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            (("reaches: [test]", "reaches: [tset]"), "line 7: `reaches`: expected another tier (test), got `tset`."),
            (
                ("reaches: [test]", "reaches: [production]"),
                "line 7: `reaches`: expected another tier (test), got `production`.",
            ),
            (('    users: ["*"]\n', ""), "line 8: the tier `test` has no user."),
            (("path: /ci/production/", "path: ''"), "line 5"),
            (("reaches: [test]", "reach: [test]"), "line 7: unknown key `reach`; did you mean `reaches`?"),
        ],
    )
    def test_a_wrong_tier_is_an_error_with_its_line(
        self, tmp_path: Any, change: tuple[str, str], expected: str
    ) -> None:
        tmp_path.joinpath("twokey.yaml").write_text(self.CONFIG.replace(*change))
        ran = twokey("policy", "machine-user")
        assert ran.code == 2
        assert expected in ran.err


class TestATrustPolicy:
    def test_of_jobs_names_provider_audience_and_exact_subject(self) -> None:
        subject = "repo:acme/site:ref:refs/heads/main"
        arguments = ("--oidc", "https://token.actions.githubusercontent.com", "--sub", subject)
        [statement] = json.loads(policy("role-trust", *arguments, "--account", "123456789012"))["Statement"]
        provider = "token.actions.githubusercontent.com"
        assert statement["Principal"] == {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{provider}"}
        expected = {f"{provider}:aud": "sts.amazonaws.com", f"{provider}:sub": subject}
        assert statement["Condition"] == {"StringEquals": expected}

    def test_of_jobs_in_the_example_has_audience_and_subject_of_its_issuer(self) -> None:
        shown = twokey("policy", "role-trust", "--help").out.replace("\\\n", "")  # as a shell reads it
        [line] = re.findall(r"twokey policy (role-trust --oidc .+)", shown)
        words = shlex.split(line)
        system = next(one for one in SYSTEMS if one.issuer == words[words.index("--oidc") + 1])
        assert words[words.index("--sub") + 1] == system.subject_of("acme/site")
        document = json.loads(policy(*words, "--account", "123456789012"))
        assert document["Statement"][0]["Condition"]["StringEquals"][f"{system.issuer}:aud"] == system.audience

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ((), "expected either --principal or --oidc"),
            (("--principal", "*"), "expected the ARN of a user or role"),
            (("--principal", "arn:aws:iam::123456789012:root"), "expected the ARN of a user or role"),
            (("--oidc", "gitlab.com"), "without a subject"),
            (("--oidc", "gitlab.com", "--sub", "project_path:acme/*"), "has a wildcard"),
            (("--oidc", "git lab", "--sub", "x"), "expected the issuer's URL"),
            (("--principal", "123456789012", "--external-id", "x"), "expected 2 to 1,224"),
        ],
    )
    def test_that_anyone_could_use_is_refused(self, arguments: tuple[str, ...], expected: str) -> None:
        account = ("--account", "123456789012") if "--oidc" in arguments else ()
        ran = twokey("policy", "role-trust", *arguments, *account)
        assert (ran.code, ran.out) == (2, "")
        assert expected in ran.err
