"""The accounts of a run: which they are, and what a run needs of each of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from twokey.config import shared_stores
from twokey.core.accounts import Account, chosen
from twokey.core.errors import Failed, ServiceRejected, TwokeyError, UsageError
from twokey.core.model import account_of
from twokey.fleet.first import KEY_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.aws.clients import Clients
    from twokey.aws.iam import Iam
    from twokey.aws.roles import Sessions
    from twokey.aws.sts import Sts
    from twokey.config.account_settings import AccountSettings
    from twokey.config.settings import Selection
    from twokey.core.accounts import ListsAccounts
    from twokey.destinations.registry import Services

NOTHING = "Nothing was changed."


class Member:
    """One account in a run: its IAM, and the services of its stores and destinations. Creating it calls nothing."""

    def __init__(self, account: Account, clients: Clients, services: Services) -> None:
        self.account = account
        self.clients = clients
        self.services = services

    @cached_property
    def iam(self) -> Iam:
        """IAM, at the pace that this account allows."""
        from twokey.aws.iam import Iam

        return Iam(self.clients, self.account.name)

    @cached_property
    def sts(self) -> Sts:
        """STS, with the credentials for this account."""
        from twokey.aws.sts import Sts

        return Sts(self.clients)

    def check_region(self) -> None:
        """Raise ``Failed`` unless the region of the account's stores accepts its credentials."""
        region = self.clients.region
        try:
            self.sts.reach(region)
        except ServiceRejected:
            raise Failed(
                f"The region {region}, in which its stores are, does not accept the session of its role.",
                remedy=f"Enable {region} in the account, or name another region for it below accounts: in twokey.yaml.",
            ) from None


class Accounts:
    """The accounts of a run over several. ``home`` is the one that twokey runs in."""

    def __init__(self, settings: AccountSettings, home: Services) -> None:
        self._settings = settings
        self._home_services = home
        self._members: dict[str, Member] = {}
        self.warnings: list[str] = []
        """What in the choice of accounts has no effect; complete once ``known`` was read."""

    @cached_property
    def _caller(self) -> tuple[str, str]:
        """The account of twokey itself, and its partition."""
        from twokey.aws.sts import Sts

        account, arn = Sts(self._home_services.clients).caller()
        return account, arn.split(":")[1]

    @cached_property
    def _sessions(self) -> Sessions:
        from twokey.aws.roles import Sessions

        return Sessions(self._home_services.clients)

    def _partition(self) -> str:
        return self._caller[1]

    @property
    def home(self) -> str:
        """The id of the account that twokey runs in."""
        return self._caller[0]

    @cached_property
    def known(self) -> tuple[Account, ...]:
        """All accounts of the configuration; raises ``Failed`` or ``UsageError`` where there are none."""
        from twokey.aws.organizations import Organization

        settings = self._settings
        if settings.organization is None:
            return settings.listed
        organization = Organization(self._home_services.clients)
        return of_organization(settings, organization, self.home, self.warnings.append)

    @cached_property
    def selected(self) -> tuple[Account, ...]:
        """The accounts that this run acts in; raises ``UsageError`` for one that the configuration does not have."""
        only = self._settings.only
        for choice in only:
            if not chosen(self.known, (choice,)):
                known = ", ".join(map(str, self.known[:10])) + (", …" if len(self.known) > 10 else "")
                raise UsageError(
                    f"--account: {choice} is none of the accounts of the configuration: {known}.",
                    remedy="Name an account by its ID or its name.",
                )
        return chosen(self.known, only)

    def member(self, account: Account) -> Member:
        """Return what a run needs of an account; one that is the same for the whole run. Calls nothing."""
        if account.id not in self._members:
            self._members[account.id] = self._member(account)
        return self._members[account.id]

    def of(self, account_id: str) -> Member:
        """Return the same for an account by its id."""
        return self._members[account_id]

    def selections(self, selections: Sequence[Selection], account: Account) -> list[Selection]:
        """Return the entries that are about an account; none where it is not one of the configuration.

        Raises ``UsageError`` where it is one, and the operator has selected others.
        """
        if account not in self.known:
            return []
        if account not in self.selected:
            raise UsageError(
                f"--account leaves out the account {account}, which the leaked key belongs to.",
                remedy="Leave --account out.",
            )
        return [one for one in selections if one.is_for(account)]

    def check_stores(self, selections: Sequence[Selection]) -> None:
        """Raise ``UsageError`` where users of twokey's own account and of another would meet in one store.

        The file alone does not show it: it does not say which account that is. Raises ``BadCredentials``, or another
        error of a service, where AWS does not say it either.
        """
        home = next((one for one in self.known if one.id == self.home), None)
        shared_stores.check(selections, self._settings, home, self._home_services.clients.region)

    def one(self, targets: Sequence[str], command: Callable[[str], str]) -> Account:
        """Return the account of a command that works in one only: the selected one, or that of these key ids.

        Raises ``UsageError`` where that is not clear; ``command`` is the one to run for the account of an id.
        """
        if len(self.selected) == 1:
            return self.selected[0]
        ids = {account_of(target) if KEY_ID.fullmatch(target) else None for target in targets}
        wanted = ids.pop() if len(ids) == 1 else None
        if self._settings.only or wanted is None:
            raise UsageError(
                f"This command works in one account at a time, and {len(self.selected)} are selected.",
                state=NOTHING,
                remedy=f"Run it for each of them: {_commands(self.selected, command)}.",
            )
        found = [account for account in self.known if account.id == wanted]
        if not found and wanted != self.home:
            raise UsageError(
                f"The key belongs to account {wanted}, which is none of the configuration.",
                state=NOTHING,
                remedy="Run twokey with credentials of that account, or add it below accounts: in twokey.yaml.",
            )
        return found[0] if found else Account(wanted)

    def own(self) -> Account:
        """Return the account that twokey runs in, as the configuration has it.

        Where that cannot be read, it is known by its id alone: what is wrong is raised by ``selections``.
        """
        try:
            known = self.known
        except TwokeyError:
            known = ()
        return next((account for account in known if account.id == self.home), Account(self.home))

    def _member(self, account: Account) -> Member:
        from twokey.aws.member import MemberClients

        home = self._home_services
        if not account.roles:
            return Member(account, home.clients, home)
        clients = MemberClients(home.clients, account, self._sessions, self._partition)
        return Member(account, clients, replace(home, clients=clients, home=home))

    def check(self, account: Account, *, in_region: bool) -> None:
        """Raise an error unless twokey can act in an account: its role can be assumed, or it is that of twokey.

        ``in_region``: it has stores or destinations, so its region must be enabled.
        """
        if account.roles:
            member = self.member(account)
            member.clients.own_key()
            if in_region:
                member.check_region()
        elif account.id != self.home:
            raise Failed(
                f"It has no role, and twokey runs in another account ({self.home}).",
                remedy="Add its role below accounts: in twokey.yaml.",
            )


