"""What policies mean for ``twokey lint``: each way of writing one is found, or is not, as AWS would decide."""

from __future__ import annotations

from typing import Any

import pytest

from twokey.config.settings import Tier
from twokey.permissions.account import Account, Attached, Group, Principal
from twokey.permissions.advice import AdviceRequest, trust
from twokey.permissions.lint import lint
from twokey.permissions.pipelines import SYSTEMS, System

AT = "arn:aws:iam::123456789012"
GUARD = {
    "Effect": "Deny",
    "Action": "*",
    "Resource": "*",
    "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}, "Bool": {"aws:ViaAWSService": "false"}},
}
TIERS = (
    Tier("production", "/production/", (), {}, (f"{AT}:role/production-*",), ("test",)),
    Tier("test", "/test/", (), {}, (f"{AT}:role/test-*",), ()),
)
PRODUCTION = f"{AT}:role/production-deploy"
ROOT = {"AWS": f"{AT}:root"}
ADMIN = f"{AT}:policy/ops"


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def inline(*statements: dict[str, Any]) -> tuple[Attached, ...]:
    return (Attached("inline policy", "own", document(*statements)),)


def user(
    *statements: dict[str, Any], name: str = "u", path: str = "/test/", guard: Any = GUARD, **more: Any
) -> Principal:
    own = inline(*statements, *([guard] if guard else []))
    return Principal("user", name, path, f"{AT}:user{path}{name}", (*own, *more.pop("policies", ())), **more)


def role(name: str, principal: Any = None, *statements: dict[str, Any], **trust: Any) -> Principal:
    trusting = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal or ROOT, **trust}
    policies = inline(*statements) if statements else ()
    return Principal("role", name, "/", f"{AT}:role/{name}", policies, trust=document(trusting))


def found(*users: Principal, roles: Any = (), groups: Any = (), tiers: Any = TIERS, only: Any = None) -> set[str]:
    account = Account(users, tuple(roles), frozenset(), groups=tuple(groups))
    findings = lint(account, [only] if only else users, tiers, {}, every_role=False)
    return {one.id for one in findings}


TO_TEST = allow("sts:AssumeRole", f"{AT}:role/test-deploy")


