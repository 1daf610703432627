"""Journals that were made up, in every field: what can be true is held against what IAM and the destinations show."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from support.builders import NOW, STORE, USER
from support.made_up import always, maybe, some
from twokey.core.journal import Delivery, Intent, Journal, Lease, Retiring, Revoked
from twokey.core.model import AccessKey, CannotTell, Held, Holding, LastUse, NotHeld, Observation, Record
from twokey.planning.belief import EARLIEST, MOST_SKEW, believed
from twokey.planning.decision import plan
from twokey.planning.plan import Deactivate, Delete, RemoveOrphan
from twokey.planning.policy import RotationPolicy
from twokey.planning.redelivery import deliver_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

DAY = timedelta(days=1)
IDS = ("K1", "K2", "K9")
NAMES = ("ssm:/a", "ci:x")
FAR = datetime(2099, 1, 1, tzinfo=UTC)
AGES = (31, 16, 3)
"""The days since each of these keys was created."""


def key_id(choose: Random) -> str:
    return choose.choice(("", *IDS, "X"))


def boolean(choose: Random) -> bool:
    return choose.random() < 0.5


def moment(choose: Random) -> datetime:
    """Any, an impossible one, or one close to the creation of a key below: an intent that explains it."""
    return choose.choice(
        (
            lambda: NOW - timedelta(seconds=choose.randint(-40 * 86_400, 60 * 86_400)),
            lambda: choose.choice((NOW, FAR, datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))),
            lambda: NOW - choose.choice(AGES) * DAY + timedelta(seconds=choose.randint(-70, 10)),
        )
    )()


def number(choose: Random) -> int:
    """Any that fits into a journal, small ones and the ends more often."""
    return choose.choice((choose.randint(-3, 9), -(2**63), 2**53, 2**63 - 1, choose.randint(-(2**63), 2**63 - 1)))


def seconds(choose: Random) -> float:
    return choose.choice((choose.uniform(-5, 70), 0.0, -1e300, 1e300, 5e-324, choose.uniform(-1e9, 1e9)))


def duration(choose: Random) -> timedelta:
    return choose.choice(
        (timedelta(0), timedelta.min, timedelta.max, timedelta(seconds=choose.randint(-(10**8), 10**8)))
    )


MADE_UP: dict[str, Callable[[Random], Any]] = {
    "epoch": number,
    "user": lambda choose: choose.choice(("", USER.id)),
    "current": key_id,
    "last": key_id,
    "committed": lambda choose: maybe(choose, moment),
    "lease": lambda choose: maybe(choose, lambda choose: Lease("x", "h", 1, "1", moment(choose))),
    "intent": lambda choose: maybe(
        choose,
        lambda choose: Intent(
            known=tuple(key_id(choose) for _ in range(choose.randint(0, 3))),
            at=moment(choose),
            earlier=tuple(moment(choose) for _ in range(choose.randint(0, 9))),
            within=seconds(choose),
        ),
    ),
    "retiring": lambda choose: {one: Retiring(moment(choose), named=boolean(choose)) for one in some_ids(choose)},
    "removed": lambda choose: {one: moment(choose) for one in some_ids(choose)},
    "delivered": lambda choose: {
        name: Delivery(key_id(choose), moment(choose), "v1", rewritten=number(choose), doubt=number(choose))
        for name in some(choose, (*NAMES, "ci:gone"), 3)
    },
    "delivering": lambda choose: tuple(some(choose, NAMES, 2)),
    "graces": lambda choose: {one: duration(choose) for one in some_ids(choose)},
    "forgotten": lambda choose: maybe(choose, moment),
    "hook": key_id,
    "revoked": lambda choose: {one: Revoked(moment(choose), maybe(choose, moment)) for one in some_ids(choose)},
}
FIXED = {"version", "moved", "arriving"}
"""Another version is refused, and so is every run while the journal says that the user is in another store."""


def some_ids(choose: Random) -> list[str]:
    return some(choose, ("", *IDS, "X"), 3)


def use(choose: Random) -> LastUse:
    return choose.choice(
        (LastUse(None), LastUse(NOW - timedelta(hours=1), "s3", "x"), LastUse(NOW - 20 * DAY, "s3", "x"))
    )


def shown(choose: Random) -> Holding:
    return choose.choice((Held(choose.choice(IDS)), NotHeld(), CannotTell("no", stamp="v1")))


def state(choose: Random) -> tuple[Any, ...]:
    return (
        Journal(**{name: make(choose) for name, make in MADE_UP.items()}),
        tuple(AccessKey(one, boolean(choose), NOW - days * DAY) for one, days in zip(IDS, AGES, strict=True)),
        choose.choice(("", *IDS)),
        key_id(choose),
        (use(choose), use(choose), use(choose)),
        {name: shown(choose) for name in some(choose, NAMES, 2)},
        choose.choice((timedelta(0), 2 * DAY)),
    )


@pytest.mark.first
@always(state)
def test_none_of_them_removes_a_key_that_is_held_or_in_use(
    journal: Journal,
    listed: tuple[AccessKey, ...],
    left_out: str,
    held: str,
    used: tuple[LastUse, ...],
    copies: dict[str, Holding],
    soak: timedelta,
) -> None:
    truth = dict(zip(IDS, used, strict=True))
    journal = Journal.decode(journal.encode())
    observation = Observation(
        USER,
        tuple(key for key in listed if key.id != left_out),
        STORE,
        Record(Held(held) if held else NotHeld(), journal),
        copies,
        {},
    )
    policy = RotationPolicy(soak=soak)
    for decide in (plan, deliver_plan):
        found: Any = decide(observation, policy, NOW)
        while found.needs:
            known = {**observation.last_used, **{key_id: truth[key_id] for key_id in found.needs}}
            observation = replace(observation, last_used=known)
            found = decide(observation, policy, NOW)
        assert found.settles is None or found.settles < NOW + timedelta(minutes=3)
        for action in found.actions:
            if not isinstance(action, Delete | Deactivate | RemoveOrphan):
                continue
            key = next(key for key in listed if key.id == action.key_id)
            use = truth[key.id]
            stopped = not key.active and key.id in journal.revoked  # whatever holds it holds a key that fails
            assert stopped or key.id not in (held, *(one.key_id for one in copies.values() if isinstance(one, Held)))
            assert not key.active or use.at is None or NOW - use.at >= policy.idle


@pytest.mark.parametrize("at", [FAR, NOW + timedelta(seconds=61), datetime(1999, 1, 1, tzinfo=UTC)])
def test_moments_that_no_run_can_have_written_are_not_believed(at: datetime) -> None:
    found = believed(
        Journal(
            epoch=2**60,
            committed=at,
            intent=Intent((), at),
            retiring={"K1": Retiring(at)},
            removed={"K1": at},
            revoked={"K1": Revoked(at)},
            delivered={"ci:x": Delivery("K1", at, "v1")},
            graces={"K1": timedelta.max, "K2": timedelta.min},
            forgotten=at,
        ),
        NOW,
    )
    assert (found.epoch, found.committed, found.intent, found.retiring, found.removed) == (0, None, None, {}, {})
    assert (found.revoked, found.forgotten) == ({}, None)
    assert found.delivered["ci:x"].key == "K1", "it may hold that key all the same"
    assert found.delivered["ci:x"].at < NOW
    assert found.graces == {"K1": timedelta(days=1000), "K2": timedelta(0)}


def test_of_an_intent_only_what_is_impossible_is_left_out() -> None:
    ago = NOW - timedelta(minutes=1)
    intent = Intent(("K1",), ago, (FAR, ago), 1e300)
    assert believed(Journal(intent=intent), NOW).intent == Intent(("K1",), ago, (ago,), 60.0)


def test_an_intent_leaves_no_negative_time_for_its_creation() -> None:
    found = believed(Journal(intent=Intent((), NOW, within=-5.0)), NOW).intent
    assert found == Intent((), NOW, within=0.0)


def test_a_delivery_at_an_impossible_moment_counts_from_the_commit() -> None:
    committed = NOW - DAY
    journal = Journal(committed=committed, delivered={"ci:x": Delivery("K1", FAR, "v1")})
    assert believed(journal, NOW).delivered["ci:x"].at == committed


@pytest.mark.parametrize(("epoch", "counts"), [(-1, 0), (0, 0), (1, 1), (2**53 - 1, 2**53 - 1), (2**53, 0)])
def test_an_epoch_is_believed_that_no_number_of_runs_exceeds(epoch: int, counts: int) -> None:
    assert believed(Journal(epoch=epoch), NOW).epoch == counts


@pytest.mark.parametrize("at", [EARLIEST, NOW + MOST_SKEW])
def test_a_journal_that_a_run_wrote_is_believed_as_it_is(at: datetime) -> None:
    journal = Journal(
        epoch=7,
        committed=at,
        intent=Intent(("K1",), at, (at,), 40.0),
        retiring={"K1": Retiring(at, named=True)},
        removed={"K1": at},
        delivered={"ci:x": Delivery("K1", at, "v1")},
        graces={"K1": 14 * DAY},
        forgotten=at,
    )
    assert believed(journal, NOW) == journal


@pytest.mark.parametrize(
    "text",
    [
        '{"committed": "2026-11-21T12:00:00"}',
        '{"lease": {"run": "r", "host": "h", "process": 1, "start": "", "until": "2026-11-21T12:00:00"}}',
        '{"intent": {"known": [], "at": "2026-11-21T12:00:00Z", "earlier": ["2026-11-21T12:00:00"]}}',
        '{"removed": {"K1": "2026-11-21T12:00:00"}}',
        '{"delivered": {"ci:x": {"key": "K1", "at": "2026-11-21T12:00:00"}}}',
        '{"retiring": {"K1": {"at": "2026-11-21T12:00:00"}}}',
        '{"revoked": {"K1": {"at": "2026-11-21T12:00:00"}}}',
    ],
)
def test_a_time_without_its_zone_is_none_of_twokey(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape("expected a journal of twokey")):
        Journal.decode(text)


def test_every_field_of_a_journal_is_made_up() -> None:
    fields = {one.name for one in msgspec.structs.fields(Journal)}
    assert {*MADE_UP, *FIXED} == fields
    assert not {*MADE_UP} & FIXED


@pytest.mark.parametrize("count", [-1, 10**12])
def test_a_count_beyond_all_measure_is_not_believed(count: int) -> None:
    journal = Journal(delivered={"ci:x": Delivery("K1", NOW, rewritten=count, doubt=count)})
    found = believed(journal, NOW).delivered["ci:x"]
    assert (found.rewritten, found.doubt) == ((0, 0) if count < 0 else (2, 2))


def test_a_moment_without_a_zone_is_not_twokey_s() -> None:
    with pytest.raises(ValueError, match="expected a journal"):
        Journal.decode('{"forgotten": "2026-05-16T00:00:00"}')
