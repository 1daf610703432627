"""``twokey exec``: run a command with credentials that are refreshed for as long as it runs."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from twokey.cli import defects, terminal
from twokey.cli.help import Command, epilog
from twokey.cli.job_options import JOB, JobFlags, guarantee, mask, mask_texts, opened
from twokey.cli.options import options
from twokey.core.errors import Failed, TwokeyError
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.secret import Hidden
    from twokey.fleet.for_jobs import JobRuntime
    from twokey.jobs.credentials import Provided
    from twokey.jobs.refreshing import Refreshing

OWN_FAILURE = 125


class WrongUsage(click.UsageError):
    """The command line is wrong; the exit code says that no command ran."""

    exit_code = OWN_FAILURE


class Exec(Command):
    """A command whose words after ``--`` are another command; its own errors have an exit code of their own."""

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        """Parse the command line."""
        try:
            return super().make_context(*arguments, **more)
        except click.UsageError as error:
            raise WrongUsage(error.format_message(), error.ctx) from None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the words after the first ``--`` as they are."""
        at = args.index("--") if "--" in args else len(args)
        own, words = args[:at], args[at + 1 :]
        left = super().parse_args(ctx, own)
        if ctx.params["command"]:
            raise click.UsageError(f"Expected -- before the command: -- {' '.join(ctx.params['command'])}", ctx)
        if not words and not ctx.resilient_parsing:
            raise click.UsageError("Expected a command after --, such as: twokey exec ci -- make deploy", ctx)
        ctx.params["command"] = tuple(words)
        return left


@click.command(
    "exec",
    cls=Exec,
    epilog=epilog(
        ("twokey exec ci --role deploy -- make deploy", "Run a command with a role, refreshed as long as it runs."),
        ("twokey exec --store file:ci.json -- aws s3 ls", "Run a command with CURRENT itself."),
    ),
)
@options(JOB)
@click.option(
    "--via",
    type=click.Choice(["endpoint", "env"]),
    help="How the command gets the credentials: endpoint refreshes them; env sets variables once, for a command that "
    "does not support the endpoint.  [default: endpoint]",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND [ARG]...")
def command(*, via: str | None, command: tuple[str, ...], **parameters: Any) -> int:
    """Run a command with credentials that survive every rotation.

    With a role, the AWS SDKs in the command ask an endpoint on the loopback address; without one, they run a
    credential_process. Each refresh reads the store again and assumes the roles again, so the command survives any
    number of rotations. Variables and profiles that would take precedence over these credentials are removed from its
    environment.

    Exit codes: that of the command; 127 it was not found, 126 it cannot be executed, 125 twokey failed before it ran.
    """
    from twokey.jobs.exec import NotStarted, end_like

    flags = JobFlags(**parameters)
    try:
        status = _run(flags, via, command)
    except NotStarted as error:
        terminal.show_error(error)
        return error.status
    except TwokeyError as error:
        terminal.show_error(error)
        return OWN_FAILURE
    except Exception as error:  # noqa: BLE001  whatever it is, it must not show what it holds
        defects.show(error)
        return OWN_FAILURE
    if status < 0:
        end_like(status)
    return status


def _run(flags: JobFlags, via: str | None, words: tuple[str, ...]) -> int:
    with ExitStack() as stack:
        from twokey.jobs.exec import Command as Job
        from twokey.jobs.refreshing import Refreshing

        runtime, source = opened(flags)
        credentials = Refreshing(source, runtime.clients.clock, terminal.tell, mask)
        provided = credentials.first()
        job = stack.enter_context(Job(words))
        variables = _provide(stack, flags, via, runtime, credentials, provided)
        status = job.run(variables)
    if status > 0 and via != "env" and not credentials.requests:
        terminal.tell(
            "The command failed, and never asked for the credentials: it may not be able to refresh them. If it needs "
            "them, add --via env."
        )
    return status


def _provide(
    stack: ExitStack,
    flags: JobFlags,
    via: str | None,
    runtime: JobRuntime,
    credentials: Refreshing,
    provided: Provided,
) -> Mapping[str, Hidden]:
    """Return the environment of the command, and start what it needs."""
    from twokey.cli import relayed_credentials
    from twokey.jobs import env
    from twokey.jobs.profile import Profile

    profile = stack.enter_context(Profile(runtime.clients.profile()))
    added: dict[str, str] = {}
    if via == "env":
        added |= env.variables(provided)
        flags.notify(guarantee(flags, provided))
    elif via == "endpoint" or flags.roles:
        from twokey.jobs.endpoint import Endpoint

        endpoint = stack.enter_context(Endpoint(credentials))
        mask_texts(endpoint.token)
        added |= endpoint.variables()
    else:
        profile.relay(credentials, relayed_credentials.__name__)
    try:
        added |= profile.variables()
    except OSError as error:
        raise Failed(f"The profile of the command cannot be written: {error.strerror}.") from None
    return environment.without(env.WINNING, added)
