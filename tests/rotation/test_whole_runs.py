"""Whole runs, step by step: what each changes, in which order, what the journal says then, and what is reported.

``whole_runs.txt`` has them. A change of the engine that changes a run shows there as a difference, to be read like
code: ``UPDATE_RUNS=1 pytest tests/rotation/test_whole_runs.py`` writes the file again.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any
from unittest import mock

import msgspec
import pytest

from simulation.play import virtual_leases
from simulation.states import initial
from simulation.stories import STORIES, Story
from simulation.world import USER, Clock, Iam, SimulatedDestination, Sts, World, store_of
from twokey.core.errors import HookFailed
from twokey.core.reasons import Outcome
from twokey.rotation import preview, rotate
from twokey.rotation.world import World as RotationWorld

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from simulation.stories import End
    from twokey.core.events import Event as RunEvent
    from twokey.core.hooks import HookFacts, HookName
    from twokey.core.journal import Delivery, Journal
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.results import Result

FILE = Path(__file__).with_name("whole_runs.txt")


HEADING = "== "
LINE = re.compile(r"line \d+")
"""Where an error that no port may raise was raised: in this file."""


class Transcript:
    """What one run does, line by line."""

    def __init__(self, world: World, story: Story) -> None:
        self.world = world
        self.story = story
        self.stop = Event()
        self._stop_at = story.stop
        if story.stop == "start":
            self.stop.set()
        self._at = dict(story.at)
        self._pauses = {event: list(seconds) for event, seconds in story.pauses.items()}
        world.recording = True
        self.rooms: list[Journal] = []
        self.lines: list[str] = []
        self._seen = 0
        self._journal = _fields(world.journal)
        self.ends = {call: list(each) for call, each in story.ends.items()}
        self.hooks = Programs(story.hooks, self.lines) if story.hooks is not None else None

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

    def asked(self, journal: Journal) -> None:
        """Note the journal that the store is to have room for, where it differs from the present one."""
        self.rooms.append(journal)
        room = _fields(journal.encode())
        self.lines.append(
            f"room{''.join(f'; {name}={room[name]}' for name in room if room[name] != self._journal.get(name))}"
        )

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


class Programs:
    """The operator's hooks: each notes what it is told, and ends as the story says."""

    def __init__(self, ends: Mapping[HookName, tuple[str, ...]], lines: list[str]) -> None:
        self.configured = tuple(ends)
        self._ends = {name: list(each) for name, each in ends.items()}
        self._lines = lines

    def run(self, name: HookName, facts: HookFacts) -> str:
        keys = facts.current or "-", facts.last or "-", ", ".join(facts.removed) or "-"
        self._lines.append(
            f"{name} is told of {facts.user.name}, {facts.store}, {', '.join(facts.destinations) or '-'}: "
            f"{facts.outcome.value} ({facts.reason.value}), CURRENT {keys[0]}, LAST {keys[1]}, removed {keys[2]}: "
            f"{facts.message}"
        )
        end = self._ends[name].pop(0) if self._ends[name] else ""
        if end == "fails":
            raise HookFailed(f"The hook {name} failed.")
        return f"The hook {name} failed." if end else ""


OF_A_USER = ("keys", "may_create", "create_key", "deactivate_key", "delete_key")
"""The calls to IAM that name the user: in memory there is one only."""


class Edge:
    """A thing that a run calls. A call that the story names ends as it says."""

    def __init__(self, thing: Any, name: str, ends: Mapping[str, list[End]]) -> None:
        self._thing = thing
        self._name = name
        self._ends = ends

    def __getattr__(self, called: str) -> Any:
        value, ends = getattr(self._thing, called), self._ends.get(f"{self._name}.{called}", [])
        if not callable(value):
            return value

        def call(*args: Any, **named: Any) -> Any:
            assert called not in OF_A_USER or args[0] in (USER, USER.name)
            end = ends.pop(0) if ends else None
            found = end() if end else value(*args, **named)
            if isinstance(found, Exception):
                raise found
            return found

        return call


