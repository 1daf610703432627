"""The accounts of a run, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from twokey.core.accounts import Account, AccountChoice, AccountRole
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class OrganizationSettings:
    """The accounts of an organization that a run acts in."""

    role: AccountRole
    ous: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    exclude: tuple[AccountChoice, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Which accounts a run acts in: those that are listed, or those of an organization.

    ``only`` are those that the operator has chosen for this run; all of them without any. ``at`` is the position in the
    file, as a message begins.
    """

    listed: tuple[Account, ...] = ()
    organization: OrganizationSettings | None = None
    max_accounts: int | None = None
    needs_tags: bool = False
    """Whether an entry chooses accounts by their tags, which an organization has to be asked for."""
    only: tuple[AccountChoice, ...] = ()
    at: str = ""
    lines: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """The position of each listed account, by id."""


def selected_by(
    settings: AccountSettings | None, texts: tuple[str, ...], most: int | None, source: str
) -> AccountSettings:
    """Return the accounts of a run with what ``--account`` and ``--max-accounts`` say; ``UsageError`` without any."""
    if settings is None:
        option = "--account" if texts else "--max-accounts"
        raise UsageError(
            f"{option} is about the accounts of twokey.yaml, and {source} has none.",
            remedy="Add accounts: to twokey.yaml, or leave the option out.",
        )
    if any(not text.strip() for text in texts):
        # A script may have an empty variable here. An empty name would choose every account.
        raise UsageError(
            "--account: the name is empty.",
            state="Nothing was called.",
            remedy="Name an account by its ID or its name. To work in all accounts, leave the option out.",
        )
    return replace(settings, only=tuple(map(AccountChoice.of, texts)), max_accounts=most or settings.max_accounts)
