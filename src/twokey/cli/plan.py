"""``twokey plan``: the same decisions as ``rotate``, nothing changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from twokey.cli.session import ASKED, SELECTION, Flags, asked, of_one_user, options, settings, terminable

if TYPE_CHECKING:
    from twokey.fleet import Job
    from twokey.results import Result


@click.command("plan")
@options(SELECTION, ASKED)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 4 where changes are planned.")
def command(
    *, force: bool, ignore_last_use: bool, retire: tuple[str, ...], detailed_exitcode: bool, **given: Any
) -> int:
    """Say what rotate would do, and why; change nothing."""
    flags = Flags(**given)
    wishes = asked(force=force, ignore_last_use=ignore_last_use, retire=retire)
    wanted = settings(flags)

    from twokey import documents, fleet, rotate
    from twokey.cli import progress, render
    from twokey.cli.session import Session
    from twokey.errors import ExitCode
    from twokey.events import ignore

    session = Session(wanted)
    own_key = session.clients.own_key()
    roster = session.check(session.roster(wanted, flags.users))
    wishes = of_one_user(wishes, roster)
    actions: dict[str, list[str]] = {}

    def work(job: Job) -> Result:
        result, decision = rotate.foresee(job.user, job.policy, session.world(job, own_key, ignore), wishes)
        actions[job.user.name] = [str(action) for action in decision.actions] if decision else []
        return result

    interrupted: KeyboardInterrupt | None = None
    if len(roster.jobs) > wanted.max_users:
        results = fleet.too_many(roster.jobs, wanted.max_users)
    else:
        with progress.Progress(len(roster.jobs), quiet=flags.quiet) as bar, terminable():
            try:
                results = fleet.run(roster.jobs, work, wanted.concurrency, bar.step, session.stop)
            except fleet.Interrupted as error:
                results, interrupted = error.results, error
    results = [*results, *roster.failed]
    steps = [actions.get(result.user.name, []) for result in results]
    document = documents.plan_document(zip(results, steps, strict=True))
    code = render.report(results, document, document.summary, as_json=flags.as_json, quiet=flags.quiet, actions=steps)
    if interrupted:
        raise interrupted
    return ExitCode.PLANNED if detailed_exitcode and code == ExitCode.DONE and any(steps) else code
