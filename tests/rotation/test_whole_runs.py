"""Whole runs, step by step: what each changes, in which order, what the journal says then, and what is reported.

``whole_runs.txt`` has them. A change of the engine that changes a run shows there as a difference, to be read like
code: ``UPDATE_RUNS=1 pytest tests/rotation/test_whole_runs.py`` writes the file again.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from simulation.play import virtual_leases
from simulation.states import PIPELINES, STATES, initial
from simulation.world import START, USER, Clock, Iam, SimulatedDestination, Sts, World, store_of
from twokey.core.journal import Delivery, Journal, Lease
from twokey.core.reasons import Outcome
from twokey.planning.decision import plan
from twokey.planning.forgetting import forget_plan
from twokey.planning.plan import Overrides
from twokey.rotation import rotate
from twokey.rotation.world import World as RotationWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from simulation.world import Change
    from twokey.core.events import Event as RunEvent
    from twokey.rotation.look import Decide
    from twokey.rotation.results import Result

FILE = Path(__file__).with_name("whole_runs.txt")


@dataclass(frozen=True)
class Story:
    """A state, the faults at the effects of its runs, and the days between one run and the next.

    ``pauses``: for how many seconds the process stands still at an event, the first time, the second time and so on.
    ``stop``: the event at which the operator stops the whole run. ``at``: what else happens at an event, once.
    """

    state: str
    destinations: int
    faults: Mapping[int, str] = field(default_factory=dict)
    days: tuple[float, ...] = ()
    prepare: Callable[[World], None] = lambda _world: None
    decide: Decide = plan
    overrides: Overrides | None = None
    about: str = ""
    pauses: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    stop: str = ""
    at: Mapping[str, Change] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The heading in the file."""
        struck = "".join(f", effect {number} {fault}" for number, fault in self.faults.items())
        paused = "".join(f", paused at {event} for {seconds[0]:g} s" for event, seconds in self.pauses.items())
        stopped = f", stopped at {self.stop}" if self.stop else ""
        return f"{self.state}, {self.destinations} destinations{self.about}{struck}{paused}{stopped}"


def _take_out(world: World) -> None:
    """Let the other destinations be no longer configured: one received CURRENT, and one LAST; both are open."""
    journal = Journal.decode(world.journal)
    delivered = {"second": Delivery("K2", journal.committed or START), "third": Delivery("K1", START)}
    journal = msgspec.structs.replace(journal, delivered=delivered, delivering=("second", "third"))
    world.journal, world.elsewhere = journal.encode(), frozenset({"second", "third"})


def _wait(world: World) -> None:
    """Let destinations wait for their service's limit: for less than is worth a report, for longer, and very long."""
    world.waits = {"p1": 9.0, "p2": 12.0, "p3": 120.0, "p4": 61.0}


def _the_operator_copies_the_key(world: World) -> None:
    world.held["second"] = world.held["store"]


def _the_store_goes(world: World) -> None:
    world.deleted = {"store"}


def _the_project_goes(world: World) -> None:
    world.deleted = {"second"}


def _changed(world: World, **changes: Any) -> None:
    world.journal = msgspec.structs.replace(Journal.decode(world.journal), **changes).encode()


def _held_by_another_run(world: World) -> None:
    _changed(world, lease=Lease("two", "elsewhere boot pid", 7, "1", START + timedelta(seconds=40)))


def _a_moment_ago(world: World) -> None:
    intent = Journal.decode(world.journal).intent
    assert intent is not None
    _changed(world, intent=msgspec.structs.replace(intent, at=START - timedelta(seconds=5)))


def _another_run_writes(world: World) -> None:
    world.journal_revision += 1


def _another_run_takes_over(world: World) -> None:
    _changed(world, epoch=9)
    world.journal_revision += 1


def _the_operator_deletes_last(world: World) -> None:
    del world.keys["K1"]


def _the_operator_writes_last_back(world: World) -> None:
    world.held["store"] = "K1"
    world.credential_revision += 1


def _without_conditions(world: World) -> None:
    world.conditional = False


