"""How a revocation ended, or what is planned: the leaked keys first, then what replaces them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.cli import result_messages, terminal
from twokey.core.reasons import Outcome, Revocation
from twokey.fleet.names import Names
from twokey.planning.plan import Delete, RemoveOrphan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from twokey.core.errors import ExitCode
    from twokey.fleet.ending import Ending
    from twokey.fleet.revoking import Leaks
    from twokey.fleet.revoking_all import AllUsers
    from twokey.planning.plan import Plan
    from twokey.reports.documents import RevokePlanEntry
    from twokey.revocation.results import RevokeResult
    from twokey.rotation.preview import Preview


SESSIONS = 5
"""How many roles of a user are named whose sessions were not ended."""


def report(results: Sequence[RevokeResult], *, as_json: bool, quiet: bool) -> ExitCode:
    """Print how the revocation ended, in the requested form; return its exit code."""
    from twokey.reports import documents
    from twokey.revocation.report import revoke_document
    from twokey.revocation.results import exit_code

    if as_json:
        terminal.say_json(documents.encode(revoke_document(results)))
        return exit_code(results)
    named = Names(one.user.key for one in results)
    for one in results:
        bad = one.outcome is not Revocation.REVOKED
        if bad or not quiet:
            for row in _lines(one, named(one.user.key)):
                (terminal.tell if quiet else terminal.paragraph)(row)
    if not quiet:
        for one in results:
            for warning in one.every_warning:
                terminal.tell(f"Warning: {named(one.user.key)}: {warning}")
        counts = {each: [one.outcome for one in results].count(each) for each in Revocation}
        terminal.tell(", ".join(f"{count} {each}" for each, count in counts.items() if count) + ".")
    return exit_code(results)


def plan(
    previews: Sequence[Preview], leaks: Leaks, sessions: Mapping[str, Sequence[str]], *, as_json: bool
) -> ExitCode:
    """Print what would be done; return the exit code."""
    from twokey.reports import documents
    from twokey.revocation.results import exit_code

    if as_json:
        terminal.say_json(documents.encode(documents.RevokePlanDocument(_entries(previews, leaks, sessions))))
    else:
        show_plan(previews, leaks, sessions)
        for one in leaks.ended:
            for row in _lines(one, one.user.name):
                terminal.paragraph(row)
    return exit_code(leaks.ended)


def plan_all(all_found: AllUsers, ending: Ending, *, as_json: bool) -> ExitCode:
    """Print what would be done for all users; return the exit code."""
    from twokey.cli import revoke_all
    from twokey.reports import documents
    from twokey.revocation.results import exit_code

    if as_json:
        terminal.say_json(documents.encode(documents.RevokePlanDocument([*revoke_all.entries(all_found, ending)])))
    else:
        revoke_all.show(all_found, ending)
        for one in all_found.leaks.ended:
            for row in _lines(one, one.user.name):
                terminal.paragraph(row)
    return exit_code(all_found.leaks.ended)


def show_plan(previews: Sequence[Preview], leaks: Leaks, sessions: Mapping[str, Sequence[str]]) -> None:
    """Print what would be done for each user, in order."""
    for entry in _entries(previews, leaks, sessions):
        terminal.paragraph(f"{entry.user}: nothing has been changed yet.")
        first = [f"make {key_id} Inactive; every program that uses it fails from then on" for key_id in entry.keys]
        for number, step in enumerate((*first, *entry.actions), 1):
            terminal.paragraph(f"{number}. {step}", "  ", "   ")
        if entry.message:  # what is true then, such as that a key is Inactive
            terminal.paragraph(f"After step {len(entry.keys)}: {entry.message}", "  ", "  ")
        for sentence in entry.sessions:
            terminal.paragraph(sentence, "  ", "  ")


def _entries(previews: Sequence[Preview], leaks: Leaks, sessions: Mapping[str, Sequence[str]]) -> list[RevokePlanEntry]:
    from twokey.reports import documents

    by_name = {one.result.user.name: one for one in previews}
    entries = []
    for name, key_ids in leaks.keys.items():
        found = by_name.get(name)
        user = found.result.user if found else None
        entries.append(
            documents.RevokePlanEntry(
                account=user.account if user else "",
                user=name,
                path=user.path if user else "",
                keys=key_ids,
                actions=[*_actions(found.plan, key_ids, leaks)] if found and found.plan else [],
                message=found.result.message if found else leaks.unselected or NOT_MANAGED,
                sessions=[*sessions.get(name, ())],
            )
        )
    return entries


def _actions(plan: Plan, key_ids: Sequence[str], leaks: Leaks) -> Iterator[str]:
    """Yield what is done for a user: what is planned now, and the deletions that follow once that is done."""
    yield from map(str, plan.actions)
    if leaks.request.delete and plan.outcome is not Outcome.REFUSED:
        gone = {action.key_id for action in plan.actions if isinstance(action, Delete | RemoveOrphan)}
        yield from (f"delete {key_id}" for key_id in key_ids if key_id not in gone)


NOT_MANAGED = "No configuration names the store of this user, so twokey creates no key in its place."


def _lines(result: RevokeResult, name: str) -> Iterator[str]:
    facts = result_messages.in_brackets(result_messages.facts(result.rotation)) if result.rotation else ""
    why = "" if result.reason.value in (result.outcome.value, "leaked") else f" ({result.reason})"
    yield f"{name}: {result.outcome}{why}. {result.message}{facts}".removeprefix(": ")
    for one in result.rotation.destinations if result.rotation else ():
        if one.outcome == "failed":
            yield f"  {name}: {one.destination} failed: {one.message}"
    ended = [":role/" in one.role for one in result.sessions if one.outcome == "ended"]
    if ended:
        roles = f"{sum(ended)} role{'' if sum(ended) == 1 else 's'}" if any(ended) else ""
        whose = " and of ".join(filter(None, ("" if all(ended) else "the user", roles)))
        yield f"  {name}: earlier sessions of {whose} were ended"
    left = [one for one in result.sessions if one.policy and one.outcome != "ended"]
    for session in left[:SESSIONS]:
        yield f"  {name}: sessions of {session.role} were not ended: {session.message}"
    if len(left) > SESSIONS:
        yield f"  {name}: sessions of {len(left) - SESSIONS} more roles were not ended: see --json or --evidence"
