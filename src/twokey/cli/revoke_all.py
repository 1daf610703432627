"""``twokey revoke --all`` at the terminal: which keys are meant, in which order, and how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.cli import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.fleet.ending import Ending
    from twokey.fleet.revoking import Leaks
    from twokey.fleet.revoking_all import AllUsers
    from twokey.fleet.runtime import Runtime
    from twokey.reports.documents import RevokePlanEntry


def warn(all_found: AllUsers) -> None:
    """Say what the operator should know before anything is changed."""
    for warning in all_found.warnings:
        terminal.tell(f"Warning: {warning}")


def show(all_found: AllUsers, ending: Ending) -> None:
    """Print which keys would be made Inactive, in order, and what follows."""
    leaks = all_found.leaks
    keys = sum(map(len, leaks.keys.values()))
    terminal.paragraph(
        f"{_count(keys, 'key')} of {_count(len(leaks.keys), 'user')} would be made Inactive, in this order; every "
        "program that uses one of them fails from then on:"
    )
    for number, (user, key_ids) in enumerate(leaks.keys.items(), 1):
        terminal.paragraph(f"{number}. {user} {', '.join(key_ids)}{_power(all_found, user)}", "  ")
    without = [user for user in leaks.keys if user not in leaks.jobs]
    if len(without) < len(leaks.keys):
        terminal.paragraph("Only then, for each user: create a key, verify it, store it, and deliver it.")
    if without:
        terminal.paragraph(f"No configuration names the stores of {_count(len(without), 'user')}: no key is created.")
    for sentence in ending.summary(leaks):
        terminal.paragraph(sentence)


def entries(all_found: AllUsers, ending: Ending) -> Iterator[RevokePlanEntry]:
    """Yield the same as a document has it."""
    from twokey.reports import documents

    leaks, sessions = all_found.leaks, ending.previews(all_found.leaks)
    for user, key_ids in leaks.keys.items():
        found = leaks.jobs[user].user if user in leaks.jobs else None
        power = all_found.powers.get(user)
        yield documents.RevokePlanEntry(
            account=found.account if found else "",
            user=user,
            path=found.path if found else "",
            keys=key_ids,
            actions=[],
            message=f"{user}: {power}." if power else "",
            sessions=sessions[user],
        )


def contain(leaks: Leaks, runtime: Runtime, at_a_time: int, *, quiet: bool) -> None:
    """Make all leaked keys Inactive, and show how far that is."""
    from twokey.cli.progress import Progress
    from twokey.cli.signals import terminable
    from twokey.fleet.revoking import contain_all

    bar = Progress(len(leaks.keys), quiet=quiet)
    with bar, terminable(bar.clear):
        contain_all(leaks, runtime, at_a_time, lambda _user: bar.step())
    if not quiet:
        found = [contained for contained in leaks.contained.values() if contained]
        keys = sum(map(len, found))
        terminal.tell(f"Inactive: {_count(keys, 'leaked key')} of {_count(len(found), 'user')}.")


def _power(all_found: AllUsers, user: str) -> str:
    power = all_found.powers.get(user)
    return f" ({power})" if power else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
