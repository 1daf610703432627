"""The runs that ``tests/rotation/whole_runs.txt`` has: how each begins, and what happens to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from simulation.states import PIPELINES, STATES
from simulation.world import START, World
from twokey.core.errors import (
    AccessDenied,
    Ambiguous,
    BadCredentials,
    NotFound,
    ServiceRejected,
    Stopped,
    UsageError,
)
from twokey.core.hooks import NAMES
from twokey.core.journal import Delivery, Journal, Lease
from twokey.planning.decision import plan
from twokey.planning.forgetting import forget_plan
from twokey.planning.plan import Overrides

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulation.world import Change
    from twokey.core.hooks import HookName
    from twokey.rotation.look import Decide


End = Callable[[], object] | None


@dataclass(frozen=True)
class Story:
    """A state, the faults at the effects of its runs, and the days between one run and the next.

    ``pauses``: for how many seconds the process stands still at an event, the first time, the second time and so on.
    ``stop``: the event at which the operator stops the whole run. ``at``: what else happens at an event, once.
    ``hooks``: the operator's programs, and how each ends the first time, the second time and so on: ``fails``,
    ``warns``, or well. ``ends``: of a call such as ``iam.keys``, how it ends the first time, the second time and so on:
    what makes the error that it raises or the value that it returns, or None for what it does otherwise.
    ``regions``: those in which a key has to work.
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
    hooks: Mapping[HookName, tuple[str, ...]] | None = None
    own_key: str = ""
    wait: bool = True
    ends: Mapping[str, tuple[End, ...]] = field(default_factory=dict)
    regions: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The heading in the file."""
        struck = "".join(f", effect {number} {fault}" for number, fault in self.faults.items())
        paused = "".join(f", paused at {event} for {seconds[0]:g} s" for event, seconds in self.pauses.items())
        stopped = f", stopped at {self.stop}" if self.stop else ""
        ends = (f"{name} {', '.join(ends)}".rstrip() for name, ends in (self.hooks or {}).items())
        hooks = f", hooks {'; '.join(ends)}" if self.hooks is not None else ""
        return (
            f"{self.state}, {self.destinations} destinations{self.about}{struck}{paused}{stopped}{hooks}{self._calls}"
        )

    @property
    def _calls(self) -> str:
        """How the calls end, in the words of the title."""
        return "".join(
            f", {call} ends with {', '.join(_shown(end) for end in ends)}" for call, ends in self.ends.items()
        )


def _shown(end: End) -> str:
    value = end() if end else "what it is"
    return type(value).__name__ if isinstance(value, Exception) else str(value)


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


def _the_new_key_is_made_inactive(world: World) -> None:
    world.keys["N1"].active = False


def _the_new_key_goes(world: World) -> None:
    del world.keys["N1"]


def _the_store_is_emptied(world: World) -> None:
    world.held["store"] = ""
    world.credential_revision += 1


def _the_store_turns_silent(world: World) -> None:
    world.telling["store"] = False


def _something_stores_the_new_key(world: World) -> None:
    world.held["store"] = "N1"


def _held_by_this_run(world: World) -> None:
    _changed(world, lease=Lease("run 0", "elsewhere boot pid", 7, "1", START + timedelta(seconds=40)))


def _held_for_long(world: World) -> None:
    """Let another run have renewed its lease while this one slept."""
    _changed(world, lease=Lease("two", "elsewhere boot pid", 7, "1", START + timedelta(seconds=760)))


def _recently_removed(world: World) -> None:
    _changed(world, removed={"K1": START - timedelta(seconds=5)})


def _moved(world: World) -> None:
    _changed(world, moved="elsewhere")


def _arriving(world: World) -> None:
    _changed(world, arriving="elsewhere")


def _denied() -> Exception:
    return AccessDenied("service:Action", "a resource")


def _rejected() -> Exception:
    return ServiceRejected("The service declined.", remedy="Ask it.")


def _missing() -> Exception:
    return NotFound("There is no such thing.")


def _expired() -> Exception:
    return BadCredentials("The token has expired.")


def _in_doubt() -> Exception:
    return Ambiguous("The service did not respond.")


def _unusable() -> Exception:
    return UsageError("The file ca.pem does not exist.", remedy="Create it.")


def _a_defect() -> Exception:
    return KeyError("defect")


def _stopped() -> Exception:
    return Stopped("The run was stopped.", state="", remedy="Run again.")


def _no_keys() -> object:
    return ()


def _nothing() -> object:
    return None


def _no() -> object:
    return False


def _without_conditions(world: World) -> None:
    world.conditional = False


HOOKED: tuple[
    tuple[
        str, Mapping[int, str], tuple[float, ...], Mapping[str, tuple[float, ...]], Mapping[HookName, tuple[str, ...]]
    ],
    ...,
] = (
    ("two keys", {}, (1,), {}, dict.fromkeys(NAMES, ())),
    ("two keys", {}, (1,), {}, {"before": ("fails",), "on_failure": ()}),
    ("two keys", {}, (), {}, {"before": ("warns",), "on_failure": ()}),
    ("two keys", {}, (1, 2), {}, {"after": ("fails",), "on_failure": ()}),
    ("two keys", {}, (1,), {}, {"after": ("warns",)}),
    ("two keys", {3: "refused"}, (), {}, {"before": (), "on_failure": ("fails",)}),
    ("two keys", {3: "refused"}, (), {}, {"on_failure": ("warns",)}),
    ("two keys", {3: "refused"}, (), {}, {"before": ()}),
    ("two keys", {}, (), {"hook before done": (170.0,)}, {"before": (), "on_failure": ()}),
    ("two keys", {}, (), {"hook before begin": (200.0,)}, {"before": (), "on_failure": ()}),
    ("two keys", {}, (1,), {"commit done": (200.0,)}, {"after": ()}),
    ("two keys, with soak", {}, (), {}, dict.fromkeys(NAMES, ())),
    ("pipelines that are out of date", {}, (), {}, dict.fromkeys(NAMES, ())),
)
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
    *(Story("no key", 2, {number: fault}) for number in range(4) for fault in ("refused", "lost")),
    *(Story("two keys, with soak", 1, {number: fault}) for number in (1, 2) for fault in ("refused", "lost")),
    *(
        Story(state, 1, faults, at={event: change}, about=f" where{change.__name__.replace('_', ' ')} at {event}")
        for state, event, change, faults in (
            ("two keys", "verify begin", _the_new_key_is_made_inactive, {}),
            ("two keys", "verify begin", _the_new_key_goes, {}),
            ("two keys", "store begin", _something_stores_the_new_key, {4: "refused"}),
            ("two keys", "store begin", _the_store_turns_silent, {4: "refused"}),
            ("two keys", "store begin", _the_store_goes, {4: "refused"}),
            ("pipelines that are out of date", "preflight note", _the_store_is_emptied, {}),
        )
    ),
    Story("two keys", 1, prepare=_held_by_another_run, about=", held by another run, without waiting", wait=False),
    Story("two keys", 1, prepare=_held_by_this_run, about=", held by this run"),
    Story(
        "two keys",
        1,
        prepare=_held_by_another_run,
        at={"wait note": _held_for_long},
        pauses={"wait note": (700.0,)},
        about=", held for long",
    ),
    Story("two keys", 1, own_key="K2", about=", of twokey itself"),
    Story("two keys", 2, stop="start"),
    *(Story(state, 1, faults, days=days, pauses=pauses, hooks=hooks) for state, faults, days, pauses, hooks in HOOKED),
    Story("two keys", 2, prepare=_moved, about=", moved"),
    Story("two keys", 2, prepare=_arriving, about=", arriving"),
    *(Story("two keys", 2, ends={"iam.keys": (end,)}) for end in (_missing, _expired, _denied)),
    *(Story("two keys", 2, ends={"iam.keys": (None, end)}) for end in (_expired, _denied)),
    *(Story("two keys", 2, ends={"iam.last_use": (end,)}) for end in (_expired, _denied)),
    *(
        Story("two keys", 2, ends={"iam.last_use": (_denied,), "iam.keys": (None, end)})
        for end in (_no_keys, _missing, _expired, _rejected)
    ),
    Story("two keys", 2, ends={"iam.last_use": (_denied,) * 5, "iam.keys": (None, _no_keys) * 5}),
    Story("two keys", 2, prepare=_recently_removed, about=", LAST removed", ends={"iam.last_use": (_denied,)}),
    *(Story("two keys", 2, ends={"store.load": (end,)}) for end in (_expired, _denied, _unusable, _a_defect)),
    *(Story("two keys", 2, ends={"second.held": (end,) * 2}) for end in (_rejected, _unusable, _a_defect, _stopped)),
    *(
        Story(state, 2, ends={call: (end,)})
        for state in ("no key", "two keys")
        for call, end in (
            ("store.preflight", _denied),
            ("store.room_for", _rejected),
            ("second.preflight", _rejected),
            ("second.preflight", _unusable),
            ("second.preflight", _a_defect),
            ("iam.may_create", _no),
        )
    ),
    *(
        Story("two keys", 2, ends={call: (end,)})
        for call, end in (
            ("iam.create_key", _denied),
            ("iam.create_key", _in_doubt),
            ("second.deliver", _unusable),
            ("second.deliver", _a_defect),
            ("second.deliver", _in_doubt),
            ("second.deliver", _stopped),
            ("sts.credentials_left", lambda: 150.0),
            ("sts.credentials_left", lambda: 149.0),
            ("clock.skew", lambda: timedelta(seconds=60)),
            ("clock.skew", lambda: timedelta(seconds=61)),
            ("clock.skew", lambda: timedelta(seconds=-61)),
        )
    ),
    Story("pipelines that are out of date", 5, ends={"store.credential": (_nothing,)}),
    Story("two keys", 1, regions=("eu-north-1",), about=", in another region"),
    Story("two keys", 1, regions=("eu-north-1",), about=", in another region", ends={"sts.reach": (_rejected,)}),
    *(Story("two keys", 1, ends={"iam.delete_key": (_no,) * number}) for number in (1, 2, 3)),
    Story("two keys", 1, {4: "refused"}, ends={"store.held": (_denied,)}),
    Story("two keys, with soak", 1, ends={"iam.deactivate_key": (_denied,)}),
)
