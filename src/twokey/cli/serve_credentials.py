"""``twokey serve-credentials``: an endpoint with the credentials of a job, until it is interrupted."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from twokey.cli import terminal
from twokey.cli.help import Command, epilog
from twokey.cli.job_options import JOB, JobFlags, mask, mask_texts, opened
from twokey.cli.numbers import WholeNumber
from twokey.cli.options import options
from twokey.cli.signals import Ending, handle

if TYPE_CHECKING:
    from types import FrameType


@click.command(
    "serve-credentials",
    cls=Command,
    epilog=epilog(
        ("twokey serve-credentials ci --role deploy --port 9911 > endpoint.env &", "Serve it to other commands."),
    ),
)
@options(JOB)
@click.option(
    "--port", type=WholeNumber(0, 65535), metavar="N", default=0, help="The port to listen on.  [default: any]"
)
def command(*, port: int, **parameters: Any) -> int:
    """Serve the credentials of a job on the loopback address. Ctrl-C or SIGTERM ends it.

    Two lines on stdout, AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_CONTAINER_AUTHORIZATION_TOKEN, are the variables
    that point an AWS SDK at it. At each refresh, the store is read and the roles are assumed again.
    """
    from twokey.jobs.endpoint import Endpoint
    from twokey.jobs.refreshing import Refreshing

    flags, stop = JobFlags(**parameters), Ending()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.end()

    runtime, source = opened(flags)
    credentials = Refreshing(source, runtime.clients.clock, terminal.tell, mask)
    credentials.first()
    handle(end, signal.SIGINT, signal.SIGTERM)
    with Endpoint(credentials, port) as endpoint:
        mask_texts(endpoint.token)
        for name, value in endpoint.variables().items():
            terminal.say(f"{name}={value}")
        sys.stdout.flush()
        flags.notify(f"Serving on {endpoint.url}. End it with Ctrl-C.")
        stop.wait()
    return 0
