"""A rig for engine tests: the strict emulator, the real AWS edge, real stores, and a clock that can be moved."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

from twokey.aws.clients import Clients
from twokey.aws.clock import ServiceClock
from twokey.aws.iam import Iam
from twokey.aws.sts import Sts
from twokey.destinations import identity, registry
from twokey.destinations.locks.registry import locked
from twokey.emulator import Emulator, KeyPair
from twokey.planning.plan import Overrides
from twokey.planning.policy import RotationPolicy, Verification
from twokey.rotation import rotate
from twokey.rotation.world import World as RotationWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twokey.core.destination import Destination, Store
    from twokey.core.events import Event
    from twokey.core.model import Record
    from twokey.rotation.results import Result

DAY = 86_400.0
QUICK = Verification(successes=2, interval=timedelta(seconds=0.01), timeout=timedelta(seconds=30))
"""A key works at once here, however busy the machine is."""
IN_VAIN = replace(QUICK, timeout=timedelta(seconds=2))
"""Where a key is to be proved that never works."""
POLICY = RotationPolicy(settle=timedelta(0), verification=QUICK)


class Killed(BaseException):
    """The process dies here."""


class Rig:
    """One AWS, and as many runs of twokey against it as a test wants."""

    def __init__(self, aws: Emulator, store: str = "secretsmanager:machine-users/{user}") -> None:
        self.aws = aws
        self.store_url = store
        self.lock_url = ""
        self.deliver: tuple[str, ...] = ()
        self.others: tuple[Destination, ...] = ()
        self.policy = POLICY
        self.events: list[Event] = []
        self._clients: dict[tuple[str, frozenset[tuple[str, str]]], Clients] = {}
        self.kill_at: tuple[str, str] | None = None
        self._ahead = 0.0
        self.slept = 0.0
        self.at: dict[tuple[str, str], Callable[[], None]] = {}
        self.before_pause: Callable[[], None] = lambda: None
        self._reading: Clients | None = None

    def later(self, **units: float) -> None:
        """Let time pass, for AWS and for this machine alike."""
        seconds = timedelta(**units).total_seconds()
        self._ahead += seconds
        self.aws.advance(seconds)

    def clients(self, run: str = "run") -> Clients:
        """Return a fresh AWS edge, as a process of its own would have. Its pauses pass at once, for AWS too."""
        return Clients(run, clock=ServiceClock(*self.time()))

    def clients_of(self, run: str) -> Clients:
        """Return the AWS edge of all runs of this name and environment: making one is a large part of a run's cost."""
        key = run, frozenset(os.environ.items())
        if key not in self._clients:
            self._clients[key] = self.clients(run)
        return self._clients[key]

    def time(self) -> tuple[Callable[[], float], Callable[[], float], Callable[[float], None]]:
        """Return what a ``ServiceClock`` is made of: a wall clock, one that never jumps, and how to wait."""
        return lambda: time.time() + self._ahead, lambda: time.monotonic() + self.slept, self._pause

    def _pause(self, seconds: float) -> None:
        self.before_pause()
        self.sleep_through(seconds)

    def sleep_through(self, seconds: float) -> None:
        """Let this machine and AWS go on in time while the process stands still."""
        self.slept += seconds
        self.later(seconds=seconds)

    def world(
        self, user: str = "ci", run: str = "run", clients: Clients | None = None, **fields: Any
    ) -> tuple[Any, RotationWorld]:
        """Return the user and all that its rotation touches."""
        clients = clients or self.clients_of(run)
        iam = Iam(clients)
        machine_user = iam.user(user)
        services = registry.Services(clients)

        def fill(url: str) -> str:
            return registry.fill(url, user=user, path=machine_user.path, account=machine_user.account)

        opened = tuple(registry.open_destination(fill(url), services) for url in self.deliver)
        return machine_user, RotationWorld(
            iam=iam,
            sts=Sts(clients),
            clock=clients.clock,
            store=self._opened(fill(self.store_url), user, services),
            destinations=(*opened, *self.others),
            identities={one.name: identity.identity(one, services, machine_user.account) for one in opened},
            own_key=clients.own_key(),
            run=run,
            listener=self._listen,
            **fields,
        )

    def rotate(self, user: str = "ci", run: str = "run", *, wait: bool = True, **asked: Any) -> Result:
        """Run a rotation in this process."""
        machine_user, world = self.world(user, run, wait=wait)
        return rotate.rotate(machine_user, self.policy, world, Overrides(**asked))

    def killed_at(self, step: str, phase: str, user: str = "ci", run: str = "killed", **asked: Any) -> bool:
        """Run a rotation that dies at a step; return whether it got there. A dead process gives nothing back."""
        self.kill_at = (step, phase)
        try:
            with mock.patch.object(rotate, "_give_back"), dead_processes_release_their_lease():
                self.rotate(user, run, **asked)
        except Killed:
            return True
        finally:
            self.kill_at = None
        return False

    def _listen(self, event: Event) -> None:
        self.events.append(event)
        self.at.pop((event.step, event.phase), lambda: None)()
        if self.kill_at == (event.step.split(" to ")[0], event.phase):
            raise Killed

    def wait_until_delayed_arrived(self) -> None:
        """Wait for a request that a rule delays to have its effect, which its client may have given up on."""
        until = time.monotonic() + 600
        while not any(request.effect == "delay" for request in self.aws.requests):
            assert time.monotonic() < until, "no request was delayed"
            time.sleep(0.01)

    def store(self, user: str = "ci") -> Store:
        """Return the store as a fresh process would see it; only the connections to AWS are kept."""
        self._reading = self._reading or self.clients("reading")
        path = str(self.aws._user(user, None).path)
        url = registry.fill(self.store_url, user=user, path=path, account=self.aws.account_id)
        return self._opened(url, user, registry.Services(self._reading))

    def _opened(self, url: str, user: str, services: registry.Services) -> Store:
        store = registry.open_store(url, services)
        return locked(store, self.lock_url.format(user=user), services) if self.lock_url else store

    def record(self, user: str = "ci") -> Record:
        """Read the store."""
        return self.store(user).load()

    def held(self, user: str = "ci") -> str:
        """Return the id of the key that the store holds, or the empty string."""
        return getattr(self.record(user).holding, "key_id", "")

    def stored(self, user: str = "ci") -> KeyPair | None:
        """Return the credential that a job would read now."""
        credential = self.store(user).credential()
        return KeyPair(credential.access_key_id, credential.reveal()) if credential else None

    def ids(self, user: str = "ci") -> list[str]:
        """Return the ids of the user's keys, oldest first, as they truly are."""
        return [key_id for key_id, _, _ in sorted(self.aws.keys(user), key=lambda key: key[2])]

    def lock(self) -> str:
        """Have every run use a lock, in a table that is made for that; return its URL."""
        self.aws.client("dynamodb").create_table(
            TableName="locks",
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.lock_url = "dynamodb:locks/{user}"
        return self.lock_url

    def fill(self, key: KeyPair, user: str = "ci") -> None:
        """Put a credential into Secrets Manager by hand."""
        value = json.dumps({"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret_access_key})
        secrets = self.aws.client("secretsmanager")
        try:
            secrets.create_secret(Name=f"machine-users/{user}", SecretString=value)
        except secrets.exceptions.ResourceExistsException:
            secrets.put_secret_value(SecretId=f"machine-users/{user}", SecretString=value)

    def settled(self, user: str = "ci") -> tuple[KeyPair, KeyPair]:
        """Make a user with LAST and CURRENT, a due rotation, and the store that holds CURRENT."""
        last, current = self.aws.make_user(user, path="/machine-users/", keys=2, ages=(31 * DAY, 16 * DAY))
        self.fill(current, user)
        return last, current


@contextmanager
def dead_processes_release_their_lease() -> Iterator[None]:
    """Write leases of a process that is gone, as a killed one leaves behind."""
    from twokey.rotation import lease

    real = lease.take

    def take(run: str, now: Any) -> Any:
        import msgspec

        return msgspec.structs.replace(real(run, now), process=2**22 - 1, start="1")

    with mock.patch.object(lease, "take", take):
        yield
