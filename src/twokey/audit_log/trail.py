"""Records every effect of a run in the audit log, between the engine and the services.

The engine gets a world whose IAM, STS, store and destinations record what passes through them. So the log contains what
was sent to the services, not what the engine reports, and a defect of the engine appears in it. A run in which nothing
is due writes nothing.
"""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from twokey import __version__
from twokey.audit_log import records
from twokey.audit_log.recorder import Recorder
from twokey.audit_log.recording_ports import RecordingDestination, RecordingIam, RecordingStore, RecordingSts
from twokey.core.reasons import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.audit_log.log import AuditLog
    from twokey.core.destination import Store
    from twokey.core.model import MachineUser
    from twokey.core.ports import Clock
    from twokey.planning.plan import Overrides
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.results import Result
    from twokey.rotation.world import World


class Trail:
    """The part of one run in an audit log. Any thread may call its methods; they raise ``AuditLogFailed``."""

    def __init__(self, log: AuditLog, run: str, clock: Clock) -> None:
        self._log = log
        self._run = run
        self._clock = clock
        self._own_key = ""
        self._lock = threading.Lock()
        self._introduced = False

    def watch(self, user: MachineUser, policy: RotationPolicy, overrides: Overrides, world: World) -> World:
        """Return a world in which every change for this user is recorded before and after."""
        return self._recorded(user, world, _rules(self._run, user, policy, overrides, world))[0]

    def watch_move(
        self,
        user: MachineUser,
        policy: RotationPolicy,
        overrides: Overrides,
        world: World,
        target: Store,
        *,
        unread: bool,
    ) -> tuple[World, Store]:
        """Return the world of a move from its store, and the new store, with every change recorded."""
        rules = _rules(self._run, user, policy, overrides, world)
        rules = msgspec.structs.replace(rules, moved_to=target.name, former_unread=unread)
        recorded, recorder = self._recorded(user, world, rules)
        return recorded, RecordingStore(target, recorder)

    def _recorded(self, user: MachineUser, world: World, rules: records.Rules) -> tuple[World, Recorder]:
        self._own_key = world.own_key
        recorder = Recorder(self, self._run, user, world.clock, rules)
        recorded = replace(
            world,
            iam=RecordingIam(world.iam, recorder),
            sts=RecordingSts(world.sts, recorder),
            store=RecordingStore(world.store, recorder),
            destinations=tuple(RecordingDestination(one, recorder) for one in world.destinations),
        )
        return recorded, recorder

    def ended(self, result: Result) -> None:
        """Record how the run ended for a user; not recorded if there was nothing to do."""
        nothing = result.outcome is Outcome.NOT_DUE
        if not nothing and (result.outcome, result.reason) != (Outcome.COMPLETED, Reason.MOVED):
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

    def evidence(self, files: Mapping[str, str]) -> None:
        """Record which files about an incident the run wrote: the SHA-256 of each, by its name."""
        self.write(records.Evidence(at=self._clock.now(), run=self._run, files=dict(files)), durable=True)

    def write(self, record: records.Record, *, durable: bool = False) -> int:
        """Append a line, after the one that introduces the run; return its number."""
        with self._lock:
            if not self._introduced:
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
                self._introduced = True
        return self._log.append(record, durable=durable)


def _rules(run: str, user: MachineUser, policy: RotationPolicy, overrides: Overrides, world: World) -> records.Rules:
    proof = policy.verification
    return records.Rules(
        at=world.clock.now(),
        run=run,
        account=user.account,
        user=user.name,
        user_id=user.id,
        arn=user.arn,
        store=world.store.name,
        destinations=tuple(one.name for one in world.destinations),
        grace=policy.grace.total_seconds(),
        soak=policy.soak.total_seconds(),
        idle=policy.idle.total_seconds(),
        proofs=proof.successes * max(1, len(proof.regions)),
        force=overrides.force,
        ignore_last_use=overrides.ignore_last_use,
        retire=tuple(sorted(overrides.retire)),
        forget=overrides.forget,
    )