class TestPermissionsBeyondAssumingRoles:
    @pytest.mark.parametrize(
        "statement",
        [
            allow("STS:AssumeRole", f"{AT}:role/test-x"),
            allow("sts:AssumeRole*", f"{AT}:role/test-x"),
            allow(["sts:TagSession", "sts:SetSourceIdentity"], f"{AT}:role/test-x"),
            deny("s3:*"),
        ],
    )
    def test_assuming_roles_is_none(self, statement: dict[str, Any]) -> None:
        assert found(user(statement)) == set()

    @pytest.mark.parametrize(
        "statement",
        [
            allow("sts:*", f"{AT}:role/test-x"),
            allow("sts:Get*", "*"),
            {"Effect": "Allow", "NotAction": "sts:*", "Resource": "arn:aws:s3:::b"},
            {"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::b/*"},
            allow("*", "arn:aws:s3:::b/*"),
            allow("s3:GetObject", "*", Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}),
        ],
    )
    def test_anything_else_is(self, statement: dict[str, Any]) -> None:
        assert found(user(statement), tiers=()) == {"TK101"}

    @pytest.mark.parametrize(
        "statement",
        [
            allow("*"),
            allow("*:*"),
            allow(["s3:GetObject", "*"], ["arn:aws:s3:::b", "*"]),
            {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
            {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::b"},
        ],
    )
    def test_everything_on_everything_is_more(self, statement: dict[str, Any]) -> None:
        assert found(user(statement), tiers=()) == {"TK104"}

    def test_everything_on_one_thing_beside_one_thing_on_everything_is_not_everything(self) -> None:
        own = user(allow("*", "arn:aws:s3:::b"), allow("sts:AssumeRole"))
        assert found(own, tiers=()) == {"TK101"}

    @pytest.mark.parametrize(
        "taken",
        [
            deny("s3:*"),
            deny("S3:Get*", "arn:aws:s3:::*"),
            {"Effect": "Deny", "NotAction": "sts:*", "Resource": "*"},
            {"Effect": "Deny", "Action": "*", "NotResource": f"{AT}:role/*"},
        ],
    )
    def test_what_a_deny_takes_away_does_not_count(self, taken: dict[str, Any]) -> None:
        assert found(user(allow("s3:GetObject", "arn:aws:s3:::b/*"), taken), tiers=()) == set()

    @pytest.mark.parametrize(
        "taken",
        [
            deny("s3:Put*"),
            deny("s3:*", "arn:aws:s3:::other/*"),
            deny("s3:*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}}),
            {"Effect": "Deny", "NotAction": "s3:Get*", "Resource": "*"},
        ],
    )
    def test_a_deny_of_something_else_takes_nothing_away(self, taken: dict[str, Any]) -> None:
        assert found(user(allow("s3:GetObject", "arn:aws:s3:::b/*"), taken), tiers=()) == {"TK101"}

    @pytest.mark.parametrize(
        ("limit", "left"),
        [
            (allow("sts:AssumeRole"), set[str]()),
            ({"Effect": "Allow", "NotAction": ["s3:*", "iam:*"], "Resource": "*"}, set()),
            (allow("s3:*", "arn:aws:s3:::other/*"), set()),
            (allow("s3:Get*"), {"TK101"}),
            (allow("*"), {"TK101"}),
        ],
    )
    def test_what_the_boundary_does_not_allow_does_not_count(self, limit: dict[str, Any], left: set[str]) -> None:
        own = user(allow("s3:*", "arn:aws:s3:::b/*"), boundary=document(limit))
        assert found(own, tiers=()) == left

    def test_everything_within_a_boundary_is_what_the_boundary_allows(self) -> None:
        assert found(user(allow("*"), boundary=document(allow("sts:AssumeRole"))), tiers=()) == set()
        assert found(user(allow("*"), boundary=document(allow("s3:*"))), tiers=()) == {"TK101"}

    def test_a_condition_on_the_user_itself_is_decided(self) -> None:
        other = allow("s3:*", Condition={"StringEquals": {"aws:username": "other"}})
        own = allow("s3:*", Condition={"StringLike": {"aws:PrincipalArn": f"{AT}:user/*/u"}})
        tagged = allow("s3:*", Condition={"StringEquals": {"aws:PrincipalTag/admin": "yes"}})
        assert found(user(other, tagged), tiers=()) == set()
        assert found(user(own), tiers=()) == {"TK101"}
        assert found(user(tagged, tags={"admin": "yes"}), tiers=()) == {"TK101"}


class TestReachingAClosedTier:
    @pytest.mark.parametrize(
        ("statement", "trust"),
        [
            (allow("sts:*", f"{AT}:role/production-*"), ROOT),
            (allow("*", f"{AT}:role/*"), {"AWS": "123456789012"}),
            ({"Effect": "Allow", "NotAction": "s3:*", "Resource": PRODUCTION}, ROOT),
            ({"Effect": "Allow", "Action": "sts:AssumeRole", "NotResource": f"{AT}:role/x"}, ROOT),
            (allow("sts:assumerole", f"{AT}:role/prod?ction-deploy"), ROOT),
            (allow("sts:AssumeRole", PRODUCTION, Condition={"StringEquals": {"sts:ExternalId": "x"}}), ROOT),
            (TO_TEST, {"AWS": ["999988887777", f"{AT}:user/test/u"]}),
            (TO_TEST, "*"),
        ],
    )
    def test_by_a_role_in_every_way_that_a_policy_is_written(self, statement: Any, trust: Any) -> None:
        assert "TK201" in found(user(statement), roles=[role("production-deploy", trust)])

    @pytest.mark.parametrize(
        ("statements", "trust"),
        [
            ([allow("sts:AssumeRole", f"{AT}:role/*"), deny("sts:AssumeRole", f"{AT}:role/production-*")], {}),
            ([allow("sts:AssumeRole"), deny("sts:*", NotResource="x")], {"Principal": {"AWS": "999988887777"}}),
            ([allow("sts:AssumeRole")], {"Principal": {"AWS": f"{AT}:user/test/other"}}),
            ([allow("sts:AssumeRole")], {"Condition": {"ArnLike": {"aws:PrincipalArn": f"{AT}:user/production/*"}}}),
            ([allow("sts:AssumeRole")], {"Condition": {"StringEquals": {"aws:PrincipalTag/tier": "production"}}}),
            (
                [
                    allow(
                        "sts:AssumeRole",
                        Condition={"StringEquals": {"aws:ResourceTag/tier": "${aws:PrincipalTag/tier}"}},
                    )
                ],
                {},
            ),
            ([allow("sts:AssumeRole")], {"NotPrincipal": {"AWS": f"{AT}:root"}, "Principal": None}),
        ],
    )
    def test_not_where_one_side_refuses(self, statements: Any, trust: Any) -> None:
        elements = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": ROOT, **trust}
        kept = {key: value for key, value in elements.items() if value is not None}
        closed = Principal("role", "production-deploy", "/", PRODUCTION, (), trust=document(kept), tags={"tier": "a"})
        assert found(user(*statements, tags={"tier": "test"}), roles=[closed]) == set()

    def test_not_where_the_trust_policy_denies_it(self) -> None:
        closed = role("production-deploy")
        refusing = {"Effect": "Deny", "Action": "sts:*", "Principal": {"AWS": f"{AT}:user/test/u"}}
        trust = document(*closed.trust["Statement"], refusing)  # type: ignore[index]
        closed = Principal("role", closed.name, "/", closed.arn, (), trust=trust)
        assert found(user(allow("sts:AssumeRole")), roles=[closed]) == set()

    def test_a_boundary_does_not_limit_a_trust_policy_that_names_the_user(self) -> None:
        own = user(boundary=document(allow("s3:*")))
        assert found(own, roles=[role("production-deploy", {"AWS": own.arn})]) == {"TK201"}
        assert found(own, roles=[role("production-deploy")]) == set()

    def test_through_roles_that_trust_each_other_in_a_circle(self) -> None:
        roles = [
            role("test-deploy", None, allow("sts:AssumeRole", f"{AT}:role/test-b")),
            role("test-b", {"AWS": f"{AT}:role/test-deploy"}, allow("sts:AssumeRole", f"{AT}:role/*")),
            role("test-c", {"AWS": "arn:aws:sts::123456789012:assumed-role/test-b/session"}),
            role("production-deploy", {"AWS": f"{AT}:role/test-c"}),
        ]
        assert found(user(TO_TEST), roles=roles) == {"TK202"}

    @pytest.mark.parametrize(
        ("more", "rules"),
        [
            ([], {"TK201"}),
            ([deny("sts:AssumeRole", "arn:aws:iam::*:role/production-*")], set[str]()),
            ([deny("sts:AssumeRole", "arn:aws:iam::*:role/production-a")], {"TK201"}),
        ],
    )
    def test_of_another_account_by_its_own_policies(self, more: Any, rules: set[str]) -> None:
        elsewhere = Tier("production", "/production/", (), {}, ("arn:aws:iam::111122223333:role/production-*",), ())
        tiers = (elsewhere, TIERS[1])
        assert found(user(allow("sts:AssumeRole"), *more), tiers=tiers) == rules
        hub = role("test-deploy", None, allow("sts:AssumeRole", "arn:aws:iam::*:role/*"), *more)
        assert found(user(TO_TEST), roles=[hub], tiers=tiers) == {one.replace("201", "202") for one in rules}
        within = document(allow("sts:AssumeRole", f"{AT}:role/*"))
        assert found(user(allow("sts:AssumeRole"), *more, boundary=within), tiers=tiers) == set()

    def test_a_user_of_no_tier_does_not_reach_production(self) -> None:
        roles = [role("production-deploy"), role("test-deploy")]
        assert found(user(TO_TEST, path="/other/"), roles=roles) == set()
        assert found(user(allow("sts:AssumeRole"), path="/other/"), roles=roles) == {"TK201"}


class TestChangingWhatOpensAClosedTier:
    CLOSED = (
        role("production-deploy"),
        role("production-lambda", {"Service": ["lambda.amazonaws.com", "edgelambda.amazonaws.com"]}),
    )
    OTHER = user(
        name="p",
        path="/production/",
        groups=("ops",),
        policies=(Attached("policy of the group", "ops", document(TO_TEST), "ops", ADMIN),),
    )
    GROUP = Group("ops", f"{AT}:group/ops", (Attached("policy of the group", "ops", document(TO_TEST), "ops", ADMIN),))

    @pytest.mark.parametrize(
        ("rule", "statement"),
        [
            ("TK203", allow("iam:CreateAccessKey", f"{AT}:user/production/*")),
            ("TK203", allow("iam:*LoginProfile")),
            ("TK204", allow("iam:UpdateAssumeRolePolicy", f"{AT}:role/*")),
            ("TK204", allow("IAM:attachROLEpolicy", PRODUCTION)),
            ("TK204", allow("iam:CreatePolicyVersion", f"{AT}:policy/*")),
            ("TK204", allow("iam:SetDefaultPolicyVersion", ADMIN)),
            ("TK204", allow("iam:AddUserToGroup", f"{AT}:group/ops")),
            ("TK204", allow("iam:PutGroupPolicy")),
            ("TK204", allow("iam:PutUserPolicy", f"{AT}:user/test/${{aws:username}}")),
            ("TK205", allow(["iam:PassRole", "lambda:*"])),
        ],
    )
    def test_is_found_for_the_user_and_for_a_role_that_it_reaches(self, rule: str, statement: Any) -> None:
        everything = {"roles": self.CLOSED, "groups": [self.GROUP]}
        own = user(statement)
        assert rule in found(own, self.OTHER, only=own, **everything)
        if "${" not in str(statement):
            everything["roles"] = (*self.CLOSED, role("test-deploy", None, statement))
            own = user(TO_TEST)
            assert rule in found(own, self.OTHER, only=own, **everything)

    @pytest.mark.parametrize(
        "statement",
        [
            allow("iam:CreateAccessKey", f"{AT}:user/test/*"),
            allow("iam:CreateAccessKey", f"{AT}:user/*/${{aws:username}}"),
            allow("iam:CreateAccessKey", Condition={"StringEquals": {"iam:ResourceTag/tier": "test"}}),
            allow("iam:CreateAccessKey", Condition={"StringEquals": {"aws:ResourceTag/tier": "test"}}),
            allow("iam:AddUserToGroup", f"{AT}:group/readers"),
            allow("iam:CreatePolicyVersion", f"{AT}:policy/other"),
            allow("iam:PassRole"),
            allow(["iam:PassRole", "ec2:RunInstances"]),
            allow(["iam:PassRole", "lambda:CreateFunction"], f"{AT}:role/test-*"),
        ],
    )
    def test_is_not_found_where_the_target_is_another(self, statement: Any) -> None:
        own = user(statement)
        readers = Group("readers", f"{AT}:group/readers", ())
        rules = found(own, self.OTHER, only=own, roles=self.CLOSED, groups=[self.GROUP, readers])
        assert rules == {"TK101"}

    def test_a_group_that_may_assume_a_closed_role_opens_it(self) -> None:
        own = user(allow("iam:AddUserToGroup", f"{AT}:group/*"))
        deployers = Group("d", f"{AT}:group/d", inline(allow("sts:AssumeRole", PRODUCTION)))
        assert "TK204" in found(own, roles=self.CLOSED, groups=[deployers])

    def test_the_own_policies_and_the_own_boundary_are_found(self) -> None:
        managed = (Attached("attached policy", "own", document(TO_TEST), arn=f"{AT}:policy/own"),)
        version = user(allow("iam:CreatePolicyVersion", f"{AT}:policy/own"), policies=managed)
        assert "TK204" in found(version)
        boundary: Any = {"boundary": document(allow("*")), "boundary_arn": f"{AT}:policy/limit"}
        assert "TK204" in found(user(allow("iam:DeleteUserPermissionsBoundary"), **boundary))
        assert "TK204" in found(user(allow("iam:CreatePolicyVersion"), **boundary))
        assert "TK204" not in found(user(allow("iam:DeleteUserPermissionsBoundary")))


def where(**condition: Any) -> dict[str, Any]:
    operators = {name.replace("_", ":"): value for name, value in condition.items()}
    return deny("*", Condition=operators)


DIRECT = {"aws:ViaAWSService": "false"}
OFFICE = {"aws:SourceIp": ["203.0.113.0/24", "2001:db8:1::/48"]}


class TestTheGuard:
    @pytest.mark.parametrize(
        "guards",
        [
            [where(NotIpAddress=OFFICE, Bool=DIRECT)],
            [where(NotIpAddressIfExists=OFFICE, BoolIfExists=DIRECT)],
            [where(NotIpAddress={"AWS:sourceip": "203.0.113.0/24"}, Bool={"aws:viaAWSservice": False})],
            [where(NotIpAddress=OFFICE, StringEquals=DIRECT)],
            [where(NotIpAddress=OFFICE, Null={"aws:CalledVia": "true"})],
            [where(NotIpAddress=OFFICE, Bool=DIRECT, StringNotEqualsIfExists={"aws:SourceVpc": "vpc-1"})],
            [where(StringNotEquals={"aws:SourceVpce": "vpce-1"})],
            [where(StringNotEqualsIfExists={"aws:SourceVpc": "vpc-1"})],
            [{**where(NotIpAddress=OFFICE, Bool=DIRECT), "Action": ["sts:*"]}],
            [
                {
                    "Effect": "Deny",
                    "NotAction": "s3:*",
                    "Resource": "*",
                    "Condition": where(NotIpAddress=OFFICE, Bool=DIRECT)["Condition"],
                }
            ],
            [where(NotIpAddress=OFFICE, Bool=DIRECT, ArnLike={"aws:PrincipalArn": f"{AT}:user/*"})],
            [
                where(NotIpAddress=OFFICE, Bool=DIRECT, Null={"aws:SourceVpce": "true"}),
                where(StringNotEquals={"aws:SourceVpc": "vpc-1"}, Bool=DIRECT, Null={"aws:SourceVpce": "false"}),
            ],
        ],
    )
    def test_is_seen_in_every_way_that_it_is_written(self, guards: Any) -> None:
        assert found(user(TO_TEST, *guards, guard=None)) == set()

    def test_may_be_in_what_allows_or_in_the_boundary(self) -> None:
        inside = {"IpAddress": OFFICE}
        assert found(user({**TO_TEST, "Condition": inside}, guard=None)) == set()
        boundary = document(allow("sts:AssumeRole", Condition=inside))
        assert found(user(TO_TEST, guard=None, boundary=boundary)) == set()

    @pytest.mark.parametrize(
        "guards",
        [
            [],
            [where(NotIpAddress={"aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1"]}, Bool=DIRECT)],
            [where(NotIpAddress={"aws:SourceIp": ["203.0.113.0/24", "::/0"]}, Bool=DIRECT)],
            [where(NotIpAddress={"aws:SourceIp": "0.0.0.0/2"}, Bool=DIRECT)],
            [where(NotIpAddress=OFFICE, Bool={"aws:ViaAWSService": "true"})],
            [where(IpAddress=OFFICE, Bool=DIRECT)],
            [{**where(NotIpAddress=OFFICE, Bool=DIRECT), "Action": "s3:*"}],
            [{**where(NotIpAddress=OFFICE, Bool=DIRECT), "Resource": "arn:aws:s3:::*"}],
            [where(NotIpAddress=OFFICE, Bool=DIRECT, StringEquals={"aws:RequestedRegion": "eu-west-1"})],
            [where(NotIpAddress=OFFICE, Bool=DIRECT, ArnNotLike={"aws:PrincipalArn": f"{AT}:user/test/*"})],
            [where(StringNotEqualsIfExists={"aws:RequestedRegion": "eu-west-1"})],
        ],
    )
    def test_is_none_where_requests_from_elsewhere_pass(self, guards: Any) -> None:
        assert "TK401" in found(user(TO_TEST, *guards, guard=None))

    @pytest.mark.parametrize(
        ("guards", "rule"),
        [
            ([where(NotIpAddress=OFFICE)], "TK402"),
            ([where(NotIpAddress=OFFICE, StringNotEquals={"aws:SourceVpce": "vpce-1"})], "TK402"),
            ([where(NotIpAddress={"aws:SourceIp": ["10.0.0.0/8", "203.0.113.0/24"]}, Bool=DIRECT)], "TK403"),
            (
                [where(NotIpAddress=OFFICE, Bool=DIRECT), where(StringNotEqualsIfExists={"aws:SourceVpc": "vpc-1"})],
                "TK403",
            ),
        ],
    )
    def test_must_not_deny_services_and_endpoints(self, guards: Any, rule: str) -> None:
        assert found(user(TO_TEST, *guards, guard=None)) == {rule}


GITHUB = "token.actions.githubusercontent.com"


def by_token(issuer: str = GITHUB, **condition: Any) -> Principal:
    """A role for the tokens of an issuer; the audience is right unless the condition says otherwise."""
    keyed: dict[str, Any] = {"StringEquals": {f"{issuer}:aud": "sts.amazonaws.com"}}
    for operator, subject in condition.items():
        keyed.setdefault(operator.replace("_", ":"), {})[f"{issuer}:sub"] = subject
    return role(
        "jobs",
        {"Federated": f"{AT}:oidc-provider/{issuer}"},
        Action="sts:AssumeRoleWithWebIdentity",
        Condition=keyed,
    )


def trusting(*roles: Principal) -> dict[str, str]:
    """What is found about roles: ids with severities."""
    found = lint(Account((), roles, frozenset()), [], (), {}, every_role=True)
    return {one.id: one.level for one in found}


class TestWhomARoleTrusts:
    @pytest.mark.parametrize(
        "trust",
        [
            {"Principal": "*"},
            {"Principal": {"AWS": ["123456789012", "*"]}, "Action": "sts:*"},
            {"Principal": "*", "Action": ["sts:TagSession", "sts:Assume*"]},
            {"NotPrincipal": {"AWS": f"{AT}:root"}},
            {"Principal": "*", "Condition": {"StringEquals": {"sts:ExternalId": "x"}}},
            {"Principal": "*", "Condition": {"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/deploy"}}},
            {"Principal": "*", "Condition": {"StringLike": {"aws:PrincipalOrgID": "o-*"}}},
            {"Principal": "*", "Condition": {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-a"}}},
            {"Principal": "*", "Condition": {"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}}},
            {"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "0.0.0.0/0"]}}},
        ],
    )
    def test_anyone(self, trust: dict[str, Any]) -> None:
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", **trust}
        open_ = Principal("role", "r", "/", f"{AT}:role/r", (), trust=document(statement))
        assert trusting(open_) == {"TK501": "critical"}

    @pytest.mark.parametrize(
        "trust",
        [
            {"Principal": {"AWS": "arn:aws:iam::999988887777:root"}},
            {"Principal": {"Service": "lambda.amazonaws.com"}},
            {"Principal": "*", "Action": "sts:TagSession"},
            {"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}},
            {
                "Principal": "*",
                "Condition": {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/r-1/*"}},
            },
            {"Principal": "*", "Condition": {"ArnLike": {"aws:PrincipalArn": f"{AT}:role/*"}}},
            {"Principal": "*", "Condition": {"StringEqualsIfExists": {"aws:PrincipalAccount": "123456789012"}}},
            {"Principal": "*", "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}},
        ],
    )
    def test_not_everyone(self, trust: dict[str, Any]) -> None:
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", **trust}
        assert trusting(Principal("role", "r", "/", f"{AT}:role/r", (), trust=document(statement))) == {}

    def test_a_deny_of_all_others_limits_it(self) -> None:
        anyone = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}
        others = {**anyone, "Effect": "Deny", "Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-a"}}}
        assert trusting(Principal("role", "r", "/", f"{AT}:role/r", (), trust=document(anyone, others))) == {}

    def test_tags_of_a_session_are_limited_by_for_all_values(self) -> None:
        limits = {"ForAllValues:StringEquals": {"aws:TagKeys": ["team"], "sts:TransitiveTagKeys": ["team"]}}
        assert trusting(role("r", Condition=limits)) == {}
        present = {"ForAllValues:StringEquals": {"aws:CalledVia": "x"}, "Null": {"aws:CalledVia": "false"}}
        assert trusting(role("r", Condition=present)) == {}


class TestTokens:
    @pytest.mark.parametrize(
        ("condition", "found"),
        [
            ({}, {"TK502": "critical"}),
            ({"StringLike": "*"}, {"TK502": "critical"}),
            ({"StringLike": ["repo:acme/site:ref:refs/heads/main", "**"]}, {"TK502": "critical"}),
            ({"StringNotEquals": "repo:evil/x"}, {"TK502": "critical"}),
            ({"StringLike": "repo:*"}, {"TK503": "critical"}),
            ({"StringLike": "repo:acme*/site:*"}, {"TK503": "critical"}),
            ({"StringLike": "repo:acme/*"}, {"TK503": "high"}),
            ({"ForAnyValue_StringLike": "repo:acme/site:*"}, {"TK503": "medium"}),
            ({"StringEqualsIfExists": "repo:acme/site:ref:refs/heads/main"}, {}),
            ({"StringLike": "repo:acme/site:environment:production"}, {}),
        ],
    )
    def test_of_github(self, condition: dict[str, Any], found: dict[str, str]) -> None:
        assert trusting(by_token(**condition)) == found

    @pytest.mark.parametrize(
        ("issuer", "subject", "found"),
        [
            ("oidc.eks.eu-west-1.amazonaws.com/id/ABC", "system:serviceaccount:ci:*", {"TK503": "medium"}),
            ("oidc.circleci.com/org/a", "org/a/project/b/user/*", {}),
            ("oidc.circleci.com/org/a", "org/a/project/*/user/*", {"TK503": "medium"}),
            ("agent.buildkite.com", "organization:acme:pipeline:p:ref:refs/heads/main:commit:*:step:*", {}),
            ("agent.buildkite.com", "organization:*", {"TK503": "critical"}),
            ("app.terraform.io", "organization:acme:project:p:workspace:w:run_phase:*", {}),
            ("app.terraform.io", "organization:acme:project:*", {"TK503": "medium"}),
            ("gitlab.com", "project_path:acme/*:ref_type:branch:ref:main", {"TK503": "high"}),
        ],
    )
    def test_of_others(self, issuer: str, subject: str, found: dict[str, str]) -> None:
        assert trusting(by_token(issuer, StringLike=subject)) == found

    def test_for_any_audience(self) -> None:
        exact = {"StringEquals": {f"{GITHUB}:sub": "repo:acme/site:ref:refs/heads/main"}}
        provider = {"Federated": f"{AT}:oidc-provider/{GITHUB}"}
        jobs = role("jobs", provider, Action="sts:AssumeRoleWithWebIdentity", Condition=exact)
        assert trusting(jobs) == {"TK505": "medium"}

    def test_of_an_issuer_of_ones_own_for_any_audience_are_limited_by_the_provider(self) -> None:
        issuer = "oidc.circleci.com/org/a"
        provider = {"Federated": f"{AT}:oidc-provider/{issuer}"}
        subject = {"StringLike": {f"{issuer}:sub": "org/a/project/b/user/*"}}
        assert trusting(role("jobs", provider, Action="sts:AssumeRoleWithWebIdentity", Condition=subject)) == {}

    def test_of_cognito_are_limited_by_their_pool(self) -> None:
        for condition, found in (
            ({"StringEquals": {"cognito-identity.amazonaws.com:aud": "eu-west-1:1"}}, {}),
            (
                {"ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": "authenticated"}},
                {"TK502": "critical"},
            ),
        ):
            pool = role(
                "pool",
                {"Federated": "cognito-identity.amazonaws.com"},
                Action="sts:AssumeRoleWithWebIdentity",
                Condition=condition,
            )
            assert trusting(pool) == found

    @pytest.mark.parametrize("system", SYSTEMS, ids=lambda one: one.name)
    def test_that_advise_trusts_are_right(self, system: System) -> None:
        request = AdviceRequest("ci", "123456789012", "aws", (PRODUCTION,), system, "acme/site", "eu-west-1")
        assert trusting(Principal("role", "r", "/", PRODUCTION, (), trust=trust(request).value())) == {}
