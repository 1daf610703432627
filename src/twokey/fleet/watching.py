"""All that ``twokey watch`` looks at, gathered: the account, files and repositories, events and alerts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from twokey.core.decoding import decoder
from twokey.core.errors import BadCredentials, Failed, ServiceError, UsageError
from twokey.core.model import MachineUser
from twokey.inventory import collect
from twokey.revocation import aws_events, github_alerts
from twokey.revocation.owners import Owners
from twokey.revocation.scan import refuse_missing, scan
from twokey.revocation.watch import LEAKED, Looked, watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twokey.alerts.decision import Alert
    from twokey.config.settings import Settings
    from twokey.fleet.runtime import Runtime
    from twokey.permissions.account import Account
    from twokey.reports.documents import WatchDocument
    from twokey.reports.watch import Finding, Watch
    from twokey.revocation.reported import Reported, Reports

KEYS = "/meta/public_keys/secret_scanning"
"""Where GitHub publishes the keys of its secret scanning ("Secret scanning partner program", GitHub Docs)."""
ALERTS = frozenset({*LEAKED, "TK811", "TK832"})
"""The rules that the receivers of alerts are told about; GuardDuty has its own."""
LARGEST = 32 << 20
"""Bytes of a file of events: a webhook of GitHub has 25 MB at most."""


@dataclass(frozen=True, slots=True)
class Event:
    """A file of events: how messages name it, and its content."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """What to look at besides the account. ``keys``: a file with GitHub's public keys, instead of GitHub itself."""

    paths: Sequence[str] = ()
    events: Sequence[Event] = ()
    keys: str = ""


class _PublicKey(msgspec.Struct):
    key_identifier: str
    key: str


class _PublicKeys(msgspec.Struct):
    public_keys: list[_PublicKey]


def look(runtime: Runtime, settings: Settings | None, request: Request) -> Watch:
    """Look at all of it, once.

    A source that cannot be looked at is a warning of the result. Raises ``UsageError``, before AWS is called, for a
    path that does not exist and for a file that has neither an event nor an alert; raises ``BadCredentials``.
    """
    refuse_missing(request.paths)
    reported, notes, warnings = _events(runtime, settings, request)
    account_id, arn = runtime.sts.caller()
    found = scan(request.paths)
    account: Account | None = None
    try:
        account = collect.details(runtime.iam)
    except BadCredentials:
        raise
    except ServiceError as error:
        warnings.append(f"Which users AWS has put under quarantine is unknown: {error}")
    users = [user.name for user in account.users] if account else ()
    owners = Owners(runtime.iam, account_id, users)
    return watch(Looked(account_id, arn.split(":")[1], owners, account, found, reported, notes, warnings))


def revocable(settings: Settings | None, result: Watch) -> list[str]:
    """Return the leaked keys that ``on_leak: revoke`` is about: Active, and of a machine user of the configuration.

    An Inactive key is none: what was revoked is not revoked again.
    """
    if settings is None or settings.on_leak != "revoke":
        return []
    leaked = [one for one in result.findings if one.leaked and one.key_id and _is_configured(settings, one)]
    return list(dict.fromkeys(one.key_id for one in leaked if one.key_id))


def alerts(result: WatchDocument) -> list[Alert]:
    """Return what the receivers of alerts are told: each leak that is at least high, and that a source is unknown."""
    from twokey.alerts.decision import Leak, of_failed_run, of_leak

    done = {key.key: one for one in result.revocations for key in one.contained}
    found = []
    for one in result.findings:
        if one.id in ALERTS and one.severity in ("high", "critical"):
            revocation = done.get(one.key_id or "")
            then = f"{revocation.outcome}: {revocation.message}" if revocation else one.remedy
            found.append(of_leak(one.id, Leak(one.account, one.user, one.key_id or ""), f"{one.message} {then}"))
    if result.warnings:
        found.append(of_failed_run("watch", f"Not looked at: {' '.join(result.warnings[:3])}"))
    return found


def _is_configured(settings: Settings, finding: Finding) -> bool:
    path = f"/{finding.resource.partition(':user/')[2]}".removesuffix(finding.user)
    user = MachineUser(finding.user, path, "", finding.account, finding.resource)
    return any(selection.means(user) for selection in settings.selections)


def read_file(path: str) -> Event:
    """Read a file of events; raises ``UsageError``."""
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(
            f"--event: {path} cannot be read: {error.strerror}.",
            state="Nothing was called.",
            remedy="Name a file that this user may read, or - for stdin.",
        ) from None
    return checked(Event(path, content))


def checked(event: Event) -> Event:
    """Return a file of events that is not too large; raises ``UsageError``."""
    if len(event.content) > LARGEST:
        raise UsageError(f"--event: {event.name} is larger than {LARGEST >> 20} MiB.", state="Nothing was called.")
    return event


def _events(
    runtime: Runtime, settings: Settings | None, request: Request
) -> tuple[list[Reported], list[str], list[str]]:
    reported: list[Reported] = []
    notes: list[str] = []
    refused: list[str] = []
    for event in request.events:
        try:
            reports = _of_event(event, runtime, settings, request.keys)
        except Failed as error:
            refused.append(str(error))
        else:
            reported += reports.reported
            notes += reports.notes
    return reported, notes, refused


def _of_event(event: Event, runtime: Runtime, settings: Settings | None, keys: str) -> Reports:
    message = github_alerts.message(event.name, event.content)
    if message is None:
        return aws_events.read(event.name, event.content)
    return github_alerts.read(
        message,
        lambda: _keys_in(keys) if keys else _published(runtime, settings),
        lambda: _webhook_secret(runtime, settings),
    )


def _webhook_secret(runtime: Runtime, settings: Settings | None) -> str:
    source = settings.github_webhook_secret if settings else None
    if settings is None or source is None:
        raise UsageError(
            "--event: this alert is signed with the secret of a webhook, and no such secret is configured.",
            state="Nothing was called.",
            remedy="Set github_webhook_secret: {env: NAME} in twokey.yaml.",
        )
    context = runtime.services.context("GitHub webhook", settings.secret_at)
    return context.secret(source, "github_webhook_secret").value()


def _published(runtime: Runtime, settings: Settings | None) -> Mapping[str, str]:
    """Return the public keys that GitHub publishes; no token is needed. Raises a ``ServiceError``."""
    from twokey.destinations.logins.github import PUBLIC
    from twokey.http.client import Http
    from twokey.http.messages import Request as HttpRequest

    configured = settings.connections.get("github") if settings else None
    own = configured.settings if configured else None
    url, ca = (own.url or PUBLIC, own.ca) if own else (PUBLIC, None)
    http = Http("GitHub", url, runtime.clients.clock, ca=ca or None)
    found = http.read(HttpRequest("GET", KEYS, "the public keys of secret scanning"), _PublicKeys)
    return {one.key_identifier: one.key for one in found.public_keys}


def _keys_in(path: str) -> Mapping[str, str]:
    try:
        found = decoder(_PublicKeys).decode(Path(path).read_bytes())
    except OSError as error:
        raise UsageError(
            f"--github-keys: {path} cannot be read: {error.strerror}.",
            remedy=f"Save what https://api.github.com{KEYS} returns, or leave the option out.",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UsageError(
            f"--github-keys: {path} does not have GitHub's public keys.",
            remedy=f"Save what https://api.github.com{KEYS} returns.",
        ) from None
    return {one.key_identifier: one.key for one in found.public_keys}
