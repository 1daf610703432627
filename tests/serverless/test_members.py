"""Which account a chunk acts in, and by which role: the configuration says so, not what the bucket holds."""

from __future__ import annotations

import pytest

from twokey.config.account_settings import AccountSettings, OrganizationSettings
from twokey.config.settings import Settings
from twokey.core.accounts import Account, AccountRole
from twokey.core.errors import UsageError
from twokey.serverless.members import Members, only, record

ROLE = AccountRole("TwokeyMember", "acme")
FOUND = Account("123456789012", "prod", ("ou-1",), {"stage": "prod"}, (AccountRole("Another"),), "eu-west-1")


def settings(accounts: AccountSettings | None) -> Settings:
    return Settings((), 100, 2, "test", accounts=accounts)


def chosen(accounts: AccountSettings, found: Account) -> tuple[Account, ...]:
    selected = only(settings(accounts), Members(record(found), ["ci"])).accounts
    assert selected is not None
    assert selected.organization is None
    return selected.listed


def test_the_role_is_the_one_that_the_configuration_names_for_an_organization() -> None:
    organization = AccountSettings(organization=OrganizationSettings(ROLE))
    (account,) = chosen(organization, FOUND)
    assert (account.roles, account.id, account.name) == ((ROLE,), FOUND.id, FOUND.name)
    assert (account.ous, account.tags, account.region) == (FOUND.ous, FOUND.tags, FOUND.region)
    (home,) = chosen(organization, Account("210987654321"))
    assert home.roles == ()


def test_a_listed_account_is_the_one_of_the_configuration() -> None:
    listed = Account(FOUND.id, "prod", roles=(ROLE,))
    assert chosen(AccountSettings((Account("210987654321"), listed)), FOUND) == (listed,)


def test_an_account_that_is_not_listed_any_more_is_an_error() -> None:
    with pytest.raises(UsageError, match="does not list the account 123456789012 any more"):
        chosen(AccountSettings((Account("210987654321"),)), FOUND)


def test_without_accounts_the_settings_stay() -> None:
    plain = settings(None)
    assert only(plain, Members(None, ["ci"])) is plain
