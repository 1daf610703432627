"""``twokey env``: the credentials of a job, as variables for a shell."""

from __future__ import annotations

from typing import Any

import click

from twokey.cli import terminal
from twokey.cli.help import Command, epilog
from twokey.cli.job_options import JOB, JobFlags, guarantee, mask, opened
from twokey.cli.options import options

FORMATS = ("process", "env", "env-no-export", "powershell", "windows-cmd", "fish")


@click.command(
    "env",
    cls=Command,
    epilog=epilog(
        ('eval "$(twokey env ci --role deploy)"', "Set the variables in a shell."),
        ("twokey env ci --role deploy --format fish | source", "Set the variables in fish."),
    ),
)
@options(JOB)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="env", show_default=True, help="The format of the output."
)
def command(*, form: str, **parameters: Any) -> int:
    """Print the credentials of a job as variables for a shell.

    Variables cannot be refreshed: stderr says until when they work. For a job that may take longer, use twokey exec.
    """
    flags = JobFlags(**parameters)
    from twokey.jobs.env import rendered

    _, source = opened(flags)
    provided = source.read()
    mask(provided.credential)
    for line in rendered(provided, form):
        terminal.say(line)
    flags.notify(guarantee(flags, provided))
    return 0
