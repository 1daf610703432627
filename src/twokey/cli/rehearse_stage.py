"""The emulator that a rehearsal is played on, in this process: its time passes only when it is told to."""

from __future__ import annotations

import json
import random
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from twokey.aws.clock import ServiceClock
from twokey.aws.emulated import EmulatedClients
from twokey.aws.iam import Iam
from twokey.config.load import load
from twokey.core.events import ignore
from twokey.emulator import Emulator, Rule
from twokey.emulator.clock import StillClock
from twokey.fleet import drilling
from twokey.fleet.first import First
from twokey.fleet.runtime import Runtime
from twokey.rehearsal.stage import Killed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from twokey.config.settings import Settings
    from twokey.fleet.drilling import Part
    from twokey.fleet.roster import Job
    from twokey.rehearsal import stage as rehearsed
    from twokey.rehearsal.found import Found
    from twokey.rehearsal.weather import Fault
    from twokey.rotation.world import World

BEGINNING = datetime(2030, 1, 1, tzinfo=UTC)
"""The moment of the emulator's clock at which every rehearsal begins: it must not depend on today."""
LATENCY, PROPAGATION, SLOW = 0.04, 2.0, 25.0
"""Seconds that a request takes, and until a new key works: usually, and in slow weather."""
AGE = 20 * 86_400.0
"""Seconds since the key of a user was created that has one when the rehearsal begins."""
CHANGES_OF_KEYS = ("iam:DeleteAccessKey", "iam:UpdateAccessKey")


