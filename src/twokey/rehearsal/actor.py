"""One machine user of a rehearsal: when the engine has something to do for it, what it did, and what followed.

The engine itself runs whenever its decision on what was observed last would be another one than before. Between two
such runs nothing changes in IAM, the store and the destinations except for the last uses of keys, which come from the
jobs. So a run in which nothing is due is decided by the same function on the same evidence, without a request.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from twokey.core.errors import TwokeyError
from twokey.core.model import Held, LastUse
from twokey.planning.decision import plan
from twokey.rehearsal.jobs import ALWAYS, Holding, Jobs
from twokey.rehearsal.stage import Killed
from twokey.reports.rehearsal import Run
from twokey.rotation.look import Task, look
from twokey.rotation.rotate import rotate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from twokey.core.model import Observation
    from twokey.rehearsal.options import JobKind
    from twokey.rehearsal.stage import Job, Stage
    from twokey.rehearsal.weather import Fault
    from twokey.reports.rehearsal import End
    from twokey.rotation.world import World

QUIET = ("not_due",)
"""Outcomes that are not worth an entry."""


@dataclass(slots=True)
class KeyLife:
    """An access key: when it was created, when it ended and how, and when the store held it."""

    id: str
    created: float
    current_from: float | None = None
    current_until: float | None = None
    ended: float = ALWAYS
    end: End | None = None


@dataclass(slots=True)
class Rotation:
    """A rotation that was due: when, and when it was done; ``runs`` are the runs meanwhile.

    ``begun`` is when the run that did it was scheduled: it is late if that was, whatever users came before in that run.
    """

    due: float
    begun: float | None = None
    done: float | None = None
    runs: list[Run] = field(default_factory=list)


class Actor:
    """One user, played. Times are seconds since the beginning."""

    def __init__(self, job: Job, stage: Stage, kinds: Sequence[JobKind]) -> None:
        self.job = job
        self.jobs = [Jobs(kind) for kind in kinds]
        self.keys: dict[str, KeyLife] = {}
        self.held: dict[str, list[Holding]] = {url: [] for url in (job.store, *job.deliver)}
        self.runs: list[Run] = []
        self.rotations: list[Rotation] = []
        self.committed = 0
        self._stage = stage
        self._observation: Observation | None = None
        self._decided: tuple[object, object] | None = None
        self._due: float | None = None
        self._commit: datetime | None = None
        self._see_keys(stage.now())

    @property
    def due(self) -> float | None:
        """When the next rotation is due; None before the first run."""
        return self._due

    @property
    def services(self) -> list[str]:
        """The services of the store and the destinations, without repetition."""
        return list(dict.fromkeys(url.partition(":")[0] for url in self.held))

    def wakes(self) -> bool:
        """Say whether a run now would do or say anything else than the one before."""
        if self._observation is None:
            return True
        moment = self._stage.moment(self._stage.now())
        last_used = {key.id: LastUse(self._used(key.id), "s3", "") for key in self._observation.keys}
        decision = plan(replace(self._observation, last_used=last_used), self.job.policy, moment)
        if decision.actions or decision.settles or decision.needs:
            return True
        if (decision.outcome, decision.reason) != self._decided:
            return True
        if decision.outcome == "refused" and self.runs:
            self.runs[-1] = _repeated(self.runs[-1])
        return False

    def play(self, run: str, scheduled: float, fault: Fault | None) -> None:
        """Have the engine run once, in this weather, then look at what is true."""
        for key_id in [key.id for key in self._observation.keys] if self._observation else []:
            used = self._last_use(key_id)
            if used is not None:
                self._stage.use(key_id, used)
        world = self._stage.world(self.job, run)
        with self._stage.weather(fault, self.services):
            entry = self._rotated(world, fault)
        self._see_keys(self._stage.now())
        self._look(self._stage.world(self.job, f"{run} looks"), entry, scheduled)

    def _rotated(self, world: World, fault: Fault | None) -> Run:
        at, weather = self._stage.now(), fault.kind if fault else None
        try:
            result = rotate(self.job.user, self.job.policy, world)
        except Killed:
            message = "The process was killed. The next run continues from what it finds."
            return Run(int(at), "killed", None, message, weather, 0)
        return Run(int(at), result.outcome.value, result.reason.value, result.message, weather, 0)

    def _look(self, world: World, entry: Run, scheduled: float) -> None:
        now = self._stage.now()
        if entry.outcome not in QUIET or (entry.weather and entry.outcome != "not_due"):
            self.runs.append(entry)
            if self._due is not None and now >= self._due:
                self._rotation().runs.append(entry)
        try:
            observation, decision = look(Task(self.job.user, self.job.policy, world))
        except TwokeyError:
            self._observation = None
            return
        self._observation, self._decided = observation, (decision.outcome, decision.reason)
        if decision.outcome == "refused" and (entry.weather or entry.outcome != "refused"):
            self._decided = None  # what met the run is not what refuses it: the next one says that
        self._see_holdings(observation, now)
        commit = observation.record.journal.committed
        if commit is not None and commit != self._commit:
            self.committed += 1
            if self._due is not None:
                rotation = self._rotation()
                rotation.begun, rotation.done = scheduled, now
        if commit != self._commit or self._due is None:
            self._commit, self._due = commit, self._seconds(decision.next_due)

    def ended(self, end: float) -> None:
        """Take the end of the rehearsal into account: a rotation may be due and not done."""
        if self._due is None:
            # No run came as far as a key in the store, which was due from the beginning.
            self._due = 0.0
            self._rotation().runs.extend(self.runs)
        elif self._due <= end:
            self._rotation()

    def _rotation(self) -> Rotation:
        """Return the rotation that is due."""
        due = max(self._due or 0.0, 0.0)
        if not self.rotations or self.rotations[-1].done is not None:
            self.rotations.append(Rotation(due))
        return self.rotations[-1]

    def _seconds(self, moment: datetime | None) -> float | None:
        beginning = self._stage.moment(0.0)
        return (moment - beginning).total_seconds() if moment else None

    def _used(self, key_id: str) -> datetime | None:
        used = self._last_use(key_id)
        return None if used is None else self._stage.moment(used)

    def _last_use(self, key_id: str) -> float | None:
        now = self._stage.now()
        found = [jobs.last_use(key_id, held, now) for jobs in self.jobs for held in self.held.values()]
        return max((use for use in found if use is not None), default=None)

    def _see_keys(self, now: float) -> None:
        active = {}
        for key_id, is_active, created in self._stage.keys(self.job.user.name):
            active[key_id] = is_active
            self.keys.setdefault(key_id, KeyLife(key_id, created))
        for key in self.keys.values():
            if key.end is None and not active.get(key.id, False):
                key.end = "inactive" if key.id in active else "deleted"
                key.ended = min(self._stage.last_removal(self.job.user.name), now)

    def _see_holdings(self, observation: Observation, now: float) -> None:
        shown = {observation.store: observation.record.holding, **observation.destinations}
        for url, holding in shown.items():
            held = self.held.setdefault(url, [])
            latest = held[-1].key if held else ""
            if isinstance(holding, Held) and holding.key_id != latest:
                if held:
                    held[-1] = replace(held[-1], until=now)
                held.append(Holding(holding.key_id, now))
        for one in self.held[observation.store]:
            key = self.keys.get(one.key)
            if key is not None:
                key.current_from = one.since
                key.current_until = None if one.until == ALWAYS else one.until


def _repeated(run: Run) -> Run:
    return Run(run.at, run.outcome, run.reason, run.message, run.weather, run.repeated + 1)
