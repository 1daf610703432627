"""``twokey policy``: IAM policies to deploy, with one sentence for each statement that says why it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from twokey.cli.help import Command, Group, epilog
from twokey.cli.options import DEFAULT_CONFIG, Flags, configuration, options, settings_of
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.config.settings import Settings
    from twokey.destinations.kind import AwsScope
    from twokey.fleet.runtime import Runtime
    from twokey.permissions.documents import Document

FORMAT = click.option(
    "--format",
    "as_format",
    type=click.Choice(["json", "terraform"]),
    default="json",
    show_default=True,
    help="Print what the AWS API takes, or Terraform configuration.",
)
QUIET = click.option("--quiet", "-q", is_flag=True, help="Do not explain the statements on stderr.")
ACCOUNT = click.option(
    "--account", metavar="ID", help="The AWS account.  [default: that of the credentials, which STS is asked for]"
)

PRINCIPAL = click.option(
    "--principal",
    metavar="ARN",
    default="",
    help="The role or user that runs the command. Lets it ask the policy simulator about itself before a removal.",
)


@click.group(
    "policy",
    cls=Group,
    no_args_is_help=True,
    epilog=epilog(
        ("twokey policy rotator --format terraform", "The policy of the role that runs twokey with ./twokey.yaml."),
        ("twokey policy machine-user --role arn:aws:iam::123456789012:role/deploy", "An assume-only machine user."),
    ),
)
def command() -> None:
    """Print IAM policies to deploy: least privilege, each statement with its reason.

    Nothing is changed in AWS. The policy goes to stdout, the reasons to stderr, or, with --format terraform, into
    comments.
    """


@command.command(
    "rotator",
    cls=Command,
    short_help="Print the policy of the principal that runs twokey.",
    epilog=epilog(
        ("twokey policy rotator", "The policy for every command and all users of ./twokey.yaml."),
        ("twokey policy rotator --command plan --command status", "The policy of a job that only reads."),
        ("twokey policy rotator ci --store 'ssm:/keys/{user}' --account 123456789012", "The policy for one user."),
    ),
)
@click.argument("users", nargs=-1, metavar="[USER ...]")
@click.option("--path", metavar="PATH", help="Select every user below this IAM path, such as /machine-users/.")
@click.option("--store", metavar="URL", help="The store, such as secretsmanager:machine-users/{user}.")
@click.option("--lock", metavar="URL", help="The lock beside the store.")
@click.option("--to", "deliver", metavar="URL", multiple=True, help="A further destination; may be repeated.")
@click.option("--soak", metavar="TIME", help="How long LAST is Inactive before it is deleted.  [default: 0s]")
@click.option("--config", metavar="FILE", help=f"The configuration file.  [default: ./{DEFAULT_CONFIG}]")
@click.option(
    "--command",
    "commands",
    metavar="NAME",
    multiple=True,
    help="Only what this command needs; may be repeated.  "
    "[default: all commands but revoke, audit, lint, advise, trace and watch]",
)
@click.option("--from", "source", metavar="URL", help="The URL that adopt --from reads the credential from.")
@click.option(
    "--state",
    "states",
    metavar="FILE",
    multiple=True,
    help="A file of Terraform that audit reads, such as s3://BUCKET/KEY; may be repeated.",
)
@click.option("--split", is_flag=True, help="Print one policy for each command.")
@ACCOUNT
@click.option("--region", metavar="REGION", help="The region of the stores.  [default: that of the AWS SDKs]")
@click.option(
    "--kms-key",
    "keys",
    metavar="ARN",
    multiple=True,
    help="A customer managed key with which existing secrets or parameters are encrypted; may be repeated.",
)
@click.option(
    "--member",
    is_flag=True,
    help="Print the policy of the role that twokey assumes in each account, not of the principal that assumes it.",
)
@PRINCIPAL
@options((FORMAT, QUIET))
def rotator(
    *,
    member: bool,
    commands: tuple[str, ...],
    source: str | None,
    split: bool,
    account: str | None,
    region: str | None,
    keys: tuple[str, ...],
    principal: str,
    states: tuple[str, ...],
    as_format: str,
    quiet: bool,
    **parameters: Any,
) -> int:
    """Print the policy of the principal that runs twokey, for the users, stores and destinations selected."""
    flags = Flags(**parameters, window=None, grace=None, idle=None, concurrency=None, as_json=False, quiet=quiet)
    settings = settings_of(flags)

    from twokey.permissions import fleet
    from twokey.permissions import rotator as policies

    chosen = tuple(dict.fromkeys(commands)) or policies.DEFAULT
    if source is not None and "adopt" not in chosen:
        raise UsageError("--from is for adopt.", remedy="Add --command adopt, or omit --from.")
    if member and settings.accounts is None:
        raise UsageError(
            "--member is about the accounts of twokey.yaml, and it has none.", remedy="Add accounts: to it."
        )
    scope = _scope(settings, account or (fleet.ANY if member else None), region)
    part: fleet.Part = "member" if member else fleet.part_of_home(settings.accounts)

    def grant(names: tuple[str, ...]) -> policies.Grant:
        of_audit = states if "audit" in names or not split else ()
        return policies.Grant(
            scope, names, flags.users, keys, principal, source or "", of_audit, settings.accounts, part
        )

    if split:
        documents = {name: policies.document(settings.selections, grant((name,)), settings.alerts) for name in chosen}
    else:
        documents = {"rotator": policies.document(settings.selections, grant(chosen), settings.alerts)}
    return _print(documents, as_format, quiet=quiet)


@command.command(
    "drop-in",
    cls=Command,
    short_help="Print the policy of the principal that runs the drop-in.",
    epilog=epilog(("twokey policy drop-in /machine-users/", "The policy for the users below this IAM path.")),
)
@click.argument("path")
@ACCOUNT
@PRINCIPAL
@options((FORMAT, QUIET))
def drop_in(*, path: str, account: str | None, principal: str, as_format: str, quiet: bool) -> int:
    """Print the policy of the principal that runs iam-credential-rotation for the users below PATH."""
    from twokey.drop_in import prefix
    from twokey.permissions import original

    prefix(path)
    document = original.document(path, _scope(None, account, None), principal)
    return _print({"drop-in": document}, as_format, quiet=quiet)


@command.command(
    "machine-user",
    cls=Command,
    short_help="Print the policy of a machine user.",
    epilog=epilog(
        ("twokey policy machine-user --tier production", "The users of a tier of ./twokey.yaml."),
        ("twokey policy machine-user --role arn:aws:iam::123456789012:role/deploy", "Users that assume one role."),
    ),
)
@click.option("--role", "roles", metavar="ARN", multiple=True, help="A role to assume; may be repeated.")
@click.option("--tier", metavar="NAME", help="A tier of the configuration: its roles, and those that it reaches.")
@click.option("--config", metavar="FILE", help=f"The configuration file.  [default: ./{DEFAULT_CONFIG}]")
@options((FORMAT, QUIET))
def machine_user(*, roles: tuple[str, ...], tier: str | None, config: str | None, as_format: str, quiet: bool) -> int:
    """Print the policy of a machine user that may assume its roles, and nothing else."""
    from twokey.permissions import guardrails

    if tier is None and not roles:
        # Without a choice, one policy for each tier of the configuration.
        settings = configuration(config)
        if settings is None or not settings.tiers:
            raise UsageError(
                "A machine user needs a role to assume.", remedy="Add --role ARN, or `tiers:` to twokey.yaml."
            )
        tiers = {
            one.name: guardrails.machine_user(settings.reached_roles(one), tier=one.name) for one in settings.tiers
        }
        return _print(tiers, as_format, quiet=quiet)
    named: tuple[str, ...] = ()
    if tier is not None:
        settings = configuration(config)
        if settings is None:
            raise UsageError("--tier needs a configuration file with `tiers:`.", remedy="Add --config FILE.")
        named = settings.reached_roles(settings.tier(tier))
    document = guardrails.machine_user((*named, *roles), tier=tier or "")
    return _print({"machine-user": document}, as_format, quiet=quiet)


@command.command(
    "role-trust",
    cls=Command,
    short_help="Print the trust policy of a role.",
    epilog=epilog(
        (
            "twokey policy role-trust --principal arn:aws:iam::123456789012:user/machine-users/ci --external-id acme-1",
            "Trust one machine user, with an external ID.",
        ),
        (
            (
                "twokey policy role-trust --oidc gitlab.com --aud https://gitlab.com --sub "
                "project_path:acme/site:ref_type:branch:ref:main"
            ),
            "Trust the jobs of one branch, without a key.",
        ),
    ),
)
@click.option(
    "--principal",
    "principals",
    metavar="ARN",
    multiple=True,
    help="A user or role, or the ID of an account, that may assume the role; may be repeated.",
)
@click.option("--external-id", metavar="TEXT", default="", help="Require this external ID.")
@click.option("--oidc", "provider", metavar="ISSUER", help="An OIDC provider whose jobs may assume the role.")
@click.option("--sub", "subjects", metavar="TEXT", multiple=True, help="The exact subject of a job; may be repeated.")
@click.option(
    "--aud", "audience", metavar="TEXT", default="sts.amazonaws.com", show_default=True, help="The token's audience."
)
@ACCOUNT
@options((FORMAT, QUIET))
def role_trust(
    *,
    principals: tuple[str, ...],
    external_id: str,
    provider: str | None,
    subjects: tuple[str, ...],
    audience: str,
    account: str | None,
    as_format: str,
    quiet: bool,
) -> int:
    """Print the trust policy of a role: which machine users, or which jobs by OIDC, may assume it."""
    from twokey.permissions import guardrails

    if bool(provider) == bool(principals):
        raise UsageError(
            "expected either --principal or --oidc.",
            remedy="Name the machine users (--principal ARN), or the provider of the jobs' tokens (--oidc ISSUER).",
        )
    if provider:
        scope = _scope(None, account, None)
        document = guardrails.trust_of_provider(scope.account, scope.partition, provider, audience, subjects)
    else:
        document = guardrails.trust_of_users(principals, external_id=external_id)
    return _print({"role-trust": document}, as_format, quiet=quiet)


@command.command(
    "source-ip",
    cls=Command,
    short_help="Print a policy that limits keys to some networks.",
    epilog=epilog(
        ("twokey policy source-ip --allow 203.0.113.0/24", "Deny requests from everywhere else."),
        (
            "twokey policy source-ip --allow 203.0.113.7/32 --vpc vpc-0a1b2c3d",
            "The same, and allow the VPC endpoints of one VPC.",
        ),
    ),
)
@click.option(
    "--allow", "networks", metavar="CIDR", multiple=True, help="A public network of the jobs; may be repeated."
)
@click.option("--vpc", "vpcs", metavar="ID", multiple=True, help="A VPC whose endpoints are allowed; may be repeated.")
@click.option(
    "--vpce", "endpoints", metavar="ID", multiple=True, help="A VPC endpoint that is allowed; may be repeated."
)
@options((FORMAT, QUIET))
def source_ip(
    *,
    networks: tuple[str, ...],
    vpcs: tuple[str, ...],
    endpoints: tuple[str, ...],
    as_format: str,
    quiet: bool,
) -> int:
    """Print a policy that limits the keys of a machine user to these networks."""
    from twokey.permissions import guardrails

    document = guardrails.source_ip(networks, vpcs=vpcs, endpoints=endpoints)
    return _print({"source-ip": document}, as_format, quiet=quiet)


def _scope(settings: Settings | None, account: str | None, region: str | None) -> AwsScope:
    """Return account, region and partition: as typed, else from the SDKs' settings and STS."""
    import re

    from twokey.aws.endpoints import partition_of
    from twokey.destinations.kind import AwsScope
    from twokey.fleet.runtime import Runtime

    if account not in (None, "*") and not re.fullmatch(r"\d{12}", str(account), re.ASCII):
        raise UsageError(f"--account: expected the 12 digits of an AWS account, got {account!r}.")
    runtime = Runtime(settings)
    where = region or runtime.clients.region
    if not where and settings is not None:
        raise UsageError("No AWS region is set.", remedy="Add --region, or set AWS_REGION.")
    return AwsScope(partition_of(where), where, account or _own_account(runtime))


def _own_account(runtime: Runtime) -> str:
    """Return the account of the credentials; raises a ``ServiceError`` whose remedy also names the way without."""
    from twokey.core.errors import ServiceError

    try:
        return runtime.sts.caller()[0]
    except ServiceError as error:
        error.remedy = f"{error.remedy} Or name the account: --account ID.".lstrip()
        raise


def _print(documents: Mapping[str, Document], as_format: str, *, quiet: bool) -> int:
    from twokey.cli import terminal
    from twokey.permissions.documents import as_json, as_terraform

    if as_format == "terraform":
        for line in as_terraform(documents).splitlines():
            terminal.say(line)
        return 0
    if not quiet:
        for document in documents.values():
            terminal.tell(document.purpose)
            for statement in document.statements:
                terminal.tell(f"  {statement.sid}: {statement.why}")
    terminal.say_json(as_json(documents))
    return 0