def transcript(story: Story) -> str:
    return LINE.sub("line", "\n".join([*planned(story), *played(story).lines]))


def planned(story: Story) -> Iterator[str]:
    """Say what the dry run says first."""
    with _begun(story) as (seen, policy):
        found = preview.preview(USER, policy, _outside("dry run", seen), story.overrides)
    yield f"plan: {found.result.outcome.value} ({found.result.reason.value})"
    if found.plan is None:
        yield from (f"  {line}" for line in found.result.message.splitlines())
    else:
        yield f"  {', '.join(type(action).__name__ for action in found.plan.actions) or 'nothing'}"
    yield from (f"  {one.destination}: {one.state} {one.message}".rstrip() for one in found.destinations)
    yield from (f"  warning: {one}" for one in found.result.warnings)


def played(story: Story) -> Transcript:
    """Run a story to its end."""
    with _begun(story) as (seen, policy):
        for number, days in enumerate((0, *story.days)):
            seen.world.now += timedelta(days=days)
            began = seen.world.now
            outside = _outside(f"run {number}", seen)
            result = rotate.rotate(USER, policy, outside, story.overrides, story.decide)
            seen.flush()
            seen.lines += [*_shown(result), f"{(seen.world.now - began).total_seconds():g} s"]
    return seen


@contextmanager
def _begun(story: Story) -> Iterator[tuple[Transcript, RotationPolicy]]:
    world, policy = initial(story.state, story.destinations)
    story.prepare(world)
    world.faults = dict(story.faults)
    seen = Transcript(world, story)
    with virtual_leases(world, naps=True), mock.patch.object(SimulatedDestination, "room_for", seen.asked):
        yield seen, replace(policy, verification=replace(policy.verification, regions=story.regions))


def _outside(run: str, seen: Transcript) -> RotationWorld:
    world, story = seen.world, seen.story
    names = [one for one in world.held if one != "store" and one not in world.elsewhere]

    def edge(thing: Any, name: str) -> Any:
        return Edge(thing, name, seen.ends)

    return RotationWorld(
        iam=edge(Iam(world, run), "iam"),
        sts=edge(Sts(world), "sts"),
        clock=edge(Clock(world), "clock"),
        store=edge(store_of(world, run), "store"),
        destinations=tuple(edge(SimulatedDestination(world, run, one), one) for one in names),
        identities=world.identities,
        own_key=story.own_key,
        run=run,
        listener=seen.listen,
        wait=story.wait,
        stop=seen.stop,
        hooks=seen.hooks,
    )


def _shown(result: Result) -> Iterator[str]:
    """Show a result; of a run that is not the usual one, with the message, which depends on what the run did."""
    yield f"{result.outcome.value} ({result.reason.value})"
    usual = result.outcome in (Outcome.ROTATED, Outcome.NOT_DUE)
    yield from (f"  {line}" for line in ("" if usual else result.message).splitlines())
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
    written: list[Journal] = []
    save = SimulatedDestination.save_journal

    def write(store: SimulatedDestination, journal: Journal, revision: object) -> object:
        written.append(journal)
        return save(store, journal, revision)

    monkeypatch.setattr(SimulatedDestination, "save_journal", write)
    seen = played(story)
    asked = seen.rooms
    if "store.room_for" not in story.ends:
        assert bool(asked) == any("preflight note" in line for line in seen.lines)
    for journal in written if asked else ():
        assert _length(journal) <= max(map(_length, asked))
        for name, delivery in journal.delivered.items():
            assert _length(delivery) <= max(_length(one.delivered[name]) for one in asked)


def _length(part: Journal | Delivery) -> int:
    return len(msgspec.json.encode(part))


def test_the_file_has_no_other_runs() -> None:
    assert list(recorded()) == [story.title for story in STORIES]
