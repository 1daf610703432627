"""``twokey rehearse``: one's own configuration for many days in seconds, on the built-in emulator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twokey.cli.help import Command, epilog
from twokey.cli.numbers import WholeNumber
from twokey.cli.options import DEFAULT_CONFIG, Flags, settings_of
from twokey.core.errors import ExitCode, UsageError
from twokey.rehearsal.options import MOST_DAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twokey.config.settings import Settings
    from twokey.fleet.drilling import Part
    from twokey.rehearsal.found import Found
    from twokey.rehearsal.options import Options
    from twokey.reports.rehearsal import Rehearsal

UNCALLED = "Nothing was called."


@click.command(
    "rehearse",
    cls=Command,
    epilog=epilog(
        ("twokey rehearse --job 6h", "Play 90 days of ./twokey.yaml, with a job of six hours every hour."),
        ("twokey rehearse --job 8h/1d --outage 3d --faults", "The same with a job a day, an outage and faults."),
        ("twokey rehearse --as-found --html rehearsal.html", "Begin with the keys that IAM lists; draw a page."),
    ),
)
@click.argument("users", nargs=-1, metavar="[USER ...]")
@click.option(
    "--days", type=WholeNumber(1, MOST_DAYS), default=90, show_default=True, metavar="N", help="How many days to play."
)
@click.option(
    "--every",
    metavar="TIME",
    help="The time between two runs.  [default: `schedule` of the configuration; otherwise half the shortest slack, "
    "at most 12h]",
)
@click.option(
    "--job",
    "jobs",
    metavar="TIME[/TIME]",
    multiple=True,
    help="A job of this length, every hour, or as often as written after the slash: 6h, 8h/1d. It reads its key once, "
    "when it starts. May be repeated.  [default: 1h]",
)
@click.option("--outage", metavar="TIME", help="Leave out all runs for this time, from when a rotation is first due.")
@click.option("--faults", is_flag=True, help="Inject throttling, lost responses, outages and kills.")
@click.option(
    "--seed",
    type=WholeNumber(),
    default=0,
    show_default=True,
    metavar="N",
    help="The same seed repeats the same result.",
)
@click.option("--as-found", is_flag=True, help="Begin with the users and keys that IAM lists. Only IAM is read.")
@click.option("--html", metavar="FILE", help="Write the timeline as an HTML page, too.")
@click.option("--path", metavar="PATH", help="Play users below this IAM path, such as /machine-users/.")
@click.option("--store", metavar="URL", help="The store that holds CURRENT, such as secretsmanager:{user}.")
@click.option("--to", "deliver", metavar="URL", multiple=True, help="A further destination; may be repeated.")
@click.option("--window", metavar="TIME", help="The longest time that a key may live.  [default: 30d]")
@click.option("--grace", metavar="TIME", help="How long LAST is guaranteed to work after a rotation.")
@click.option("--idle", metavar="TIME", help="How long LAST must be unused before it is removed.")
@click.option("--soak", metavar="TIME", help="How long LAST is Inactive before it is deleted.  [default: 0s]")
@click.option("--config", metavar="FILE", help=f"The configuration file.  [default: ./{DEFAULT_CONFIG}]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing on stderr but errors.")
def command(
    *,
    users: tuple[str, ...],
    days: int,
    every: str | None,
    jobs: tuple[str, ...],
    outage: str | None,
    faults: bool,
    seed: int,
    as_found: bool,
    html: str | None,
    path: str | None,
    store: str | None,
    deliver: tuple[str, ...],
    window: str | None,
    grace: str | None,
    idle: str | None,
    soak: str | None,
    config: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Play your configuration for many days, in seconds, on a built-in AWS emulator. Nothing real is changed.

    The engine that rotates real keys performs every rotation and every delivery, on a clock that moves forward instead
    of waiting. The result says which job would have failed and why, and which rotation would have been late. For a
    store or destination outside Secrets Manager and SSM, a secret on the emulator stands in. Without --as-found,
    nothing real is read, either.

    Exit code: 0 if no job fails and no rotation is late, otherwise 1.
    """
    from contextlib import ExitStack

    from twokey.cli import rehearse_view, terminal
    from twokey.reports import documents
    from twokey.system.report_files import ReportFile

    options = _options(days, every, jobs, outage, seed, faults=faults)
    flags = Flags(users, path, store, None, deliver, window, grace, idle, soak, config, None, as_json, quiet)
    settings = settings_of(flags)
    if html:
        from twokey.reports.html import page, rehearsal_page

        page.template_of(rehearsal_page.TEMPLATE)  # what is missing is said before the play
    with ExitStack() as stack:
        file = stack.enter_context(ReportFile(Path(html), "--html")) if html else None
        result = rehearsed(settings, users, options, as_found=as_found, quiet=quiet)
        if file:
            file.write(rehearsal_page.render(result))
    if as_json:
        terminal.say_json(documents.encode(result))
    else:
        rehearse_view.show(result)
    return ExitCode.DONE if result.well else ExitCode.FAILED


