"""The keys of ``accounts`` in twokey.yaml and their types, and of ``accounts`` in an entry."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

_ID = {"pattern": "^[0-9]{12}$", "examples": ["123456789012"]}
OU = re.compile(r"ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}|r-[0-9a-z]{4,32}")
"""OrganizationalUnit, Id, and Root, Id (AWS Organizations API Reference)."""


def _field(description: str, **more: Any) -> Meta:
    return Meta(description=description, extra_json_schema=more)


Ou = Annotated[
    str,
    _field("The ID of an organizational unit, or of the root.", pattern=f"^({OU.pattern})$"),
]
Tags = Annotated[dict[str, str], _field("Tags of accounts, each with its value. All of them must match.")]
Role = Annotated[
    str,
    _field(
        "The role to assume in the account: its name (with its path), or its ARN.",
        minLength=1,
        examples=["TwokeyMember", "arn:aws:iam::123456789012:role/TwokeyMember"],
    ),
]
ExternalId = Annotated[str, _field("The external ID that the trust policy of the role requires.", minLength=2)]


class OrganizationSchema(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"exclude": "except"}
):
    """The accounts of an organization, as AWS Organizations lists them. Accounts that are not active are left out."""

    role: Annotated[Role, _field("The role to assume in each account, except in that of twokey itself.")]
    ou: Annotated[
        Ou | list[Ou] | UnsetType,
        _field("Only the accounts in these organizational units, and those nested in them."),
    ] = UNSET
    tags: Annotated[Tags | UnsetType, _field("Only accounts with all of these tags.")] = UNSET
    exclude: Annotated[list[str] | UnsetType, _field("Accounts to leave out, by ID or name.")] = UNSET


class AccountSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account."""

    id: Annotated[str, _field("The ID of the account.", **_ID)]
    name: Annotated[str | UnsetType, _field("Its name, for `{account_name}` and `--account`.", minLength=1)] = UNSET
    role: Annotated[
        Role | list[Role] | UnsetType,
        _field("The role to assume, or several, one after the other. Without it, the account is that of twokey."),
    ] = UNSET
    external_id: Annotated[ExternalId | UnsetType, _field("The external ID of its roles.")] = UNSET
    tags: Annotated[Tags | UnsetType, _field("Its tags, for entries that choose accounts by them.")] = UNSET
    ou: Annotated[Ou | UnsetType, _field("Its organizational unit, for entries that choose accounts by it.")] = UNSET
    region: Annotated[
        str | UnsetType, _field("The region of its stores and destinations, if not the region of the run.", minLength=1)
    ] = UNSET


class AccountsSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"listed": "list"}):
    """The accounts of a run: from AWS Organizations, from a list, or from the file of Cloud Custodian's c7n-org."""

    organizations: Annotated[
        OrganizationSchema | UnsetType, _field("Those of the organization of twokey's account.")
    ] = UNSET
    listed: Annotated[
        Annotated[list[AccountSchema], Meta(min_length=1)] | UnsetType, _field("The accounts, one by one.")
    ] = UNSET
    file: Annotated[str | UnsetType, _field("An accounts.yml as Cloud Custodian's c7n-org reads it.", minLength=1)] = (
        UNSET
    )
    external_id: Annotated[
        ExternalId | UnsetType, _field("The external ID of all roles that have none of their own.")
    ] = UNSET
    session_tags: Annotated[
        dict[str, str] | UnsetType,
        _field("Tags of the sessions of all roles. Their trust policies must allow sts:TagSession."),
    ] = UNSET
    max_accounts: Annotated[
        Annotated[int, Meta(ge=1)] | UnsetType,
        _field("Refuse, before any change, if one run would process more accounts than this."),
    ] = UNSET


class ChoiceSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accounts of which all that is set here is true."""

    id: Annotated[str | UnsetType, _field("The ID of the account.", **_ID)] = UNSET
    name: Annotated[str | UnsetType, _field("Its name; `*` matches as in a shell.", minLength=1)] = UNSET
    ou: Annotated[Ou | UnsetType, _field("The organizational unit that it is in, also nested in others.")] = UNSET
    tag: Annotated[Tags | UnsetType, _field("Tags that it has, with these values.")] = UNSET


Choice = Annotated[
    Annotated[str, _field("The ID or the name of an account; `*` matches in a name as in a shell.", minLength=1)]
    | ChoiceSchema,
    _field("Accounts, by ID, name, organizational unit or tag."),
]
