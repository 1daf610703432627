"""Every listed key sorted into its role: CURRENT, LAST, an orphan of ours, unmanaged, or one that may be removed.

A key is claimed if our open intent explains it. It is an orphan only if every destination surely holds another key. If
what one of them holds is unknown, jobs may have read it there: it becomes LAST, with grace and the last-use veto.

Besides LAST and an orphan, a key may be removed if the operator names it now (``retire``), or if its removal was
decided earlier (``outgoing``): the operator named it, and it is Inactive for its soak; or it was deleted, and it is
still listed when no list can lag any more; or it was revoked, and the time is over for which it is kept.

A key is ``revoked`` if the journal says so and IAM lists it Inactive. One that the store holds and that was made Active
again outside twokey counts as Inactive all the same: it has leaked, so no job may get it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from twokey.core import durations, timestamps
from twokey.core.journal import stamp_of
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.reasons import Outcome, Reason
from twokey.planning.belief import believed
from twokey.planning.plan import Action, Overrides, Plan

if TYPE_CHECKING:
    from twokey.core.journal import Delivery, Journal
    from twokey.core.model import AccessKey, LastUse, Observation
    from twokey.planning.policy import RotationPolicy

CREATION_WINDOW = timedelta(seconds=60)
"""A key made by an intent of ours is created within this time after the intent was written."""
SURELY_COMPLETE = timedelta(hours=1)
"""No list lags for longer: an attempt that was never closed is remembered for this long."""
MOST_OPEN = 8
"""How many attempts may be open at once: more are not made, so that none has to be forgotten."""
OWN_USE = timedelta(minutes=5)
"""For this long after its creation, besides the time that a verification may take, twokey may use a key itself: the
run that created it has to hold its lease."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """An observation with every listed key sorted into its role."""

    observation: Observation
    policy: RotationPolicy
    now: datetime
    overrides: Overrides
    held: str
    current: AccessKey | None
    last: AccessKey | None
    orphan: AccessKey | None
    unmanaged: tuple[AccessKey, ...]
    retire: tuple[AccessKey, ...]
    outgoing: tuple[AccessKey, ...] = ()
    claimed: AccessKey | None = None
    revoked: frozenset[str] = frozenset()
    listed: tuple[AccessKey, ...] = ()
    reason: Reason = field(default=Reason.DUE)

    @property
    def journal(self) -> Journal:
        """The journal, as far as it can be believed."""
        return self.observation.record.journal

    @property
    def committed(self) -> datetime | None:
        """When CURRENT began to be CURRENT: the commit that the journal records for it, or its creation."""
        if self.current is None:
            return None
        if self.journal.current == self.held and self.journal.committed:
            return self.journal.committed
        return self.current.created

    @property
    def removable(self) -> tuple[AccessKey, ...]:
        """The keys that may be removed besides LAST and an orphan."""
        return (*self.retire, *(key for key in self.outgoing if not self.holders(key.id)))

    @property
    def next_due(self) -> datetime | None:
        """When the next rotation is due: the latest commit plus the period less slack."""
        return self.committed + self.policy.period - self.policy.slack if self.committed else None

    @property
    def grace_over(self) -> datetime:
        """When every job that may have read LAST from any destination has had its grace."""
        moments = [delivery.at for delivery in self.journal.delivered.values()]
        moments += [moment for moment in (self.committed, self.journal.forgotten) if moment]
        return max(moments) + self.grace if moments else self.now

    @property
    def grace(self) -> timedelta:
        """LAST's grace: as configured, or as it was promised to the jobs that read LAST, whichever is longer."""
        promised = self.journal.graces.get(self.last.id) if self.last else None
        return max(self.policy.grace, promised or timedelta(0))

    @property
    def promise(self) -> str:
        """Say that LAST keeps a grace that is longer than the configured one; empty where it is not."""
        if self.grace <= self.policy.grace:
            return ""
        return (
            f"LAST keeps the grace of {durations.show(self.grace)} that its readers were promised; the grace of "
            f"{durations.show(self.policy.grace)} that is configured now is shorter."
        )

    def holds(self, name: str) -> str:
        """Say which key a destination holds: what it shows, else what it last received, else ``?``."""
        return holds(self.observation, name)

    def out_of_date(self, name: str) -> bool:
        """Say whether a destination does not surely hold CURRENT, by what it shows or by what the journal records.

        One that holds CURRENT although the journal records another key received it from a run that was interrupted, or
        from the operator: since when is unknown, so grace has to count from now. One with an open delivery may hold a
        torn pair, whatever it shows.
        """
        delivery = self.journal.delivered.get(name)
        is_open = name in self.journal.delivering
        return is_open or self.holds(name) != self.held or (delivery is not None and delivery.key != self.held)

    def holds_none(self, name: str) -> bool:
        """Say whether a destination shows that it holds no key of this user."""
        return holds_none(self.observation, name)

    def rewritten(self, name: str) -> bool:
        """Say whether another program has surely written there since CURRENT was delivered."""
        return rewritten(self.observation, name)

    @property
    def contested(self) -> tuple[str, ...]:
        """The destinations that another program has written to again: it did so before, within the last rotations."""
        delivered = self.journal.delivered
        return tuple(
            name for name in self.observation.destinations if self.rewritten(name) and delivered[name].rewritten
        )

    def holders(self, key_id: str) -> tuple[str, ...]:
        """Name the store and every destination that holds this key, or may hold it."""
        store = (self.observation.store,) if self.held == key_id else ()
        return store + tuple(name for name in self.observation.destinations if self.holds(name) in ("?", key_id))

    @property
    def unread(self) -> dict[str, str]:
        """The destinations that tell what they hold, but could not be read this time, and why."""
        return {
            name: holding.why
            for name, holding in self.observation.destinations.items()
            if isinstance(holding, CannotTell) and holding.failed
        }

    def conclude(self, outcome: Outcome, reason: Reason, message: str, *actions: Action) -> Plan:
        """Return the plan that these actions make."""
        return Plan(
            outcome,
            reason,
            message,
            actions,
            current=self.current.id if self.current else "",
            last=self.last.id if self.last else "",
            next_due=self.next_due,
        )

    def refuse(self, reason: Reason, message: str) -> Plan:
        """Return the decision to do nothing until the operator acts."""
        return self.conclude(Outcome.REFUSED, reason, message)

    def need(self, *keys: AccessKey) -> Plan | None:
        """Ask for the last uses that are not known yet."""
        unknown = tuple(key.id for key in keys if key.id not in self.observation.last_used)
        if not unknown:
            return None
        return replace(self.refuse(Reason.UNREADABLE, "The last use of a key is not known yet."), needs=unknown)

    def retiring(self, key_id: str) -> str:
        """Return the options that name this key, and those that were named already."""
        return " ".join(f"--retire {one}" for one in (*sorted(self.overrides.retire - {key_id}), key_id))

    def used(self, key: AccessKey) -> str:
        """Say when a key was last used, as a message shows it."""
        use = self.observation.last_used.get(key.id)
        if use is None or use.at is None:
            return f"{key.id} ({_status(key)}, never used as far as IAM knows)"
        ago = durations.show(max(self.now - use.at, timedelta(0)))
        return f"{key.id} ({_status(key)}, last used {ago} ago for {use.service} in {use.region})"


