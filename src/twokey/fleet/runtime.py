"""The composition root: AWS, the services of the destinations, and the world of each user's rotation."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.aws.clients import Clients
    from twokey.aws.iam import Iam
    from twokey.aws.sts import Sts
    from twokey.config.settings import AccountOfDestination, Settings
    from twokey.core.accounts import Account
    from twokey.core.destination import Destination
    from twokey.core.events import Listener
    from twokey.core.model import MachineUser
    from twokey.destinations.registry import Services
    from twokey.fleet.accounts import Accounts
    from twokey.fleet.first import First
    from twokey.fleet.lookup import FindsUsers
    from twokey.fleet.roster import Job, Roster, Targets
    from twokey.rotation.world import World


def fill(url: str, user: MachineUser) -> str:
    """Fill a URL's fields in for one user; raises ``UsageError`` where a name does not fit the service."""
    from twokey.destinations import registry

    return registry.fill(url, user=user.name, path=user.path, account=user.account, account_name=user.account_name)


class Where(NamedTuple):
    """Where the destinations of a user are: the services of their account, and its id."""

    services: Services
    account: str


class Runtime:
    """The edge of one run: AWS, and the services of the destinations. Creating it calls nothing.

    ``stop``, once set, ends all waiting but that for a created key to work; ``out_of_time`` ends that, too. ``first``:
    the connection to AWS, where there is one already.
    """

    def __init__(self, settings: Settings | None = None, first: First | None = None) -> None:
        from twokey.aws.sts import Sts
        from twokey.destinations.connections import Connections
        from twokey.destinations.registry import Services
        from twokey.fleet.first import connect

        first = first or connect()
        self.run = first.clients.run
        self.stop = threading.Event()
        self.out_of_time: Callable[[], bool] = lambda: False
        self.clients: Clients = first.clients
        self.iam: Iam = first.iam
        self.sts: Sts = Sts(self.clients)
        self.services = Services(self.clients, Connections(settings.connections if settings else {}))
        self._home = self.services
        self._entered: Account | None = None
        self.accounts: Accounts | None = None
        if settings and settings.accounts:
            from twokey.fleet.accounts import Accounts

            self.accounts = Accounts(settings.accounts, self.services)

    def roster(
        self,
        settings: Settings,
        names: tuple[str, ...],
        also: tuple[str, ...] = (),
        directory: FindsUsers | None = None,
    ) -> Roster:
        """Find the selected users. ``also`` are URLs that are delivered to besides those of the configuration.

        ``directory`` finds them in place of IAM.

        Raises ``UsageError``, before anything is called, where the settings of a connection are missing, and for what
        cannot be a user's name, such as the empty text of a variable.
        """
        from twokey.config.settings import user_name
        from twokey.destinations import registry
        from twokey.fleet.roster import select

        for name in names:
            user_name(name)
        self._reach(settings, names)
        for url in also:
            registry.reach(url, self.services)
        if self._entered and self.accounts:
            theirs = self.accounts.selections(settings.selections, self._entered)
            found = select(theirs, names, directory or self.iam, fill, self._named_account)
        elif self.accounts and directory is None:
            from twokey.fleet.rosters import select_in_accounts

            found = select_in_accounts(self.accounts, settings, names, fill, self.stop)
        else:
            found = select(settings.selections, names, directory or self.iam, fill, self._named_account)
        warnings = (*_exposed(settings), *_readable(settings), *_advice(settings, also), *found.warnings)
        return replace(found, warnings=warnings)

    def _named_account(self) -> str:
        """Return the account as a message names it."""
        from twokey.core.errors import ServiceError

        try:
            return f"account {self.sts.caller()[0]}"
        except ServiceError:
            return "this account"

    def enter(self, account: Account) -> None:
        """Work in this one of the accounts from now on, as if it were the only one.

        Raises ``Failed`` where its role cannot be assumed.
        """
        from twokey.core.errors import BadCredentials, Failed, TwokeyError

        assert self.accounts is not None
        try:
            self.accounts.check(account, in_region=False)
        except BadCredentials:
            raise
        except TwokeyError as error:
            raise Failed(
                f"twokey cannot act in the account {account}: {error.message}",
                state="Nothing was changed.",
                remedy=error.remedy,
            ) from None
        member = self.accounts.member(account)
        self._entered = account
        self.clients, self.services, self.iam, self.sts = member.clients, member.services, member.iam, member.sts

    def check_region(self, settings: Settings) -> None:
        """Raise ``Failed`` unless the stores of the one of many accounts that this run works in can be there."""
        if self.accounts is None or self._entered is None or not self._entered.roles:
            return
        from twokey.core.errors import Failed
        from twokey.fleet.rosters import is_in_account

        if any(map(is_in_account, self.accounts.selections(settings.selections, self._entered))):
            try:
                self.accounts.member(self._entered).check_region()
            except Failed as error:
                raise Failed(f"The account {self._entered}: {error.message}", remedy=error.remedy) from None

    def _reach(self, settings: Settings, names: tuple[str, ...]) -> None:
        from twokey.config.settings import same_name
        from twokey.destinations import registry
        from twokey.fleet.roster import located

        wanted = set(map(same_name, names))
        for selection in settings.selections:
            # Which users a path has is known later: with names, only the entries that surely mean one of them.
            if not names or not wanted.isdisjoint(map(same_name, selection.users)):
                for url, at in selection.urls:
                    with located(at):
                        registry.reach(url, self.services)

    def check(self, roster: Roster) -> Roster:
        """Open every destination of every user and compare what they write to; return the users unchanged.

        Raises ``UsageError`` where two would overwrite each other, or the settings of a connection are missing.
        """
        from twokey.fleet.roster import check_apart

        check_apart(roster.jobs, self.targets)
        return roster

    def targets(self, job: Job) -> Targets:
        """Return what a user's store, destinations and lock write to; raises ``UsageError`` as ``check`` does."""
        from twokey.destinations import identity, registry
        from twokey.fleet.roster import located

        store, others = self.store_in(job), self.destinations_in(job)
        with located(job.at(job.store)):
            opened: list[Destination] = [registry.open_store(job.store, store.services)]
        for url in job.deliver:
            with located(job.at(url)):
                opened.append(registry.open_destination(url, others.services))
        where = [store, *(others for _ in job.deliver)]
        locks = [(job.lock, frozenset({f"lock {job.lock} {store.account}"}))] if job.lock else []
        written = (
            (one.name, identity.write_targets(one, at.services, at.account))
            for one, at in zip(opened, where, strict=True)
        )
        return [*written, *locks]

    def store_in(self, job: Job) -> Where:
        """Return where a user's store is."""
        return self._where(job, job.store_account)

    def destinations_in(self, job: Job) -> Where:
        """Return where a user's other destinations are, those in AWS."""
        return self._where(job, job.deliver_account)

    def _where(self, job: Job, which: AccountOfDestination) -> Where:
        if self.accounts is None:
            return Where(self.services, job.user.account)
        if which == "central":
            return Where(self._home, self.accounts.home)
        return Where(self.accounts.of(job.user.account).services, job.user.account)

    def world(self, job: Job, own_key: str, listener: Listener, *, wait: bool = True) -> World:
        """Return all that the rotation of one user touches; ``stop``, once set, ends its waiting."""
        from twokey.destinations import identity, registry
        from twokey.destinations.locks.registry import locked
        from twokey.fleet.hooks import Programs
        from twokey.rotation.world import World

        at, others = self.store_in(job), self.destinations_in(job)
        member = self.accounts.of(job.user.account) if self.accounts else self
        store = registry.open_store(job.store, at.services)
        destinations = tuple(registry.open_destination(url, others.services) for url in job.deliver)
        return World(
            iam=member.iam,
            sts=member.sts,
            clock=self.clients.clock,
            store=locked(store, job.lock, at.services) if job.lock else store,
            destinations=destinations,
            identities={one.name: identity.identity(one, others.services, others.account) for one in destinations},
            own_key=own_key,
            run=self.run,
            listener=listener,
            wait=wait,
            stop=self.stop,
            out_of_time=self.out_of_time,
            hooks=Programs(job.hooks) if job.hooks else None,
        )


