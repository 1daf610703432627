"""What an entry must not say about accounts: where users of two accounts would meet in one store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core.errors import UsageError
from twokey.destinations.address import names_account

if TYPE_CHECKING:
    from twokey.config.account_settings import AccountSettings
    from twokey.config.schema import Entry
    from twokey.config.settings import Label, Selection


def check(selection: Selection, label: Label, entry: Entry, accounts: AccountSettings | None) -> None:
    """Raise ``UsageError`` where an entry and the accounts of the file do not fit together."""
    if accounts is None:
        _check_without(label, entry)
        return
    if only_account(selection, accounts):
        return
    for key, template in (("store", selection.store), ("lock", selection.lock)):
        if template is not None and not names_account(template) and selection.is_shared(key, template):
            raise UsageError(
                f"{label(key)}: `{template}` would be the same for users of one name in two accounts, and each user's "
                "key would overwrite the other's there.",
                remedy="Put {account} or {account_name} into the URL"
                + (", or set store_account: member." if selection.store_account == "central" else "."),
            )


def _check_without(label: Label, entry: Entry) -> None:
    for key in ("accounts", "store_account", "deliver_account"):
        if getattr(entry, key) and not (key == "store_account" and entry.store_account == "member"):
            raise UsageError(
                f"{label(key)} needs `accounts` at the top level of the file, and there is none.",
                remedy="Add it, or remove this key: the users are those of the account that twokey runs in.",
            )


def only_account(selection: Selection, accounts: AccountSettings) -> str:
    """Return the id of the account whose users an entry selects; empty where there may be more than one."""
    if len(accounts.listed) == 1:
        return accounts.listed[0].id
    return selection.accounts[0].id if len(selection.accounts) == 1 else ""
