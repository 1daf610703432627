"""What happens to a world before or during a run, and how calls end."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from simulation.world import START
from twokey.core import waiting
from twokey.core.destination import Receipt
from twokey.core.errors import (
    AccessDenied,
    Ambiguous,
    BadCredentials,
    Conflict,
    NotFound,
    Refused,
    ServiceRejected,
    Stopped,
    UsageError,
)
from twokey.core.journal import Delivery, Intent, Journal, Lease, Retiring, Revoked
from twokey.core.reasons import Reason

if TYPE_CHECKING:
    from simulation.world import World


def stay(_world: World) -> None:
    """Nothing happens."""


def take_out(world: World) -> None:
    """Let the other destinations be no longer configured: one received CURRENT, and one LAST; both are open."""
    journal = Journal.decode(world.journal)
    delivered = {"second": Delivery("K2", journal.committed or START), "third": Delivery("K1", START)}
    journal = msgspec.structs.replace(journal, delivered=delivered, delivering=("second", "third"))
    world.journal, world.elsewhere = journal.encode(), frozenset({"second", "third"})


def wait(world: World) -> None:
    """Let destinations wait for their service's limit: for less than is worth a report, for longer, and very long."""
    world.waits = {"p1": 9.0, "p2": 12.0, "p3": 120.0, "p4": 61.0}


def the_operator_copies_the_key(world: World) -> None:
    world.held["second"] = world.held["store"]


def the_store_goes(world: World) -> None:
    world.deleted = {"store"}


def the_project_goes(world: World) -> None:
    world.deleted = {"second"}


def _changed(world: World, **changes: Any) -> None:
    world.journal = msgspec.structs.replace(Journal.decode(world.journal), **changes).encode()


def held_by_another_run(world: World) -> None:
    _changed(world, lease=Lease("two", "elsewhere boot pid", 7, "1", START + timedelta(seconds=40)))


def a_moment_ago(world: World) -> None:
    intent = Journal.decode(world.journal).intent
    assert intent is not None
    _changed(world, intent=msgspec.structs.replace(intent, at=START - timedelta(seconds=5)))


def another_run_writes(world: World) -> None:
    world.journal_revision += 1


def another_run_takes_over(world: World) -> None:
    _changed(world, epoch=9)
    world.journal_revision += 1


def the_operator_deletes_last(world: World) -> None:
    del world.keys["K1"]


def the_operator_writes_last_back(world: World) -> None:
    world.held["store"] = "K1"
    world.credential_revision += 1


def the_new_key_is_made_inactive(world: World) -> None:
    world.keys["N1"].active = False


def the_new_key_goes(world: World) -> None:
    del world.keys["N1"]


def the_store_is_emptied(world: World) -> None:
    world.held["store"] = ""
    world.credential_revision += 1


def the_store_turns_silent(world: World) -> None:
    world.telling["store"] = False


def something_stores_the_new_key(world: World) -> None:
    world.held["store"] = "N1"


def held_by_this_run(world: World) -> None:
    _changed(world, lease=Lease("run 0", "elsewhere boot pid", 7, "1", START + timedelta(seconds=40)))


def held_for_long(world: World) -> None:
    """Let another run have renewed its lease while this one slept."""
    _changed(world, lease=Lease("two", "elsewhere boot pid", 7, "1", START + timedelta(seconds=760)))


def recently_removed(world: World) -> None:
    _changed(world, removed={"K1": START - timedelta(seconds=5)})


def moved(world: World) -> None:
    _changed(world, moved="elsewhere")


def arriving(world: World) -> None:
    _changed(world, arriving="elsewhere")


def denied() -> Exception:
    return AccessDenied("service:Action", "a resource")


def rejected() -> Exception:
    return ServiceRejected("The service declined.", remedy="Ask it.")


def missing() -> Exception:
    return NotFound("There is no such thing.")


def expired() -> Exception:
    return BadCredentials("The token has expired.")


def in_doubt() -> Exception:
    return Ambiguous("The service did not respond.")


def unusable() -> Exception:
    return UsageError("The file ca.pem does not exist.", remedy="Create it.")


def a_defect() -> Exception:
    return KeyError("defect")


def stopped() -> Exception:
    return Stopped("The run was stopped.", state="", remedy="Run again.")


def no_keys() -> object:
    return ()


def nothing() -> object:
    return None


def no() -> object:
    return False


def without_conditions(world: World) -> None:
    world.conditional = False


def orphaned_before(world: World) -> None:
    """Let the journal and the configuration name a destination that received a key of long ago."""
    _changed(world, delivered={"third": Delivery("K0", START - timedelta(days=40))})
    world.elsewhere = frozenset({"third"})