def _options(
    days: int, every: str | None, jobs: Sequence[str], outage: str | None, seed: int, *, faults: bool
) -> Options:
    from datetime import timedelta

    from twokey.rehearsal import options

    kinds = tuple(dict.fromkeys(map(options.job, jobs or ("1h",))))
    if len(kinds) > options.MOST_JOBS:
        raise UsageError(f"--job: {len(kinds)} kinds of jobs; at most {options.MOST_JOBS} are played.", state=UNCALLED)
    return options.Options(
        days,
        options.duration(every, "--every") if every else timedelta(0),
        kinds,
        options.duration(outage, "--outage") if outage else None,
        faults,
        seed,
    )


def rehearsed(settings: Settings, users: Sequence[str], options: Options, *, as_found: bool, quiet: bool) -> Rehearsal:
    """Play these settings; return what was shown."""
    import tempfile
    import time

    from twokey.cli import terminal
    from twokey.rehearsal import play

    began = time.monotonic()
    parts, found = cast(settings, users, as_found=as_found)
    policies = [selection.policy for selection in settings.selections]
    if not options.every:
        options = replace(options, every=settings.schedule or play.interval(policies))
    play.check_runs(len(parts), options)
    with tempfile.TemporaryDirectory(prefix="twokey-rehearsal-") as folder:
        notes = [] if as_found else [*_invented(settings, users)]
        result = played(parts, found, options, Path(folder), _progress(quiet=quiet), as_found=as_found, notes=notes)
    if not quiet:
        days = "1 day was" if options.days == 1 else f"{options.days} days were"
        seconds = time.monotonic() - began
        terminal.tell(f"{days} played in {seconds:.0f} s: {result.requests:,} requests to the emulator.")
    return result


def cast(settings: Settings, users: Sequence[str], *, as_found: bool) -> tuple[list[Part], list[Found]]:
    """Return the users to play and, with ``as_found``, the keys that IAM lists for them."""
    from twokey.fleet import drilling

    playing = drilling.Playing("A rehearsal", "user", stand_in)
    if not as_found:
        return drilling.parts(settings, users, playing), []
    from twokey.core.errors import Failed
    from twokey.fleet.roster import select
    from twokey.fleet.runtime import Runtime, fill
    from twokey.rehearsal.found import found

    if settings.accounts:
        raise UsageError(
            "--as-found lists the users of one account, and the configuration has `accounts:`.",
            state=UNCALLED,
            remedy="Leave out --as-found, or name a configuration of one account with --config.",
        )
    runtime = Runtime()
    # Not the roster of a run: that checks the connections, and needs their tokens.
    roster = select(settings.selections, tuple(users), runtime.iam, fill)
    for failed in roster.failed:
        raise Failed(failed.message, remedy="Correct the name, or leave it out.")
    parts = [
        drilling.part_of(job.user.name, job.user.path, (job.store, *job.deliver), job.policy, playing, number)
        for number, job in enumerate(roster.jobs)
    ]
    return parts, found((job.user for job in roster.jobs), runtime.iam, runtime.clients.clock)


def stand_in(user: int, index: int) -> str:
    """Return the secret that stands in for a destination which the emulator does not have."""
    return f"secretsmanager:twokey-rehearsal/{user}-{index}"


def _invented(settings: Settings, users: Sequence[str]) -> Iterator[str]:
    """Yield what is to be known of users that stand for those that only IAM knows."""
    if settings.accounts:
        yield "All users were played in one account: `accounts:` was left out."
    paths = [selection.path or "/" for selection in settings.selections if not selection.users]
    if paths and not users:
        yield (
            f"Only IAM knows which users are below {', '.join(dict.fromkeys(paths))}: twokey invented two users for "
            "each path. Name users, or add --as-found."
        )


def played(
    parts: Sequence[Part],
    found: Sequence[Found],
    options: Options,
    folder: Path,
    progress: Callable[[int, int], None],
    *,
    as_found: bool = False,
    notes: Sequence[str] = (),
    every_run: bool = False,
) -> Rehearsal:
    """Play these users on an emulator; ``folder`` is for the configuration that is played."""
    from twokey.cli.rehearse_stage import EmulatedStage, begun
    from twokey.rehearsal.play import play
    from twokey.rehearsal.verdict import rehearsal

    with begun(options.seed) as (aws, clock):
        stage = EmulatedStage(aws, clock)
        jobs = stage.set_up(parts, found, folder)
        shown = play(stage, jobs, options, progress, every_run=every_run)
        stand_ins = {one: url for part in parts for url, one in part.stand_ins.items()}
        return rehearsal(shown, options, stand_ins, stage.requests, as_found=as_found, notes=notes)


def _progress(*, quiet: bool) -> Callable[[int, int], None]:
    """Return what shows the day that is played: at a terminal only."""
    import sys

    from twokey.cli import terminal

    if quiet or sys.stderr is None or not terminal.is_interactive(sys.stderr):
        return lambda _day, _days: None
    shown = -1

    def show(day: int, days: int) -> None:
        nonlocal shown
        if day != shown:
            shown = day
            terminal.replace_line(f"day {day} of {days}" if day + 1 < days else "")

    return show
