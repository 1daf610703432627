"""AWS Organizations: the active accounts of an organization, with the organizational units that contain each.

Sources: "ListAccountsForParent", "ListOrganizationalUnitsForParent", "ListParents", "Account" (AWS Organizations API
Reference). An account's `State` replaced its `Status` in September 2026. Only the management account and delegated
administrators may ask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twokey.aws.sending import Sender
from twokey.core.accounts import Account
from twokey.core.errors import AccessDenied, NotFound, ServiceRejected
from twokey.http import paging

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twokey.aws.clients import Clients

TAGS = "organizations:ListTagsForResource"
PERMISSIONS = (
    "organizations:ListRoots",
    "organizations:ListParents",
    "organizations:ListOrganizationalUnitsForParent",
    "organizations:ListAccountsForParent",
    TAGS,
)
"""The last one only where accounts are chosen by tags."""
ACTIVE = "ACTIVE"
NOTHING = "Nothing was changed."
_WHO = "Only the management account of an organization and its delegated administrators may list accounts"


@dataclass(frozen=True, slots=True)
class Organization:
    """The organization of the account that twokey runs in; implements ``twokey.core.accounts.ListsAccounts``."""

    clients: Clients

    def accounts(self, ous: Sequence[str], *, tags: bool) -> Iterator[Account]:
        """List the active accounts in these organizational units and those nested in them; without any, in the root."""
        seen: set[str] = set()
        for parent in ous or self._roots():
            for account in self._below((*self._above(parent), parent), tags=tags):
                # One of the units may be nested in another.
                if account.id not in seen:
                    seen.add(account.id)
                    yield account

    def _roots(self) -> list[str]:
        return [str(root["Id"]) for root in self._all("ListRoots", "the organization", "Roots")]

    def _above(self, ou: str) -> tuple[str, ...]:
        """Return the IDs of what contains a unit, the root first; raises ``NotFound`` if there is no such unit."""
        found: list[str] = []
        child = ou
        while child.startswith("ou-"):
            [parent] = self._all("ListParents", ou, "Parents", ChildId=child)
            child = str(parent["Id"])
            found.insert(0, child)
        return tuple(found)

    def _below(self, path: tuple[str, ...], *, tags: bool) -> Iterator[Account]:
        parent = path[-1]
        for one in self._all("ListAccountsForParent", parent, "Accounts", ParentId=parent):
            if one.get("State", one.get("Status")) == ACTIVE:
                found = self._tags(one["Id"]) if tags else {}
                yield Account(str(one["Id"]), str(one.get("Name", "")), path, found)
        for unit in self._all("ListOrganizationalUnitsForParent", parent, "OrganizationalUnits", ParentId=parent):
            yield from self._below((*path, str(unit["Id"])), tags=tags)

    def _tags(self, account: str) -> dict[str, str]:
        found = self._all("ListTagsForResource", account, "Tags", ResourceId=account)
        return {str(tag["Key"]): str(tag["Value"]) for tag in found}

    def _all(self, operation: str, resource: str, member: str, **parameters: str) -> Iterator[Any]:
        """Yield the items of every page. A page may be empty although another one follows."""
        sender = Sender(self.clients, "organizations")

        def send(**more: str) -> Any:
            try:
                return sender.send(operation, resource, mutates=False, **parameters, **more)
            except AccessDenied as error:
                denied = AccessDenied(
                    error.action, error.resource, remedy=f"{_WHO}. {error.remedy} Or list the accounts in twokey.yaml."
                )
                denied.state = NOTHING
                raise denied from None
            except ServiceRejected as error:
                raise _explained(error, resource) from None

        for page in paging.of_aws(send):
            yield from page[member]


def _explained(error: ServiceRejected, resource: str) -> ServiceRejected | NotFound:
    if any(code in error.message for code in ("ChildNotFoundException", "ParentNotFoundException")):
        return NotFound(
            f"The organization has no organizational unit {resource}.",
            state=NOTHING,
            remedy="Check the ID: aws organizations list-organizational-units-for-parent shows those below a parent.",
        )
    if "AWSOrganizationsNotInUseException" in error.message:
        return ServiceRejected(
            "The account that twokey runs in belongs to no organization.",
            state=NOTHING,
            remedy=f"{_WHO}. Run twokey there, or list the accounts in twokey.yaml.",
        )
    return error
