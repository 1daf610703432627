"""The command ``twokey``. A command's module is imported when it is used, so that ``--help`` starts at once."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import click

from twokey import __version__
from twokey.cli import streams
from twokey.cli.help import Group, epilog
from twokey.core.errors import ExitCode, TwokeyError
from twokey.system.hardening import raise_safeguards

if TYPE_CHECKING:
    from collections.abc import Callable

COMMANDS = {
    "rotate": "Rotate the keys that are due; safe to run as often as you like.",
    "deliver": "Deliver CURRENT to its destinations; no key is created or removed.",
    "forget": "Forget a destination that is no longer configured; no key is removed.",
    "plan": "Show what rotate would do, and why (dry run).",
    "status": "Show every key: its role, age and holders; what is due; problems.",
    "audit": "Show every key of the account, and which rules it breaks.",
    "trace": "Show whose a key is, who used it, and what they may have left behind.",
    "report": "Show results of audit as one HTML page, with a history.",
    "revoke": "Stop a leaked key at once, and replace it if IAM has room for another key.",
    "adopt": "Show users that were managed outside twokey, and take them over.",
    "move-store": "Move users to another store, and keep every guarantee to their jobs.",
    "exec": "Run a command with credentials that survive every rotation.",
    "env": "Print the credentials of a job as variables for a shell.",
    "credential-process": "Print the credentials of a job for an AWS profile.",
    "serve-credentials": "Serve the credentials of a job on the loopback address.",
    "lint": "Find machine users that can do too much, and roles that trust too many.",
    "advise": "Show how the jobs of a machine user can use OIDC instead of its key.",
    "watch": "Check whether keys have leaked: AWS's quarantine, repositories, alerts.",
    "policy": "Print IAM policies to deploy: least privilege, each statement with its reason.",
    "demo": "Watch a whole cycle on a built-in AWS emulator; no setup.",
    "rehearse": "Play your configuration for many days, in seconds, on the emulator.",
    "audit-log": "Verify a file that --audit-log wrote.",
    "emulator": "Run the AWS emulator as a server, to test your own configuration.",
}


COLLECT_AFTER = 100_000
"""After how many more objects the garbage collector looks for cycles. A command that soon ends imports fewer, and none
of them is garbage: with Python's 700, looking at them again and again takes a fifth of its time."""


class Commands(Group):
    """The commands by name, imported on first use."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Name them in the order in which a new user needs them."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"twokey.cli.{cmd_name.replace('-', '_')}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; name the nearest one for a misspelt name."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            from difflib import get_close_matches

            near = get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No such command '{name}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=epilog(
        ("twokey plan ci --store 'secretsmanager:machine-users/{user}'", "Show what would be done for the user ci."),
        ("twokey rotate", "Rotate what is due among the users of ./twokey.yaml."),
    ),
)
@click.version_option(
    __version__,
    "-V",
    "--version",
    prog_name="twokey",
    message="%(prog)s %(version)s",
    help="Print the version and exit.",
)
def cli() -> None:
    """Rotate the access keys of AWS IAM machine users without breaking the jobs that use them.

    Each user has two keys: CURRENT, which the store holds, and LAST (Secrets Manager: AWSPREVIOUS), which jobs in
    flight may still use.

    Credentials and region come from where the AWS SDKs look. Exit codes: 0 done or nothing due, 1 failed, 2 usage or
    configuration error, 3 refused: the operator must act.
    """


def main() -> None:
    """Run ``twokey``."""
    streams.prepare()
    run(cli)


def run(command: Callable[..., object]) -> NoReturn:
    """Run a click command as this process's only work."""
    gc.set_threshold(COLLECT_AFTER)
    raise_safeguards(_show_uncaught)
    try:
        sys.exit(guarded(command))
    finally:
        streams.give_up()
        gc.freeze()  # the interpreter would look at every object before it ends


def _show_uncaught(error: BaseException) -> None:
    from twokey.cli.defects import show_uncaught

    show_uncaught(error)


def guarded(command: Callable[..., object]) -> int:
    """Run a click command; the only function that turns an error into text and an exit code."""
    try:
        code = command(standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.ClickException as error:
        from twokey.cli.terminal import show_usage_error

        show_usage_error(error)
        return error.exit_code
    except TwokeyError as error:
        from twokey.cli.terminal import show_error

        show_error(error)
        return int(error.exit_code)
    except (KeyboardInterrupt, click.Abort) as error:
        from twokey.cli.terminal import show_interrupted

        show_interrupted()
        # click turns the interruption into its own Abort, and keeps it as the cause.
        return 143 if "SIGTERM" in (str(error), str(error.__cause__)) else 130
    except BrokenPipeError:
        # The reader closed the pipe; what was done stands. Keep Python from complaining when it closes stdout.
        sys.stderr.close()
        return int(ExitCode.FAILED)
    except Exception as error:  # noqa: BLE001  whatever it is, it must not show what it holds
        from twokey.cli.defects import show

        return int(show(error))
    return code if isinstance(code, int) else int(ExitCode.DONE)
