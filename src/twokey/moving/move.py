"""One user's move to another store: the pair and the journal, so that every promise to jobs moves with them.

    look        read both stores; refuse what cannot be moved; nothing is written
    preflight   prove that the target can be written, and that its journal has room
    leases      take the user in both stores; the target says at once that a move to it is under way
    fence       a rotation that was interrupted may only be paused: it cannot write to the source any more
    look again  only this counts
    verify      the key that the source holds works
    record      the source's journal says that the target may hold it
    put         write the pair to the target
    copy        write the source's journal to the target, which records that the source holds CURRENT
    switch      the source's journal says where the user is now: one write, and the only moment at which that changes
    arrive      the target's journal no longer says that a move is under way

A run rotates from a store only if its journal says neither that the user has moved nor that it is arriving. The source
says the former before the target stops saying the latter, so at no moment do two stores rotate. Killed anywhere, the
move is finished, or begun again, by running it again; before the switch, runs continue from the source.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.core import timestamps
from twokey.core.errors import Conflict, LeaseHeld, NotVerified, Refused, ServiceError, TwokeyError
from twokey.core.events import Reporter
from twokey.core.identities import recognized
from twokey.core.journal import Delivery
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.reasons import Outcome, Reason
from twokey.rotation import claims, preflight, results
from twokey.rotation import lease as leases
from twokey.rotation.leased_journal import LeasedJournal, blocked, held_by
from twokey.rotation.look import refuse_moved
from twokey.rotation.observe import unreadable
from twokey.rotation.results import DeliveryResult, Effects, Result
from twokey.rotation.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Store
    from twokey.core.journal import Journal
    from twokey.core.model import MachineUser, Record
    from twokey.core.secret import Credential
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.world import World

ATTEMPTS = 5
"""How often a move is begun again because another run wrote in between."""
NOTHING = "Nothing was changed."


def move_store(
    user: MachineUser, policy: RotationPolicy, world: World, target: Store, *, unread: bool = False
) -> Result:
    """Move a user from the store of ``world`` to ``target``. Never raises a ``TwokeyError``: every end is a result.

    ``unread``: by the operator's word, no job reads the former store any more, so what it holds forbids no removal.
    """
    move = _Move(user, policy, world, target, unread=unread)
    try:
        return move.performed()
    except TwokeyError as error:
        claims.checked(error, move.effects, f"{world.store.name} or {target.name}")
        return results.failed(user, error, move.effects)


def already_there(user: MachineUser, policy: RotationPolicy, world: World) -> Result:
    """Return the result for a user whose store in ``world`` is the one to move to. Nothing is written."""
    move = _Move(user, policy, world, world.store, unread=False)
    try:
        return move.unneeded()
    except TwokeyError as error:
        claims.checked(error, move.effects, world.store.name)
        return results.failed(user, error, move.effects)


class _Changed(Conflict):
    """Another run wrote between our look and our write: begin again."""


@dataclass(frozen=True, slots=True)
class _Look:
    source: Record
    target: Record

    @property
    def current(self) -> str:
        return self.source.holding.key_id if isinstance(self.source.holding, Held) else ""

    @property
    def switched(self) -> bool:
        """Whether the source says already where the user is."""
        return bool(self.source.journal.moved)


@dataclass(slots=True)
class _Move:
    user: MachineUser
    policy: RotationPolicy
    world: World
    target: Store
    unread: bool
    effects: Effects = field(default_factory=Effects)

    @property
    def source(self) -> Store:
        return self.world.store

    @property
    def reporter(self) -> Reporter:
        return Reporter(self.user.name, self.world.clock, self.world.listener)

    def performed(self) -> Result:
        for _ in range(ATTEMPTS):
            with contextlib.suppress(_Changed):
                look = self._look()
                if look.switched and not look.target.journal.arriving:
                    return self._unchanged(look.target)
                self._refuse_if_busy(look)
                return self._arrived(look) if look.switched else self._moved(look)
            self.world.clock.sleep(0.2)
        raise Refused(
            Reason.UNREADABLE,
            "The stores of this user change faster than they can be read.",
            state=NOTHING,
            remedy="Find out what else changes them, or run again later.",
        )

    def unneeded(self) -> Result:
        """Return the result where the store is the one to move to, provided that no move away or here is recorded."""
        record = self._read(self.target)
        refuse_moved(self.user.name, self.target.name, record.journal)
        return self._unchanged(record)

    def _unchanged(self, record: Record) -> Result:
        return self._result(record, Reason.MOVED, f"{self.target.name} is the store already.")

    def _look(self) -> _Look:
        look = _Look(self._read(self.source), self._read(self.target))
        self._refuse(look)
        return look

    def _read(self, store: Store) -> Record:
        """Read a store; the deliveries in its journal get the names that they have in this run."""
        try:
            record = store.load()
        except ServiceError as error:
            raise unreadable(error) from None
        return replace(record, journal=recognized(record.journal, self.world.identities))

    def _delivery(self, store: Store, key_id: str, journal: Journal) -> Delivery:
        """Return the record that a store holds a key, with what its URL means in this run.

        Neither store held LAST since CURRENT was committed: its grace does not begin again.
        """
        since = journal.committed if journal.current == key_id else None
        at = since or timestamps.not_before_now(self.world.clock)
        return Delivery(key_id, at, identity=self.world.identities.get(store.name, ""))

    def _refuse(self, look: _Look) -> None:
        """Raise ``Refused`` for what cannot be moved."""
        here, there = look.source.journal, look.target.journal
        if here.moved != self.target.name:
            refuse_moved(self.user.name, self.source.name, here)
        for store, journal in ((self.source, here), (self.target, there)):
            if journal.user not in ("", self.user.id):
                raise self._refused(Reason.USER_RECREATED, f"The journal of {store.name} is that of another IAM user.")
        if not look.switched:
            self._refuse_contents(look)
        elif there.arriving not in ("", self.source.name):
            raise self._refused(Reason.MOVED, f"{self.user.name} was moved on: {self.target.name} says so.")

    def _refuse_contents(self, look: _Look) -> None:
        here, there = look.source, look.target
        if isinstance(here.holding, NotHeld):
            raise self._refused(Reason.NO_KEY, f"{self.source.name} holds no key, so there is nothing to move.")
        for store, record in ((self.source, here), (self.target, there)):
            if isinstance(record.holding, CannotTell):
                raise self._refused(Reason.UNREADABLE, f"{store.name} cannot be read: {record.holding.why}.")
        if there.journal.arriving == self.source.name or there.journal.moved:
            return  # a move that was interrupted, or a store that the user was moved away from
        if there.journal.arriving or there.journal.current or there.journal.intent:
            raise self._refused(
                Reason.CANNOT_ATTRIBUTE,
                f"{self.target.name} has a journal of its own: it is, or was, the store of a user.",
                "Name a store that has none, or delete that journal if nothing rotates from it.",
            )
        if there.holding not in (NotHeld(), here.holding):
            raise self._refused(
                Reason.DESTINATIONS_DIFFER,
                f"{self.target.name} holds another key than {self.source.name}.",
                "Deliver CURRENT there first (twokey deliver --to), or name another store.",
            )

    def _refused(self, reason: Reason, message: str, remedy: str = "Check both URLs: twokey status.") -> Refused:
        return Refused(reason, message, state=NOTHING, remedy=remedy)

    def _refuse_if_busy(self, look: _Look) -> None:
        for store, record in ((self.source, look.source), (self.target, look.target)):
            lease = record.journal.lease
            if lease and blocked(store, record.journal, self.world.run, self.world.clock.now()):
                error = held_by(lease)
                error.remedy = "Run again when that run has ended."
                raise error

    def _moved(self, look: _Look) -> Result:
        now = self.world.clock.now()
        copied = msgspec.structs.replace(look.source.journal, **self._copied(look, look.source.journal))
        self.reporter.note("preflight")
        preflight.room_for(
            self.target,
            msgspec.structs.replace(copied, lease=leases.take(self.world.run, now), arriving=self.source.name),
        )
        preflight.store_writable(self.target)
        with self._lease(self.source, look.source) as source:
            self._prove(self._credential(look.current), source)
            with self._lease(self.target, look.target, arriving=self.source.name) as target:
                return self._under_leases(source, target)

    def _under_leases(self, source: LeasedJournal, target: LeasedJournal) -> Result:
        if source.journal.intent is not None:
            with self.reporter.effect("fence"):
                source.fence()
        look = _Look(source.reread(), target.reread())
        self._refuse_contents(look)
        credential = self._credential(look.current)
        with self.reporter.effect("record", look.current):
            source.write(delivered=self._recorded(look, source.journal))
        target.guard()
        with self.reporter.effect("store", look.current):
            self.effects.begun = True
            target.put(credential)
        self.effects.delivered.append(DeliveryResult(self.target.name, "delivered"))
        with self.reporter.effect("copy"):
            target.write(
                **self._copied(look, source.journal), epoch=max(source.journal.epoch, target.journal.epoch) + 1
            )
        if source.reread().holding != Held(look.current):
            raise _Changed("The source was written while it was copied.")
        source.guard()
        with self.reporter.effect("switch"):
            source.release(moved=self.target.name)
        return self._arrive(target)

    def _recorded(self, look: _Look, journal: Journal) -> dict[str, Delivery]:
        """Return the deliveries with the one that is about to be made.

        A key that the target received from a move that was interrupted stays recorded until it holds another one: it
        is LAST by now, so no rotation removes the one that this move writes there before that.
        """
        before = journal.delivered.get(self.target.name)
        if before is not None and before.key != look.current and before.key in (journal.current, journal.last):
            return journal.delivered
        return journal.delivered | {self.target.name: self._delivery(self.target, look.current, journal)}

    def _arrived(self, look: _Look) -> Result:
        """Finish a move that was interrupted after the switch."""
        with self._lease(self.target, look.target) as target:
            if target.reread().journal.arriving != self.source.name:
                raise _Changed("Another run finished the move.")
            return self._arrive(target)

    def _arrive(self, target: LeasedJournal) -> Result:
        with self.reporter.effect("arrive"):
            target.release(arriving="")
        record = self.target.load()
        rest = (
            f"{self.source.name} still holds the key and is not delivered to any more: the next rotation makes it LAST "
            f"there. While jobs read it, name it under deliver:."
        )
        return self._result(record, Reason.MOVE_REQUESTED, f"{self.target.name} is the store now. {rest}")

    def _copied(self, look: _Look, journal: Journal) -> dict[str, Any]:
        """Return the source's journal as the target's: all that it knows, and that the source holds CURRENT."""
        everything = msgspec.structs.asdict(journal)
        copied = {name: value for name, value in everything.items() if name not in ("epoch", "lease", "arriving")}
        delivered = {name: one for name, one in journal.delivered.items() if name != self.target.name}
        if not self.unread:
            delivered[self.source.name] = self._delivery(self.source, look.current, journal)
        delivering = tuple(name for name in journal.delivering if name != self.target.name)
        return {**copied, "user": self.user.id, "moved": "", "delivered": delivered, "delivering": delivering}

    @contextlib.contextmanager
    def _lease(self, store: Store, record: Record, **changes: Any) -> Iterator[LeasedJournal]:
        world = self.world
        try:
            with self.reporter.effect("lease"):
                leased = claims.leased(
                    self.effects,
                    record,
                    lambda: LeasedJournal.take(store, world.clock, world.run, self.user.id, record, **changes),
                )
        except (Conflict, LeaseHeld):
            raise _Changed("Another run was at work.") from None
        try:
            yield leased
        except BaseException:
            with contextlib.suppress(TwokeyError):
                leased.release()
            raise

    def _credential(self, key_id: str) -> Credential:
        credential = self.source.credential()
        if credential is None or credential.access_key_id != key_id:
            raise _Changed("The source holds another key by now.")
        return credential

    def _prove(self, credential: Credential, source: LeasedJournal) -> None:
        """Ask STS who the credential is; the key has existed long enough for every server to know it."""
        rules, world, key_id = self.policy.verification.shortest, self.world, credential.access_key_id
        try:
            with self.reporter.effect("verify", key_id):
                verify(credential, self.user, rules, world.sts, world.clock, source.guard)
        except NotVerified as error:
            raise Refused(
                Reason.UNVERIFIED,
                f"{self.source.name} holds {key_id}, which does not work: {error.message.partition(': ')[2]}",
                state=NOTHING,
                remedy="Let twokey rotate repair the store first.",
            ) from None

    def _result(self, record: Record, reason: Reason, message: str) -> Result:
        current = record.holding.key_id if isinstance(record.holding, Held) else ""
        committed = record.journal.committed
        return Result(
            self.user,
            Outcome.COMPLETED,
            reason,
            message,
            current,
            record.journal.last,
            next_due=committed + self.policy.period - self.policy.slack if committed else None,
            destinations=tuple(self.effects.delivered),
        )
