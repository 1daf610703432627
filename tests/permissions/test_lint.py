"""``twokey lint`` finds what is planted in an account, and nothing in a clean one, with a few requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.commands import twokey
from twokey.permissions.findings import RULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.rig import Rig

ACCOUNT = "arn:aws:iam::123456789012"
CONFIG = """
version: 1
tiers:
  production:
    path: /ci/production/
    roles: ["arn:aws:iam::123456789012:role/production-*", "arn:aws:iam::111122223333:role/production-*"]
    reaches: [test]
  test:
    tags: {tier: test}
    users: ["test-*"]
    roles: ["arn:aws:iam::123456789012:role/test-*"]
machine_users:
  - path: /ci/
    store: secretsmanager:ci/{user}
"""


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def trusting(principal: Any, condition: Any = None, action: str = "sts:AssumeRole") -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": action}
    return document({**statement, **({"Condition": condition} if condition else {})})


def oidc(condition: Any) -> str:
    provider = {"Federated": f"{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"}
    return trusting(provider, condition, "sts:AssumeRoleWithWebIdentity")


GUARD = {
    "Effect": "Deny",
    "Action": "*",
    "Resource": "*",
    "Condition": {"NotIpAddress": {"aws:SourceIp": ["203.0.113.0/24"]}, "Bool": {"aws:ViaAWSService": "false"}},
}
TO_TEST = allow("sts:AssumeRole", f"{ACCOUNT}:role/test-deploy")
SUB, AUD = (f"token.actions.githubusercontent.com:{name}" for name in ("sub", "aud"))
BRANCH = "repo:acme/site:ref:refs/heads/main"


class Planting:
    """An account with the roles and users that are planted in it."""

    def __init__(self, rig: Rig) -> None:
        self.aws = rig.aws
        self.iam = rig.aws.client("iam")
        self.role("production-deploy", trusting({"AWS": "123456789012"}))
        self.role("test-deploy", trusting({"AWS": "123456789012"}))

    def role(self, name: str, trust: str, *statements: dict[str, Any]) -> None:
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        if statements:
            self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))

    def user(self, name: str, *statements: dict[str, Any], path: str = "/ci/", guard: Any = GUARD) -> str:
        self.aws.make_user(name, path=path, keys=1)
        own = [*statements, *([guard] if guard else [])]
        if own:
            self.iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document(*own))
        return name

    def policy(self, name: str, *statements: dict[str, Any]) -> str:
        made = self.iam.create_policy(PolicyName=name, PolicyDocument=document(*statements))
        return str(made["Policy"]["Arn"])

    def group(self, user: str, *statements: dict[str, Any]) -> None:
        self.iam.create_group(GroupName=f"of-{user}")
        self.iam.put_group_policy(GroupName=f"of-{user}", PolicyName="g", PolicyDocument=document(*statements))
        self.iam.add_user_to_group(GroupName=f"of-{user}", UserName=user)


def attached(at: Planting, arn: str) -> None:
    at.iam.attach_user_policy(UserName=at.user("u", TO_TEST), PolicyArn=arn)


def version(at: Planting, first: dict[str, Any], second: dict[str, Any], *, default: bool) -> str:
    arn = at.policy("versions", first)
    at.iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(second), SetAsDefault=default)
    return arn


def chain(at: Planting) -> None:
    at.role("helper", trusting({"AWS": f"{ACCOUNT}:user/ci/test-u"}), allow("sts:AssumeRole", f"{ACCOUNT}:role/prod*"))
    at.user("test-u", TO_TEST)


def through(at: Planting) -> None:
    at.user("production-u", path="/ci/production/")
    at.role("test-admin", trusting({"AWS": "123456789012"}), allow("iam:Create*", f"{ACCOUNT}:user/ci/*"))
    at.user("test-u", allow("sts:AssumeRole", f"{ACCOUNT}:role/test-*"))


def tagged(at: Planting) -> None:
    at.user("u", allow("sts:AssumeRole", f"{ACCOUNT}:role/*"))
    at.iam.tag_user(UserName="u", Tags=[{"Key": "tier", "Value": "test"}])


def named_by_the_role(at: Planting) -> None:
    at.user("test-u", TO_TEST)
    at.role("production-x", trusting({"AWS": f"{ACCOUNT}:user/ci/test-u"}))


def passed(at: Planting) -> None:
    at.role("production-jobs", trusting({"Service": "lambda.amazonaws.com"}))
    at.user("test-u", allow(["iam:PassRole", "lambda:CreateFunction"]))


def password(at: Planting) -> None:
    at.iam.create_login_profile(UserName=at.user("u", TO_TEST), Password="Pass-word-1")


def no_guard_at_all(at: Planting) -> None:
    at.user("u", TO_TEST, guard=None)


PLANTED: dict[str, tuple[str, Callable[[Planting], object]]] = {
    "an inline policy": ("TK101", lambda at: at.user("u", TO_TEST, allow("s3:GetObject", "arn:aws:s3:::b/*"))),
    "a NotAction": (
        "TK101",
        lambda at: at.user("u", {"Effect": "Allow", "NotAction": "s3:*", "Resource": "arn:aws:s3:::b"}),
    ),
    "an action in another case": ("TK101", lambda at: at.user("u", allow("STS:assumerole"), allow("EC2:Run*"))),
    "an attached policy": ("TK102", lambda at: attached(at, at.policy("more", allow(["s3:*"])))),
    "a version that became the default": (
        "TK102",
        lambda at: attached(at, version(at, allow("sts:AssumeRole", "*"), allow("s3:*"), default=True)),
    ),
    "a policy of AWS": ("TK104", lambda at: attached(at, "arn:aws:iam::aws:policy/AdministratorAccess")),
    "a policy of a group": ("TK103", lambda at: at.group(at.user("u", TO_TEST), allow("sqs:SendMessage"))),
    "everything": ("TK104", lambda at: at.user("u", allow("*"))),
    "a closed role": (
        "TK201",
        lambda at: at.user("test-u", allow("sts:AssumeRole", f"{ACCOUNT}:role/production-deploy")),
    ),
    "a closed role by a wildcard and a tag": ("TK201", tagged),
    "a closed role that names the user": ("TK201", named_by_the_role),
    "a closed role of another account": (
        "TK201",
        lambda at: at.user("test-u", allow("sts:AssumeRole", "arn:aws:iam::111122223333:role/production-x")),
    ),
    "a chain of roles": ("TK202", chain),
    "new keys for a closed user": (
        "TK203",
        lambda at: [at.user("p", path="/ci/production/"), at.user("test-u", allow("iam:CreateAccessKey"))],
    ),
    "new keys through a role": ("TK203", through),
    "a policy of a closed role": (
        "TK204",
        lambda at: at.user("test-u", allow("iam:PutRolePolicy", f"{ACCOUNT}:role/production-deploy")),
    ),
    "a passed role": ("TK205", passed),
    "the own policy": ("TK204", lambda at: at.user("test-u", allow("iam:PutUserPolicy", f"{ACCOUNT}:user/ci/test-u"))),
    "a console password": ("TK301", password),
    "no guard": ("TK401", no_guard_at_all),
    "a guard that lets everyone in": (
        "TK401",
        lambda at: at.user(
            "u", TO_TEST, guard={**GUARD, "Condition": {"NotIpAddress": {"aws:SourceIp": ["0.0.0.0/0", "::/0"]}}}
        ),
    ),
    "a guard that stops services": (
        "TK402",
        lambda at: at.user(
            "u", TO_TEST, guard={**GUARD, "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}
        ),
    ),
    "a guard that stops VPC endpoints": (
        "TK403",
        lambda at: at.user(
            "u",
            TO_TEST,
            {**GUARD, "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-0a1b2c3d"}}},
        ),
    ),
    "a private network in a guard": (
        "TK403",
        lambda at: at.user(
            "u",
            TO_TEST,
            guard={
                **GUARD,
                "Condition": {
                    "NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "203.0.113.0/24"]},
                    "Bool": {"aws:ViaAWSService": "false"},
                },
            },
        ),
    ),
    "a role for anyone": ("TK501", lambda at: at.role("open", trusting("*"))),
    "a role for any AWS principal": (
        "TK501",
        lambda at: at.role("open", trusting({"AWS": "*"}, {"Bool": {"aws:SecureTransport": "true"}})),
    ),
    "OIDC without a subject": ("TK502", lambda at: at.role("jobs", oidc({"StringEquals": {AUD: "sts.amazonaws.com"}}))),
    "OIDC with every subject": ("TK502", lambda at: at.role("jobs", oidc({"StringLike": {SUB: "*"}}))),
    "OIDC with a wildcard": ("TK503", lambda at: at.role("jobs", oidc({"StringLike": {SUB: "repo:acme/*"}}))),
    "OIDC for any audience": ("TK505", lambda at: at.role("jobs", oidc({"StringEquals": {SUB: BRANCH}}))),
    "ForAllValues": (
        "TK504",
        lambda at: at.role("jobs", oidc({"StringEquals": {SUB: BRANCH}, "ForAllValues:StringEquals": {AUD: "x"}})),
    ),
    "ForAllValues on the subject": (
        "TK502",
        lambda at: at.role("jobs", oidc({"ForAllValues:StringEquals": {SUB: BRANCH}})),
    ),
}
ALSO = {
    "a policy of AWS": {"TK201", "TK204"},
    "everything": {"TK201", "TK204"},
    "an action in another case": {"TK201"},
    "new keys for a closed user": {"TK101"},
    "a passed role": {"TK101"},
    "a policy of a closed role": {"TK101"},
    "the own policy": {"TK101"},
    "ForAllValues": {"TK505"},
    "OIDC with a wildcard": {"TK505"},
    "ForAllValues on the subject": {"TK504"},
}
"""What else each of these is: a user of no tier that may assume every role reaches production, for example."""


@pytest.fixture
def planting(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planting:
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("twokey.yaml").write_text(CONFIG)
    return Planting(rig)


def ids(*arguments: str) -> set[str]:
    ran = twokey("lint", "--json", *arguments)
    assert ran.code == 0, ran
    return {one["id"] for one in ran.document["findings"]}


@pytest.mark.parametrize("what", PLANTED)
def test_finds_what_is_planted_and_nothing_else(planting: Planting, what: str) -> None:
    rule, plant = PLANTED[what]
    plant(planting)
    assert ids() == {rule, *ALSO.get(what, set())}


def clean_account(at: Planting, users: int) -> None:
    """Users that assume their roles, in every way that is right."""
    at.role("jobs", oidc({"StringEquals": {SUB: BRANCH, AUD: "sts.amazonaws.com"}}))
    at.role("lambda", trusting({"Service": "lambda.amazonaws.com"}), allow("s3:*"))
    at.role("partner", trusting({"AWS": "arn:aws:iam::999988887777:root"}, {"StringEquals": {"sts:ExternalId": "a-1"}}))
    at.role("org", trusting({"AWS": "*"}, {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}))
    guard = at.policy("guard", GUARD)
    at.iam.create_policy_version(PolicyArn=guard, PolicyDocument=document(allow("*")), SetAsDefault=False)
    boundary = at.policy("boundary", allow("sts:AssumeRole"))
    vpc = {
        **GUARD,
        "Condition": {
            "NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"},
            "StringNotEquals": {"aws:SourceVpce": "vpce-0a1b2c3d"},
            "BoolIfExists": {"aws:ViaAWSService": "false"},
        },
    }
    nothing_else = {"Effect": "Deny", "NotAction": ["sts:AssumeRole", "sts:TagSession"], "Resource": "*"}
    for number in range(users):
        name = f"test-{number}" if number % 2 else f"u{number}"
        path = "/ci/" if number % 2 else "/ci/production/"
        role = allow("sts:AssumeRole", f"{ACCOUNT}:role/{'test-deploy' if number % 2 else 'production-*'}")
        match number % 4:
            case 0:
                at.user(name, role, path=path)
            case 1:
                at.iam.attach_user_policy(UserName=at.user(name, role, path=path, guard=None), PolicyArn=guard)
            case 2:
                at.user(name, role, allow("s3:*"), nothing_else, path=path, guard=vpc)
            case 3:
                at.user(name, role, path=path)
                at.iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=boundary)
                at.group(name, allow("dynamodb:*"))


def test_finds_nothing_in_a_clean_account_of_200_users_with_a_few_requests(planting: Planting, rig: Rig) -> None:
    clean_account(planting, 200)
    before = len(rig.aws.requests)
    ran = twokey("lint", "--fail-on", "low")
    assert (ran.code, ran.out) == (0, "")
    assert "no finding: 200 users" in ran.err
    operations = [one.operation for one in rig.aws.requests[before:]]
    assert sorted(set(operations)) == [
        "GenerateCredentialReport",
        "GetAccountAuthorizationDetails",
        "GetCredentialReport",
    ]
    assert operations.count("GetAccountAuthorizationDetails") == 1
    assert len(operations) <= 5


def test_finds_what_is_on_any_page(planting: Planting, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.aws._world, "page_size", 2)
    for number in range(5):
        planting.user(f"u{number}", TO_TEST, allow("s3:*"))
        planting.role(f"r{number}", trusting("*"))
    before = len(rig.aws.requests)
    found = [(one["id"], one["resource"].rpartition("/")[2]) for one in twokey("lint", "--json").document["findings"]]
    planted = [("TK101", f"u{number}") for number in range(5)] + [("TK501", f"r{number}") for number in range(5)]
    assert sorted(found) == planted
    pages = [one for one in rig.aws.requests[before:] if one.operation == "GetAccountAuthorizationDetails"]
    assert len(pages) >= 6


class TestTheSelection:
    def test_is_the_configuration_a_path_or_names(self, planting: Planting) -> None:
        planting.user("one", TO_TEST, allow("s3:*"))
        planting.user("two", TO_TEST, allow("*"), path="/other/")
        assert ids() == {"TK101"}
        assert "TK104" in ids("--path", "/other/")
        assert "TK104" in ids("two")
        assert ids("ONE") == {"TK101"}

    def test_of_a_name_that_no_user_has_is_an_error(self, planting: Planting) -> None:
        planting.user("one", TO_TEST)
        ran = twokey("lint", "one", "tow")
        assert ran.code == 2
        assert "There is no IAM user tow in this account." in ran.err

    def test_of_users_includes_the_roles_that_they_reach_and_no_others(self, planting: Planting) -> None:
        planting.user("one", TO_TEST)
        planting.role("reached", trusting({"AWS": "*"}))
        planting.role("other", oidc({"StringEquals": {AUD: "sts.amazonaws.com"}}))
        ran = twokey("lint", "one", "--json")
        assert [one["resource"] for one in ran.document["findings"]] == [f"{ACCOUNT}:role/reached"]


class TestTheExitCode:
    @pytest.mark.parametrize(("threshold", "code"), [("low", 4), ("high", 4), ("critical", 0)])
    def test_is_4_where_a_finding_is_severe_enough(self, planting: Planting, threshold: str, code: int) -> None:
        planting.user("u", TO_TEST, allow("s3:*"))
        assert twokey("lint").code == 0
        assert twokey("lint", "--fail-on", threshold).code == code


def test_keys_in_variables_of_a_ci_system_are_found_in_the_configuration(planting: Planting, tmp_path: Path) -> None:
    planting.user("u", TO_TEST)
    deliver = '    deliver: ["github:acme/site?id={USER}_ID&secret={USER}_SECRET"]\n'
    connection = "connections: {github: {token: {env: GITHUB_TOKEN}}}\n"
    tmp_path.joinpath("twokey.yaml").write_text(CONFIG + deliver + connection)
    assert ids() == {"TK601", "TK602"}


CLUSTER = """
apiVersion: v1
clusters: [{name: c, cluster: {server: "%s"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""


@pytest.mark.parametrize(
    ("server", "found"),
    [("https://0A1B.gr7.eu-west-1.eks.amazonaws.com", {"TK602"}), ("https://cluster.example", set[str]())],
)
def test_pods_of_eks_need_no_key(planting: Planting, tmp_path: Path, server: str, found: set[str]) -> None:
    planting.user("u", TO_TEST)
    tmp_path.joinpath("kubeconfig").write_text(CLUSTER % server)
    tmp_path.joinpath("kubeconfig").chmod(0o600)
    connection = "connections: {kubernetes: {kubeconfig: kubeconfig}}\n"
    tmp_path.joinpath("twokey.yaml").write_text(CONFIG + '    deliver: ["kubernetes:ci/{user}"]\n' + connection)
    assert ids() == found


def test_jobs_on_a_machine_of_aws_need_no_key(planting: Planting, monkeypatch: pytest.MonkeyPatch) -> None:
    planting.user("u", TO_TEST)
    with Path("twokey.yaml").open("a") as file:
        file.write('    deliver: ["file:keys/{user}.json"]\n')
    assert ids() == set()
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "jobs")
    ran = twokey("lint")
    assert "low TK602 u: The jobs that read file:keys/u.json run on Lambda" in ran.out


def test_a_report_that_may_not_be_read_leaves_passwords_unknown_and_says_so(planting: Planting, rig: Rig) -> None:
    from twokey.emulator import Rule

    password(planting)
    denied = "User: x is not authorized to perform: iam:GenerateCredentialReport on resource: *"
    rule = Rule("iam:GenerateCredentialReport", effect="error_before", status=403, code="AccessDenied", message=denied)
    rig.aws.weather.add(rule)
    rule.times = None
    ran = twokey("lint")
    assert "TK301" not in ran.out
    assert "console passwords are unknown" in ran.err


class TestSarif:
    def test_names_rules_results_and_stable_fingerprints(self, planting: Planting) -> None:
        planting.user("u", TO_TEST, allow("s3:*"))
        first, second = (json.loads(twokey("lint", "--format", "sarif").out) for _ in range(2))
        assert first == second
        [run] = first["runs"]
        assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["TK101"]
        [result] = run["results"]
        assert (result["ruleId"], result["ruleIndex"], result["level"]) == ("TK101", 0, "error")
        assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == f"{ACCOUNT}:user/ci/u"


def test_every_rule_is_planted() -> None:
    assert {rule for rule, _ in PLANTED.values()} | {"TK601", "TK602"} == set(RULES)
