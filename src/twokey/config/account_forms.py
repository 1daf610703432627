"""The keys of ``accounts`` in twokey.yaml and their types, and of ``accounts`` in an entry."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

_ID = {"pattern": "^[0-9]{12}$", "examples": ["123456789012"]}
OU = re.compile(r"ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}|r-[0-9a-z]{4,32}")
"""OrganizationalUnit, Id, and Root, Id (AWS Organizations API Reference)."""


def _about(description: str, **more: Any) -> Meta:
    return Meta(description=description, extra_json_schema=more)


Ou = Annotated[
    str,
    _about("The ID of an organizational unit, or of the root.", pattern=f"^({OU.pattern})$"),
]
Tags = Annotated[dict[str, str], _about("Tags of accounts, each with its value. All of them must match.")]
Role = Annotated[
    str,
    _about(
        "The role to assume in the account: its name (with its path), or its ARN.",
        minLength=1,
        examples=["TwokeyMember", "arn:aws:iam::123456789012:role/TwokeyMember"],
    ),
]
ExternalId = Annotated[str, _about("The external ID that the trust policy of the role requires.", minLength=2)]


class OrganizationForm(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"exclude": "except"}
):
    """The accounts of an organization, as AWS Organizations lists them. Accounts that are not active are left out."""

    role: Annotated[Role, _about("The role to assume in each account, except in that of twokey itself.")]
    ou: Annotated[
        Ou | list[Ou] | UnsetType,
        _about("Only the accounts in these organizational units, and those nested in them."),
    ] = UNSET
    tags: Annotated[Tags | UnsetType, _about("Only accounts with all of these tags.")] = UNSET
    exclude: Annotated[list[str] | UnsetType, _about("Accounts to leave out, by ID or name.")] = UNSET


class AccountForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account."""

    id: Annotated[str, _about("The ID of the account.", **_ID)]
    name: Annotated[str | UnsetType, _about("Its name, for `{account_name}` and `--account`.", minLength=1)] = UNSET
    role: Annotated[
        Role | list[Role] | UnsetType,
        _about("The role to assume, or several, one after the other. Without it, the account is that of twokey."),
    ] = UNSET
    external_id: Annotated[ExternalId | UnsetType, _about("The external ID of its roles.")] = UNSET
    tags: Annotated[Tags | UnsetType, _about("Its tags, for entries that choose accounts by them.")] = UNSET
    ou: Annotated[Ou | UnsetType, _about("Its organizational unit, for entries that choose accounts by it.")] = UNSET
    region: Annotated[
        str | UnsetType, _about("The region of its stores and destinations, if not the region of the run.", minLength=1)
    ] = UNSET


class AccountsForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"listed": "list"}):
    """The accounts of a run: from AWS Organizations, from a list, or from the file of Cloud Custodian's c7n-org."""

    organizations: Annotated[OrganizationForm | UnsetType, _about("Those of the organization of twokey's account.")] = (
        UNSET
    )
    listed: Annotated[
        Annotated[list[AccountForm], Meta(min_length=1)] | UnsetType, _about("The accounts, one by one.")
    ] = UNSET
    file: Annotated[str | UnsetType, _about("An accounts.yml as Cloud Custodian's c7n-org reads it.", minLength=1)] = (
        UNSET
    )
    external_id: Annotated[
        ExternalId | UnsetType, _about("The external ID of all roles that have none of their own.")
    ] = UNSET
    session_tags: Annotated[
        dict[str, str] | UnsetType,
        _about("Tags of the sessions of all roles. Their trust policies must allow sts:TagSession."),
    ] = UNSET
    max_accounts: Annotated[
        Annotated[int, Meta(ge=1)] | UnsetType,
        _about("Refuse, before any change, if one run would process more accounts than this."),
    ] = UNSET


class ChoiceForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accounts of which all that is set here is true."""

    id: Annotated[str | UnsetType, _about("The ID of the account.", **_ID)] = UNSET
    name: Annotated[str | UnsetType, _about("Its name; `*` matches as in a shell.", minLength=1)] = UNSET
    ou: Annotated[Ou | UnsetType, _about("The organizational unit that it is in, also nested in others.")] = UNSET
    tag: Annotated[Tags | UnsetType, _about("Tags that it has, with these values.")] = UNSET


Choice = Annotated[
    Annotated[str, _about("The ID or the name of an account; `*` matches in a name as in a shell.", minLength=1)]
    | ChoiceForm,
    _about("Accounts, by ID, name, organizational unit or tag."),
]