def of_organization(
    settings: AccountSettings, organization: ListsAccounts, home: str, warn: Callable[[str], None] = lambda _: None
) -> tuple[Account, ...]:
    """Return the accounts of an organization that the settings mean; that of twokey itself needs no role.

    Raises ``Failed`` where there are none. An exception that no account meets is a warning: an account that was to be
    left out may not be.
    """
    wanted = settings.organization
    assert wanted is not None
    listed = list(organization.accounts(wanted.ous, tags=bool(wanted.tags) or settings.needs_tags))
    for choice in wanted.exclude:
        if not any(map(choice.means, listed)):
            warn(f"{settings.at}`except`: none of the accounts is left out by {choice}.")
    found = [
        replace(one, roles=() if one.id == home else (wanted.role,))
        for one in listed
        if all(one.tags.get(key) == value for key, value in wanted.tags)
        and not any(choice.means(one) for choice in wanted.exclude)
    ]
    if not found:
        raise Failed(
            f"{settings.at}The organization has no active account that is selected.",
            state=NOTHING,
            remedy="Check `ou`, `tags` and `except`.",
        )
    return tuple(found)


MOST_COMMANDS = 10
"""Accounts for which a message has the command."""


def _commands(accounts: Sequence[Account], command: Callable[[str], str]) -> str:
    shown = "; ".join(command(account.id) for account in accounts[:MOST_COMMANDS])
    more = len(accounts) - MOST_COMMANDS
    return f"{shown}; and likewise for {more} more" if more > 0 else shown


def interleaved(groups: Sequence[Sequence[int]]) -> list[int]:
    """Return numbers in turn from each group: first the first of each, then the second of each."""
    order: list[int] = []
    for turn in range(max(map(len, groups), default=0)):
        order.extend(group[turn] for group in groups if turn < len(group))
    return order
