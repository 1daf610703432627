"""How twokey.yaml names the accounts of a run: ``accounts``, and which of them an entry means.

The file of ``accounts: {file: …}`` is the one that c7n-org reads (Cloud Custodian's tools/c7n_org: its schema of
accounts; a tag ``key:value`` is one text there).
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType

from twokey.config.account_schema import OU, AccountSchema, AccountsSchema, OrganizationSchema
from twokey.config.account_settings import AccountSettings, OrganizationSettings
from twokey.core.accounts import Account, AccountChoice, AccountRole, is_account_id
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.config.settings import Label, Selection
    from twokey.config.wave_settings import WaveSettings
    from twokey.config.yaml_lines import Document, Position

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[!-~]+|(?:[\w+=,.@-]+/)*[\w+=,.@-]{1,64}", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
"""AssumeRole, ExternalId (STS API Reference)."""


def accounts(section: AccountsSchema | UnsetType, document: Document) -> AccountSettings | None:
    """Return the accounts of a run; None where the file names none. Raises ``UsageError``."""
    if section is UNSET:
        return None
    at = f"{document.at(('accounts',))}: "
    sources = {"organizations": section.organizations, "list": section.listed, "file": section.file}
    kinds = [name for name, value in sources.items() if value is not UNSET]
    if len(kinds) != 1:
        found = " and ".join(f"`{kind}`" for kind in kinds) or "none of them"
        raise UsageError(f"{at}`accounts` needs exactly one of `organizations`, `list` and `file`; it has {found}.")
    common = AccountRole("", section.external_id or "", tuple((section.session_tags or {}).items()))
    _check_external_id(common.external_id, document, ("accounts", "external_id"))
    most = None if section.max_accounts is UNSET else section.max_accounts
    if section.organizations is not UNSET:
        settings = _organization(section.organizations, common, document)
        return AccountSettings(organization=settings, max_accounts=most, at=at)
    if section.file is not UNSET:
        listed, lines = _from_file(section.file, common, f"{document.at(('accounts', 'file'))}: ")
    else:
        listed, lines = _listed(section.listed or [], common, document)
    return AccountSettings(listed, max_accounts=most, at=at, lines=lines)


def choices(section: list[Any] | UnsetType, label: Label) -> tuple[AccountChoice, ...]:
    """Return which accounts an entry chooses; raises ``UsageError``."""
    found = []
    for index, one in enumerate(section or ()):
        if isinstance(one, str):
            choice = AccountChoice.of(one)
        else:
            choice = AccountChoice(one.id or "", one.name or "", one.ou or "", tuple((one.tag or {}).items()))
        where = label("accounts", index)
        if choice == AccountChoice():
            raise UsageError(f"{where}: this item chooses no account.", remedy="Add `id`, `name`, `ou` or `tag` to it.")
        if one_id := choice.id:
            _check_id(one_id, f"{where}: ")
        if choice.ou:
            _check_ou(choice.ou, f"{where}: ")
        found.append(choice)
    return tuple(found)


def with_choices(settings: AccountSettings, choosing: Sequence[Selection | WaveSettings]) -> AccountSettings:
    """Return the settings with what those that choose accounts need to know of them."""
    return replace(settings, needs_tags=any(choice.tags for one in choosing for choice in one.accounts))


def _organization(section: OrganizationSchema, common: AccountRole, document: Document) -> OrganizationSettings:
    position: Position = ("accounts", "organizations")
    ous = () if section.ou is UNSET else (section.ou,) if isinstance(section.ou, str) else tuple(section.ou)
    for ou in ous:
        _check_ou(ou, f"{document.at((*position, 'ou'))}: ")
    if section.role.startswith("arn:"):
        raise document.error(
            (*position, "role"),
            "`role`: expected the name of a role that each account has, got an ARN.",
            "Write the part after :role/.",
        )
    role = _role(section.role, common, document, (*position, "role"))
    excluded = tuple(map(AccountChoice.of, section.exclude or ()))
    return OrganizationSettings(role, ous, tuple((section.tags or {}).items()), excluded)


def _listed(
    sections: list[AccountSchema], common: AccountRole, document: Document
) -> tuple[tuple[Account, ...], dict[str, str]]:
    found: list[Account] = []
    lines: dict[str, str] = {}
    for index, section in enumerate(sections):
        position: Position = ("accounts", "list", index)
        at = f"{document.at((*position, 'id'))}: "
        _check_id(section.id, at)
        _refuse_second(lines, section.id, at)
        if section.ou is not UNSET:
            _check_ou(section.ou, f"{document.at((*position, 'ou'))}: ")
        own = common
        if section.external_id is not UNSET:
            _check_external_id(section.external_id, document, (*position, "external_id"))
            own = replace(common, external_id=section.external_id)
        names = [] if section.role is UNSET else [section.role] if isinstance(section.role, str) else section.role
        roles = tuple(_role(name, own, document, (*position, "role")) for name in names)
        _check_leads_there(roles, section.id, document, (*position, "role"))
        ous = () if section.ou is UNSET else (section.ou,)
        found.append(Account(section.id, section.name or "", ous, section.tags or {}, roles, section.region or ""))
    return tuple(found), lines


class _CustodianAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account of c7n-org's file; it may have more members than these."""

    account_id: str
    name: str = ""
    role: str | list[str] = []
    external_id: str = ""
    tags: list[str] = []
    regions: list[str] = []


