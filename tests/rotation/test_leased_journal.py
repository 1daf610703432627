"""The fences: a run that lost its lease without noticing writes nothing that anybody sees.

Its own clock does not tell it: the machine stood still, and the clock with it. Only the store can refuse.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from twokey.core.errors import Conflict
from twokey.core.journal import Intent, Lease
from twokey.core.reasons import Outcome, Reason
from twokey.core.secret import Credential
from twokey.rotation.leased_journal import LeasedJournal

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

STORES: tuple[str, ...] = (
    "secretsmanager:machine-users/{user}",
    "ssm:/machine-users/{user}",
    "file:{folder}/{user}.json",
)
LOCKED = f"{STORES[1]} with a lock"
CONDITIONAL = (STORES[0], STORES[2], LOCKED)
STORES = (*STORES, LOCKED)


def use(rig: Rig, store: str, folder: Path) -> None:
    rig.store_url = store.replace("{folder}", str(folder)).removesuffix(" with a lock")
    if store == LOCKED:
        rig.lock()


def frozen(rig: Rig, store: str, folder: Path) -> LeasedJournal:
    """Return the ledger of a run that took its lease and then stood still until that was over."""
    use(rig, store, folder)
    rig.aws.make_user("ci", keys=0)
    rig.rotate()
    rig.later(days=15)
    _, world = rig.world(run="frozen")
    ledger = LeasedJournal.take(world.store, world.clock, "frozen", "AIDACI", world.store.load())
    rig.later(minutes=4)
    return ledger


@pytest.mark.parametrize("store", STORES)
def test_its_journal_is_refused(rig: Rig, store: str, tmp_path: Path) -> None:
    ledger = frozen(rig, store, tmp_path)
    assert rig.rotate(run="other").outcome is Outcome.ROTATED
    recorded = rig.record().journal
    with pytest.raises(Conflict):
        ledger.write(last="AKIAIOSFODNN7EXAMPLE")
    assert rig.record().journal == recorded


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(("seconds", "believed"), [(235, True), (245, False), (70 * 365 * 86_400, False)])
def test_a_lease_longer_than_any_is_not_believed(
    rig: Rig, store: str, seconds: float, tmp_path: Path, *, believed: bool
) -> None:
    """Three minutes, and one by which two clocks may differ: who can write the journal alone blocks no user."""
    use(rig, store, tmp_path)
    rig.aws.make_user("ci", keys=0)
    rig.rotate()
    rig.later(days=15)
    record = rig.record()
    until = rig.aws.now() + timedelta(seconds=seconds)
    lease = Lease(run="forged", host="elsewhere", process=1, start="1", until=until)
    rig.store().save_journal(msgspec.structs.replace(record.journal, lease=lease), record.revision)
    result = rig.rotate(wait=False)
    assert (result.reason is Reason.LEASE_HELD) == believed
    assert (result.outcome is Outcome.ROTATED) != believed


@pytest.mark.parametrize("store", STORES)
def test_its_credential_is_refused(rig: Rig, store: str, tmp_path: Path) -> None:
    ledger = frozen(rig, store, tmp_path)
    current = rig.rotate(run="other").current
    with pytest.raises(Conflict):
        ledger.put(Credential("AKIAIOSFODNN7EXAMPLE", "no secret"))
    assert rig.held() == current


@pytest.mark.parametrize("store", CONDITIONAL)
def test_its_key_is_refused_from_the_moment_that_it_is_removed_as_a_stray(rig: Rig, store: str, tmp_path: Path) -> None:
    ledger = frozen(rig, store, tmp_path)
    before = rig.held()
    ledger.write(intent=Intent((before,), rig.aws.now()))
    answer = rig.aws.client("iam").create_access_key(UserName="ci")["AccessKey"]
    rig.later(minutes=4)
    assert rig.killed_at("remove orphan", "done", run="other")
    assert rig.ids() == [before]
    with pytest.raises(Conflict):
        ledger.put(Credential(answer["AccessKeyId"], answer["SecretAccessKey"]))
    assert rig.held() == before