def assess(observation: Observation, policy: RotationPolicy, now: datetime, overrides: Overrides) -> Assessment:
    """Sort the listed keys into roles, by the journal as far as it can be believed."""
    journal = believed(observation.record.journal, now)
    observation = replace(observation, record=replace(observation.record, journal=journal))
    held = observation.record.holding.key_id if isinstance(observation.record.holding, Held) else ""
    listed = tuple(
        replace(key, active=False) if key.id == held and key.id in journal.revoked else key
        for key in observation.keys
        if key.id == held or not lags(key.id, journal, policy, now)
    )
    current = next((key for key in listed if key.id == held), None)
    retire = tuple(key for key in listed if key.id in overrides.retire)
    rest = tuple(key for key in listed if key != current and key not in retire)
    outgoing = tuple(
        key for key in rest if _is_outgoing(key, journal, now) and not _in_use(key, observation, policy, now)
    )
    others = tuple(key for key in rest if key not in outgoing)
    claimed = _claimed(others, observation, policy)
    orphan = None if claimed and _may_be_published(observation) else claimed
    others = tuple(key for key in others if key != orphan)
    last = _last(others, current, journal, held) or (None if orphan else claimed)
    unmanaged = tuple(key for key in others if key != last)
    revoked = frozenset(key.id for key in observation.keys if key.id in journal.revoked and not key.active)
    return Assessment(
        replace(observation, keys=listed),
        policy,
        now,
        overrides,
        held,
        current,
        last,
        orphan,
        unmanaged,
        retire,
        outgoing,
        claimed,
        revoked,
        observation.keys,
    )


def holds(observation: Observation, name: str) -> str:
    """Say which key a destination holds.

    What it shows counts first; else what it last received; else ``?``: if it never received a key, if a delivery is
    open, or if what it shows of its latest write proves that another program has written since.
    """
    holding, journal = observation.destinations[name], observation.record.journal
    if not isinstance(holding, CannotTell):
        return holding.key_id if isinstance(holding, Held) else ""
    delivery = journal.delivered.get(name)
    if delivery is None or name in journal.delivering or written_since(delivery, holding):
        return "?"
    return delivery.key


def holds_none(observation: Observation, name: str) -> bool:
    """Say whether a destination shows that it holds no key of this user."""
    holding = observation.destinations.get(name)
    if isinstance(holding, Held):
        return observation.key(holding.key_id) is None
    return isinstance(holding, NotHeld)


def open_attempts(journal: Journal, now: datetime) -> tuple[datetime, ...]:
    """Return the creations that were never closed and whose keys a list may still lack."""
    intent = journal.intent
    attempts = (intent.at, *intent.earlier) if intent else ()
    return tuple(at for at in attempts if now < at + SURELY_COMPLETE)


