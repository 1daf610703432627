"""The users of a run over several accounts. What is wrong with an account is told in one line, and stops no other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from twokey.config.settings import same_name
from twokey.core.errors import Failed, TwokeyError, UsageError
from twokey.destinations import address, registry
from twokey.fleet import packed, waves
from twokey.fleet.lookup import conclude, no_result, not_covered
from twokey.fleet.roster import UNCHANGED, Roster, find
from twokey.inventory.audit import concurrently

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event

    from twokey.config.settings import Selection, Settings
    from twokey.core.accounts import Account
    from twokey.core.model import MachineUser
    from twokey.fleet.accounts import Accounts
    from twokey.fleet.packed import Packed
    from twokey.fleet.roster import Found, Job
    from twokey.rotation.results import Result

AT_A_TIME = 16
"""Accounts that are looked at at a time."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What is kept of one account: its users, the results of others or of itself, and what matches no user.

    ``reached``: whether it was, by an entry that chooses it.
    """

    selections: tuple[Selection, ...]
    jobs: Sequence[Job] = ()
    failed: tuple[Result, ...] = ()
    unmatched: tuple[tuple[Selection, str], ...] = ()
    reached: bool = False


def select_in_accounts(
    accounts: Accounts,
    settings: Settings,
    names: Sequence[str],
    fill: Callable[[str, MachineUser], str],
    stop: Event,
) -> Roster:
    """Find the users of all selected accounts; with ``names``, only those of them, in any of the accounts.

    Raises ``UsageError`` where one user is selected twice, and where two accounts of one name would share a store;
    ``Failed`` where the accounts cannot be listed, or no user is selected at all.
    """
    selected = accounts.selected
    _check_names(accounts.known, settings.selections)
    # Asks who twokey is: credentials that AWS does not accept are one error, and not one for each account.
    accounts.check_stores(settings.selections)
    failed, warnings = conclude(_without_account(accounts.known, settings.selections))

    def look(account: Account) -> _Part:
        return _look(accounts, account, settings.selections, names, fill, stop, jobs)

    jobs: Packed[Job] = packed.jobs()
    parts = concurrently(look, selected, AT_A_TIME)
    roster = Roster.of_accounts(Roster(part.jobs, part.failed) for part in parts)
    emptied, more = conclude(_unmatched(parts))
    missing = [*failed, *roster.failed, *emptied]
    if names and all(part.reached for part in parts):
        # In an account that was not reached, there may be users of these names.
        missing += not_covered(names, [*(job.user.name for job in roster.jobs), *(one.user.name for one in missing)])
    if not roster.jobs and not missing:
        raise Failed(
            f"None of the {len(selected)} accounts has an IAM user that is selected.",
            state=UNCHANGED,
            remedy=" ".join(
                [*warnings, "Check the paths (IAM paths look like /machine-users/) and `accounts` of the entries."]
            ),
        )
    more += [
        f"{wave.at}none of the accounts is chosen by {choice}; this wave goes without it."
        for wave in settings.waves
        for choice in waves.without_account(wave, accounts.known)
    ]
    return Roster(roster.jobs, tuple(missing), (*accounts.warnings, *roster.warnings, *warnings, *more))


UNCHANGED_THERE = "Nothing was changed in it."


def account_failed(account: Account, error: TwokeyError) -> Result:
    """Return the result of a whole account that cannot be worked on."""
    remedy = f" {error.remedy}" if error.remedy else ""
    found = no_result("", f"The account {account} is left out: {_why(account, error)} {UNCHANGED_THERE}{remedy}")
    return replace(found, user=replace(found.user, account=account.id, account_name=account.name))


def _why(account: Account, error: TwokeyError) -> str:
    """Return what an error says, without the account: the line begins with it."""
    return error.message.replace(f" in account {account.id}", "").replace(f" of account {account.id}", "")


def _look(
    accounts: Accounts,
    account: Account,
    selections: Sequence[Selection],
    names: Sequence[str],
    fill: Callable[[str, MachineUser], str],
    stop: Event,
    others: Packed[Job],
) -> _Part:
    """Look at one account; of its users, no more is kept than ``others`` keeps of those of all accounts."""
    theirs = tuple(selection for selection in selections if selection.is_for(account))
    if not theirs or stop.is_set():
        return _Part(())
    try:
        accounts.check(account, in_region=any(map(is_in_account, theirs)))
        found = find(theirs, names, accounts.member(account).iam, fill)
        if not found.jobs:
            found.lookup.check_reached(len(theirs))
            if len(found.lookup.unlisted) == len(theirs):
                raise found.lookup.errors[0]
    except UsageError:
        raise
    except TwokeyError as error:
        return _Part(theirs, failed=(account_failed(account, error),))
    return _Part(
        theirs, others.beside(found.jobs), _results(found, account, names), tuple(found.lookup.unmatched), reached=True
    )


def is_in_account(selection: Selection) -> bool:
    """Return whether a store or destination of an entry is in the AWS account of its users."""
    urls = [
        (selection.store, selection.store_account),
        *((url, selection.deliver_account) for url in selection.deliver),
    ]
    return any(
        which == "member" and registry.kind_of(registry.parse(url).scheme).resources is not None for url, which in urls
    )


def _results(found: Found, account: Account, names: Sequence[str]) -> tuple[Result, ...]:
    """Return the results of those users of an account who were not found."""
    results = [
        *(one for one in found.lookup.failed if not (names and same_name(one.user.name) in found.lookup.absent)),
        *found.unfit,
    ]
    return tuple(replace(one, user=replace(one.user, account=account.id, account_name=account.name)) for one in results)


def _unmatched(parts: Sequence[_Part]) -> list[tuple[Selection, str]]:
    """Return what in an entry matches no user in any of its accounts; in some of them, that is usual."""
    reached = [part for part in parts if part.reached]
    counts: Counter[str] = Counter()
    first: dict[str, Selection] = {}
    for part in reached:
        for selection, message in part.unmatched:
            counts[message] += 1
            first.setdefault(message, selection)
    entire = len(reached) == len([part for part in parts if part.selections])
    return [
        (selection, message)
        for message, selection in first.items()
        if entire and counts[message] == sum(selection in part.selections for part in reached)
    ]


def _without_account(known: Sequence[Account], selections: Sequence[Selection]) -> list[tuple[Selection, str]]:
    """Return each choice of an entry that none of the accounts meets."""
    return [
        (selection, f"{selection.named('accounts', index)}: none of the accounts is chosen by {choice}.")
        for selection in selections
        for index, choice in enumerate(selection.accounts)
        if not any(map(choice.means, known))
    ]


def _check_names(known: Sequence[Account], selections: Sequence[Selection]) -> None:
    """Raise ``UsageError`` where two accounts have one name, and a store is told apart by it alone."""
    for selection in selections:
        for key, template in (("store", selection.store), ("lock", selection.lock or "")):
            if "{account_name}" not in template or "{account}" in template:
                continue
            seen: dict[str, Account] = {}
            for account in filter(selection.is_for, known):
                name = address.account_name(template, account.name).casefold()
                if (other := seen.setdefault(name, account)) is not account:
                    raise UsageError(
                        f"{selection.named(key)}: the accounts {other} and {account} would share `{template}`.",
                        state=UNCHANGED,
                        remedy="Use {account}, the ID, in place of {account_name}.",
                    )
