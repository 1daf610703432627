"""``twokey revoke``: a key has leaked. It is made Inactive at once, then replaced everywhere."""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twokey.cli.help import Command, epilog
from twokey.cli.options import MAX_USERS, Flags, options, selection, settings_of, uses_file
from twokey.cli.over_users import AUDIT_LOG, NO_WAIT, VERBOSE
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from twokey.config.settings import Settings
    from twokey.fleet.evidence import Keeping
    from twokey.fleet.first import First, Request

TARGETS = click.argument("users", nargs=-1, metavar="KEY_ID|USER ...")


@click.command(
    "revoke",
    cls=Command,
    epilog=epilog(
        ("twokey revoke AKIAIOSFODNN7EXAMPLE", "Show what would be done, and ask; then do it."),
        ("twokey revoke ci --yes", "Revoke the key that the store of ci holds, without a question."),
        ("twokey revoke AKIAIOSFODNN7EXAMPLE --delete --yes", "Delete the leaked key, too, once it is replaced."),
        ("twokey revoke --lift", "Remove the policies that ended sessions, where these are over."),
        times=True,
    ),
)
@options(
    (TARGETS,),
    selection(excluded="--store, --lock, --to, --window, --grace, --idle, --soak and, without --all, --path")[1:],
)
@click.option("--all", "all_users", is_flag=True, help="Revoke the keys of all users, the most powerful first.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--plan", "only_plan", is_flag=True, help="Show what would be done; change nothing.")
@click.option("--both", is_flag=True, help="Treat all keys of the user as leaked.")
@click.option(
    "--delete",
    is_flag=True,
    help="Delete the leaked key once it is replaced, or before that if there is no room for another key.",
)
@click.option("--keep", metavar="TIME", help="Keep the leaked key Inactive for this long; a later run deletes it.")
@click.option(
    "--evidence", metavar="DIR", help="Write what was done, with AWS's times and request IDs, into this directory."
)
@click.option("--keep-sessions", is_flag=True, help="Do not end the sessions that the key may have made.")
@click.option(
    "--lift", is_flag=True, help="Remove the policies that ended sessions, once these are over; without USER, all."
)
@click.option("--drill", is_flag=True, help="Rehearse it on a built-in AWS emulator, with your configuration.")
@options((MAX_USERS, VERBOSE, AUDIT_LOG, NO_WAIT))
def command(
    *,
    users: tuple[str, ...],
    all_users: bool,
    yes: bool,
    only_plan: bool,
    both: bool,
    delete: bool,
    keep: str | None,
    evidence: str | None,
    keep_sessions: bool,
    lift: bool,
    drill: bool,
    no_wait: bool,
    verbose: bool,
    **parameters: Any,
) -> int:
    """Stop a leaked key at once, and replace it if IAM has room for another key.

    The leaked key is made Inactive before anything else; twokey never makes it Active again. Then another key is
    created, verified, stored and delivered. IAM allows two keys: if jobs may still use LAST, there is no room for
    another one until --delete deletes the leaked key. Where LAST has leaked, CURRENT stays. The leaked key is kept,
    Inactive, because it is evidence; --delete and --keep remove it. Jobs fail from the first step until they read
    the new key.

    Sessions outlive the key that made them. A policy on the user, and on every role that the user can assume, ends
    their sessions, including those of other users of these roles. --lift removes the policies again.
    """
    if lift:
        from twokey.cli import revoke_lift

        revoke_lift.check(
            both=both, delete=delete, keep=keep, keep_sessions=keep_sessions, evidence=evidence, drill=drill
        )
        return revoke_lift.run(Flags(users=users, **parameters), all_users=all_users, only_plan=only_plan)
    request = _request(users, all_users=all_users, drill=drill, both=both, delete=delete, keep=keep)
    flags = Flags(users=users, **parameters)
    path = _path(flags) if all_users else None
    if all_users and uses_file(flags):
        flags = replace(flags, path=None)  # it limits what the file selects
    if drill:
        return _drill(flags, request, keep_sessions=keep_sessions)
    if not (yes or only_plan or _can_ask()):
        raise UsageError(
            "This is not a terminal, so the plan cannot be confirmed.",
            remedy=f"See it: {_typed('--plan')}. Then run it: {_typed('--yes')}.",
        )
    with ExitStack() as stack:
        first, kept = None, None
        if yes and not only_plan and _only_key_ids(request):
            first, kept = _contain_first(request, evidence, stack)
        settings = _settings(flags, first)

        from twokey.cli.revoke_run import Revoking

        revoking = Revoking(
            flags, request, settings, stack, _typed(), not yes, all_users, path, evidence, keep_sessions, first, kept
        )
        if only_plan:
            return revoking.show_plan()
        return revoking.run(wait=not no_wait, verbose=verbose)