def _readable(settings: Settings) -> list[str]:
    """Return warnings about connections whose requests other machines can read."""
    return [
        f"The connection {name} is not encrypted ({one.settings.url}, `insecure_http`): every machine between here and "
        "there can read its token and the access keys. Use https:// where the service has it."
        for name, one in sorted(settings.connections.items())
        if one.settings.is_readable
    ] + _readable_alerts(settings)


def _readable_alerts(settings: Settings) -> list[str]:
    """Return warnings about alerts that other machines can read."""
    from twokey.http.transport import is_readable_on_the_network

    found = []
    for index, receiver in enumerate(settings.alerts.receivers if settings.alerts else ()):
        target: Any = getattr(receiver, receiver.kind)
        plain = receiver.kind == "webhook" and isinstance(target.url, str) and is_readable_on_the_network(target.url)
        if plain or (receiver.kind == "smtp" and target.security == "none" and target.insecure_smtp):
            at = settings.alerts.at[f"to.{index}"] if settings.alerts else ""
            found.append(
                f"{at}: `{receiver.kind}` is not encrypted: every machine between here and there can read the alerts."
            )
    return found


def _exposed(settings: Settings) -> list[str]:
    """Return warnings about files that other users of this machine may change, or whose secrets they may read."""
    from twokey.destinations.connections import secret_files
    from twokey.system.permissions import warning_about

    secrets = {file for one in settings.connections.values() for file in one.settings.secret_files}
    if settings.alerts:
        secrets |= {file for one in settings.alerts.receivers for file in secret_files(one)}
        secrets |= {settings.alerts.heartbeat.file} if settings.alerts.heartbeat else set()
    files = [(Path(settings.source), False), *((Path(file), True) for file in sorted(secrets - {""}))]
    return [warning for file, secret in files if (warning := warning_about(file, secret=secret))]


def _advice(settings: Settings, also: tuple[str, ...]) -> list[str]:
    """Return warnings about URLs that are valid, and not what the operator wants."""
    from twokey.destinations import registry

    urls = [pair for selection in settings.selections for pair in selection.urls]
    urls += [(url, "") for url in also]
    return [f"{at}{hint}" for url, at in dict.fromkeys(urls) if (hint := registry.advice(url))]
