"""Journals that were made up, in every field: what can be true is held against what IAM and the destinations show."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.builders import NOW, STORE, USER
from twokey.core.journal import Delivery, Intent, Journal, Lease, Retiring, Revoked
from twokey.core.model import AccessKey, CannotTell, Held, Holding, LastUse, NotHeld, Observation, Record
from twokey.planning.belief import EARLIEST, MOST_SKEW, believed
from twokey.planning.decision import plan
from twokey.planning.plan import Deactivate, Delete, RemoveOrphan
from twokey.planning.policy import RotationPolicy
from twokey.planning.redelivery import deliver_plan

DAY = timedelta(days=1)
IDS = ("K1", "K2", "K9")
NAMES = ("ssm:/a", "ci:x")
FAR = datetime(2099, 1, 1, tzinfo=UTC)
ids = st.sampled_from(("", *IDS, "X"))
moments = st.one_of(
    st.integers(-40 * 86_400, 60 * 86_400).map(lambda seconds: NOW - timedelta(seconds=seconds)),
    st.sampled_from([NOW, FAR, datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)]),
    # Close to the creations of the keys below: an intent that explains them.
    st.tuples(st.sampled_from((31, 16, 3)), st.integers(-70, 10)).map(
        lambda pair: NOW - pair[0] * DAY + timedelta(seconds=pair[1])
    ),
)
seconds = st.floats(allow_nan=False, allow_infinity=False)
MADE_UP: dict[str, st.SearchStrategy[Any]] = {
    "epoch": st.integers(-(2**63), 2**63 - 1),
    "user": st.sampled_from(("", USER.id)),
    "current": ids,
    "last": ids,
    "committed": st.none() | moments,
    "lease": st.none() | st.builds(Lease, st.just("x"), st.just("h"), st.just(1), st.just("1"), moments),
    "intent": st.none()
    | st.builds(
        Intent,
        known=st.lists(ids, max_size=3).map(tuple),
        at=moments,
        earlier=st.lists(moments, max_size=9).map(tuple),
        within=seconds,
    ),
    "retiring": st.dictionaries(ids, st.builds(Retiring, at=moments, named=st.booleans()), max_size=3),
    "removed": st.dictionaries(ids, moments, max_size=3),
    "delivered": st.dictionaries(
        st.sampled_from((*NAMES, "ci:gone")),
        st.builds(Delivery, ids, moments, st.just("v1"), rewritten=st.integers(), doubt=st.integers()),
    ),
    "delivering": st.lists(st.sampled_from(NAMES), unique=True).map(tuple),
    "graces": st.dictionaries(ids, st.timedeltas(), max_size=3),
    "forgotten": st.none() | moments,
    "hook": ids,
    "revoked": st.dictionaries(ids, st.builds(Revoked, at=moments, until=st.none() | moments), max_size=3),
}
made_up = st.builds(Journal, **MADE_UP)
FIXED = {"version", "moved", "arriving"}
"""Another version is refused, and so is every run while the journal says that the user is in another store."""
uses = st.sampled_from(
    [LastUse(None), LastUse(NOW - timedelta(hours=1), "s3", "x"), LastUse(NOW - 20 * DAY, "s3", "x")]
)
shown: st.SearchStrategy[Holding] = st.one_of(
    st.sampled_from(IDS).map(Held), st.just(NotHeld()), st.just(CannotTell("no", stamp="v1"))
)
keys = st.tuples(
    *(
        st.builds(AccessKey, st.just(one), st.booleans(), st.just(NOW - days * DAY))
        for one, days in zip(IDS, (31, 16, 3), strict=True)
    )
)


@pytest.mark.first
@settings(max_examples=settings().max_examples * 20)
@given(
    journal=made_up,
    listed=keys,
    left_out=st.sampled_from(("", *IDS)),
    held=ids,
    used=st.tuples(uses, uses, uses),
    copies=st.dictionaries(st.sampled_from(NAMES), shown),
    soak=st.sampled_from((timedelta(0), 2 * DAY)),
)
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
