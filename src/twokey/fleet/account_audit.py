"""The audit of an account with a configuration, whichever entry point asks for it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.config.settings import Settings
    from twokey.core.accounts import Account
    from twokey.fleet.accounts import Accounts
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
    """Read the account, or each account of the configuration, and the files of state that may contain keys.

    ``redact``: with shortened key ids.
    """
    from twokey.aws.endpoints import partition_of
    from twokey.fleet.members import members
    from twokey.inventory import history, state, state_sources
    from twokey.inventory.audit import audit
    from twokey.reports.audit import redact as redacted

    found = state_sources.read(states, runtime.clients)
    if runtime.accounts and settings:
        result = _of_accounts(runtime, runtime.accounts, settings, wanted)
    else:
        result = audit(runtime.iam, wanted, partial(members, runtime, settings))
    if settings and settings.audit_log:
        result = history.with_history(result, settings.audit_log.path)
    if found:
        result = state.with_state(result, runtime.iam, found, partition_of(runtime.clients.region or ""))
    return redacted(result) if redact else result


def _of_accounts(runtime: Runtime, accounts: Accounts, settings: Settings, wanted: Request) -> Audit:
    """Read each account. One that cannot be read is a warning, and the result is not complete."""
    from twokey.core.errors import TwokeyError, UsageError
    from twokey.fleet.members import members
    from twokey.fleet.rosters import AT_A_TIME, account_failed
    from twokey.inventory.audit import audit, concurrently
    from twokey.reports.audit import of_accounts

    def look(account: Account) -> Audit | str:
        theirs = [one for one in settings.selections if one.is_for(account)]
        named = replace(wanted, expected=tuple(name for one in theirs for name in one.users))
        try:
            accounts.check(account, in_region=False)
            return audit(accounts.member(account).iam, named, partial(members, runtime, settings, account=account))
        except UsageError:
            raise
        except TwokeyError as error:
            return account_failed(account, error).message

    found = concurrently(look, accounts.selected, AT_A_TIME)
    read = [one for one in found if not isinstance(one, str)]
    return of_accounts(accounts.home, runtime.clients.clock.now(), read, [one for one in found if isinstance(one, str)])
