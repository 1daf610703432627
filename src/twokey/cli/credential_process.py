"""``twokey credential-process``: the credentials of a job, as an SDK's ``credential_process`` prints them."""

from __future__ import annotations

from typing import Any

import click

from twokey.cli import terminal
from twokey.cli.help import Command, epilog
from twokey.cli.job_options import JOB, JobFlags, mask, opened
from twokey.cli.options import options


@click.command(
    "credential-process",
    cls=Command,
    epilog=epilog(
        ("twokey credential-process ci --role deploy", "Use this as the value of credential_process in a profile."),
    ),
)
@options(JOB)
def command(**parameters: Any) -> int:
    """Print the credentials of a job for an AWS profile.

    Set it as the credential_process of the profile: the SDK runs it again when the credentials are about to expire. An
    access key is given an expiration of one hour, or less if grace guarantees less. So the SDK reads the store again in
    time, and a job of any length survives any number of rotations.
    """
    flags = JobFlags(**parameters)
    from twokey.jobs.credential_process import document

    _, source = opened(flags)
    provided = source.read()
    mask(provided.credential)
    terminal.say(document(provided))
    return 0