def soaking(world: World) -> None:
    """Let LAST be Inactive for a day, and a key of long ago be recorded as such, too; ``second`` holds no key."""
    world.keys["K1"].active, world.keys["K1"].inactive_since = False, START - timedelta(days=1)
    retiring = {"K0": Retiring(START - timedelta(days=9)), "K1": Retiring(START - timedelta(days=1))}
    _changed(world, retiring=retiring, committed=START - timedelta(days=3))
    world.held["second"] = ""


def soaked_before(world: World) -> None:
    _changed(world, retiring={"K0": Retiring(START - timedelta(days=9))})


def forgotten_long_ago(world: World) -> None:
    _changed(world, forgotten=START - timedelta(days=20))


def in_doubt_before(world: World) -> None:
    """Let each delivery have been in doubt, and another program have written there before."""
    delivered = Journal.decode(world.journal).delivered
    _changed(world, delivered={name: replace(one, doubt=2, rewritten=1) for name, one in delivered.items()})


def after_a_hook(world: World) -> None:
    _changed(world, hook="K2")


def stands_still_between_two_values(world: World) -> None:
    """Let the process stand still right after the first value of a pair."""

    def judge(world: World, what: str, _key: str) -> None:
        if what == "deliver to p1":
            world.now += timedelta(seconds=200)

    world.judge = judge


def claims_nothing() -> Exception:
    return ServiceRejected("The service declined.", state="Nothing was changed.", remedy="Ask it.")


def claims_nothing_only() -> Exception:
    return ServiceRejected("The service declined.", state="Nothing was changed.")


def refused() -> Exception:
    return Refused(Reason.PREFLIGHT, "The session of this destination ends too soon.")


def holds_current_elsewhere(world: World) -> None:
    """Let ``second`` be no longer configured; it has held CURRENT since the commit."""
    _changed(world, delivered={"second": Delivery("K2", Journal.decode(world.journal).committed or START)})
    world.elsewhere = frozenset({"second"})


def committed_lately(world: World) -> None:
    _changed(world, committed=START - timedelta(days=1))


def committed_lately_with_a_hook_due(world: World) -> None:
    _changed(world, committed=START - timedelta(days=1), hook="K2")


def names_a_key_that_is_gone(world: World) -> None:
    _changed(world, committed=START - timedelta(days=1), current="K5")
    world.keys["K2"].created = START - timedelta(days=1)


def soaking_in_vain(world: World) -> None:
    """Let an operator have made LAST Active again."""
    soaking(world)
    world.keys["K1"].active = True


def held_from_the_future(world: World) -> None:
    """Let another run's clock be ahead: its lease is not believed yet."""
    _changed(world, lease=Lease("two", "elsewhere boot pid", 7, "1", START + timedelta(seconds=250)))


def an_intent_appears(world: World) -> None:
    _changed(world, intent=Intent(("K1", "K2"), world.now))


def committed_long_ago(world: World) -> None:
    _changed(world, committed=START - timedelta(days=16))


def open_before(world: World) -> None:
    """Let deliveries of CURRENT have been interrupted."""
    _changed(world, committed=START - timedelta(days=1), delivering=("p1", "p4"))


def stamps_unknown(world: World) -> None:
    """Let one delivery be recorded without a stamp, and another destination show none any more."""
    delivered = Journal.decode(world.journal).delivered
    _changed(world, delivered={**delivered, "p4": replace(delivered["p4"], stamp="")})
    del world.stamps["p1"]


def removed_before(world: World) -> None:
    """Let the journal remember as many deletions as it can."""
    _changed(world, removed={f"X{number}": START - timedelta(days=1) for number in range(4)})


def received_although_the_lease_is_over() -> object:
    """Let a destination keep the end of the lease to itself."""
    with suppress(Conflict):
        waiting.before_effect()
    return Receipt("N1", written=True)


def received_current(world: World) -> None:
    """Let a user with one key have been managed before."""
    journal = Journal(epoch=3, user="AIDACI", current="K1", committed=START - timedelta(days=16))
    world.journal = replace(journal, delivered={"second": Delivery("K1", START - timedelta(days=16))}).encode()


def revoked(world: World, *key_ids: str) -> None:
    """Let keys have been revoked, and two that no longer exist: one within a day, one long ago."""
    at = START - timedelta(hours=36)
    gone = {"K8": Revoked(START - timedelta(hours=20), None), "K9": Revoked(START - timedelta(hours=36), None)}
    _changed(world, revoked={**{key_id: Revoked(at, START + timedelta(days=7)) for key_id in key_ids}, **gone})
    for key_id in key_ids:
        world.keys[key_id].active = False


def last_revoked(world: World) -> None:
    revoked(world, "K1")


def current_revoked(world: World) -> None:
    revoked(world, "K2")


def both_revoked(world: World) -> None:
    revoked(world, "K1", "K2")