def _path(flags: Flags) -> str | None:
    from twokey.config.settings import path_prefix

    return None if flags.path is None else path_prefix(flags.path, "--path")


def _drill(flags: Flags, request: Request, *, keep_sessions: bool) -> int:
    """Rehearse it. Nothing of what follows is called: no connection to AWS is made."""
    from twokey.cli import drill
    from twokey.core import durations

    if flags.as_json:
        raise UsageError("--drill and --json exclude each other.", remedy="Leave one of them out.")
    keep = ("--keep", durations.exact(request.keep)) if request.keep is not None else ()
    chosen = {"--both": request.both, "--delete": request.delete, "--keep-sessions": keep_sessions}
    options = [*(name for name, value in chosen.items() if value), *keep]
    return drill.run(_settings(flags, None), request.targets, options)


def _only_key_ids(request: Request) -> bool:
    """Say whether nothing has to be looked up besides the keys' users: each key that leaked is named by its id."""
    from twokey.fleet.first import KEY_ID

    return not request.both and bool(request.targets) and all(map(KEY_ID.fullmatch, request.targets))


def _contain_first(request: Request, evidence: str | None, stack: ExitStack) -> tuple[First, Keeping | None]:
    """Make the keys Inactive before the configuration is read, or any module imported that is not needed for it."""
    from twokey.fleet.first import connect, contain_first

    first, kept = connect(), None
    if evidence is not None:
        from twokey.fleet.evidence import keeping

        kept = stack.enter_context(keeping(Path(evidence), first.clients, _typed()))
    contain_first(request.targets, first)
    return first, kept


def _request(
    targets: tuple[str, ...], *, all_users: bool, drill: bool, both: bool, delete: bool, keep: str | None
) -> Request:
    """Return what is requested; raises ``UsageError``."""
    from twokey.core import durations
    from twokey.fleet.first import OF_A_SESSION, Request

    if all_users and targets:
        raise UsageError("--all means every user, and cannot be combined with names.", remedy="Leave one of them out.")
    if not (targets or all_users or drill):
        raise UsageError(
            "No key is named.", remedy="Name the leaked key, such as AKIAIOSFODNN7EXAMPLE, or its machine user."
        )
    if delete and keep is not None:
        raise UsageError("--delete and --keep exclude each other.", remedy="Keep the one that you mean.")
    for target in targets:
        if OF_A_SESSION.fullmatch(target):
            raise UsageError(
                f"{target} is the key of a session, which cannot be made Inactive.",
                remedy="Revoke the key of the user that the session was made with.",
            )
        if not re.fullmatch(r"[\w+=,.@-]{1,128}", target):
            raise UsageError(f"Expected an access key ID or the name of a user, got {target!r}.")
    return Request(targets, both, delete, durations.parse(keep, "--keep") if keep is not None else None)


def _settings(flags: Flags, first: First | None) -> Settings:
    """Return the settings; without a store and a file, empty ones.

    They are checked before anything is called, unless the keys are Inactive already: then what is wrong with them is
    told with what is left to do.
    """
    from twokey.config.schema import CONCURRENCY, MAX_USERS
    from twokey.config.settings import AuditFile, Settings

    if uses_file(flags) or flags.store is not None:
        try:
            return settings_of(flags)
        except UsageError:
            if first is None:
                raise
    audit = AuditFile(Path(flags.audit_log)) if flags.audit_log is not None else None
    return Settings((), MAX_USERS, flags.concurrency or CONCURRENCY, "the command line", audit)


def _can_ask() -> bool:
    from twokey.cli import terminal

    return sys.stdin is not None and sys.stdin.isatty() and terminal.is_interactive(sys.stderr)


def _typed(option: str = "") -> str:
    """Return what the operator typed; with an option, that command with it."""
    import shlex

    words = [word for word in sys.argv[1:] if not option or word not in ("--plan", "--yes")]
    return shlex.join(["twokey", *words, *filter(None, (option,))])