STORIES = (
    *(Story(state, 3) for state in STATES),
    *(Story(state, 5) for state in PIPELINES),
    *(Story("two keys", 2, {number: fault}) for number in range(8) for fault in ("refused", "lost")),
    *(Story("pipelines", 3, {number: fault}) for number in (6, 7) for fault in ("refused", "lost", "gone")),
    *(
        Story("pipelines that are out of date", 5, {number: fault})
        for number in (2, 4)
        for fault in ("refused", "lost")
    ),
    *(Story("pipelines of a new user", 3, {5: fault}) for fault in ("refused", "lost", "expired")),
    Story("two keys, with soak", 1, days=(1, 2, 16)),
    *(
        Story(state, destinations, pauses={event: seconds})
        for state, destinations, event, seconds in (
            ("two keys", 1, "create begin", (15.0,)),
            ("two keys", 1, "create begin", (158.0,)),
            ("two keys", 1, "intent done", (30.0,) * 3),
            ("two keys", 1, "intent done", (45.0,) * 4),
            ("two keys", 1, "lease done", (200.0,)),
            ("two keys, with soak", 1, "lease done", (200.0,)),
            ("interrupted, with an orphan", 1, "lease done", (200.0,)),
            ("two keys", 1, "verify done", (200.0,)),
            ("two keys", 1, "store begin", (200.0,)),
            ("two keys", 2, "record begin", (200.0,)),
            ("two keys", 2, "commit begin", (200.0,)),
            ("pipelines", 5, "deliver to p1 done", (31.0,)),
            ("pipelines", 5, "deliver to p1 done", (29.0,)),
            ("pipelines", 5, "deliver to p2 begin", (110.0,)),
        )
    ),
    *(
        Story("pipelines", 5, prepare=_wait, about=" that wait", stop=event)
        for event in ("", "lease done", "deliver to p2 begin", "deliver to p3 done", "deliver to p4 done")
    ),
    Story("two keys", 1, prepare=_held_by_another_run, about=", held by another run"),
    Story("interrupted, with an orphan", 1, prepare=_a_moment_ago, about=" a moment ago"),
    *(
        Story("two keys", 2, at={event: change}, about=f" where{change.__name__.replace('_', ' ')} at {event}")
        for event, change in (
            ("lease begin", _another_run_writes),
            ("lease begin", _the_operator_deletes_last),
            ("lease done", _the_operator_deletes_last),
            ("lease done", _another_run_takes_over),
            ("intent done", _another_run_takes_over),
            ("store begin", _the_operator_writes_last_back),
            ("store done", _the_operator_copies_the_key),
            ("preflight note", _the_project_goes),
            ("preflight note", _the_store_goes),
        )
    ),
    Story(
        "pipelines that are out of date",
        5,
        at={"preflight note": _the_operator_writes_last_back},
        about=" where the operator writes last back at preflight note",
    ),
    Story("two keys", 1, prepare=_without_conditions, about=" without conditions", pauses={"verify done": (200.0,)}),
    Story("two keys", 1, {5: "late"}, prepare=_without_conditions, about=" without conditions"),
    Story("two keys", 2, prepare=_the_project_goes, about=", whose project is gone"),
    Story("pipelines that are out of date", 5, days=(1,), about=", two runs"),
    *(
        Story(
            "two keys",
            3,
            prepare=_take_out,
            decide=partial(forget_plan, configured=(), confirmed=True),
            overrides=Overrides(forget=name),
            about=f", {name} to be forgotten",
        )
        for name in ("second", "third")
    ),
)
HEADING = "== "


class Transcript:
    """What one run does, line by line."""

    def __init__(self, world: World, story: Story) -> None:
        self.world = world
        self.stop = Event()
        self._stop_at = story.stop
        self._at = dict(story.at)
        self._pauses = {event: list(seconds) for event, seconds in story.pauses.items()}
        world.recording = True
        self.lines: list[str] = []
        self._seen = 0
        self._journal = _fields(world.journal)

    def listen(self, event: RunEvent) -> None:
        """Note an event, and before it the effects that came first; then stand still if the story says so."""
        self.flush()
        self.lines.append(f"  {' '.join(filter(None, (event.step, event.phase, event.subject, event.detail)))}")
        moment = f"{event.step} {event.phase}"
        if moment in self._at:
            self._at.pop(moment)(self.world)
        if moment == self._stop_at:
            self.stop.set()
        seconds = self._pauses.get(moment)
        if seconds:
            self.world.now += timedelta(seconds=seconds.pop(0))

    def flush(self) -> None:
        """Note the effects since the last event."""
        for step in self.world.steps[self._seen :]:
            now = _fields(step.state.partition("journal ")[2])
            changes = [
                f"{name}={now.get(name)}"
                for name in {**self._journal, **now}
                if self._journal.get(name) != now.get(name)
            ]
            self.lines.append(
                f"{step.what}{f', {step.fault}' if step.fault else ''}{''.join(f'; {one}' for one in changes)}"
            )
            self._journal = now
        self._seen = len(self.world.steps)


