"""The accounts of AWS that a run acts in, and which of them an entry of the configuration means. Values only."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class AccountRole:
    """A role to assume: its ARN, or its name (with its path) in the account; and what its trust policy requires."""

    name: str
    external_id: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    """Session tags, which the trust policy must allow (sts:TagSession)."""

    def arn(self, account: str, partition: str) -> str:
        """Return the ARN of the role in an account."""
        return self.name if self.name.startswith("arn:") else f"arn:{partition}:iam::{account}:role/{self.name}"


@dataclass(frozen=True, slots=True)
class Account:
    """An account of AWS. ``roles`` are assumed one after the other; without any, twokey's own credentials count.

    ``ous`` are the IDs of what contains it, from the root of the organization to its organizational unit. ``region`` is
    that of its stores and destinations; empty for the region of the run.
    """

    id: str
    name: str = ""
    ous: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    roles: tuple[AccountRole, ...] = ()
    region: str = ""

    def __str__(self) -> str:
        """Return the id, with the name where there is one: ``prod (123456789012)``."""
        return f"{self.name} ({self.id})" if self.name else self.id


@dataclass(frozen=True, slots=True)
class AccountChoice:
    """What chooses accounts: an id, a name (``*`` matches as in a shell), an organizational unit, tags; or several.

    An account is meant if all that is set is true of it. An organizational unit means those nested in it too.
    """

    id: str = ""
    name: str = ""
    ou: str = ""
    tags: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, text: str) -> AccountChoice:
        """Return the choice of an id or a name, as the operator types it."""
        return cls(id=text) if is_account_id(text) else cls(name=text)

    def means(self, account: Account) -> bool:
        """Return whether it chooses an account."""
        return (
            (not self.id or self.id == account.id)
            and (not self.name or fnmatch.fnmatchcase(account.name.casefold(), self.name.casefold()))
            and (not self.ou or self.ou in account.ous)
            and all(account.tags.get(key) == value for key, value in self.tags)
        )

    def __str__(self) -> str:
        """Return how a message names it."""
        parts = [self.id, self.name, self.ou, *(f"{key}={value}" for key, value in self.tags)]
        return ", ".join(filter(None, parts))


class ListsAccounts(Protocol):
    """An organization. Raises the errors of ``twokey.core.errors``."""

    def accounts(self, ous: Sequence[str], *, tags: bool) -> Iterator[Account]:
        """List the active accounts in these organizational units and those nested in them; without any, in the root.

        With ``tags``, each has its tags, which costs a request for each account.
        """
        ...


def is_account_id(text: str) -> bool:
    """Return whether a text is the id of an account: 12 digits."""
    return len(text) == 12 and text.isascii() and text.isdigit()


def chosen(accounts: Sequence[Account], choices: Sequence[AccountChoice]) -> tuple[Account, ...]:
    """Return the accounts that one of the choices means; all of them without any."""
    return tuple(one for one in accounts if not choices or any(choice.means(one) for choice in choices))
