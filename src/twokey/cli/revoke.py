"""``twokey revoke``: a key has leaked. It is made Inactive at once, then replaced everywhere."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from twokey.cli.help import Command, epilog
from twokey.cli.options import SELECTION, Flags, options, settings_of, uses_file
from twokey.cli.over_users import AUDIT_LOG, NO_WAIT, VERBOSE, over_users
from twokey.core.errors import Failed, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.config.settings import Settings
    from twokey.core.events import Listener
    from twokey.fleet.auditing import Auditing
    from twokey.fleet.revoking import Leaks, Request
    from twokey.fleet.roster import Job, Roster
    from twokey.fleet.run import Run
    from twokey.fleet.runtime import Runtime
    from twokey.revocation.results import RevokeResult
    from twokey.rotation.results import Result

TARGETS = click.argument("users", nargs=-1, metavar="KEY_ID|USER ...")


@click.command(
    "revoke",
    cls=Command,
    epilog=epilog(
        ("twokey revoke AKIAIOSFODNN7EXAMPLE", "Show what would be done, and ask; then do it."),
        ("twokey revoke ci --yes", "Revoke the key that the store of ci holds, without a question."),
        ("twokey revoke AKIAIOSFODNN7EXAMPLE --delete --yes", "Delete the leaked key, too, once it is replaced."),
        times=True,
    ),
)
@options((TARGETS,), SELECTION[1:])
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--plan", "only_plan", is_flag=True, help="Show what would be done; change nothing.")
@click.option("--both", is_flag=True, help="All keys of the user have leaked.")
@click.option(
    "--delete",
    is_flag=True,
    help="Delete the leaked key once it is replaced, or before, where there is no room for another key.",
)
@click.option("--keep", metavar="TIME", help="Keep the leaked key Inactive for so long; a later run deletes it.")
@options((VERBOSE, AUDIT_LOG, NO_WAIT))
def command(
    *,
    users: tuple[str, ...],
    yes: bool,
    only_plan: bool,
    both: bool,
    delete: bool,
    keep: str | None,
    no_wait: bool,
    verbose: bool,
    **parameters: Any,
) -> int:
    """Stop a key that has leaked at once, and replace it everywhere.

    The leaked key is made Inactive before anything else; twokey never makes it Active again. Then another key is
    created, verified, stored and delivered. Where LAST has leaked, CURRENT stays. The leaked key is kept, Inactive,
    because it is evidence; --delete and --keep remove it. Jobs fail from the first step until they read the new key.
    """
    request = _request(users, both=both, delete=delete, keep=keep)
    flags = Flags(users=users, **parameters)
    settings = _settings(flags)
    if not (yes or only_plan or _can_ask()):
        raise UsageError(
            "This is not a terminal, so the plan cannot be confirmed.",
            remedy=f"See it: {_typed('--plan')}. Then run it: {_typed('--yes')}.",
        )
    revoking = _Revoking(flags, request, ask=not yes)
    if only_plan:
        return revoking.show_plan(settings)
    return revoking.run(settings, wait=not no_wait, verbose=verbose)


@dataclass
class _Revoking:
    """One run of the command. ``leaks`` is what was found and done before the users' turns."""

    flags: Flags
    request: Request
    ask: bool
    leaks: Leaks | None = None

    def show_plan(self, settings: Settings) -> int:
        """Show what would be done; change nothing."""
        from twokey.cli import revoke_view
        from twokey.fleet.revoking import find
        from twokey.fleet.runtime import Runtime

        runtime = Runtime(settings)
        leaks = find(self.request, runtime, self._settings_of)
        return revoke_view.plan(self._previews(leaks, runtime), leaks, as_json=self.flags.as_json)

    def run(self, settings: Settings, *, wait: bool, verbose: bool) -> int:
        """Contain the leaked keys, then replace them; return the exit code."""
        from twokey.cli import progress
        from twokey.fleet.revoking import replace_keys

        def work(run: Run, audit: Auditing) -> Callable[[Job, Listener], RevokeResult]:
            from twokey.planning.plan import Overrides

            def one(job: Job, listener: Listener) -> RevokeResult:
                assert self.leaks is not None
                world = audit.watch(job, Overrides(), run.world(job, listener, wait=wait))
                found = replace_keys(self.leaks, job, world)
                if found.rotation:
                    found = replace(found, rotation=audit.ended(found.rotation))
                return found

            return one

        steps = progress.Steps(verbose=verbose, quiet=self.flags.quiet)
        return over_users(
            self.flags,
            settings,
            work,
            self._report,
            select=self._select,
            audit_log=settings.audit_log,
            steps=steps,
            deliveries=True,
            limited=False,
        )

    def _select(self, runtime: Runtime) -> Roster:
        """Find the leaked keys, ask, and make them Inactive; only then find the stores of their users."""
        from twokey.cli import revoke_view
        from twokey.fleet.revoking import contain_all, find, select

        leaks = self.leaks = find(self.request, runtime, self._settings_of)
        if self.ask and leaks.keys:
            revoke_view.show_plan(self._previews(leaks, runtime), leaks)
            if not click.confirm("Do this now?", err=True):
                raise Failed("You did not confirm.", state="Nothing was changed.")
        contain_all(leaks, runtime)
        return select(leaks, runtime, self._settings_of)

    def _previews(self, leaks: Leaks, runtime: Runtime) -> list[Any]:
        from twokey.fleet.revoking import previewed, select_jobs

        select_jobs(leaks, runtime, self._settings_of)
        own, jobs = runtime.clients.own_key(), [leaks.jobs[name] for name in leaks.keys if name in leaks.jobs]
        return [previewed(leaks, job, runtime.world(job, own, lambda _event: None, wait=True)) for job in jobs]

    def _settings_of(self, names: tuple[str, ...]) -> Settings | None:
        if not uses_file(self.flags) and self.flags.store is None:
            return None
        return settings_of(replace(self.flags, users=names))

    def _report(self, results: Sequence[RevokeResult | Result]) -> int:
        from twokey.cli import revoke_view
        from twokey.revocation.results import RevokeResult, stopped

        assert self.leaks is not None
        ended = [
            one if isinstance(one, RevokeResult) else stopped(one, self.leaks.contained.get(one.user.name, ()))
            for one in results
        ]
        return revoke_view.report([*ended, *self.leaks.ended], as_json=self.flags.as_json, quiet=self.flags.quiet)


