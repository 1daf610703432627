"""Where the hooks of a user run in its rotation. See ``twokey.core.hooks`` for what each of them is for.

``before`` runs under the lease, after the preflight: where it fails, no key and no destination was touched. ``after``
runs under the same lease, once the commit has been written. The commit says in the journal that it is due (``hook``);
only its success takes that back. So it runs at least once, whenever the process dies, and again in the next run where
it failed. ``on_failure`` is not recorded: a process that dies does not run it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from twokey.core.errors import HookFailed, TwokeyError
from twokey.core.hooks import LONGEST, HookFacts
from twokey.core.reasons import Outcome, Reason
from twokey.planning.plan import Create, Deliver, Resume
from twokey.rotation.leased_journal import WRITE_LIMIT

if TYPE_CHECKING:
    from twokey.core.events import Reporter
    from twokey.core.hooks import HookName
    from twokey.core.journal import Journal
    from twokey.core.model import Observation
    from twokey.planning.plan import Plan
    from twokey.rotation.leased_journal import LeasedJournal
    from twokey.rotation.results import Result
    from twokey.rotation.world import World

CHANGES = (Create, Resume, Deliver)
"""The actions with which jobs may read another key than before."""


class Around:
    """The hooks around one user's rotation. ``warnings`` are those of hooks whose failure is only reported."""

    def __init__(self, world: World, reporter: Reporter) -> None:
        self._world = world
        self._reporter = reporter
        self.begun = False  # and not over
        self.warnings: list[str] = []

    def before(self, observation: Observation, decision: Plan, leased: LeasedJournal) -> None:
        """Run ``before``, and have the commit leave a note for ``after``; raises ``HookFailed``."""
        if not any(isinstance(action, CHANGES) for action in decision.actions):
            return
        leased.follows = self._has("after")
        self.begun = True
        if self._has("before"):
            leased.guard(LONGEST + WRITE_LIMIT)
            self._run("before", _facts(observation, decision, self._world))
            leased.guard()

    def after(self, result: Result, leased: LeasedJournal) -> Result:
        """Run ``after`` if it is due, and give the lease back; return the result with what came of it.

        The rotation is over: whatever happens here, keys and destinations stay as they are.
        """
        self.begun = False
        if not due(self._world, leased.journal):
            leased.release()
            return result
        if result.outcome is Outcome.NOT_DUE:
            result = of_due(result)
        try:
            leased.guard(LONGEST + WRITE_LIMIT)
            self._run("after", _outcome(result, self._world))
            leased.release(hook="")
        except HookFailed as error:
            leased.release()
            return replace(
                result, outcome=Outcome.FAILED, reason=Reason.HOOK_FAILED, message=_unfinished(result, error)
            )
        except TwokeyError as error:
            self.warnings.append(f"The hook `after` may run again in the next run: {error}")
        return result

    def on_failure(self, result: Result) -> Result:
        """Run ``on_failure`` where a rotation that has begun did not end well; return the result with all warnings."""
        if self.begun and self._has("on_failure"):
            try:
                self._run("on_failure", _outcome(result, self._world))
            except HookFailed as error:
                self.warnings.append(str(error))
        return replace(result, warnings=(*result.warnings, *self.warnings))

    def _has(self, name: HookName) -> bool:
        return self._world.hooks is not None and name in self._world.hooks.configured

    def _run(self, name: HookName, facts: HookFacts) -> None:
        assert self._world.hooks is not None
        with self._reporter.effect(f"hook {name}"):
            warning = self._world.hooks.run(name, facts)
        if warning:
            self.warnings.append(warning)


def due(world: World, journal: Journal) -> bool:
    """Return whether the hook ``after`` has not succeeded since the latest commit."""
    return bool(journal.hook) and world.hooks is not None and "after" in world.hooks.configured


def of_due(result: Result) -> Result:
    """Return the result of a run in which nothing is due but the hook ``after``."""
    return replace(result, outcome=Outcome.COMPLETED, reason=Reason.HOOK_DUE, message=Reason.HOOK_DUE.sentence)


def _unfinished(result: Result, error: HookFailed) -> str:
    done = "" if result.reason is Reason.HOOK_DUE else f"{result.message} "
    return f"{done}{error} Keys and destinations are as they should be. The next run runs this hook again."


def _facts(observation: Observation, decision: Plan, world: World) -> HookFacts:
    return HookFacts(
        observation.user,
        observation.store,
        tuple(one.name for one in world.destinations),
        decision.outcome,
        decision.reason,
        decision.message,
        decision.current,
        decision.last,
    )


def _outcome(result: Result, world: World) -> HookFacts:
    return HookFacts(
        result.user,
        world.store.name,
        tuple(one.name for one in world.destinations),
        result.outcome,
        result.reason,
        result.message,
        result.current,
        result.last,
        result.removed,
    )
