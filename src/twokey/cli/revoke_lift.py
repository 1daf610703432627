"""``twokey revoke --lift``: removes the policies that ended sessions, once the sessions are over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.cli.options import configuration
from twokey.core.commands import lift_command
from twokey.core.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.cli.options import Flags
    from twokey.revocation.lift import LiftResult


def check(**options: object) -> None:
    """Raise ``UsageError`` for an option that says nothing about a lift."""
    unusable = [name.replace("_", "-") for name, value in options.items() if value not in (None, False)]
    if unusable:
        raise UsageError(f"--lift and --{unusable[0]} exclude each other.", remedy="Keep the one that you mean.")


def run(flags: Flags, *, all_users: bool, only_plan: bool) -> int:
    """Remove the policies of the users and the roles that they reach, or of the whole account."""
    from twokey.config.settings import path_prefix
    from twokey.fleet import ending
    from twokey.fleet.runtime import Runtime

    if all_users and flags.users:
        raise UsageError("--all means every user, and cannot be combined with names.", remedy="Leave one of them out.")
    path = path_prefix(flags.path, "--path") if flags.path is not None else None
    # Only the accounts of the configuration matter: policies that ended sessions are in IAM alone.
    settings = configuration(flags.config, flags.accounts) if flags.store is None else None
    runtime = Runtime(settings)
    if runtime.accounts:
        runtime.enter(runtime.accounts.one(flags.users, lift_command))
    results = ending.lifted(runtime, ending.lifts(runtime, flags.users, path), only_plan=only_plan)
    _print(results, as_json=flags.as_json, quiet=flags.quiet)
    outcomes = {one.outcome for one in results}
    if "failed" in outcomes:
        return ExitCode.FAILED
    return ExitCode.REFUSED if "refused" in outcomes else ExitCode.DONE


def _print(results: Sequence[LiftResult], *, as_json: bool, quiet: bool) -> None:
    from twokey.cli import terminal
    from twokey.reports import documents
    from twokey.revocation.report import lift_document

    if as_json:
        terminal.say_json(documents.encode(lift_document(results)))
        return
    for one in results:
        if one.outcome in ("refused", "failed") or not quiet:
            (terminal.tell if quiet else terminal.paragraph)(f"{one.outcome}: {one.message}")
    if not results and not quiet:
        terminal.tell("No policy of twokey ends sessions here: nothing to lift.")
