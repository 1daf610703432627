"""The runs that ``tests/rotation/whole_runs.txt`` has: how each begins, and what happens to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from simulation import incidents
from simulation.states import PIPELINES, STATES
from simulation.world import START
from twokey.core.hooks import NAMES
from twokey.planning.decision import plan
from twokey.planning.forgetting import forget_plan
from twokey.planning.plan import Overrides
from twokey.planning.redelivery import deliver_plan
from twokey.revocation.decision import Leak, revoke_plan

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
    prepare: Change = incidents.stay
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
ONLY_AFTER: Mapping[HookName, tuple[str, ...]] = {"after": ()}
HOOKED_BEFORE: tuple[
    tuple[str, Change, str, Mapping[str, tuple[float, ...]], Mapping[HookName, tuple[str, ...]] | None], ...
] = (
    ("two keys, with soak", incidents.after_a_hook, ", a hook due", {}, None),
    ("two keys, with soak", incidents.after_a_hook, ", a hook due", {}, {"before": ()}),
    ("two keys", incidents.committed_lately_with_a_hook_due, ", rotated lately, a hook due", {}, {"after": ()}),
    ("two keys", incidents.committed_lately_with_a_hook_due, ", rotated lately, a hook due", {}, {"after": ("fails",)}),
    ("two keys", incidents.stay, "", {"preflight note": (60.0,)}, {"before": ()}),
    ("two keys", incidents.stay, "", {"commit done": (60.0,)}, {"after": ()}),
    ("pipelines that are out of date", incidents.stay, "", {"hook before done": (120.0,)}, {"before": ()}),
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
        Story("pipelines", 5, prepare=incidents.wait, about=" that wait", stop=event)
        for event in ("", "lease done", "deliver to p2 begin", "deliver to p3 done", "deliver to p4 done")
    ),
    Story("two keys", 1, prepare=incidents.held_by_another_run, about=", held by another run"),
    Story("interrupted, with an orphan", 1, prepare=incidents.a_moment_ago, about=" a moment ago"),
    *(
        Story("two keys", 2, at={event: change}, about=f" where {change.__name__.replace('_', ' ')} at {event}")
        for event, change in (
            ("lease begin", incidents.another_run_writes),
            ("lease begin", incidents.the_operator_deletes_last),
            ("lease done", incidents.the_operator_deletes_last),
            ("lease done", incidents.another_run_takes_over),
            ("intent done", incidents.another_run_takes_over),
            ("store begin", incidents.the_operator_writes_last_back),
            ("store done", incidents.the_operator_copies_the_key),
            ("preflight note", incidents.the_project_goes),
            ("preflight note", incidents.the_store_goes),
        )
    ),
    Story(
        "pipelines that are out of date",
        5,
        at={"preflight note": incidents.the_operator_writes_last_back},
        about=" where the operator writes last back at preflight note",
    ),
    Story(
        "two keys",
        1,
        prepare=incidents.without_conditions,
        about=" without conditions",
        pauses={"verify done": (200.0,)},
    ),
    Story("two keys", 1, {5: "late"}, prepare=incidents.without_conditions, about=" without conditions"),
    Story("two keys", 2, prepare=incidents.the_project_goes, about=", whose project is gone"),
    Story("pipelines that are out of date", 5, days=(1,), about=", two runs"),
    *(
        Story(
            "two keys",
            3,
            prepare=incidents.take_out,
            decide=partial(forget_plan, configured=(), confirmed=True),
            overrides=Overrides(forget=name),
            about=f", {name} to be forgotten",
        )
        for name in ("second", "third")
    ),
    *(Story("no key", 2, {number: fault}) for number in range(4) for fault in ("refused", "lost")),
    *(Story("two keys, with soak", 1, {number: fault}) for number in (1, 2) for fault in ("refused", "lost")),
    *(
        Story(state, 1, faults, at={event: change}, about=f" where {change.__name__.replace('_', ' ')} at {event}")
        for state, event, change, faults in (
            ("two keys", "verify begin", incidents.the_new_key_is_made_inactive, {}),
            ("two keys", "verify begin", incidents.the_new_key_goes, {}),
            ("two keys", "store begin", incidents.something_stores_the_new_key, {4: "refused"}),
            ("two keys", "store begin", incidents.the_store_turns_silent, {4: "refused"}),
            ("two keys", "store begin", incidents.the_store_goes, {4: "refused"}),
            ("pipelines that are out of date", "preflight note", incidents.the_store_is_emptied, {}),
        )
    ),
    Story(
        "two keys", 1, prepare=incidents.held_by_another_run, about=", held by another run, without waiting", wait=False
    ),
    Story("two keys", 1, prepare=incidents.held_by_this_run, about=", held by this run"),
    Story(
        "two keys",
        1,
        prepare=incidents.held_by_another_run,
        at={"wait note": incidents.held_for_long},
        pauses={"wait note": (700.0,)},
        about=", held for long",
    ),
    Story("two keys", 1, own_key="K2", about=", of twokey itself"),
    Story("two keys", 2, stop="start"),
    *(Story(state, 1, faults, days=days, pauses=pauses, hooks=hooks) for state, faults, days, pauses, hooks in HOOKED),
    Story("two keys", 2, prepare=incidents.moved, about=", moved"),
    Story("two keys", 2, prepare=incidents.arriving, about=", arriving"),
    *(
        Story("two keys", 2, ends={"iam.keys": (end,)})
        for end in (incidents.missing, incidents.expired, incidents.denied)
    ),
    *(Story("two keys", 2, ends={"iam.keys": (None, end)}) for end in (incidents.expired, incidents.denied)),
    *(Story("two keys", 2, ends={"iam.last_use": (end,)}) for end in (incidents.expired, incidents.denied)),
    *(
        Story("two keys", 2, ends={"iam.last_use": (incidents.denied,), "iam.keys": (None, end)})
        for end in (incidents.no_keys, incidents.missing, incidents.expired, incidents.rejected)
    ),
    Story("two keys", 2, ends={"iam.last_use": (incidents.denied,) * 5, "iam.keys": (None, incidents.no_keys) * 5}),
    Story(
        "two keys",
        2,
        prepare=incidents.recently_removed,
        about=", LAST removed",
        ends={"iam.last_use": (incidents.denied,)},
    ),
    *(
        Story("two keys", 2, ends={"store.load": (end,)})
        for end in (incidents.expired, incidents.denied, incidents.unusable, incidents.a_defect)
    ),
    *(
        Story("two keys", 2, ends={"second.held": (end,) * 2})
        for end in (incidents.rejected, incidents.unusable, incidents.a_defect, incidents.stopped)
    ),
    *(
        Story(state, 2, ends={call: (end,)})
        for state in ("no key", "two keys")
        for call, end in (
            ("store.preflight", incidents.denied),
            ("store.room_for", incidents.rejected),
            ("second.preflight", incidents.rejected),
            ("second.preflight", incidents.unusable),
            ("second.preflight", incidents.a_defect),
            ("iam.may_create", incidents.no),
        )
    ),
    *(
        Story("two keys", 2, ends={call: (end,)})
        for call, end in (
            ("iam.create_key", incidents.denied),
            ("iam.create_key", incidents.in_doubt),
            ("second.deliver", incidents.unusable),
            ("second.deliver", incidents.a_defect),
            ("second.deliver", incidents.in_doubt),
            ("second.deliver", incidents.stopped),
            ("sts.credentials_left", lambda: 150.0),
            ("sts.credentials_left", lambda: 149.0),
            ("clock.skew", lambda: timedelta(seconds=60)),
            ("clock.skew", lambda: timedelta(seconds=61)),
            ("clock.skew", lambda: timedelta(seconds=-61)),
        )
    ),
    Story("pipelines that are out of date", 5, ends={"store.credential": (incidents.nothing,)}),
    Story("two keys", 1, regions=("eu-north-1",), about=", in another region"),
    Story(
        "two keys", 1, regions=("eu-north-1",), about=", in another region", ends={"sts.reach": (incidents.rejected,)}
    ),
    *(Story("two keys", 1, ends={"iam.delete_key": (incidents.no,) * number}) for number in (1, 2, 3)),
    Story("two keys", 1, {4: "refused"}, ends={"store.held": (incidents.denied,)}),
    Story("two keys, with soak", 1, ends={"iam.deactivate_key": (incidents.denied,)}),
    Story("interrupted, with an orphan", 1),
    *(
        Story(
            "two keys, empty store",
            1,
            ends=ends,
            overrides=Overrides(retire=frozenset({"K1"})),
            about=", K1 to be retired",
        )
        for ends in ({}, {"store.save_journal": (None, incidents.denied)})
    ),
    *(
        Story(state, 2, ends={call: end})
        for state, call, end in (
            ("two keys, with soak", "store.save_journal", (None, incidents.claims_nothing)),
            ("two keys", "store.save_journal", (None, incidents.claims_nothing)),
            ("two keys", "store.put", (incidents.claims_nothing,)),
            ("two keys", "store.save_journal", (None, None, None, incidents.claims_nothing)),
            ("two keys", "second.deliver", (incidents.claims_nothing,)),
            ("one key, stored", "store.save_journal", (None, None, None, incidents.claims_nothing)),
        )
    ),
    Story("two keys, with soak", 2, prepare=incidents.soaking, about=", soaking"),
    Story("two keys, with soak", 1, prepare=incidents.soaked_before, about=", as a key before"),
    Story("pipelines that are out of date", 5, {1: "refused"}),
    *(
        Story(
            "two keys",
            3,
            {1: "refused"},
            prepare=incidents.take_out,
            decide=partial(forget_plan, configured=(), confirmed=True),
            overrides=Overrides(forget=name),
            about=f", {name} to be forgotten",
        )
        for name in ("second", "third")
    ),
    Story("two keys", 1, prepare=incidents.forgotten_long_ago, about=", a destination forgotten long ago"),
    Story("pipelines that are out of date", 5, prepare=incidents.forgotten_long_ago, about=", one forgotten long ago"),
    Story("two keys", 3, prepare=incidents.orphaned_before, about=", one with a key of long ago"),
    Story(
        "two keys",
        2,
        at={"lease begin": incidents.another_run_writes},
        ends={"iam.keys": (None, incidents.rejected)},
        about=" where another run writes at lease begin",
    ),
    *(
        Story("two keys", 2, faults, at={"lease done": incidents.an_intent_appears}, about=" where an intent appears")
        for faults in ({}, {2: "refused"})
    ),
    *(
        Story("two keys", 1, pauses={"verify done": (200.0,)}, ends={"iam.delete_key": (None, *ends)})
        for ends in ((incidents.denied,), (incidents.no,), (incidents.no,) * 3)
    ),
    Story(
        "two keys",
        1,
        at={"lease begin": incidents.another_run_writes},
        pauses={"lease begin": (700.0,)},
        about=" where another run writes at lease begin",
    ),
    *(
        Story(
            "two keys",
            1,
            at={"verify begin": incidents.the_new_key_is_made_inactive, event: incidents.another_run_takes_over},
            about=f" whose new key is made inactive, and another run takes over at {event}",
        )
        for event in ("remove unpublished done", "verify failed")
    ),
    *(
        Story(
            "two keys",
            1,
            prepare=prepare,
            at={"verify begin": incidents.the_new_key_is_made_inactive},
            pauses={"verify failed": (200.0,)},
            about=f"{about} whose new key is made inactive",
        )
        for prepare, about in ((incidents.stay, ""), (incidents.without_conditions, " without conditions,"))
    ),
    Story("pipelines", 5, prepare=incidents.wait, about=" that wait", pauses={"limit note": (200.0,)}),
    Story("pipelines", 3, prepare=incidents.stands_still_between_two_values, about=", paused between two values"),
    *(
        Story(state, 5, prepare=incidents.in_doubt_before, about=", in doubt before")
        for state in ("pipelines", "pipelines that are out of date")
    ),
    *(
        Story(state, 2, prepare=prepare, about=about, days=(1,), pauses=pauses, hooks=hooks)
        for state, prepare, about, pauses, hooks in HOOKED_BEFORE
    ),
    *(
        Story(
            state,
            5,
            decide=partial(deliver_plan, chosen=chosen),
            about=f", {chosen[-1]} to be delivered to",
            hooks=hooks,
        )
        for state in ("pipelines", "pipelines that are out of date")
        for chosen, hooks in ((("p1",), None), (("p1", "p2", "p3", "p4"), ONLY_AFTER))
    ),
    Story(
        "two keys",
        2,
        prepare=incidents.holds_current_elsewhere,
        decide=partial(forget_plan, configured=(), confirmed=True),
        overrides=Overrides(forget="second"),
        about=", which holds CURRENT, to be forgotten",
    ),
    Story(
        "two keys",
        1,
        prepare=incidents.committed_lately,
        overrides=Overrides(retire=frozenset({"K1"})),
        about=", rotated lately, K1 to be retired",
    ),
    Story(
        "two keys",
        1,
        prepare=incidents.names_a_key_that_is_gone,
        overrides=Overrides(retire=frozenset({"K5"})),
        about=", K5, which is gone, to be retired",
    ),
    Story("two keys, with soak", 2, prepare=incidents.soaking_in_vain, about=", soaking in vain"),
    Story(
        "two keys",
        1,
        prepare=incidents.held_from_the_future,
        pauses={"lease begin": (20.0,)},
        about=", held from the future",
    ),
    *(
        Story("two keys", 2, ends=ends)
        for ends in (
            {"second.deliver": (incidents.refused,)},
            {
                "second.deliver": (incidents.rejected,),
                "store.save_journal": (None, None, None, incidents.claims_nothing),
            },
            {"iam.delete_key": (incidents.claims_nothing,)},
        )
    ),
    Story(
        "two keys", 1, regions=("eu-north-1",), about=", in another region", ends={"sts.reach": (incidents.unusable,)}
    ),
    Story(
        "two keys",
        1,
        prepare=incidents.held_by_another_run,
        about=", held by another run",
        ends={"store.load": (None, incidents.rejected)},
    ),
    Story("two keys", 2, ends={"second.deliver": (incidents.claims_nothing_only,)}, about=" without a remedy"),
    Story(
        "two keys",
        1,
        prepare=incidents.committed_lately_with_a_hook_due,
        at={"lease done": incidents.committed_long_ago},
        ends={"iam.last_use": (incidents.denied,), "iam.keys": (None, None, incidents.no_keys)},
        about=", rotated lately, a hook due, where the commit turns out to be long ago",
        hooks=ONLY_AFTER,
    ),
    Story(
        "two keys",
        1,
        prepare=incidents.held_from_the_future,
        pauses={"lease begin": (20.0,)},
        about=", held from the future, without waiting",
        wait=False,
    ),
    Story("pipelines", 5, prepare=incidents.open_before, about=", open before"),
    Story(
        "pipelines",
        5,
        prepare=incidents.stamps_unknown,
        decide=partial(deliver_plan, chosen=("p1", "p4")),
        about=", to be delivered to without stamps",
    ),
    Story("two keys", 1, prepare=incidents.removed_before, about=", many removed before"),
    Story(
        "two keys",
        2,
        pauses={"deliver to second begin": (200.0,)},
        ends={"second.deliver": (incidents.received_although_the_lease_is_over,)},
    ),
    *(
        Story(
            state,
            number,
            prepare=prepare,
            overrides=Overrides(retire=frozenset({"K2"})),
            about=f", K2 to be retired{about}",
        )
        for state, number, prepare, about in (
            ("two keys", 2, incidents.stay, ""),
            ("two keys", 2, incidents.committed_lately, ", rotated lately"),
            ("two keys, with soak", 2, incidents.stay, ""),
            ("two keys, with soak", 2, incidents.soaking, ", soaking"),
            ("pipelines that are out of date", 5, incidents.stay, ""),
            ("pipelines", 5, incidents.open_before, ", open before"),
            ("an unmanaged key", 1, incidents.stay, ""),
        )
    ),
    *(
        Story(
            state,
            number,
            prepare=prepare,
            decide=partial(forget_plan, configured=configured, confirmed=confirmed),
            overrides=Overrides(forget=name),
            about=f", {name} to be forgotten{about}",
        )
        for state, number, prepare, configured, confirmed, name, about in (
            ("two keys", 3, incidents.take_out, (), False, "second", " without confirmation"),
            ("two keys", 3, incidents.take_out, (), False, "third", " without confirmation"),
            ("two keys", 2, incidents.holds_current_elsewhere, (), False, "second", " without confirmation"),
            ("two keys", 2, incidents.stay, ("second",), True, "second", ", still configured"),
            ("two keys", 3, incidents.take_out, ("second",), True, "fourth", ", not recorded"),
            ("two keys", 2, incidents.stay, (), True, "fourth", ", not recorded"),
            ("one key, stored", 2, incidents.received_current, (), True, "second", ""),
            ("pipelines", 5, incidents.stay, (), False, "p1", " without confirmation"),
            ("pipelines", 5, incidents.stay, (), False, "p3", " without confirmation"),
            ("pipelines", 5, incidents.stay, (), True, "p3", ""),
            ("pipelines that are out of date", 5, incidents.stay, (), True, "p3", ""),
            ("pipelines that are out of date", 5, incidents.stay, (), True, "p1", ""),
        )
    ),
    *(
        Story(state, number, prepare=prepare, about=f", {about}", ends=ends)
        for state, number in (("two keys", 2), ("pipelines that are out of date", 3))
        for prepare, about in (
            (incidents.last_revoked, "LAST revoked"),
            (incidents.current_revoked, "CURRENT revoked"),
            (incidents.both_revoked, "both keys revoked"),
        )
        for ends in ({}, {"p1.deliver": (incidents.rejected,), "second.deliver": (incidents.rejected,)})
    ),
    *(
        Story(
            "two keys",
            2,
            prepare=prepare,
            decide=partial(revoke_plan, leak=Leak(dict.fromkeys(leaked, START - timedelta(minutes=1)), delete=delete)),
            about=f", {' and '.join(leaked)} leaked{about}{', to be deleted' if delete else ''}",
        )
        for leaked, delete in ((("K1",), True), (("K2",), False), (("K1", "K2"), True))
        for prepare, about in ((incidents.stay, ""), (incidents.last_revoked, ", LAST revoked before"))
    ),
    Story(
        "two keys",
        2,
        prepare=incidents.committed_lately,
        decide=partial(revoke_plan, leak=Leak({"K2": START - timedelta(minutes=1)})),
        ends={"iam.may_create": (incidents.no,), "second.preflight": (incidents.rejected,)},
        about=", K2 leaked, which nothing may delay",
    ),
)
