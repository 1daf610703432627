"""How twokey uses the results of the policy simulator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from twokey.aws.simulator import verdict

if TYPE_CHECKING:
    from support.rig import Rig


def result(decision: str, more: Any = None, *, single: str = "", lacks: Any = (), beside: bool = True) -> Any:
    """An evaluation of an action on a resource, as AWS returns it, and what it lacks, for the resource or for all."""
    one = {"EvalResourceDecision": single or decision, "MissingContextValues": [*lacks] if beside else []}
    return {
        "EvalDecision": decision,
        "MissingContextValues": [] if beside else [*lacks],
        "ResourceSpecificResults": [one],
        **(more or {}),
    }


IP = ("aws:SourceIp",)
SCP = {"OrganizationsDecisionDetail": {"AllowedByOrganizations": False}}
NO_SCP = {"OrganizationsDecisionDetail": {"AllowedByOrganizations": True}}
BOUNDARY = {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False}}


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([result("allowed")], True),
        ([result("implicitDeny")], False),
        ([result("explicitDeny")], False),
        ([result("explicitDeny", NO_SCP)], False),
        ([result("implicitDeny", BOUNDARY)], False),
        ([result("allowed"), result("implicitDeny")], False),
        ([result("allowed", single="implicitDeny")], False),
        ([{"EvalDecision": "allowed"}], True),
        ([{"EvalDecision": "implicitDeny"}], False),
        ([result("implicitDeny", lacks=IP)], None),
        ([result("implicitDeny", lacks=IP, beside=False)], None),
        ([result("explicitDeny", lacks=IP)], None),
        ([result("explicitDeny", lacks=IP, beside=False)], None),
        ([result("implicitDeny", BOUNDARY, lacks=IP)], None),
        ([result("allowed", lacks=IP)], None),
        ([result("explicitDeny", SCP)], None),
        ([result("implicitDeny", SCP)], None),
        ([result("something else")], None),
        ([], None),
    ],
)
def test_a_deny_counts_where_it_rests_on_the_policies_alone(results: list[Any], expected: bool | None) -> None:
    assert verdict(results) is expected


ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
FROM_HERE = {"IpAddress": {"aws:SourceIp": "127.0.0.1/32"}}
FROM_ELSEWHERE = {"NotIpAddress": {"aws:SourceIp": "127.0.0.1/32"}}
CREATE = "iam:CreateAccessKey"
POLICIES: dict[str, list[dict[str, Any]]] = {
    "allowed from this address": [{**ALLOW, "Condition": FROM_HERE}],
    "denied from other addresses": [ALLOW, {**ALLOW, "Effect": "Deny", "Condition": FROM_ELSEWHERE}],
}
DENIED: dict[str, list[dict[str, Any]]] = {
    "not allowed": [{"Effect": "Allow", "NotAction": CREATE, "Resource": "*"}],
    "denied": [ALLOW, {"Effect": "Deny", "Action": CREATE, "Resource": "*"}],
}


class TestAgainstIam:
    @pytest.mark.parametrize("policy", POLICIES)
    def test_a_policy_that_depends_on_the_address_stops_no_rotation(
        self, rig: Rig, policy: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rig.settled()
        act_as(rig, POLICIES[policy], monkeypatch)
        user, world = rig.world()
        assert world.iam.may_create(user) is None
        assert rig.rotate().outcome == "rotated"

    @pytest.mark.parametrize("policy", ["not allowed", "denied"])
    def test_a_principal_that_may_not_create_keys_is_told_so_before_one_is_deleted(
        self, rig: Rig, policy: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        last, current = rig.settled()
        act_as(rig, DENIED[policy], monkeypatch)
        user, world = rig.world()
        assert world.iam.may_create(user) is False
        assert rig.rotate().outcome == "refused"
        assert rig.ids() == [last.access_key_id, current.access_key_id]


def act_as(rig: Rig, statements: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run twokey as a user with this policy from now on."""
    key = rig.aws.make_user("rotator", path="/admin/", keys=1)[0]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    rig.aws.client("iam").put_user_policy(UserName="rotator", PolicyName="p", PolicyDocument=document)
    for name, value in rig.aws.environment(key).items():
        monkeypatch.setenv(name, value)
