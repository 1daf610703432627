"""twokey as real processes against one emulator, and what must be true afterwards in every case."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from support import forked
from support.rig import DAY, Rig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.forked import Forked
    from twokey.emulator import KeyPair

STORES = ("secretsmanager:machine-users/{user}", "ssm:/machine-users/{user}", "file:{folder}/{user}.json")
LOCKED = f"{STORES[1]} with a lock"
ASLEEP = timedelta(minutes=10)
"""How long a machine sleeps: longer than a lease lasts."""
SLEPT = "slept"
"""The file that tells a suspended process, when it continues, that its machine has slept so long."""
SUSPENDED = f"""
import time
from pathlib import Path
from twokey.aws.clock import ServiceClock, since_boot
from twokey.cli.main import main
slept, make = Path("{SLEPT}").absolute(), ServiceClock.__init__
def later():
    return {ASLEEP.total_seconds()} if slept.exists() else 0.0
make.__defaults__ = (lambda: time.time() + later(), lambda: since_boot() + later(), *make.__defaults__[2:])
main()
"""
"""The real command, on a clock that goes on while its machine sleeps. No test waits for the end of a lease, and none
ends on a machine that is only slow."""


STOPPED_CLOCK = SUSPENDED.replace(
    "main()", "from twokey.rotation import leased_journal\nleased_journal._check_left = lambda _left: None\nmain()"
)
"""The same, where a lease is never over by the run's own clock."""


@dataclass
class Workspace:
    """A machine user, its store, and the folder that runs of twokey are started in."""

    rig: Rig
    folder: Path
    store: str
    in_use: list[KeyPair] = field(default_factory=list)
    """Keys that jobs have read and may use until their grace is over."""

    def begin(self, *arguments: str, program: str = "", **environment: str) -> Forked:
        """Start ``twokey`` with these arguments, or a Python program that does nearly the same."""
        return forked.start(*arguments, cwd=self.folder, env={**os.environ, **environment}, program=program)

    def outcome(self, process: Forked) -> tuple[str, str]:
        """Wait for a ``rotate --json`` and return its outcome and reason."""
        out, err = process.communicate(timeout=300)
        assert "Traceback" not in err, err
        (result,) = json.loads(out)["results"]
        return result["outcome"], result["reason"]

    def check_safe(self) -> None:
        """The key in the store and the keys that jobs have read work, and there are at most two keys."""
        stored = self.rig.stored()
        assert stored is None or self.rig.aws.authenticates(stored)
        assert all(self.rig.aws.authenticates(key) for key in self.in_use)
        assert len(self.rig.ids()) <= 2

    def check_in_order(self) -> None:
        """One new key is in the store, the former one still works, and nothing is left open."""
        self.check_safe()
        stored = self.rig.stored()
        assert stored
        assert self.rig.ids() == [*(key.access_key_id for key in self.in_use), stored.access_key_id]
        journal = self.rig.record().journal
        assert (journal.intent, journal.lease, journal.current) == (None, None, stored.access_key_id)


def suspend(process: Forked) -> None:
    """Stop a process, and wait until all of its threads have stopped: until then one of them may take a lock."""
    process.send_signal(signal.SIGSTOP)
    process.wait_until_stopped()


def sleep(workspace: Workspace) -> None:
    """Let all clocks go on for ``ASLEEP``: the services', and those of the suspended run and the next."""
    workspace.rig.aws.advance(ASLEEP.total_seconds())
    (workspace.folder / SLEPT).touch()


def end_lease(rig: Rig) -> None:
    """End the lease of a dead run, without moving the emulator's clock."""
    _, world = rig.world()
    record = world.store.load()
    lease = record.journal.lease
    assert lease
    over = msgspec.structs.replace(lease, until=rig.aws.now())
    world.store.save_journal(msgspec.structs.replace(record.journal, lease=over), record.revision)


def prepare(rig: Rig, folder: Path, store: str = STORES[0], keys: int = 2) -> Workspace:
    """Create a user that is due for a rotation, and a twokey.yaml that stores its key in ``store``."""
    url, _, with_lock = store.replace("{folder}", str(folder)).partition(" ")
    lock = f", lock: '{rig.lock()}'" if with_lock else ""
    rules = "version: 1\nsettle: 0s\nverify: {successes: 2, interval: 0s}\n"
    entry = f"{{path: /machine-users/, store: '{url}'{lock}}}"
    (folder / "twokey.yaml").write_text(f"{rules}machine_users:\n  - {entry}\n")
    rig.store_url = url
    workspace = Workspace(rig, folder, url)
    made = rig.aws.make_user("ci", keys=min(keys, 1), ages=(31 * DAY,))
    if keys == 2:
        rig.rotate()
        (current,) = (key for key in (rig.stored(),) if key)
        # A key in no store becomes LAST; the created key is CURRENT, and old enough for the next rotation.
        _retire(rig, made[0].access_key_id)
        workspace.in_use.append(current)
    else:
        workspace.in_use += made
    rig.aws.clear_requests()
    return workspace


def _retire(rig: Rig, last: str) -> None:
    """Let a period pass without moving the emulator's clock, which the command compares with the machine's."""
    _, world = rig.world()
    record = world.store.load()
    long_ago = rig.aws.now().replace(microsecond=0)
    for key, age in ((last, 31 * DAY), (record.journal.current, 16 * DAY)):
        rig.aws.age_key(key, age)
    journal = msgspec.structs.replace(record.journal, committed=long_ago - timedelta(days=16))
    world.store.save_journal(journal, record.revision)


def steps(workspace: Workspace, environment: Mapping[str, str] | None = None) -> list[str]:
    """Rotate once in a process of its own and return the names of its requests, in order."""
    process = workspace.begin("rotate", "--json", **(environment or {}))
    assert workspace.outcome(process)[0] == "rotated"
    return [f"{request.service}:{request.operation}" for request in workspace.rig.aws.requests]
