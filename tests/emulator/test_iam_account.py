"""What IAM shows of a whole account: pages of everything, and the credential report with its ages."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator import Emulator

NOTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}],
    }
)


def every_page(iam: Any, **parameters: Any) -> tuple[dict[str, list[Any]], int]:
    """All entities by list, and the number of pages."""
    found: dict[str, list[Any]] = {}
    pages = list(iam.get_paginator("get_account_authorization_details").paginate(**parameters))
    for page in pages:
        for name in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"):
            found.setdefault(name, []).extend(page[name])
    return found, len(pages)


def test_every_entity_is_on_one_page_with_its_policies(aws: Emulator) -> None:
    iam = aws.client("iam")
    for number in range(5):
        aws.make_user(f"ci{number}", keys=0)
        iam.create_role(RoleName=f"role{number}", AssumeRolePolicyDocument=TRUST)
    iam.create_group(GroupName="machines")
    iam.add_user_to_group(GroupName="machines", UserName="ci1")
    iam.put_group_policy(GroupName="machines", PolicyName="inline", PolicyDocument=NOTHING)
    policy = iam.create_policy(PolicyName="managed", PolicyDocument=NOTHING)["Policy"]["Arn"]
    iam.attach_user_policy(UserName="ci2", PolicyArn=policy)
    iam.put_user_policy(UserName="ci3", PolicyName="inline", PolicyDocument=NOTHING)
    iam.tag_user(UserName="ci3", Tags=[{"Key": "tier", "Value": "test"}])
    iam.put_user_permissions_boundary(UserName="ci4", PermissionsBoundary=policy)
    found, pages = every_page(iam, PaginationConfig={"PageSize": 4})
    assert pages == 4
    users = {user["UserName"]: user for user in found["UserDetailList"]}
    assert set(users) == {"administrator", *(f"ci{number}" for number in range(5))}
    assert users["ci1"]["GroupList"] == ["machines"]
    assert users["ci2"]["AttachedManagedPolicies"] == [{"PolicyName": "managed", "PolicyArn": policy}]
    assert users["ci3"]["UserPolicyList"] == [{"PolicyName": "inline", "PolicyDocument": json.loads(NOTHING)}]
    assert users["ci3"]["Tags"] == [{"Key": "tier", "Value": "test"}]
    assert users["ci4"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == policy
    assert [role["RoleName"] for role in found["RoleDetailList"]] == [f"role{number}" for number in range(5)]
    assert found["RoleDetailList"][0]["AssumeRolePolicyDocument"] == json.loads(TRUST)
    assert found["GroupDetailList"][0]["GroupPolicyList"][0]["PolicyDocument"] == json.loads(NOTHING)
    assert found["Policies"][0]["PolicyVersionList"][0]["Document"] == json.loads(NOTHING)


def test_all_versions_of_a_policy_are_shown_and_which_one_is_the_default(aws: Emulator) -> None:
    iam = aws.client("iam")
    arn = iam.create_policy(PolicyName="managed", PolicyDocument=NOTHING)["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=NOTHING.replace("Deny", "Allow"))
    [policy] = every_page(iam, Filter=["LocalManagedPolicy"])[0]["Policies"]
    versions = {one["VersionId"]: one for one in policy["PolicyVersionList"]}
    assert {name: one["IsDefaultVersion"] for name, one in versions.items()} == {"v1": True, "v2": False}
    assert versions["v2"]["Document"]["Statement"][0]["Effect"] == "Allow"


def test_a_filter_chooses_the_kinds(aws: Emulator) -> None:
    found, _ = every_page(aws.client("iam"), Filter=["Role"])
    assert [name for name, entities in found.items() if entities] == []


def test_a_boundary_of_a_user_limits_it_until_it_is_removed(aws: Emulator, refused: Callable[..., Any]) -> None:
    iam = aws.client("iam")
    key = aws.make_user("ci", keys=1)[0]
    everything = NOTHING.replace("Deny", "Allow")
    iam.put_user_policy(UserName="ci", PolicyName="all", PolicyDocument=everything)
    policy = iam.create_policy(PolicyName="s3", PolicyDocument=everything.replace('"Action": "*"', '"Action": "s3:*"'))
    iam.put_user_permissions_boundary(UserName="ci", PermissionsBoundary=policy["Policy"]["Arn"])
    assert (
        "no permissions boundary allows the iam:ListUsers action" in refused(aws.client("iam", key).list_users).message
    )
    iam.delete_user_permissions_boundary(UserName="ci")
    assert aws.client("iam", key).list_users()["Users"]


class TestTheCredentialReport:
    def rows(self, aws: Emulator) -> dict[str, dict[str, str]]:
        content = aws.client("iam").get_credential_report()["Content"].decode()
        return {row["user"]: row for row in csv.DictReader(content.splitlines())}

    def test_is_begun_then_complete_then_expired(self, aws: Emulator, refused: Callable[..., Any]) -> None:
        iam = aws.client("iam")
        assert refused(iam.get_credential_report).code == "ReportNotPresent"
        aws.weather.report_delay = 60
        assert iam.generate_credential_report()["State"] == "STARTED"
        assert iam.generate_credential_report()["State"] == "INPROGRESS"
        assert refused(iam.get_credential_report).code == "ReportInProgress"
        aws.advance(60)
        assert iam.generate_credential_report()["State"] == "COMPLETE"
        assert iam.get_credential_report()["ReportFormat"] == "text/csv"
        aws.advance(4 * 3600)
        assert refused(iam.get_credential_report).code == "ReportExpired"
        assert iam.generate_credential_report()["State"] == "STARTED"

    def test_shows_the_account_as_it_was_when_it_was_begun(self, aws: Emulator) -> None:
        iam = aws.client("iam")
        first, second = aws.make_user("ci", keys=2)
        aws.set_last_used(second.access_key_id, 3600, "s3")
        iam.update_access_key(UserName="ci", AccessKeyId=first.access_key_id, Status="Inactive")
        iam.create_login_profile(UserName="ci", Password="Pass-word-1")
        iam.generate_credential_report()
        aws.make_user("later")
        rows = self.rows(aws)
        assert set(rows) == {"<root_account>", "administrator", "ci"}
        ci = rows["ci"]
        assert (ci["access_key_1_active"], ci["access_key_2_active"]) == ("false", "true")
        assert (ci["access_key_1_last_used_date"], ci["access_key_2_last_used_service"]) == ("N/A", "s3")
        assert ci["password_enabled"] == "true"

    @pytest.mark.parametrize("user", ["<root_account>", "administrator"])
    def test_has_all_columns_of_each_user(self, aws: Emulator, user: str) -> None:
        aws.client("iam").generate_credential_report()
        assert None not in self.rows(aws)[user].values()
        assert None not in self.rows(aws)[user]
