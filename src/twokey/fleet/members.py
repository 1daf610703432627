"""The users of an account that the configuration covers, with what their stores hold; for the inventory."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from twokey.core.destination import record_of
from twokey.core.errors import ServiceError, TwokeyError, UsageError, unforeseen
from twokey.fleet.loading import load_many
from twokey.fleet.roster import Job, check_distinct, located
from twokey.fleet.runtime import fill
from twokey.inventory.audit import concurrently
from twokey.inventory.decision import Managed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from twokey.config.settings import Selection, Settings
    from twokey.core.accounts import Account
    from twokey.core.model import MachineUser, Record
    from twokey.fleet.runtime import Runtime


def members(
    runtime: Runtime, settings: Settings | None, users: Sequence[MachineUser], account: Account | None = None
) -> list[Managed]:
    """Return those of the users that the configuration covers; nothing is covered without one.

    ``account`` is that of the users, in a run over several.

    A store that cannot be read is told with the user. Raises ``UsageError`` where the configuration selects a user
    twice, and, before any store is read, where the settings of a connection are missing.
    """
    if settings is None:
        return []
    _reach(runtime, settings)
    selections = [one for one in settings.selections if account is None or one.is_for(account)]
    if account is not None:
        users = [replace(user, account_name=account.name) for user in users]
    jobs = [job for user in users for job in _jobs(user, selections)]
    check_distinct(jobs)
    by_account: dict[str, list[Job]] = {}
    for job in jobs:
        by_account.setdefault(runtime.store_in(job).account, []).append(job)
    records = {
        where: load_many(_stores(theirs), runtime.store_in(theirs[0]).services, settings.concurrency)
        for where, theirs in by_account.items()
    }
    return concurrently(lambda job: _managed(runtime, job, records), jobs, settings.concurrency)


def _stores(jobs: Sequence[Job]) -> Iterator[str]:
    for job in jobs:
        # A name that the store cannot have is told with its user.
        with suppress(UsageError):
            yield fill(job.store, job.user)


def _reach(runtime: Runtime, settings: Settings) -> None:
    from twokey.destinations import registry

    for selection in settings.selections:
        url, at = selection.urls[0]
        with located(at):
            registry.reach(url, runtime.services)


def _jobs(user: MachineUser, selections: Sequence[Selection]) -> Iterator[Job]:
    for selection in selections:
        if selection.means(user):
            positions = tuple(at for _, at in selection.urls)
            yield Job(
                user,
                selection.policy,
                selection.store,
                selection.deliver,
                store_account=selection.store_account,
                positions=positions,
            )


def _managed(runtime: Runtime, job: Job, records: Mapping[str, Mapping[str, Record]]) -> Managed:
    from twokey.destinations import registry

    user, store, destinations = job.user, job.store, job.deliver
    try:
        store, *others = (fill(url, user) for url in (job.store, *job.deliver))
        destinations = tuple(others)
        where = runtime.store_in(job)
        known = records[where.account].get(store)
        record = record_of(lambda: known or registry.open_store(store, where.services).load())
    except (ServiceError, UsageError) as error:
        return Managed(user, job.policy, store, destinations, why=str(error))
    except TwokeyError:
        raise
    except Exception as error:  # noqa: BLE001  one store's failure, whatever it is, stops no other
        return Managed(user, job.policy, store, destinations, why=str(unforeseen(store, error, reading=True)))
    why = _moved(user, store, record)
    return Managed(user, job.policy, store, destinations, None if why else record, why)


def _moved(user: MachineUser, store: str, record: Record) -> str:
    if record.journal.moved:
        return (
            f"{user.name} was moved from {store} to {record.journal.moved}; the configuration still names the former."
        )
    if record.journal.arriving:
        return f"A move of {user.name} from {record.journal.arriving} to {store} is not finished."
    return ""
