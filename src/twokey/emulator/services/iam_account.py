"""What IAM shows of a whole account: all users, groups, roles and policies in pages; the credential report.

Sources: "GetAccountAuthorizationDetails" and "ManagedPolicyDetail" (IAM API Reference); "Generate credential reports
for your AWS account" (IAM User Guide).
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from twokey.emulator.paging import page
from twokey.emulator.responses import Response, ServiceError, query_response, timestamp
from twokey.emulator.services.iam_users import backend_of, describe, user_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.emulator.identity import Caller
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

_LISTS = {
    "User": "UserDetailList",
    "Group": "GroupDetailList",
    "Role": "RoleDetailList",
    "LocalManagedPolicy": "Policies",
    "AWSManagedPolicy": "Policies",
}
REPORT_AGE = 4 * 3600.0
"""Seconds for which IAM returns the same report, and makes no other."""
_COLUMNS = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,"
    "access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,"
    "access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
)


def authorization_details(world: World, call: Call, caller: Caller) -> Response:
    """GetAccountAuthorizationDetails: every kind of entity in one sequence, cut into pages."""
    wanted = call.members("Filter") or list(_LISTS)
    for one in wanted:
        if one not in _LISTS:
            raise ServiceError("ValidationError", f"1 validation error detected: Value '[{one}]' at 'filter' failed")
    chosen, paging = page(world, call, sorted(_entities(backend_of(caller.account), wanted), key=lambda item: item[0]))
    result: dict[str, Any] = {name: [] for name in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")}
    for name, entity in chosen:
        result[name].append(entity)
    return query_response(call, {**paging, **result})


def _entities(backend: Any, wanted: list[str]) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """Yield each entity with its sort key."""
    found: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "User": [(str(user.name), _user(backend, user)) for user in backend.users.values()],
        "Group": [(str(group.name), _group(group)) for group in backend.groups.values()],
        "Role": [(str(role.name), _role(role)) for role in backend.roles.values()],
        "LocalManagedPolicy": [],
        "AWSManagedPolicy": [],
    }
    for policy in list(backend.managed_policies.values()):
        kind = "AWSManagedPolicy" if str(policy.arn).split(":")[4] == "aws" else "LocalManagedPolicy"
        found[kind].append((str(policy.arn), _policy(policy)))
    for number, kind in enumerate(_LISTS):
        if kind in wanted:
            for key, entity in found[kind]:
                yield f"{number}{key}", (_LISTS[kind], entity)


def _user(backend: Any, user: Any) -> dict[str, Any]:
    groups = [str(group.name) for group in backend.groups.values() if user in group.users]
    return {
        **describe(user),
        "UserPolicyList": _inline(user),
        "GroupList": groups,
        "AttachedManagedPolicies": _attached(user),
        "PermissionsBoundary": _boundary(user),
        "Tags": user.tags or [],
    }


def _group(group: Any) -> dict[str, Any]:
    return {
        "Path": group.path,
        "GroupName": group.name,
        "GroupId": group.id,
        "Arn": group.arn,
        "CreateDate": group.create_date,
        "GroupPolicyList": _inline(group),
        "AttachedManagedPolicies": _attached(group),
    }


def _role(role: Any) -> dict[str, Any]:
    return {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": role.create_date,
        "AssumeRolePolicyDocument": quote(role.assume_role_policy_document),
        "InstanceProfileList": [
            {"InstanceProfileName": one.name, "Arn": one.arn} for one in role.instance_profile_list
        ],
        "RolePolicyList": _inline(role),
        "AttachedManagedPolicies": _attached(role),
        "PermissionsBoundary": _boundary(role),
        "Tags": list(role.tags.values()) if isinstance(role.tags, dict) else role.tags or [],
    }


def _policy(policy: Any) -> dict[str, Any]:
    versions = [
        {
            "Document": quote(str(one.document)),
            "VersionId": one.version_id,
            "IsDefaultVersion": one.version_id == policy.default_version_id,
        }
        for one in policy.versions
    ]
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": policy.default_version_id,
        "AttachmentCount": policy.attachment_count,
        "IsAttachable": True,
        "PolicyVersionList": versions,
    }


def _inline(entity: Any) -> list[dict[str, str]]:
    return [{"PolicyName": name, "PolicyDocument": quote(str(text))} for name, text in entity.policies.items()]


def _attached(entity: Any) -> list[dict[str, str]]:
    return [{"PolicyName": one.name, "PolicyArn": one.arn} for one in entity.managed_policies.values()]


def _boundary(entity: Any) -> dict[str, str] | None:
    arn = getattr(entity, "permissions_boundary_arn", None)
    return {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn} if arn else None


def put_boundary(world: World, call: Call, caller: Caller) -> Response:  # noqa: ARG001  one signature for all
    """PutUserPermissionsBoundary, which moto lacks."""
    user_of(call, caller).permissions_boundary_arn = str(call.params["PermissionsBoundary"])
    return query_response(call)


def delete_boundary(world: World, call: Call, caller: Caller) -> Response:  # noqa: ARG001  one signature for all
    """DeleteUserPermissionsBoundary, which moto lacks."""
    user_of(call, caller).permissions_boundary_arn = None
    return query_response(call)


def generate_report(world: World, call: Call, caller: Caller) -> Response:
    """GenerateCredentialReport: begins a report, unless the latest is less than four hours old."""
    report, now = world.reports.get(caller.account), world.clock.seconds()
    if report is not None and now - report[0] < REPORT_AGE:
        state = "COMPLETE" if now >= report[0] + world.weather.report_delay else "INPROGRESS"
        return query_response(call, {"State": state, "Description": None})
    world.reports[caller.account] = (now, _report(world, caller.account))
    description = "No report exists. Starting a new report generation task"
    return query_response(call, {"State": "STARTED", "Description": description})


def get_report(world: World, call: Call, caller: Caller) -> Response:
    """GetCredentialReport: the report as it was when it was begun."""
    report, now = world.reports.get(caller.account), world.clock.seconds()
    if report is None:
        raise ServiceError("ReportNotPresent", "No report exists for this account.", 410)
    if now < report[0] + world.weather.report_delay:
        raise ServiceError("ReportInProgress", "The report is still being generated.", 404)
    if now - report[0] >= REPORT_AGE:
        raise ServiceError("ReportExpired", "The report has expired. Generate a new report.", 410)
    text = base64.b64encode(report[1].encode()).decode()
    made = timestamp(_moment(report[0]))
    return query_response(call, {"Content": text, "ReportFormat": "text/csv", "GeneratedTime": made})


def _report(world: World, account: str) -> str:
    root = f"<root_account>,arn:aws:iam::{account}:root,2020-01-01T00:00:00+00:00,not_supported,no_information"
    lines = [_COLUMNS, f"{root},not_supported,not_supported,true,{_no_key()},{_no_key()},false,N/A,false,N/A"]
    users = backend_of(account).users
    lines += [_line(world, users[name]) for name in sorted(users)]
    return "\n".join(lines) + "\n"


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _no_key() -> str:
    return "false,N/A,N/A,N/A,N/A"


def _line(world: World, user: Any) -> str:
    created = f"{timestamp(user.create_date)[:-1]}+00:00"
    password = f"true,no_information,{created},N/A" if user.password else "false,N/A,N/A,N/A"
    keys = [_key(world, entry) for entry in world.keyring.of_user(user)][:2]
    keys += [_no_key()] * (2 - len(keys))
    mfa = "true" if user.mfa_devices else "false"
    return ",".join((user.name, user.arn, created, password, mfa, *keys, "false,N/A,false,N/A"))


def _changed(entry: Any) -> datetime:
    """When a key was created or last changed: what a report calls "last rotated"."""
    created: datetime = entry.key.create_date
    return _moment(entry.changes[-1].at) if len(entry.changes) > 1 else created


def _key(world: World, entry: Any) -> str:
    use = world.keyring.visible_use(entry)
    active = "true" if entry.key.status == "Active" else "false"
    made = f"{timestamp(_changed(entry))[:-1]}+00:00"
    if use is None:
        return f"{active},{made},N/A,N/A,N/A"
    return f"{active},{made},{timestamp(_moment(use.at))[:-1]}+00:00,{use.region},{use.service}"


OPERATIONS = {
    "iam:GetAccountAuthorizationDetails": authorization_details,
    "iam:PutUserPermissionsBoundary": put_boundary,
    "iam:DeleteUserPermissionsBoundary": delete_boundary,
    "iam:GenerateCredentialReport": generate_report,
    "iam:GetCredentialReport": get_report,
}