def _fields(journal: str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(journal) if journal not in ("", "-") else {}
    if "lease" in fields:
        fields["lease"] = fields["lease"]["until"]
    return fields


def transcript(story: Story) -> str:
    world, policy = initial(story.state, story.destinations)
    story.prepare(world)
    world.faults = dict(story.faults)
    seen = Transcript(world, story)
    for number, days in enumerate((0, *story.days)):
        world.now += timedelta(days=days)
        began = world.now
        with virtual_leases(world):
            result = rotate.rotate(USER, policy, _outside(world, f"run {number}", seen), story.overrides, story.decide)
        seen.flush()
        seen.lines += [*_shown(result), f"{(world.now - began).total_seconds():g} s"]
    return "\n".join(seen.lines)


def _outside(world: World, run: str, seen: Transcript) -> RotationWorld:
    names = [one for one in world.held if one != "store" and one not in world.elsewhere]
    edge: Any = Iam(world, run)
    return RotationWorld(
        iam=edge,
        sts=Sts(world),
        clock=Clock(world),
        store=store_of(world, run),
        destinations=tuple(SimulatedDestination(world, run, one) for one in names),
        identities=world.identities,
        run=run,
        listener=seen.listen,
        stop=seen.stop,
    )


def _shown(result: Result) -> Iterator[str]:
    """Show a result; of a run that failed, with the message, which depends on what the run did."""
    yield f"{result.outcome.value} ({result.reason.value})"
    yield from (f"  {line}" for line in (result.message if result.outcome is Outcome.FAILED else "").splitlines())
    keys = result.current or "-", result.last or "-", ", ".join(result.removed) or "-"
    yield "CURRENT {}, LAST {}, removed {}, next rotation {}".format(*keys, result.next_due)
    yield from (f"  {one.destination}: {one.outcome} {one.message}".rstrip() for one in result.destinations)
    yield from (f"  warning: {one}" for one in result.warnings)


def recorded() -> dict[str, str]:
    parts = FILE.read_text(encoding="utf-8").split(HEADING)[1:]
    return {title: rest.strip("\n") for title, _, rest in (part.partition("\n") for part in parts)}


@pytest.fixture(scope="module", autouse=True)
def _written_again() -> None:
    if "UPDATE_RUNS" in os.environ:
        parts = [f"{HEADING}{story.title}\n{transcript(story)}" for story in STORIES]
        FILE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.title)
def test_a_run_does_what_was_written_down(story: Story) -> None:
    assert transcript(story) == recorded()[story.title]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.title)
def test_the_store_is_asked_for_room_for_the_longest_journal(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Journal] = []
    written: list[Journal] = []
    save = SimulatedDestination.save_journal

    def write(store: SimulatedDestination, journal: Journal, revision: object) -> object:
        written.append(journal)
        return save(store, journal, revision)

    monkeypatch.setattr(SimulatedDestination, "room_for", lambda _, journal: asked.append(journal))
    monkeypatch.setattr(SimulatedDestination, "save_journal", write)
    shown = transcript(story)
    assert bool(asked) == ("preflight note" in shown)
    for journal in written if asked else ():
        assert _length(journal) <= max(map(_length, asked))
        for name, delivery in journal.delivered.items():
            assert _length(delivery) <= max(_length(one.delivered[name]) for one in asked)


def _length(part: Journal | Delivery) -> int:
    return len(msgspec.json.encode(part))


def test_the_file_has_no_other_runs() -> None:
    assert list(recorded()) == [story.title for story in STORIES]
