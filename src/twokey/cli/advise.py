"""``twokey advise``: the way out of a machine user's key, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twokey.cli.help import Command, epilog
from twokey.cli.options import DEFAULT_CONFIG, configuration
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from twokey.config.settings import Settings
    from twokey.permissions.account import Account, Principal
    from twokey.permissions.advice import Step
    from twokey.permissions.pipelines import System


@click.command(
    "advise",
    cls=Command,
    epilog=epilog(
        ("twokey advise ci --pipeline .github/workflows/deploy.yml", "The steps, with the change as a diff."),
        ("twokey advise ci --role arn:aws:iam::123456789012:role/deploy", "The steps for jobs that need this role."),
    ),
)
@click.argument("user", metavar="USER")
@click.option("--pipeline", metavar="FILE", help="The pipeline's file; its name and folder tell the CI system.")
@click.option("--role", metavar="ARN", help="The role that the jobs need.  [default: what the user may assume]")
@click.option("--project", metavar="OWNER/NAME", help="The project.  [default: that of the user's destinations]")
@click.option("--region", metavar="REGION", help="The region of the jobs.  [default: that of the AWS SDKs]")
@click.option("--config", metavar="FILE", help=f"The configuration file.  [default: ./{DEFAULT_CONFIG}, if it exists]")
def command(
    *, user: str, pipeline: str | None, role: str | None, project: str | None, region: str | None, config: str | None
) -> int:
    """Show how the jobs of a machine user can use OIDC instead of its key; change nothing.

    Prints the trust policy to deploy, the change in the pipeline's file (GitHub Actions, GitLab CI, CircleCI,
    Buildkite, Bitbucket Pipelines) as a diff, the order in which nothing breaks, and how to know that the key is
    unused before you delete it.
    """
    from twokey.aws.endpoints import partition_of
    from twokey.fleet.runtime import Runtime
    from twokey.inventory import collect
    from twokey.permissions.advice import REGION, AdviceRequest, advise

    text = _read(pipeline)
    _refuse_secret(pipeline, text)
    settings = configuration(config)
    runtime = Runtime(settings)
    account = collect.details(runtime.iam)
    found = _user(account, user)
    destinations = _destinations(settings, found)
    system, known = _system(pipeline, text, destinations)
    where = region or runtime.clients.region
    request = AdviceRequest(
        user=found.name,
        account=found.account,
        partition=partition_of(where) if where else found.arn.split(":")[1],
        roles=(role,) if role else _roles(account, found),
        system=system,
        project=project or known,
        region=where or REGION,
        file=pipeline or "",
        pipeline=text,
        destinations=destinations,
    )
    _print(request.user, system, advise(request))
    return 0


def _read(pipeline: str | None) -> str | None:
    if pipeline is None:
        return None
    try:
        return Path(pipeline).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"--pipeline: {pipeline} cannot be read: {why}.", remedy="Check the path.") from None


def _refuse_secret(pipeline: str | None, text: str | None) -> None:
    """Raise ``UsageError`` for a file that has a secret itself: the diff would print it."""
    from twokey.permissions.pipelines import line_with_secret

    number = line_with_secret(text or "")
    if number is not None:
        raise UsageError(
            f"--pipeline: line {number} of {pipeline} has a secret itself, and the diff would print it.",
            remedy="Take the line out, and replace the key: every reader of the file has it.",
        )


def _user(account: Account, name: str) -> Principal:
    from twokey.config.settings import same_name

    for user in account.users:
        if same_name(user.name) == same_name(name):
            return user
    raise UsageError(
        f"There is no IAM user {name} in this account.",
        remedy="Check the name and the account: aws sts get-caller-identity.",
    )


def _roles(account: Account, user: Principal) -> tuple[str, ...]:
    from twokey.permissions.reach import Reach

    return tuple(role.arn for role in Reach(account).assumable(user))


def _destinations(settings: Settings | None, user: Principal) -> tuple[str, ...]:
    from twokey.core.model import MachineUser
    from twokey.fleet.runtime import fill

    name = settings.account_name(user.account) if settings else ""
    known = MachineUser(user.name, user.path, "", user.account, user.arn, name)
    for selection in settings.selections if settings else ():
        if selection.means(known):
            return tuple(fill(url, known) for url in (selection.store, *selection.deliver))
    return ()


def _system(pipeline: str | None, text: str | None, destinations: tuple[str, ...]) -> tuple[System, str]:
    """Return the CI system, and the project if a destination names it."""
    from twokey.permissions import pipelines

    named = [found for url in destinations if (found := pipelines.of_destination(url))]
    if pipeline is not None:
        system = pipelines.of_file(str(Path(pipeline).absolute())) or pipelines.of_text(text or "")
        if system is None:
            known = ", ".join(one.name for one in pipelines.SYSTEMS)
            raise UsageError(f"--pipeline: {pipeline}: expected the pipeline file of one of these CI systems: {known}.")
        return system, next((project for one, project in named if one is system), "")
    if not named:
        raise UsageError(
            "The CI system of the user's jobs is not known: its configuration names none.",
            remedy="Name the pipeline's file: --pipeline .github/workflows/deploy.yml.",
        )
    return named[0]


def _print(user: str, system: System, steps: list[Step]) -> None:
    from twokey.cli import terminal

    terminal.paragraph(f"How the jobs of {user} in {system.name} can use OIDC instead of its key:")
    for number, step in enumerate(steps, 1):
        terminal.say()
        terminal.paragraph(f"{number}. {step.title}. {step.text}", further="   ")
        if step.block:
            terminal.say()
            for line in step.block.split("\n"):
                # A diff has to be applied as it is.
                terminal.say(line if step.block.startswith("--- ") else f"    {line}")
