"""An account and the names of its users, as ``list`` found them.

A chunk is run without asking AWS Organizations again: a thousand functions at a time would exceed its request rate.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from twokey.core.accounts import Account, AccountRole
from twokey.serverless import events

if TYPE_CHECKING:
    from twokey.config.settings import Settings
    from twokey.serverless.objects import Bucket, Keys


class RoleRecord(msgspec.Struct):
    """A role to assume."""

    name: str
    external_id: str
    tags: list[tuple[str, str]]


class AccountRecord(msgspec.Struct):
    """An account."""

    id: str
    name: str
    ous: list[str]
    tags: dict[str, str]
    roles: list[RoleRecord]
    region: str


class Members(msgspec.Struct):
    """The users of an account. ``account`` is None where the configuration has no ``accounts``."""

    account: AccountRecord | None
    users: list[str]


def record(account: Account) -> AccountRecord:
    """Return an account as it is kept."""
    roles = [RoleRecord(one.name, one.external_id, list(one.tags)) for one in account.roles]
    return AccountRecord(account.id, account.name, list(account.ous), dict(account.tags), roles, account.region)


def read_members(bucket: Bucket, keys: Keys, account: str) -> Members:
    """Return an account's users, as ``list`` has written them."""
    key = keys.users(account)
    found: Members = events.parse(bucket.read(key), key, Members)
    return found


def only(settings: Settings, members: Members) -> Settings:
    """Return the settings for this account alone."""
    found = members.account
    if settings.accounts is None or found is None:
        return settings
    roles = tuple(AccountRole(one.name, one.external_id, tuple(one.tags)) for one in found.roles)
    account = Account(found.id, found.name, tuple(found.ous), found.tags, roles, found.region)
    accounts = replace(settings.accounts, listed=(account,), organization=None, only=())
    return replace(settings, accounts=accounts)