def _from_file(name: str, common: AccountRole, at: str) -> tuple[tuple[Account, ...], dict[str, str]]:
    from twokey.config import yaml_lines
    from twokey.config.mismatches import convert

    try:
        document = yaml_lines.read(Path(name))
    except UsageError as error:
        message = f"{at}{error.message}"
        raise UsageError(message, remedy="Let `file` name an accounts.yml of Cloud Custodian.") from None
    entries = document.value.get("accounts")
    if not isinstance(entries, list) or not entries:
        raise document.error((), "expected a list `accounts`, as Cloud Custodian's c7n-org reads it.")
    found: list[Account] = []
    lines: dict[str, str] = {}
    for index, entry in enumerate(entries):
        position: Position = ("accounts", index)
        one = convert(entry, _CustodianAccount, document, position)
        where = f"{document.at(position)}: "
        _check_id(one.account_id, where)
        _refuse_second(lines, one.account_id, where)
        names = [one.role] if isinstance(one.role, str) else one.role
        if not names:
            raise document.error(
                position,
                f"the account {one.name or one.account_id} has no `role`.",
                "Add the role that twokey is to assume there; it uses no profile for one account of many.",
            )
        own = replace(common, external_id=one.external_id or common.external_id)
        roles = tuple(_role(role, own, document, (*position, "role")) for role in names)
        _check_leads_there(roles, one.account_id, document, (*position, "role"))
        region = one.regions[0] if len(one.regions) == 1 and one.regions[0] != "all" else ""
        found.append(Account(one.account_id, one.name, (), _tags(one.tags), roles, region))
    return tuple(found), lines


def _tags(texts: list[str]) -> dict[str, str]:
    pairs = (text.partition(":") for text in texts)
    return {key: value for key, _, value in pairs}


def _role(name: str, common: AccountRole, document: Document, position: Position) -> AccountRole:
    if not _ROLE.fullmatch(name):
        raise document.error(position, f"`role`: expected the name or the ARN of a role, got {name!r}.")
    return replace(common, name=name)


def _check_leads_there(roles: tuple[AccountRole, ...], account: str, document: Document, position: Position) -> None:
    """Raise ``UsageError`` where the last role is one of another account: the run would act there, as in this one."""
    if roles and (found := roles[-1].arn(account, "aws").split(":")[4]) != account:
        raise document.error(
            position,
            f"`role`: {roles[-1].name} is a role of account {found}; this item is about account {account}.",
            "Name a role of that account, or correct its ID. Of several roles, the last one must be in the account.",
        )


def _refuse_second(lines: dict[str, str], account: str, at: str) -> None:
    if account in lines:
        first = lines[account].removesuffix(": ")
        raise UsageError(f"{at}the account {account} is listed a second time; the first is {first}.")
    lines[account] = at


def _check_id(text: str, at: str) -> None:
    if not is_account_id(text):
        raise UsageError(f"{at}{text!r} is not an AWS account ID: expected 12 digits.")


def _check_ou(text: str, at: str) -> None:
    if not OU.fullmatch(text):
        raise UsageError(
            f"{at}expected the ID of an organizational unit such as ou-ab12-34cd56ef, got {text!r}.",
            remedy="aws organizations list-organizational-units-for-parent shows the IDs.",
        )


def _check_external_id(text: str, document: Document, position: Position) -> None:
    if text and not _EXTERNAL_ID.fullmatch(text):
        raise document.error(position, "`external_id`: expected 2 to 1224 letters, digits and characters +=,.@:/-_.")