def _request(targets: tuple[str, ...], *, both: bool, delete: bool, keep: str | None) -> Request:
    """Return what is requested; raises ``UsageError``."""
    from twokey.core import durations
    from twokey.fleet.revoking import OF_A_SESSION, Request

    if not targets:
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
            raise UsageError(f"Expected an access key id or the name of a user, got {target!r}.")
    return Request(targets, both, delete, durations.parse(keep, "--keep") if keep is not None else None)


def _settings(flags: Flags) -> Settings:
    """Return the settings, checked before anything is called; without a store and a file, empty ones."""
    from twokey.config.schema import CONCURRENCY, MAX_USERS
    from twokey.config.settings import AuditFile, Settings

    if uses_file(flags) or flags.store is not None:
        return settings_of(flags)
    from pathlib import Path

    audit = AuditFile(Path(flags.audit_log)) if flags.audit_log is not None else None
    return Settings((), MAX_USERS, flags.concurrency or CONCURRENCY, "the command line", audit)


def _can_ask() -> bool:
    from twokey.cli import terminal

    return sys.stdin is not None and sys.stdin.isatty() and terminal.is_interactive(sys.stderr)


def _typed(option: str) -> str:
    import shlex

    words = [word for word in sys.argv[1:] if word not in ("--plan", "--yes")]
    return shlex.join(["twokey", *words, option])
