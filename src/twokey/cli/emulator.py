"""`twokey emulator`: the emulator as a server, to try one's own configuration on."""

from __future__ import annotations

import json
import shlex
import signal
import threading
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from types import FrameType

    from twokey.emulator import Emulator


@click.command(name="emulator")
@click.option("--port", type=click.IntRange(0, 65535), default=5005, show_default=True, help="0 takes a free one.")
@click.option(
    "--machine-users", type=click.IntRange(0, 1000), default=0, metavar="N", help="Make N users to play with."
)
@click.option("--path", default="/machine-users/", show_default=True, help="The IAM path of those users.")
@click.option("--region", default="eu-central-1", show_default=True, help="The region that the printed lines name.")
@click.option("--seed", type=int, default=0, show_default=True, help="Repeats the same ids and the same weather.")
@click.option("--page-size", type=click.IntRange(1, 1000), default=1000, show_default=True, help="Caps pages of lists.")
@click.option(
    "--propagation", type=click.FloatRange(0), default=0.0, metavar="SECONDS", help="New keys work this late."
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
    """Run an AWS on this machine that is strict about keys, until Ctrl-C or SIGTERM.

    It prints the lines that lead any AWS SDK, the AWS CLI and twokey to it. All its credentials are make-believe.
    """
    from twokey.emulator import Emulator, EmulatorError

    aws = Emulator(port=port, page_size=page_size, seed=seed, region=region)
    ended = _when_asked_to_end()
    try:
        aws.start()
    except EmulatorError as error:
        raise click.ClickException(str(error)) from error
    try:
        aws.weather.propagation = propagation
        names = [f"machine-user-{number}" for number in range(1, machine_users + 1)]
        for name in names:
            aws.make_user(name, path=path)
        _say(aws, names, as_json=as_json)
        ended.wait()
    finally:
        aws.stop()


def _when_asked_to_end() -> threading.Event:
    """An event that SIGINT and SIGTERM set, so that both end the program with exit code 0."""
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return ended


def _say(aws: Emulator, names: list[str], *, as_json: bool) -> None:
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
        click.echo(json.dumps(shown))
    else:
        click.echo("\n".join(_lines(aws, environment, names)))


def _lines(aws: Emulator, environment: dict[str, str], names: list[str]) -> list[str]:
    """Lines that a shell can read: what is for people only stands behind a #."""
    return [
        f"# An AWS on this machine (account {aws.account_id}); its credentials are make-believe. Ctrl-C ends it.",
        *(f"# machine user: {name}" for name in names),
        f"# weather, time and the record of requests: {aws.endpoint_url}/_twokey/",
        "# In another terminal:",
        "unset AWS_PROFILE AWS_SESSION_TOKEN",
        *(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
    ]