def written_since(delivery: Delivery, holding: CannotTell) -> bool:
    """Say whether another program has written there since a delivery. Unknown, so False, without both stamps."""
    return bool(delivery.stamp and holding.stamp) and delivery.stamp not in (holding.stamp, stamp_of(holding.stamp))


def rewritten(observation: Observation, name: str) -> bool:
    """Say whether another program has surely written there since CURRENT was delivered.

    Only what followed a delivery of CURRENT counts, and only without an open delivery, an open intent or a write in
    doubt: an interrupted run of ours may have written, too, or its write may have taken effect late.
    """
    record, holding = observation.record, observation.destinations[name]
    delivery = record.journal.delivered.get(name)
    if record.journal.intent is not None or name in record.journal.delivering or delivery is None:
        return False
    if delivery.doubt or record.holding != Held(delivery.key):
        return False
    if isinstance(holding, CannotTell):
        return not holding.failed and written_since(delivery, holding)
    return holding != record.holding


def lags(key_id: str, journal: Journal, policy: RotationPolicy, now: datetime) -> bool:
    """Say whether the list shows a key that was deleted so recently that the list merely lags."""
    removed = journal.removed.get(key_id)
    return removed is not None and now < removed + policy.settle


def _is_outgoing(key: AccessKey, journal: Journal, now: datetime) -> bool:
    """Say whether the removal of this key was decided earlier. One that the operator reactivated is kept."""
    retiring = journal.retiring.get(key.id)
    return (
        key.id in journal.removed
        or (retiring is not None and retiring.named and not key.active)
        or (not key.active and kept_until_over(key.id, journal, now))
    )


def kept_until_over(key_id: str, journal: Journal, now: datetime) -> bool:
    """Say whether a revoked key may be deleted: the operator requested it, and the time to keep it is over."""
    revoked = journal.revoked.get(key_id)
    return revoked is not None and revoked.until is not None and now >= revoked.until


def _in_use(key: AccessKey, observation: Observation, policy: RotationPolicy, now: datetime) -> bool:
    """Say whether an Active key surely is in use, or is younger than its removal: then the journal is wrong."""
    if not key.active:
        return False
    removed = observation.record.journal.removed.get(key.id)
    use = observation.last_used.get(key.id)
    return (removed is not None and removed < key.created) or (
        use is not None and use.at is not None and now - use.at < policy.idle
    )


def _published(observation: Observation) -> set[str]:
    """Return the keys that destinations hold, or received: jobs may have them."""
    received = {delivery.key for delivery in observation.record.journal.delivered.values()}
    return received | {holding.key_id for holding in observation.destinations.values() if isinstance(holding, Held)}


def _may_be_published(observation: Observation) -> bool:
    """Say whether some destination may hold any key: then a job may have the key of an interrupted run."""
    return any(holds(observation, name) == "?" for name in observation.destinations)


def _claimed(others: tuple[AccessKey, ...], observation: Observation, policy: RotationPolicy) -> AccessKey | None:
    """Find the one key that our open intent explains and no job is known to have. Two candidates explain nothing.

    The secret of an orphan is known to no program: a key that was used for more than our own verification is none.
    """
    journal = observation.record.journal
    intent = journal.intent
    if intent is None:
        return None
    published = {*_published(observation), journal.current, journal.last}
    attempts = (intent.at, *intent.earlier)
    created = [
        key
        for key in others
        if key.id not in intent.known
        and key.id not in published
        and any(at - 2 * timestamps.RESOLUTION <= key.created <= at + CREATION_WINDOW for at in attempts)
    ]
    if len(created) != 1 or _used_by_others(created[0], observation.last_used.get(created[0].id), policy):
        return None
    return created[0]


def _used_by_others(key: AccessKey, use: LastUse | None, policy: RotationPolicy) -> bool:
    """Say whether a key was surely used for more than the verification by the run that created it."""
    if use is None or use.at is None:
        return False
    return use.service != "sts" or use.at > key.created + OWN_USE + policy.verification.timeout


def _last(others: tuple[AccessKey, ...], current: AccessKey | None, journal: Journal, held: str) -> AccessKey | None:
    """Find LAST: named by the journal; without a journal the older of two keys of which the store holds the newer."""
    by_id = {key.id: key for key in others}
    if current is None and held in journal.revoked:
        return by_id.get(journal.last)  # a revocation deleted CURRENT: that makes no other key LAST
    if current is None:
        return others[0] if len(others) == 1 else None
    if journal.intent and held not in journal.intent.known:
        return by_id.get(journal.current) or next(
            (by_id[known] for known in journal.intent.known if known in by_id), None
        )
    if journal.current or journal.last in by_id:
        return by_id.get(journal.last)
    older = [key for key in others if key.created < current.created]
    return older[0] if len(others) == 1 and older else None


def _status(key: AccessKey) -> str:
    return "Active" if key.active else "Inactive"
