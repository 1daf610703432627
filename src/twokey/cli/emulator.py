"""``twokey emulator``: the emulator as a server, to test a configuration."""

from __future__ import annotations

import json
import shlex
import signal
from typing import TYPE_CHECKING, Any

import click

from twokey.cli import terminal
from twokey.cli.help import Command, epilog
from twokey.cli.numbers import Number, WholeNumber

if TYPE_CHECKING:
    from types import FrameType

    from twokey.emulator import Emulator
from twokey.cli.signals import Ending, handle


@click.command(
    name="emulator",
    cls=Command,
    epilog=epilog(
        ("twokey emulator --machine-users 3", "Run an emulator with three users; see the lines that it prints."),
        ("twokey emulator --port 0 --json", "Run it on a free port, for a program to read."),
    ),
)
@click.option(
    "--port",
    type=WholeNumber(0, 65535),
    metavar="N",
    default=5005,
    show_default=True,
    help="The port on the loopback address; 0 selects a free one.",
)
@click.option(
    "--machine-users", type=WholeNumber(0, 1000), default=0, metavar="N", help="Create N users with two keys each."
)
@click.option(
    "--path", metavar="PATH", default="/machine-users/", show_default=True, help="The IAM path of those users."
)
@click.option(
    "--region",
    metavar="REGION",
    default="eu-central-1",
    show_default=True,
    help="The AWS region in the lines that are printed.",
)
@click.option(
    "--seed",
    type=WholeNumber(),
    metavar="N",
    default=0,
    show_default=True,
    help="The same seed repeats the same key IDs and the same random faults.",
)
@click.option(
    "--page-size",
    type=WholeNumber(1, 1000),
    metavar="N",
    default=1000,
    show_default=True,
    help="The maximum number of entries on one page of a list.",
)
@click.option(
    "--propagation",
    type=Number(0),
    default=0.0,
    metavar="SECONDS",
    help="How long a new key is rejected; on AWS, some seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines for a shell.")
def command(
    *,
    port: int,
    machine_users: int,
    path: str,
    region: str,
    seed: int,
    page_size: int,
    propagation: float,
    as_json: bool,
) -> None:
    """Run an AWS emulator as a server until Ctrl-C or SIGTERM.

    It accepts a request only if its key exists, is Active and signed it, as AWS does. It prints the lines that point
    any AWS SDK, the AWS CLI and twokey at it. The credentials in them work nowhere else.
    """
    from twokey.emulator import Emulator, EmulatorError

    aws = Emulator(port=port, page_size=page_size, seed=seed, region=region)
    ended = _end_event()
    try:
        aws.start()
    except EmulatorError as error:
        raise click.ClickException(str(error)) from error
    try:
        aws.weather.propagation = propagation
        names = [f"machine-user-{number}" for number in range(1, machine_users + 1)]
        for name in names:
            aws.make_user(name, path=path)
        _show(aws, names, as_json=as_json)
        ended.wait()
    finally:
        aws.stop()


def _end_event() -> Ending:
    """Return an event that SIGINT and SIGTERM set, so that both end the program with exit code 0."""
    ended = Ending()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.end()

    handle(end, signal.SIGINT, signal.SIGTERM)
    return ended


def _show(aws: Emulator, names: list[str], *, as_json: bool) -> None:
    environment = aws.environment()
    if as_json:
        shown: dict[str, Any] = {
            "endpoint_url": aws.endpoint_url,
            "control_url": f"{aws.endpoint_url}/_twokey/",
            "account_id": aws.account_id,
            "region": aws.region,
            "environment": environment,
            "machine_users": names,
        }
        terminal.say_json(json.dumps(shown))
    else:
        for line in _lines(aws, environment, names):
            terminal.say(line)


def _lines(aws: Emulator, environment: dict[str, str], names: list[str]) -> list[str]:
    """Return lines that a shell can read; everything else is a comment."""
    return [
        f"# An AWS emulator (account {aws.account_id}); its credentials work nowhere else. Ctrl-C ends it.",
        *(f"# machine user: {name}" for name in names),
        f"# faults, time and the record of requests: {aws.endpoint_url}/_twokey/",
        "# In another terminal:",
        "unset AWS_PROFILE AWS_SESSION_TOKEN",
        *(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
    ]
