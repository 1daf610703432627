"""A program that can write only the journal: it neither blocks a user nor has a key removed that is in use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from support.rig import DAY
from twokey.core.journal import Delivery, Intent, Lease, Retiring
from twokey.core.reasons import Outcome, Reason
from twokey.emulator import Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.rig import Rig

FAR = datetime(2099, 1, 1, tzinfo=UTC)
LEASE = Lease(run="forged", host="elsewhere", process=1, start="1", until=FAR)
HOUR = timedelta(hours=1)
STORES = ("secretsmanager:machine-users/{user}", "ssm:/machine-users/{user}")


def forge(rig: Rig, **fields: Any) -> None:
    """Write the journal, and nothing else."""
    record = rig.record()
    rig.store().save_journal(msgspec.structs.replace(record.journal, **fields), record.revision)


CLAIMS: dict[str, Callable[[str, str, datetime], dict[str, Any]]] = {
    "an intent that explains it": lambda _, current, at: {"intent": Intent((current,), at)},
    "an earlier attempt that does": lambda _, current, at: {"intent": Intent((current,), at + HOUR, (at,))},
    "that it is LAST": lambda theirs, _, at: {"last": theirs, "committed": at - HOUR * 24 * 40},
    "that it was removed": lambda theirs, _, at: {"removed": {theirs: at + HOUR}},
    "that it was removed before it was created": lambda theirs, _, at: {"removed": {theirs: at - HOUR}},
    "that the operator named it": lambda theirs, _, at: {"retiring": {theirs: Retiring(at, named=True)}},
    "that it was CURRENT": lambda theirs, _, at: {"current": theirs, "intent": Intent((theirs,), at)},
    "that a destination that is gone has CURRENT": lambda theirs, current, at: (
        {"last": theirs, "delivered": {"ci:x": Delivery(current, at)}}
    ),
}


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("store", STORES)
def test_has_no_key_of_others_removed_that_is_in_use(rig: Rig, store: str, claim: str) -> None:
    rig.store_url = store
    rig.aws.make_user("ci", keys=0)
    current = rig.rotate().current
    rig.later(days=15)
    theirs: str = rig.aws.client("iam").create_access_key(UserName="ci")["AccessKey"]["AccessKeyId"]
    rig.aws.age_key(theirs, 3 * DAY)
    rig.aws.set_last_used(theirs, 3600, "s3")
    created = next(at for key_id, _, at in rig.aws.keys("ci") if key_id == theirs)
    forge(rig, **CLAIMS[claim](theirs, current, created))
    for _ in range(2):
        result = rig.rotate()
        assert result.outcome in (Outcome.REFUSED, Outcome.COMPLETED, Outcome.NOT_DUE), result.message
        assert rig.ids() == [theirs, current] or rig.ids() == [current, theirs]
        assert all(active for _, active, _ in rig.aws.keys("ci"))


DELAYS: dict[str, dict[str, Any]] = {
    "a lease": {"lease": LEASE},
    "a commit": {"committed": FAR},
    "an intent": {"intent": Intent((), FAR)},
    "an intent that allows a creation for ever": {"intent": Intent((), datetime(2026, 1, 1, tzinfo=UTC), (), 1e300)},
    "attempts": {"intent": Intent((), datetime(2026, 1, 1, tzinfo=UTC), (FAR,) * 9)},
    "an epoch": {"epoch": 2**63 - 1},
    "a delivery": {"delivered": {"ssm:/copies/ci": Delivery("X", FAR, "1")}},
    "a destination that was forgotten": {"forgotten": FAR},
}


@pytest.mark.parametrize("what", DELAYS)
@pytest.mark.parametrize("store", STORES)
def test_blocks_no_user_until_2099(rig: Rig, store: str, what: str) -> None:
    rig.store_url = store
    rig.aws.make_user("ci", keys=0)
    for _ in range(2):
        rig.rotate()
        rig.later(days=15)
    forge(rig, **DELAYS[what])
    result = rig.rotate(wait=False)
    assert result.outcome in (Outcome.ROTATED, Outcome.COMPLETED), result.message
    journal = rig.record().journal
    assert (journal.lease, journal.intent) == (None, None)
    assert journal.committed
    assert journal.committed < FAR


@pytest.mark.parametrize("field", ["removed", "retiring"])
def test_hides_no_key_until_2099(rig: Rig, field: str) -> None:
    """LAST would be missing from the list, and another key would be created although there are two."""
    rig.aws.make_user("ci", keys=0)
    for _ in range(2):
        last = rig.rotate().last
        rig.later(days=15)
    forge(rig, **{field: {last: FAR if field == "removed" else Retiring(FAR)}})
    result = rig.rotate()
    assert (result.outcome, result.removed) == (Outcome.ROTATED, (last,))


def test_with_a_grace_beyond_all_measure_says_what_holds_the_rotation_up(rig: Rig) -> None:
    rig.aws.make_user("ci", keys=0)
    for _ in range(2):
        last = rig.rotate().last
        rig.later(days=15)
    forge(rig, graces={last: timedelta.max})
    refused = rig.rotate()
    assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.GRACE)
    assert "1000d" in refused.message
    assert rig.rotate(ignore_last_use=True).outcome is Outcome.ROTATED


@pytest.mark.parametrize("text", ["{}", "[]", '{"committed": "2026-11-21T12:00:00"}', '{"version": 9}'])
def test_that_is_none_of_twokeys_is_refused_or_says_nothing(rig: Rig, text: str) -> None:
    rig.store_url = STORES[1]
    rig.aws.make_user("ci", keys=0)
    rig.rotate()
    rig.later(days=15)
    value = f'{{"twokey-journal": {text}}}'
    rig.aws.client("ssm").put_parameter(
        Name="/machine-users/ci.twokey-journal", Value=value, Type="String", Overwrite=True
    )
    result = rig.rotate()
    assert result.outcome is (Outcome.ROTATED if text == "{}" else Outcome.REFUSED)


def test_without_permission_to_see_last_uses_has_nothing_removed(rig: Rig) -> None:
    """IAM denies the last use of a deleted key, too: only another key shows which of the two it is."""
    rig.aws.make_user("ci", keys=0)
    current = rig.rotate().current
    rig.later(days=15)
    theirs: str = rig.aws.client("iam").create_access_key(UserName="ci")["AccessKey"]["AccessKeyId"]
    rig.aws.age_key(theirs, 3 * DAY)
    forge(rig, removed={theirs: rig.aws.now() - HOUR})
    rig.aws.weather.add(
        Rule(
            "iam:GetAccessKeyLastUsed",
            times=None,
            effect="error_before",
            status=403,
            code="AccessDenied",
            message="User is not authorized to perform: iam:GetAccessKeyLastUsed",
        )
    )
    refused = rig.rotate()
    assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.UNREADABLE)
    assert set(rig.ids()) == {theirs, current}
