"""The command ``iam-credential-rotation``: a drop-in for the tool of that name (version 0.2.2)."""

from __future__ import annotations

import contextlib
import signal
import sys
import uuid
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twokey import __version__, drop_in
from twokey.cli import terminal
from twokey.cli.help import Command, epilog
from twokey.cli.main import run
from twokey.cli.numbers import WholeNumber
from twokey.cli.signals import Ending, handle
from twokey.core.errors import TwokeyError
from twokey.core.secret import Hidden
from twokey.drop_in.managed import managed as managed_users
from twokey.drop_in.output import OutFile, StandardOutput
from twokey.system import environment

if TYPE_CHECKING:
    from types import FrameType

    from twokey.core.secret import Credential
    from twokey.drop_in.output import Output

NAME = "iam-credential-rotation"


@click.command(
    name=NAME,
    cls=Command,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=epilog((f"{NAME} -o keys.json /machine-users/", "Give every user below the path a new key.")),
)
@click.version_option(
    __version__, prog_name=NAME, message="%(prog)s, version %(version)s (twokey)", help="Print the version and exit."
)
@click.option("-o", "--outfile", metavar="FILE", help="Write the credentials to FILE (mode 0600) instead of stdout.")
@click.option(
    "--max-users",
    type=WholeNumber(min=1),
    metavar="N",
    default=drop_in.MAX_USERS,
    show_default=True,
    help="Refuse, before any change, if more users than this are selected.",
)
@click.option(
    "--config",
    metavar="FILE",
    help="Refuse the users that this configuration of twokey selects.  [default: twokey.yaml here, if it exists]",
)
@click.argument("path")
def command(path: str, outfile: str | None, max_users: int, config: str | None) -> None:
    """Create a new access key for every IAM user below PATH, and print the new keys as JSON.

    This command decides by age alone: of two keys, the older one is deleted first, even if it is the one in use. The
    newer one keeps working until the next run. Store the output at once: each secret is shown only once. If it is
    lost, the next run deletes the key that your jobs use. twokey rotate decides by evidence instead. Users that
    twokey.yaml selects are refused.

    Exit codes: 0 every user has a new key; 1 a user failed, or AWS could not be used; 2 usage error, no user below
    PATH, too many users, or AWS rejects the credentials; 128 plus the number of the signal that ended it. The output
    has every key that was created, also after a failure.
    """
    signals = Signals()
    try:
        done = _run(drop_in.prefix(path), outfile, max_users, config, signals)
    except TwokeyError as error:
        _tell(f"Error: {error}")
        sys.exit(signals.exit_code or error.exit_code)
    sys.exit(signals.exit_code or (0 if done else 1))


def main() -> None:
    """Run ``iam-credential-rotation``."""
    run(partial(command, prog_name=NAME))


def _run(path: str, outfile: str | None, max_users: int, config: str | None, signals: Signals) -> bool:
    managed = managed_users(Path(config) if config else None)
    output = _output(outfile)
    try:
        # Importing botocore takes the most time of the start, and a wrong argument needs none of it.
        from twokey.aws.clients import Clients

        clients = Clients(f"{NAME}-{uuid.uuid4().hex[:8]}")
        job = drop_in.prepare(clients, path, max_users, managed)
        signals.held = True
        return drop_in.perform(job, output, say=_tell, mask=_mask, stop=signals.stop)
    finally:
        output.discard()


def _output(outfile: str | None) -> Output:
    stdout = StandardOutput(sys.stdout)
    return stdout if outfile is None else OutFile(Path(outfile), stdout, _warn)


class Signals:
    """Ends the process at a signal; once ``held`` is set, between two steps: every secret is output first."""

    def __init__(self) -> None:
        self.stop = Ending()
        self.held = False
        self.exit_code = 0
        handle(self._end, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def _end(self, number: int, _frame: FrameType | None) -> None:
        first = not self.exit_code
        self.exit_code = 128 + number
        self.stop.end()
        if not self.held:
            raise SystemExit(self.exit_code)
        if first:
            terminal.show_finishing()


def _tell(message: str) -> None:
    # A broken stderr must not keep the credentials from being printed.
    with contextlib.suppress(OSError, ValueError):
        terminal.tell(message)


def _warn(message: str) -> None:
    _tell(f"Warning: {message}")


def _mask(credential: Credential) -> None:
    """Tell GitHub Actions what to hide in its log; other systems mask only known values, and these are new."""
    if environment.on_github_actions():
        with contextlib.suppress(OSError, ValueError):
            terminal.tell_ci(f"::add-mask::{credential.access_key_id}")
            terminal.tell_ci(Hidden(f"::add-mask::{credential.reveal()}"))
