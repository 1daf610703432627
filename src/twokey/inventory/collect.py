"""The picture of a whole account, from a few requests: users, groups, roles and policies; console passwords.

Source: "GetAccountAuthorizationDetails" (IAM API Reference).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from twokey.core.errors import ServiceError
from twokey.inventory import credential_report
from twokey.permissions.account import Account, Attached, Group, How, Principal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from twokey.aws.iam import Iam


class ReadsAccount(Protocol):
    """Reads an account."""

    def authorization_details(self) -> Iterator[Any]:
        """Yield every page of all users, groups, roles and policies."""
        ...


def account(iam: Iam) -> Account:
    """Return all users and roles of the account with their policies; raises a ``ServiceError`` if they cannot be read.

    Console passwords are in the credential report. Without it, they are unknown.
    """
    found = details(iam)
    try:
        rows = credential_report.fetch(iam).rows
    except ServiceError:
        return found
    return replace(found, passwords=frozenset(row.user for row in rows if row.password))


def details(iam: ReadsAccount) -> Account:
    """Return the same without console passwords; raises a ``ServiceError``."""
    found: dict[str, list[Any]] = {"users": [], "groups": [], "roles": [], "policies": []}
    for page in iam.authorization_details():
        found["users"] += page["UserDetailList"]
        found["groups"] += page["GroupDetailList"]
        found["roles"] += page["RoleDetailList"]
        found["policies"] += page["Policies"]
    documents = {one["Arn"]: _default(one) for one in found["policies"]}
    groups = {one["GroupName"]: one for one in found["groups"]}
    users = [_user(one, groups, documents) for one in found["users"]]
    roles = [_role(one, documents) for one in found["roles"]]
    own = [_group(one, documents) for one in found["groups"]]
    return Account(tuple(users), tuple(roles), groups=tuple(own))


def _default(policy: Any) -> dict[str, Any]:
    versions: Iterable[Any] = policy.get("PolicyVersionList", ())
    return next((one["Document"] for one in versions if one["IsDefaultVersion"]), {})


def _own(entity: Any, inline: str, documents: dict[str, dict[str, Any]], group: str = "") -> Iterator[Attached]:
    of_group: How = "policy of the group"
    for one in entity.get(inline, ()):
        yield Attached(of_group if group else "inline policy", one["PolicyName"], one["PolicyDocument"], group)
    for one in entity.get("AttachedManagedPolicies", ()):
        document = documents.get(one["PolicyArn"], {})
        yield Attached(of_group if group else "attached policy", one["PolicyName"], document, group, one["PolicyArn"])


def _boundary_arn(entity: Any) -> str:
    return str(entity.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""))


def _boundary(entity: Any, documents: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Return the boundary; None as well where its document is unknown, for then it may allow everything."""
    return documents.get(_boundary_arn(entity))


def _group(group: Any, documents: dict[str, dict[str, Any]]) -> Group:
    name = group["GroupName"]
    return Group(name, group["Arn"], tuple(_own(group, "GroupPolicyList", documents, name)))


def _tags(entity: Any) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in entity.get("Tags", ())}


def _user(user: Any, groups: dict[str, Any], documents: dict[str, dict[str, Any]]) -> Principal:
    policies = list(_own(user, "UserPolicyList", documents))
    for name in user.get("GroupList", ()):
        policies += _own(groups.get(name, {}), "GroupPolicyList", documents, name)
    return Principal(
        kind="user",
        name=user["UserName"],
        path=user["Path"],
        arn=user["Arn"],
        policies=tuple(policies),
        boundary=_boundary(user, documents),
        boundary_arn=_boundary_arn(user),
        groups=tuple(user.get("GroupList", ())),
        tags=_tags(user),
    )


def _role(role: Any, documents: dict[str, dict[str, Any]]) -> Principal:
    return Principal(
        kind="role",
        name=role["RoleName"],
        path=role["Path"],
        arn=role["Arn"],
        policies=tuple(_own(role, "RolePolicyList", documents)),
        boundary=_boundary(role, documents),
        boundary_arn=_boundary_arn(role),
        tags=_tags(role),
        trust=role.get("AssumeRolePolicyDocument") or {},
    )
