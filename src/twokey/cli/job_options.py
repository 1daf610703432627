"""What the commands beside a job share: the options, and the credentials that they mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twokey.cli import terminal
from twokey.cli.options import DEFAULT_CONFIG
from twokey.core.errors import UsageError
from twokey.core.secret import Hidden, token_of
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.config.settings import Settings
    from twokey.core.secret import Credential
    from twokey.fleet.for_jobs import JobRuntime
    from twokey.jobs.credentials import Provided, Source

JOB = (
    click.argument("user", required=False, metavar="[USER]"),
    click.option(
        "--store",
        metavar="URL",
        help="The store to read, such as secretsmanager:machine-users/ci.",
    ),
    click.option(
        "--web-identity",
        is_flag=False,
        flag_value="",
        metavar="[FILE]",
        help="Assume the first role with an OIDC token, without any key: that of the CI system, or that in FILE.",
    ),
    click.option(
        "--role",
        "roles",
        metavar="ROLE",
        multiple=True,
        help="Assume this role: an ARN, a name in the key's account, or an entry of roles: in twokey.yaml. Repeated, "
        "each role is assumed with the credentials of the one before.",
    ),
    click.option("--external-id", metavar="ID", help="The external ID that the trust policies of the roles require."),
    click.option("--session-name", metavar="NAME", help="The session's name.  [default: after the CI job]"),
    click.option("--source-identity", metavar="NAME", help="The source identity, which all sessions of a chain keep."),
    click.option("--tag", "tags", metavar="K=V", multiple=True, help="A tag of the last session; may be repeated."),
    click.option(
        "--session-policy", metavar="FILE", help="A policy that limits what the last session may do, as a JSON file."
    ),
    click.option("--duration", metavar="TIME", help="How long a session lasts, 15m to 12h.  [default: 1h]"),
    click.option("--config", metavar="FILE", help=f"The configuration file.  [default: ./{DEFAULT_CONFIG}]"),
    click.option("--quiet", "-q", is_flag=True, help="Print only errors on stderr."),
)


@dataclass(frozen=True, slots=True)
class JobFlags:
    """The options of ``JOB``, as they were typed."""

    user: str | None
    store: str | None
    web_identity: str | None
    roles: tuple[str, ...]
    external_id: str | None
    session_name: str | None
    source_identity: str | None
    tags: tuple[str, ...]
    session_policy: str | None
    duration: str | None
    config: str | None
    quiet: bool

    def notify(self, message: str) -> None:
        """Print a message on stderr, unless it is to be quiet."""
        if not self.quiet:
            terminal.tell(message)


def opened(flags: JobFlags) -> tuple[JobRuntime, Source]:
    """Return the edge of the job, and what provides its credentials; nothing is called. Raises ``UsageError``."""
    from twokey.fleet.for_jobs import JobRequest, JobRuntime
    from twokey.jobs import session_name, session_options

    _refuse_options_without_a_role(flags)
    _refuse_web_identity_beside_a_key(flags)
    user = flags.user or ""
    options = session_options.SessionOptions(
        session_name=session_options.session_name(flags.session_name)
        if flags.session_name is not None
        else session_name.default_name(environment.variable, user),
        external_id=_checked(flags.external_id, session_options.external_id),
        source_identity=_checked(flags.source_identity, session_options.source_identity),
        tags=session_options.tags(flags.tags),
        policy=_checked(flags.session_policy, session_options.session_policy),
        duration=session_options.duration(flags.duration) if flags.duration is not None else None,
    )
    runtime = JobRuntime(_settings(flags))
    request = JobRequest(user, flags.store or "", flags.roles, options, flags.web_identity)
    return runtime, runtime.source(request, flags.notify)


def _checked(text: str | None, check: Callable[[str], str]) -> str:
    return "" if text is None else check(text)


def _refuse_options_without_a_role(flags: JobFlags) -> None:
    if flags.roles:
        return
    for name in ("external_id", "session_name", "source_identity", "tags", "session_policy", "duration"):
        if getattr(flags, name):
            option = "--tag" if name == "tags" else f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} is about the session of a role, and no role is set.", remedy="Add --role.")


def _refuse_web_identity_beside_a_key(flags: JobFlags) -> None:
    if flags.web_identity is None:
        return
    if flags.user or flags.store:
        raise UsageError(
            "--web-identity needs no key, and a machine user or its store is named too.",
            remedy="Leave out USER and --store, or --web-identity.",
        )
    if not flags.roles:
        raise UsageError("--web-identity assumes a role, and no role is set.", remedy="Add --role.")


def _settings(flags: JobFlags) -> Settings | None:
    """Read the configuration file if it is named, or is there."""
    if flags.config is None and not Path(DEFAULT_CONFIG).exists():
        return None
    from twokey.config.load import load

    return load(Path(DEFAULT_CONFIG if flags.config is None else flags.config))


def mask(credential: Credential) -> None:
    """Tell GitHub Actions what to hide in its log, before the job gets it. Other systems have no such command."""
    mask_texts(Hidden(credential.access_key_id), credential.reveal(), token_of(credential))


def mask_texts(*texts: Hidden) -> None:
    """Tell GitHub Actions to hide these texts in its log."""
    if environment.on_github_actions():
        for text in filter(None, texts):
            terminal.tell_ci(Hidden(f"::add-mask::{text}"))


def guarantee(flags: JobFlags, provided: Provided) -> str:
    """Say until when variables with these credentials work; they cannot be refreshed."""
    from twokey.core import timestamps
    from twokey.core.secret import SessionCredential

    end = timestamps.utc(provided.guaranteed) if provided.guaranteed else ""
    if isinstance(provided.credential, SessionCredential):
        return f"These variables work until {end}; they cannot be refreshed."
    if not end:
        return "These variables work until the access key is removed; they cannot be refreshed."
    whom = f" of {flags.user}" if flags.user else ""
    return f"These variables are guaranteed to work until {end}, the grace{whom}; they cannot be refreshed."
