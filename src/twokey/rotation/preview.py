"""The dry run: what ``rotate`` would do now. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from twokey.core.errors import TwokeyError
from twokey.core.reasons import Outcome
from twokey.planning.decision import plan
from twokey.planning.destination_states import destination_states
from twokey.rotation import hooks, results
from twokey.rotation.leased_journal import held_by
from twokey.rotation.look import Task, look
from twokey.rotation.results import Effects
from twokey.rotation.wait import is_busy, settle

if TYPE_CHECKING:
    from twokey.core.model import MachineUser
    from twokey.planning.destination_states import DestinationState
    from twokey.planning.plan import Overrides, Plan
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.look import Decide
    from twokey.rotation.results import Result
    from twokey.rotation.world import World


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would end as, with what plan, and what each destination holds now. There is no plan after an error."""

    result: Result
    plan: Plan | None = None
    destinations: tuple[DestinationState, ...] = ()


def preview(
    user: MachineUser, policy: RotationPolicy, world: World, overrides: Overrides | None = None, decide: Decide = plan
) -> Preview:
    """Say what ``rotate`` would do now; change nothing. Waits only for the list to settle."""
    task, observation = Task(user, policy, world, overrides, decide), None
    try:
        while True:
            observation, decision = look(task)
            lease = observation.record.journal.lease
            if lease and is_busy(observation, world):
                raise held_by(lease)
            if not decision.settles:
                # What could not be read is reported with each destination.
                warnings = (*results.warnings(observation), *results.absent(observation, decision))
                result = replace(results.unchanged(observation, decision), warnings=warnings)
                if result.outcome is Outcome.NOT_DUE and hooks.due(world, observation.record.journal):
                    result = hooks.of_due(result)
                return Preview(result, decision, destination_states(task.assess(observation)))
            settle(observation, decision.settles, world)
    except TwokeyError as error:
        assessment = task.assess(observation) if observation else None
        states = destination_states(assessment) if assessment else ()
        return Preview(results.failed(user, error, Effects(), assessment), destinations=states)
