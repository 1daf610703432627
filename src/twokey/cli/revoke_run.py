"""One run of ``twokey revoke``: find the leaked keys, make them Inactive, end sessions, replace them, report.

Imported after a key that is named by its id is Inactive: what it imports takes longer than the two requests for that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twokey.cli.options import settings_of, uses_file
from twokey.cli.over_users import over_users
from twokey.core.errors import ExitCode, Failed, TwokeyError
from twokey.core.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack

    from twokey.cli.options import Flags
    from twokey.config.settings import Settings
    from twokey.core.events import Listener
    from twokey.fleet.auditing import Auditing
    from twokey.fleet.ending import Ending
    from twokey.fleet.evidence import Keeping
    from twokey.fleet.first import First, Request
    from twokey.fleet.revoking import Leaks
    from twokey.fleet.revoking_all import AllUsers
    from twokey.fleet.roster import Job, Roster
    from twokey.fleet.run import Run
    from twokey.fleet.runtime import Runtime
    from twokey.fleet.siblings import Siblings
    from twokey.revocation.results import RevokeResult
    from twokey.rotation.results import Result


@dataclass
class Revoking:
    """One run of the command. ``leaks`` is what was found and done before the users' turns.

    ``path`` is set for --all: the users below it, or all that the settings have. ``folder`` is for the evidence, and
    ``first`` what was made Inactive before the configuration was read. ``typed`` is the command.
    """

    flags: Flags
    request: Request
    settings: Settings
    stack: ExitStack
    typed: str
    confirm: bool
    all_users: bool
    path: str | None
    folder: str | None
    keep_sessions: bool
    first: First | None
    evidence: Keeping | None
    leaks: Leaks | None = None
    all_found: AllUsers | None = None
    audit: Auditing | None = None
    ending: Ending | None = None
    siblings: Siblings | None = None

    def show_plan(self) -> int:
        """Show what would be done; change nothing."""
        from twokey.cli import revoke_view
        from twokey.fleet.runtime import Runtime

        runtime = Runtime(self.settings)
        self._enter(runtime)
        leaks = self._find(runtime)
        if self.all_found:
            return revoke_view.plan_all(self.all_found, self._ending(runtime), as_json=self.flags.as_json)
        previews = self._previews(leaks, runtime)
        return revoke_view.plan(previews, leaks, self._ending(runtime).previews(leaks), as_json=self.flags.as_json)

    def run(self, *, wait: bool, verbose: bool) -> int:
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
            self.settings,
            work,
            self._report,
            select=self._select,
            audit_log=self.settings.audit_log,
            steps=steps,
            deliveries=True,
            limited=False,
            first=self.first,
            opened=self._opened,
        )

    def _opened(self, audit: Auditing) -> None:
        self.audit = audit

    def _enter(self, runtime: Runtime) -> None:
        """Work in the account of the leaked keys, where the configuration has several.

        IAM of twokey's own account has found the users of the keys that are Inactive already, so it is theirs.
        """
        if runtime.accounts is None:
            return
        if self.first and self.first.owners:
            runtime.enter(runtime.accounts.own())
        else:
            runtime.enter(runtime.accounts.one(self.request.targets, self._command))

    def _command(self, account: str) -> str:
        """Return what the operator typed, for one account."""
        before, name, options = self.typed.partition("revoke")
        return f"{before}{name} --account {account}{options}"

    def _find(self, runtime: Runtime) -> Leaks:
        if not self.all_users:
            from twokey.fleet.revoking import find

            return find(self.request, runtime, self._settings_of, self.first)
        from twokey.cli import revoke_all
        from twokey.fleet.revoking_all import find_all

        self.all_found = find_all(self.request, self.path, runtime, self.settings)
        if not self.flags.quiet:
            revoke_all.warn(self.all_found)
        return self.all_found.leaks

    def _select(self, runtime: Runtime) -> Roster:
        """Find the leaked keys, ask, and make them Inactive; only then find the stores of their users."""
        from twokey.fleet.revoking import contain_all, select

        self._enter(runtime)
        if self.folder is not None and self.evidence is None:
            from twokey.fleet.evidence import keeping

            self.evidence = self.stack.enter_context(keeping(Path(self.folder), runtime.clients, self.typed))
        leaks = self.leaks = self._find(runtime)
        if self.confirm and leaks.keys:
            self._confirm(leaks, runtime)
        try:
            if self.all_found:
                from twokey.cli import revoke_all

                revoke_all.contain(leaks, runtime, self.settings.concurrency, quiet=self.flags.quiet)
            else:
                contain_all(leaks, runtime)
            self._ending(runtime).begin(leaks)
            roster = select(leaks, runtime, self._settings_of)
        except (KeyboardInterrupt, TwokeyError) as error:
            from twokey.fleet.revoking_all import interrupted

            # Keys are Inactive by now, so the operator has to know which.
            why = error.message if isinstance(error, TwokeyError) else "the run was interrupted."
            self.ending = None
            self._report(interrupted(leaks, why))
            raise
        from twokey.fleet.siblings import Siblings

        self.siblings = Siblings(runtime, leaks)
        return roster

    def _confirm(self, leaks: Leaks, runtime: Runtime) -> None:
        from twokey.cli import revoke_all, revoke_view

        if self.all_found:
            revoke_all.show(self.all_found, self._ending(runtime))
        else:
            revoke_view.show_plan(self._previews(leaks, runtime), leaks, self._ending(runtime).previews(leaks))
        if not click.confirm("Do this now?", err=True):
            raise Failed("You did not confirm.", state="Nothing was changed.")

    def _previews(self, leaks: Leaks, runtime: Runtime) -> list[Any]:
        from twokey.fleet.revoking import previewed, select_jobs

        select_jobs(leaks, runtime, self._settings_of)
        own, jobs = runtime.clients.own_key(), [leaks.jobs[name] for name in leaks.keys if name in leaks.jobs]
        return [previewed(leaks, job, runtime.world(job, own, lambda _event: None, wait=True)) for job in jobs]

    def _ending(self, runtime: Runtime) -> Ending:
        if self.ending is None:
            from twokey.fleet.ending import Ending

            picture = self.all_found.picture if self.all_found else None
            self.ending = Ending(runtime, keep=self.keep_sessions, picture=picture)
        return self.ending

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
        every = [*ended, *self.leaks.ended]
        if self.ending is not None:
            every = self.ending.finish(every)
        if self.siblings is not None and not any(one.reason is Reason.STOPPED for one in every):
            every = self.siblings.warned(every)
        code = revoke_view.report(every, as_json=self.flags.as_json, quiet=self.flags.quiet)
        return max(code, self._write_evidence(every))

    def _write_evidence(self, results: Sequence[RevokeResult]) -> ExitCode:
        """Write what was done. Where that fails, what was done stands, and the run counts as failed."""
        from twokey.cli import terminal

        if self.evidence is None:
            return ExitCode.DONE
        try:
            names = self.evidence.write(self.audit, results, self.all_found.powers if self.all_found else {})
        except TwokeyError as error:
            terminal.show_error(error)
            return ExitCode.FAILED
        if not self.flags.quiet:
            terminal.tell(f"Evidence: {' and '.join(names)} in {self.folder}.")
        return ExitCode.DONE
