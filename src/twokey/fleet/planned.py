"""Plans that are approved before they are performed: ``plan --out`` makes one, ``rotate --plan`` follows one.

The file binds each user's decision to what it was made of: the user, its keys, its store, and a hash of the resolved
configuration. ``planning.binding`` compares, under the lease, when the run decides; here it is found out beforehand
who can be rotated by the plan at all.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from twokey import __version__
from twokey.config.settings import same_name
from twokey.core import timestamps
from twokey.core.model import MachineUser, UserKey
from twokey.core.reasons import Outcome, Reason
from twokey.fleet.names import Names
from twokey.planning import binding, decision
from twokey.planning.binding import Bound
from twokey.planning.plan import Overrides
from twokey.reports.plan_file import Decision, Options, PlanFile, PlannedUser
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from twokey.config.settings import Settings
    from twokey.core.model import Observation
    from twokey.fleet.roster import Job, Roster
    from twokey.fleet.run import Run
    from twokey.fleet.runtime import Runtime
    from twokey.planning.plan import Plan
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.look import Decide
    from twokey.rotation.preview import Preview


def configuration_of(job: Job, runtime: Runtime, settings: Settings) -> str:
    """Return a hash of all in the configuration that decides what is done for a user, and where it is written.

    It is that of the resolved values: a comment, the order of entries, and a default that is written out change
    nothing, and neither does what is configured for other users. The account and the region of a store, which its URL
    does not name, are part of it.
    """
    policy = job.policy
    resolved = {
        "store": job.store,
        "lock": job.lock,
        "deliver": job.deliver,
        "hooks": dict(job.hooks),
        "rules": (policy.window, policy.grace, policy.idle, policy.soak, policy.enforce_window, policy.rotate_self),
        "proof": (policy.settle, policy.verification),
        "targets": [(name, sorted(written)) for name, written in runtime.targets(job)],
        "connections": {name: (one.kind, one.settings) for name, one in settings.connections.items()},
    }
    return hashlib.sha256(msgspec.json.encode(resolved, order="deterministic")).hexdigest()


def _has_hook(job: Job) -> bool:
    return "after" in job.hooks


@dataclass(slots=True)
class Recorder:
    """Remembers what each decision of a dry run was made of."""

    _found: dict[UserKey, tuple[Job, Bound]] = field(default_factory=dict)

    def decide(self, job: Job) -> Decide:
        """Return what decides for one user as ``rotate`` does, and remembers the last decision."""

        def decide(
            observation: Observation, policy: RotationPolicy, now: datetime, overrides: Overrides | None = None
        ) -> Plan:
            made = decision.plan(observation, policy, now, overrides)
            self._found[job.user.key] = job, binding.bound(observation, made, hook=_has_hook(job))
            return made

        return decide

    def plan(self, previews: Iterable[Preview], run: Run, requested: Overrides) -> PlanFile:
        """Return the plan of all users: those without a decision are in it, too, and are not rotated by it."""
        users = tuple(self._user(preview, run) for preview in previews)
        options = Options(requested.force, requested.ignore_last_use, tuple(sorted(requested.retire)))
        made = timestamps.whole_second(run.runtime.clients.clock.now())
        return PlanFile(1, made, __version__, options, users)

    def _user(self, preview: Preview, run: Run) -> PlannedUser:
        result, made = preview.result, None
        if preview.plan is not None:
            job, found = self._found[result.user.key]
            made = Decision(
                configuration=configuration_of(job, run.runtime, run.settings),
                user_id=found.user_id,
                keys=dict(found.keys),
                store=found.store,
                holds=found.holds,
                hook=found.hook,
                actions=found.actions,
                steps=found.steps,
            )
        return PlannedUser(
            result.user.account,
            result.user.name,
            # What was decided: the result may name a hook besides, which is bound by itself.
            preview.plan.outcome if preview.plan else result.outcome,
            preview.plan.reason if preview.plan else result.reason,
            result.message,
            made,
        )


class Following:
    """A run that performs a plan, and nothing else. ``names``: only these users of it."""

    def __init__(self, plan: PlanFile, max_age: timedelta, names: Sequence[str] = ()) -> None:
        self._plan = plan
        self._expires = plan.made + max_age
        self._named = set(map(same_name, names))
        self._users = {UserKey(one.account, one.user): one for one in plan.users if self._is_meant(one.user)}

    @property
    def overrides(self) -> Overrides:
        """What the operator requested when the plan was made, as far as it is about these users."""
        theirs = {key_id for one in self._users.values() if one.decision for key_id in one.decision.keys}
        options = self._plan.options
        return Overrides(options.force, options.ignore_last_use, frozenset(options.retire) & theirs)

    def select(self, roster: Roster, runtime: Runtime, settings: Settings) -> Roster:
        """Return those users of a roster to whom the plan applies, and why the others are not rotated.

        Raises ``Refused`` for a plan that is too old.
        """
        binding.refuse_expired(self._expires, runtime.clients.clock.now())
        jobs, refused, left_out = [], [], []
        for job in roster.jobs:
            planned = self._users.get(job.user.key)
            if planned is None and not self._named:
                left_out.append(job.user.key)
            elif why := self._barred(job, planned, runtime, settings):
                refused.append(why)
            else:
                jobs.append(job)
        return replace(
            roster,
            jobs=tuple(jobs),
            failed=(*refused, *self._missing(roster, _accounts(runtime)), *roster.failed),
            warnings=(*roster.warnings, *_left_out(left_out, Names(job.user.key for job in roster.jobs))),
        )

    def decide(self, job: Job) -> Decide:
        """Return what decides for one user, and refuses what is not the plan's decision."""
        planned = self._users[job.user.key]
        made = planned.decision
        assert made is not None
        then = Bound(
            made.user_id,
            made.keys,
            made.store,
            made.holds,
            planned.outcome,
            planned.reason,
            made.actions,
            made.steps,
            made.hook,
        )
        return binding.following(then, job.user.name, self._expires, hook=_has_hook(job))

    def _is_meant(self, user: str) -> bool:
        return not self._named or same_name(user) in self._named

    def _barred(self, job: Job, planned: PlannedUser | None, runtime: Runtime, settings: Settings) -> Result | None:
        if planned is None:
            message = f"{Reason.NOT_PLANNED.sentence} {binding.UNTOUCHED} {binding.ANOTHER}"
            return Result(job.user, Outcome.REFUSED, Reason.NOT_PLANNED, message)
        if planned.decision is None:
            return _changed(job.user, f"nothing was decided when it was made ({planned.reason}: {planned.message})")
        if planned.decision.configuration != configuration_of(job, runtime, settings):
            return _changed(job.user, "its configuration, or the account or region of its store, was changed")
        return None

    def _missing(self, roster: Roster, accounts: set[str] | None) -> Iterator[Result]:
        """Refuse each user of the plan that the configuration does not select, or that does not exist, any more.

        Those of accounts that the operator leaves out of this run, and those that the roster reports by themselves or
        with their whole account, are none of them.
        """
        found = {job.user.key for job in roster.jobs}
        failed = {(one.user.account, same_name(one.user.name)) for one in roster.failed}
        unreached = {one.user.account for one in roster.failed if not one.user.name}
        for key, planned in self._users.items():
            name = same_name(key.name)
            if key in found or not failed.isdisjoint({("", name), (key.account, name)}) or key.account in unreached:
                continue
            if accounts is not None and key.account and key.account not in accounts:
                continue
            user = MachineUser(key.name, "", "", key.account, "")
            if planned.decision is None:
                yield _changed(user, f"nothing was decided when it was made ({planned.reason}: {planned.message})")
            else:
                yield _changed(user, "it does not exist, or the configuration does not select it")


def _accounts(runtime: Runtime) -> set[str] | None:
    """Return the accounts that a run over several acts in."""
    return {one.id for one in runtime.accounts.selected} if runtime.accounts else None


def _changed(user: MachineUser, how: str) -> Result:
    return Result(user, Outcome.REFUSED, Reason.PLAN_CHANGED, str(binding.changed(user.name, how)))


def _left_out(keys: Sequence[UserKey], named: Names) -> Iterator[str]:
    if keys:
        which = ", ".join(map(named, keys[:5])) + (", …" if len(keys) > 5 else "")
        count = "1 selected user is" if len(keys) == 1 else f"{len(keys)} selected users are"
        yield f"{count} not in the plan, and not touched: {which}."
