"""AWS Organizations: lists in pages, and who may ask (AWS Organizations API Reference). moto performs all changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.emulator import partition
from twokey.emulator.paging import json_page
from twokey.emulator.responses import Response, ServiceError, json_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator.identity import Caller
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

_PAGE = 20


def backend_of(account: str) -> Any:
    """moto's Organizations of a management account."""
    from moto.organizations.models import organizations_backends

    return organizations_backends[account][partition.current()]


def _of_caller(caller: Caller) -> Any:
    """The organization that the caller may read; only its management account and delegated administrators may."""
    from moto.organizations.models import organizations_backends

    own = backend_of(caller.account)
    if own.org is not None:
        return own
    management, _ = organizations_backends.master_accounts.get(caller.account, ("", ""))
    if not management:
        raise ServiceError("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
    organization = backend_of(management)
    if caller.account not in [admin.account.id for admin in organization.admins]:
        raise ServiceError("AccessDeniedException", "You don't have permissions to access this resource.")
    return organization


def _described(account: Any) -> dict[str, Any]:
    """An account as responses have it: `Status` was removed in September 2026."""
    found = dict(account.describe())
    del found["Status"]
    return found


def _list(name: str, items: Callable[[Any, Call], list[Any]]) -> Callable[[World, Call, Caller], Response]:
    def respond(world: World, call: Call, caller: Caller) -> Response:
        page, more = json_page(world, call, items(_of_caller(caller), call), _PAGE)
        return json_response({name: page, **more})

    return respond


def _parent(organization: Any, call: Call) -> str:
    parent = str(call.params.get("ParentId", ""))
    if parent not in [unit.id for unit in organization.ou]:
        raise ServiceError("ParentNotFoundException", "You specified parent that doesn't exist.")
    return parent


def _accounts_of(organization: Any, call: Call) -> list[Any]:
    parent = _parent(organization, call)
    return [_described(account) for account in organization.accounts if account.parent_id == parent]


def _units_of(organization: Any, call: Call) -> list[Any]:
    parent = _parent(organization, call)
    return [unit.describe()["OrganizationalUnit"] for unit in _units(organization) if unit.parent_id == parent]


def _units(organization: Any) -> list[Any]:
    return [unit for unit in organization.ou if unit.id != organization.org.root_id]


def _parents(organization: Any, call: Call) -> list[Any]:
    child = call.params.get("ChildId")
    for one in (*organization.accounts, *_units(organization)):
        if one.id == child:
            kind = "ROOT" if one.parent_id == organization.org.root_id else "ORGANIZATIONAL_UNIT"
            return [{"Id": one.parent_id, "Type": kind}]
    raise ServiceError("ChildNotFoundException", "You specified child that doesn't exist.")


def _tags(organization: Any, call: Call) -> list[Any]:
    resource = call.params.get("ResourceId")
    for one in (*organization.accounts, *organization.ou):
        if one.id == resource:
            return [{"Key": key, "Value": value} for key, value in one.tags.items()]
    raise ServiceError("TargetNotFoundException", "You specified a target that doesn't exist.")


def _roots(organization: Any, _call: Call) -> list[Any]:
    return [{"Id": organization.org.root_id, "Name": "Root"}]


OPERATIONS = {
    "organizations:ListAccounts": _list("Accounts", lambda found, _: [_described(one) for one in found.accounts]),
    "organizations:ListAccountsForParent": _list("Accounts", _accounts_of),
    "organizations:ListOrganizationalUnitsForParent": _list("OrganizationalUnits", _units_of),
    "organizations:ListParents": _list("Parents", _parents),
    "organizations:ListRoots": _list("Roots", _roots),
    "organizations:ListTagsForResource": _list("Tags", _tags),
}
