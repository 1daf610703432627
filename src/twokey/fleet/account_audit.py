"""The audit of an account with a configuration, whichever entry point asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.config.settings import Settings
    from twokey.fleet.runtime import Runtime
    from twokey.inventory.audit import Request
    from twokey.reports.audit import Audit


def request(
    settings: Settings | None, path: str | None, *, ids: bool, max_age: str, within: str, limit: str
) -> Request:
    """Return what to look at; durations are as typed. Raises ``UsageError`` that names the option."""
    from twokey.config.settings import path_prefix
    from twokey.core import durations
    from twokey.inventory.audit import Request

    return Request(
        path=path_prefix(path, "--path") if path is not None else None,
        ids=ids,
        max_age=durations.parse(max_age, "--max-age"),
        outside=durations.parse(limit, "--limit"),
        within=durations.parse(within, "--within"),
        schedule=settings.schedule if settings else None,
        expected=tuple(name for one in settings.selections for name in one.users) if settings else (),
    )


def audit_account(
    runtime: Runtime, settings: Settings | None, wanted: Request, states: Sequence[str], *, redact: bool
) -> Audit:
    """Read the account, and the files of state that may contain keys. ``redact``: with shortened key ids."""
    from functools import partial

    from twokey.aws.endpoints import partition_of
    from twokey.fleet.members import members
    from twokey.inventory import history, state, state_sources
    from twokey.inventory.audit import audit
    from twokey.reports.audit import redact as redacted

    found = state_sources.read(states, runtime.clients)
    result = audit(runtime.iam, wanted, partial(members, runtime, settings))
    if settings and settings.audit_log:
        result = history.with_history(result, settings.audit_log.path)
    if found:
        result = state.with_state(result, runtime.iam, found, partition_of(runtime.clients.region or ""))
    return redacted(result) if redact else result
