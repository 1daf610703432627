"""The log of a revocation: the leaked key may be deleted while it is held, but only as the journal says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from audit_log.doctor import Log, replace
from simulation import revoking
from simulation.play import outside_of, virtual_leases
from simulation.world import USER, copy_of
from twokey.audit_log.log import AuditLog
from twokey.audit_log.records import Begin, Observed
from twokey.audit_log.trail import Trail
from twokey.planning.plan import Overrides
from twokey.revocation.contain import contain
from twokey.revocation.decision import Leak
from twokey.revocation.revoke import revoke

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.core.journal import Journal


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """Return the log of a revocation in which the leaked key makes room, for LAST is in its grace."""
    case = revoking.Case(revoking.FRESH, ("K2",), delete=True, rotates=False)
    start, policy = revoking.start_of(case, 2)
    file, world = tmp_path / "audit.log", copy_of(start)
    written = AuditLog.open(file)
    with virtual_leases(world):
        outside = outside_of(world, "run")
        recorded = Trail(written, "run", outside.clock).watch(USER, policy, Overrides(), outside)
        done = contain(USER.name, "K2", outside.iam, outside.clock)
        result = revoke(USER, policy, recorded, Leak({"K2": done.at}, delete=True), [done])
    written.close()
    assert result.outcome == "revoked", result
    return Log(file, file.read_bytes().splitlines(keepends=True))


def violated(log: Log) -> str:
    """Return what is wrong with the deletion of the leaked key."""
    number = log.find("run", Begin, effect="delete", key="K2")
    return " ".join(one.message for one in log.verified().findings if one.line == number)


def test_it_breaks_no_rule(log: Log) -> None:
    assert not log.verified().findings


def test_a_key_that_the_journal_does_not_call_revoked_is_not_deleted_while_it_is_held(log: Log) -> None:
    log.journals("run", lambda journal: replace(journal, revoked={}))
    assert "which second, store holds or may hold" in violated(log)


def test_nor_one_that_the_operator_keeps(log: Log) -> None:
    def kept(journal: Journal) -> Journal:
        return replace(journal, revoked={key: replace(one, until=None) for key, one in journal.revoked.items()})

    log.journals("run", kept)
    assert "which second, store holds or may hold" in violated(log)


def test_nor_one_that_is_active(log: Log) -> None:
    def on(one: Any) -> Any:
        if not isinstance(one, Observed) or not one.keys:
            return one
        return replace(one, keys=tuple(replace(key, active=True) for key in one.keys))

    log.forge([on(one) for one in log.records])
    assert "which second, store holds or may hold" in violated(log)
