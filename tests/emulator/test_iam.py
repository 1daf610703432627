"""IAM where moto differs: pages, the quota of two keys, deletion, the caller as default, dates."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Any

import pytest

from twokey.emulator import Emulator, KeyPair

if TYPE_CHECKING:
    from collections.abc import Callable


def allow_everything(aws: Emulator, user: str) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    aws.client("iam").put_user_policy(UserName=user, PolicyName="all", PolicyDocument=json.dumps(document))


def test_lists_of_users_come_in_pages() -> None:
    with Emulator(page_size=2) as aws:
        for number in range(5):
            aws.make_user(f"u{number}", keys=0)
        iam = aws.client("iam")
        first = iam.list_users(PathPrefix="/machine-users/")
        assert (len(first["Users"]), first["IsTruncated"]) == (2, True)
        pages = list(iam.get_paginator("list_users").paginate(PathPrefix="/machine-users/"))
        assert [len(page["Users"]) for page in pages] == [2, 2, 1]
        assert [user["UserName"] for page in pages for user in page["Users"]] == ["u0", "u1", "u2", "u3", "u4"]


def test_a_user_deleted_between_two_pages_hides_no_other(aws: Emulator) -> None:
    for number in range(4):
        aws.make_user(f"u{number}", path="/m/", keys=0)
    iam = aws.client("iam")
    first = iam.list_users(PathPrefix="/m/", MaxItems=2)
    iam.delete_user(UserName="u0")
    second = iam.list_users(PathPrefix="/m/", MaxItems=2, Marker=first["Marker"])
    assert [user["UserName"] for user in second["Users"]] == ["u2", "u3"]


def test_a_list_without_max_items_has_a_hundred(aws: Emulator) -> None:
    for number in range(101):
        aws.make_user(f"u{number:03}", path="/m/", keys=0)
    response = aws.client("iam").list_users(PathPrefix="/m/")
    assert (len(response["Users"]), response["IsTruncated"]) == (100, True)


def test_a_path_prefix_starts_with_a_slash(aws: Emulator, refused: Callable[..., Any]) -> None:
    assert refused(aws.client("iam").list_users, PathPrefix="machine-users").code == "ValidationError"


def test_keys_come_in_pages_too() -> None:
    with Emulator(page_size=1) as aws:
        made = aws.make_user("ci", keys=3)
        pages = list(aws.client("iam").get_paginator("list_access_keys").paginate(UserName="ci"))
        listed = [key["AccessKeyId"] for page in pages for key in page["AccessKeyMetadata"]]
        assert len(pages) == 3
        assert listed == [key.access_key_id for key in made]


@pytest.mark.parametrize(
    ("lists", "result"),
    [
        ("list_roles", "Roles"),
        ("list_groups", "Groups"),
        ("list_user_policies", "PolicyNames"),
        ("list_attached_user_policies", "AttachedPolicies"),
        ("list_groups_for_user", "Groups"),
    ],
)
def test_the_lists_of_moto_come_in_pages(lists: str, result: str) -> None:
    with Emulator(page_size=2) as aws:
        aws.make_user("ci", keys=0)
        iam = aws.client("iam")
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        empty = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "x:Y", "Resource": "*"}})
        for number in range(3):
            name = f"n{number}"
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
            iam.create_group(GroupName=name)
            iam.add_user_to_group(GroupName=name, UserName="ci")
            iam.put_user_policy(UserName="ci", PolicyName=name, PolicyDocument=empty)
            arn = iam.create_policy(PolicyName=name, PolicyDocument=empty)["Policy"]["Arn"]
            iam.attach_user_policy(UserName="ci", PolicyArn=arn)
        parameters = {"UserName": "ci"} if "user" in lists else {}
        pages = list(iam.get_paginator(lists).paginate(**parameters))
        assert [len(page[result]) for page in pages] == [2, 1]


def test_a_third_key_is_refused(aws: Emulator, refused: Callable[..., Any]) -> None:
    aws.make_user("ci", keys=2)
    error = refused(aws.client("iam").create_access_key, UserName="ci")
    assert (error.code, error.status) == ("LimitExceeded", 409)
    assert error.message == "Cannot exceed quota for AccessKeysPerUser: 2"


def test_an_inactive_key_counts_as_well(aws: Emulator, refused: Callable[..., Any]) -> None:
    key, _ = aws.make_user("ci")
    iam = aws.client("iam")
    iam.update_access_key(UserName="ci", AccessKeyId=key.access_key_id, Status="Inactive")
    assert refused(iam.create_access_key, UserName="ci").code == "LimitExceeded"


def test_the_quota_can_be_lifted_for_a_test(aws: Emulator) -> None:
    aws.make_user("ci", keys=2)
    aws.key_quota = 3
    aws.client("iam").create_access_key(UserName="ci")
    assert len(aws.keys("ci")) == 3


@pytest.mark.parametrize("operation", ["create_access_key", "list_access_keys", "get_user", "delete_user"])
def test_an_unknown_user_is_no_such_entity(aws: Emulator, refused: Callable[..., Any], operation: str) -> None:
    error = refused(getattr(aws.client("iam"), operation), UserName="nobody")
    assert (error.code, error.status) == ("NoSuchEntity", 404)
    assert error.message == "The user with name nobody cannot be found."


def test_without_a_user_name_the_caller_is_the_user(aws: Emulator, refused: Callable[..., Any]) -> None:
    key, second = aws.make_user("ci")
    other = aws.make_user("other")[0]
    allow_everything(aws, "ci")
    iam = aws.client("iam", key)
    assert iam.get_user()["User"]["UserName"] == "ci"
    assert {k["UserName"] for k in iam.list_access_keys()["AccessKeyMetadata"]} == {"ci"}
    assert refused(iam.delete_access_key, AccessKeyId=other.access_key_id).code == "NoSuchEntity"
    iam.update_access_key(AccessKeyId=second.access_key_id, Status="Inactive")
    iam.delete_access_key(AccessKeyId=second.access_key_id)
    assert iam.create_access_key()["AccessKey"]["UserName"] == "ci"


def test_deleting_a_key_twice_is_no_such_entity(aws: Emulator, refused: Callable[..., Any]) -> None:
    key = aws.make_user("ci")[0]
    delete = aws.client("iam").delete_access_key
    delete(UserName="ci", AccessKeyId=key.access_key_id)
    error = refused(delete, UserName="ci", AccessKeyId=key.access_key_id)
    assert (error.code, error.status) == ("NoSuchEntity", 404)


def test_a_user_with_anything_left_cannot_be_deleted(aws: Emulator, refused: Callable[..., Any]) -> None:
    key = aws.make_user("ci", keys=1)[0]
    allow_everything(aws, "ci")
    iam = aws.client("iam")
    error = refused(iam.delete_user, UserName="ci")
    assert (error.code, error.status) == ("DeleteConflict", 409)
    assert error.message == "Cannot delete entity, must delete access keys first."
    iam.delete_access_key(UserName="ci", AccessKeyId=key.access_key_id)
    assert "policies" in refused(iam.delete_user, UserName="ci").message
    iam.delete_user_policy(UserName="ci", PolicyName="all")
    iam.delete_user(UserName="ci")
    assert refused(iam.get_user, UserName="ci").code == "NoSuchEntity"


def test_a_recreated_user_has_another_id(aws: Emulator) -> None:
    iam = aws.client("iam")
    first = iam.create_user(UserName="ci", Path="/machine-users/")["User"]
    iam.delete_user(UserName="ci")
    second = iam.create_user(UserName="ci", Path="/machine-users/")["User"]
    assert first["Arn"] == second["Arn"]
    assert first["UserId"] != second["UserId"]
    assert first["UserId"].startswith("AIDA")


def test_a_renamed_user_keeps_its_keys(aws: Emulator) -> None:
    key = aws.make_user("ci", keys=1)[0]
    aws.client("iam").update_user(UserName="ci", NewUserName="cd")
    assert aws.client("sts", key).get_caller_identity()["Arn"].endswith("/cd")
    assert aws.client("iam").list_access_keys(UserName="cd")["AccessKeyMetadata"][0]["UserName"] == "cd"


def test_creation_dates_have_whole_seconds_and_keys_made_together_may_tie(aws: Emulator) -> None:
    aws.make_user("ci", keys=0)
    iam = aws.client("iam")
    dates = [iam.create_access_key(UserName="ci")["AccessKey"]["CreateDate"] for _ in range(2)]
    assert [date.microsecond for date in dates] == [0, 0]
    assert [row[2].microsecond for row in aws.keys("ci")] == [0, 0]
    assert abs((dates[0] - aws.now()).total_seconds()) < 3


def test_key_ids_carry_the_accounts_number(aws: Emulator) -> None:
    from base64 import b32decode

    for account in (aws.account_id, "609629065308"):
        key_id = aws.admin_of(account).access_key_id
        number = int.from_bytes(b32decode(key_id[4:])[:6], "big") >> 7 & (1 << 40) - 1
        assert f"{number:012}" == account


def test_last_use_names_the_service_and_the_region(aws: Emulator) -> None:
    key, unused = aws.make_user("ci")
    allow_everything(aws, "ci")
    aws.client("secretsmanager", key, region="us-west-2").list_secrets()
    iam = aws.client("iam")
    response = iam.get_access_key_last_used(AccessKeyId=key.access_key_id)
    used = response["AccessKeyLastUsed"]
    assert (response["UserName"], used["ServiceName"], used["Region"]) == ("ci", "secretsmanager", "us-west-2")
    assert abs((used["LastUsedDate"].astimezone(UTC) - aws.now()).total_seconds()) < 3
    never = iam.get_access_key_last_used(AccessKeyId=unused.access_key_id)["AccessKeyLastUsed"]
    assert (never["ServiceName"], never["Region"], "LastUsedDate" in never) == ("N/A", "N/A", False)


def test_a_rejected_signature_is_not_a_use(aws: Emulator, refused: Callable[..., Any]) -> None:
    key = aws.make_user("ci")[0]
    refused(aws.client("sts", KeyPair(key.access_key_id, "wrong")).get_caller_identity)
    used = aws.client("iam").get_access_key_last_used(AccessKeyId=key.access_key_id)["AccessKeyLastUsed"]
    assert "LastUsedDate" not in used


def test_the_last_use_of_a_deleted_key_is_access_denied(aws: Emulator, refused: Callable[..., Any]) -> None:
    key = aws.make_user("ci")[0]
    iam = aws.client("iam")
    iam.delete_access_key(UserName="ci", AccessKeyId=key.access_key_id)
    error = refused(iam.get_access_key_last_used, AccessKeyId=key.access_key_id)
    assert (error.code, error.status) == ("AccessDenied", 403)


def test_the_credential_report_knows_dates_and_last_use(aws: Emulator) -> None:
    key = aws.make_user("ci", keys=1)[0]
    aws.client("sts", key).get_caller_identity()
    iam = aws.client("iam")
    for _ in range(3):
        iam.generate_credential_report()
    rows = iam.get_credential_report()["Content"].decode().splitlines()
    row = dict(zip(rows[0].split(","), next(r for r in rows if r.startswith("ci,")).split(","), strict=False))
    assert row["access_key_1_active"] == "true"
    assert row["access_key_1_last_used_date"] != "N/A"


def test_get_access_key_info_knows_every_account(aws: Emulator) -> None:
    theirs = aws.admin_of("210987654321").access_key_id
    assert aws.client("sts").get_access_key_info(AccessKeyId=theirs)["Account"] == "210987654321"
