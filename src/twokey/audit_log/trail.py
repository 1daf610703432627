"""Puts every effect of a run into the audit log, where it passes: between the engine and the world.

The engine is handed a world whose IAM, STS, store and destinations note what goes through them. So the log tells what
was really asked of the services, not what the engine says that it did, and a defect in the engine shows in it. A run in
which nothing is due writes nothing.
"""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from twokey import __version__
from twokey.audit_log import records
from twokey.audit_log.recorder import Recorder
from twokey.audit_log.recording_ports import RecordingDestination, RecordingIam, RecordingStore, RecordingSts
from twokey.core.reasons import Outcome

if TYPE_CHECKING:
    from twokey.audit_log.log import AuditLog
    from twokey.core.model import MachineUser
    from twokey.core.ports import Clock
    from twokey.planning.plan import Overrides
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.results import Result
    from twokey.rotation.world import World


class Trail:
    """One run's part of an audit log. Its methods may be called by any thread, and raise ``AuditLogFailed``."""

    def __init__(self, log: AuditLog, run: str, clock: Clock) -> None:
        self._log = log
        self._run = run
        self._clock = clock
        self._own_key = ""
        self._lock = threading.Lock()
        self._told = False

    def watch(self, user: MachineUser, policy: RotationPolicy, asked: Overrides, world: World) -> World:
        """Return a world in which all that changes for this user is written down before and after."""
        self._own_key = world.own_key
        recorder = Recorder(self, self._run, user, world.clock, _rules(self._run, user, policy, asked, world))
        return replace(
            world,
            iam=RecordingIam(world.iam, recorder),
            sts=RecordingSts(world.sts, recorder),
            store=RecordingStore(world.store, recorder),
            destinations=tuple(RecordingDestination(place, recorder) for place in world.destinations),
        )

    def ended(self, result: Result) -> None:
        """Write down how the run ended for a user; where nothing was due there is nothing to say."""
        if result.outcome is not Outcome.NOT_DUE:
            self.write(
                records.Ended(
                    at=self._clock.now(),
                    run=self._run,
                    account=result.user.account,
                    user=result.user.name,
                    outcome=result.outcome,
                    reason=result.reason,
                    current=result.current,
                    last=result.last,
                )
            )

    def write(self, record: records.Record, *, durable: bool = False) -> int:
        """Add a line, after the one that introduces the run; return its number."""
        with self._lock:
            if not self._told:
                self._log.append(
                    records.Began(
                        at=self._clock.now(),
                        run=self._run,
                        version=__version__,
                        host=socket.gethostname(),
                        process=os.getpid(),
                        own_key=self._own_key,
                    )
                )
                self._told = True
        return self._log.append(record, durable=durable)


def _rules(run: str, user: MachineUser, policy: RotationPolicy, asked: Overrides, world: World) -> records.Rules:
    proof = policy.verification
    return records.Rules(
        at=world.clock.now(),
        run=run,
        account=user.account,
        user=user.name,
        user_id=user.id,
        arn=user.arn,
        store=world.store.name,
        destinations=tuple(place.name for place in world.destinations),
        grace=policy.grace.total_seconds(),
        soak=policy.soak.total_seconds(),
        idle=policy.idle.total_seconds(),
        proofs=proof.successes * max(1, len(proof.regions)),
        force=asked.force,
        ignore_last_use=asked.ignore_last_use,
        retire=tuple(sorted(asked.retire)),
    )