class EmulatedStage:
    """A ``twokey.rehearsal.stage.Stage`` on an emulator that runs."""

    def __init__(self, aws: Emulator, clock: StillClock) -> None:
        self.requests = 0
        self._aws = aws
        self._clock = clock
        self._kill: Fault | None = None
        self._of_this_run = 0
        self._dead = False
        self._settings: Settings | None = None
        self._jobs: tuple[Job, ...] = ()
        admin = aws.admin
        key = (admin.access_key_id, admin.secret_access_key)
        times = ServiceClock(clock.seconds, clock.seconds, clock.advance)
        self._clients = EmulatedClients(self._respond, key, aws.region, times)

    def set_up(self, parts: Sequence[Part], found: Sequence[Found], folder: Path) -> tuple[Job, ...]:
        """Create the users and what their stores hold; return them as a run selects them."""
        file = folder / "twokey.yaml"
        file.write_text(json.dumps(drilling.configuration(parts)), encoding="utf-8")
        self._settings = load(file)
        keys = {one.user: one for one in found}
        for part in parts:
            self._make(part, keys.get(part.user))
        runtime = self._runtime("set-up")
        roster = runtime.check(runtime.roster(self._settings, tuple(part.user for part in parts)))
        self._jobs = tuple(roster.jobs)
        for job in roster.jobs:
            self._fill(job, keys.get(job.user.name), runtime)
        return self._jobs

    def _make(self, part: Part, found: Found | None) -> None:
        if found is None:
            self._aws.make_user(part.user, path=part.path, keys=1, ages=(AGE,))
            return
        found.pairs = self._aws.make_user(
            part.user, path=part.path, keys=len(found.keys), ages=[key.age for key in found.keys]
        )
        iam = self._aws.client("iam")
        for pair, key in zip(found.pairs, found.keys, strict=True):
            self._aws.set_last_used(pair.access_key_id, key.unused_for)
            if not key.active:
                iam.update_access_key(UserName=part.user, AccessKeyId=pair.access_key_id, Status="Inactive")

    def _fill(self, job: Job, found: Found | None, runtime: Runtime) -> None:
        pair = found.in_use() if found else None
        if pair is None:
            return
        from twokey.core.secret import Credential

        world = runtime.world(job, "", ignore)
        for destination in (world.store, *world.destinations):
            destination.deliver(Credential(pair.access_key_id, pair.secret_access_key))

    def now(self) -> float:
        """Return the seconds since the beginning."""
        return self._clock.seconds() - BEGINNING.timestamp()

    def advance_to(self, moment: float) -> None:
        """Let time pass until a moment, if it is not later already."""
        self._clock.advance(max(0.0, moment - self.now()))

    def moment(self, seconds: float) -> datetime:
        """Return a time as the engine sees it."""
        return BEGINNING + timedelta(seconds=seconds)

    def world(self, job: rehearsed.Job, run: str) -> World:
        """Return what a run of its own touches: it knows nothing of earlier ones but what AWS and the stores hold."""
        self._aws.clear_requests()
        selected = next(one for one in self._jobs if one.user == job.user)
        return self._runtime(run).world(selected, self._clients.own_key(), ignore)

    def _runtime(self, run: str) -> Runtime:
        self._clients.run = run
        return Runtime(self._settings, First(self._clients, Iam(self._clients)))

    @contextmanager
    def weather(self, fault: Fault | None, services: Sequence[str]) -> Iterator[None]:
        """Have the requests meet a fault while the block runs."""
        weather = self._aws.weather
        weather.clear()
        weather.propagation = SLOW if fault and fault.kind == "slow propagation" else PROPAGATION
        if fault is not None:
            for rule in _rules(fault, services):
                weather.add(rule)
        self._kill = fault if fault and fault.kind == "killed" else None
        self._of_this_run, self._dead = 0, False
        try:
            yield
        finally:
            self._kill, self._dead = None, False
            weather.clear()

    def keys(self, user: str) -> list[tuple[str, bool, float]]:
        """Return the user's keys as they truly are."""
        rows = self._aws.keys(user)
        return [(key_id, status == "Active", (at - BEGINNING).total_seconds()) for key_id, status, at in rows]

    def last_removal(self, user: str) -> float:
        """Return when a key of the user was last deleted or made Inactive; now, if that is not recorded."""
        times = [one.time for one in self._aws.requests if one.name in CHANGES_OF_KEYS and one.target == user]
        return (max(times) - BEGINNING).total_seconds() if times else self.now()

    def use(self, key_id: str, at: float) -> None:
        """Have IAM say that a key was last used then."""
        self._aws.set_last_used(key_id, max(0.0, self.now() - at))

    def _respond(
        self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> tuple[int, Sequence[tuple[str, str]], bytes] | None:
        self.requests += 1
        self._of_this_run += 1
        kill = self._kill
        if self._dead or (kill and not kill.after and self._of_this_run >= kill.killed_at):
            self._die()
        self._clock.advance(LATENCY)
        response = self._aws.respond(method, target, headers, body)
        if kill and self._of_this_run >= kill.killed_at:
            self._die()
        return response

    def _die(self) -> None:
        """End the process of this run: also what it would still do on its way out reaches nothing."""
        self._dead = True
        raise Killed


@contextmanager
def begun(seed: int) -> Iterator[tuple[Emulator, StillClock]]:
    """Start an emulator for a rehearsal; what is left to chance in this process is repeatable meanwhile."""
    clock, state = StillClock(BEGINNING), random.getstate()
    random.seed(seed)
    try:
        with Emulator(seed=seed, clock=clock) as aws:
            yield aws, clock
    finally:
        random.setstate(state)


def _rules(fault: Fault, services: Sequence[str]) -> Iterator[Rule]:
    if fault.kind == "throttling":
        yield Rule("iam:*", times=None, probability=0.3, effect="throttle")
    elif fault.kind == "lost responses":
        yield Rule("*", times=None, probability=0.1, effect="lost_response")
    elif fault.kind == "errors":
        yield Rule("*", times=None, probability=0.1, effect="error_after")
    elif fault.kind == "store outage":
        service = services[fault.seed % len(services)]
        unavailable = "The service is unavailable."
        yield Rule(
            f"{service}:*",
            times=None,
            effect="error_before",
            status=503,
            code="ServiceUnavailable",
            message=unavailable,
        )
