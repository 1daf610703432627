"""An account and the names of its users, as ``list`` found them.

A chunk is run without asking AWS Organizations again: a thousand functions at a time would exceed its request rate.
Which role is assumed is not kept: the configuration says so, and no program that can write to the bucket.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from twokey.core.accounts import Account
from twokey.core.errors import UsageError
from twokey.serverless import events

if TYPE_CHECKING:
    from twokey.config.account_settings import AccountSettings
    from twokey.config.settings import Settings
    from twokey.serverless.objects import Bucket, Keys


class AccountRecord(msgspec.Struct):
    """An account. ``in_role``: a role is assumed in it, as in every account of an organization but twokey's own."""

    id: str
    name: str
    ous: list[str]
    tags: dict[str, str]
    in_role: bool
    region: str


class Members(msgspec.Struct):
    """The users of an account. ``account`` is None where the configuration has no ``accounts``."""

    account: AccountRecord | None
    users: list[str]


def record(account: Account) -> AccountRecord:
    """Return an account as it is kept."""
    return AccountRecord(
        account.id, account.name, list(account.ous), dict(account.tags), bool(account.roles), account.region
    )


def read_members(bucket: Bucket, keys: Keys, account: str) -> Members:
    """Return an account's users, as ``list`` has written them."""
    key = keys.users(account)
    found: Members = events.parse(bucket.read(key), key, Members)
    return found


def only(settings: Settings, members: Members) -> Settings:
    """Return the settings for this account alone; raises ``UsageError`` where they do not list it any more."""
    found = members.account
    if settings.accounts is None or found is None:
        return settings
    accounts = replace(settings.accounts, listed=(_account(settings.accounts, found),), organization=None, only=())
    return replace(settings, accounts=accounts)


def _account(settings: AccountSettings, found: AccountRecord) -> Account:
    if settings.organization is not None:
        roles = (settings.organization.role,) if found.in_role else ()
        return Account(found.id, found.name, tuple(found.ous), found.tags, roles, found.region)
    for account in settings.listed:
        if account.id == found.id:
            return account
    raise UsageError(
        f"The configuration does not list the account {found.id} any more.",
        state="Nothing was changed.",
        remedy="Start another execution.",
    )
