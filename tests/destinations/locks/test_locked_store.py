"""Parameter Store with a lock: what the lock keeps from it, and what it does not change."""

from __future__ import annotations

import contextvars
import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from destinations.locks.test_locks import LEASE, make_places
from support.store_faults import denied, whole_cycle
from twokey.core import waiting
from twokey.core.errors import AccessDenied, Ambiguous, Conflict, ServiceRejected
from twokey.core.journal import Journal
from twokey.core.model import Held, NotHeld
from twokey.destinations.locks.locked_store import LockedStore
from twokey.destinations.locks.registry import locked
from twokey.destinations.registry import Services, open_store
from twokey.destinations.stores.secretsmanager import SecretsManager
from twokey.emulator import Emulator, Rule
from twokey.system.safe_files import Directory
from twokey.testing.stores import FULL, fresh_credential, fresh_name, outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from twokey.core.destination import Store

MINE, THEIRS = Journal(epoch=1, lease=LEASE), Journal(epoch=1, lease=msgspec.structs.replace(LEASE, run="r2"))


@pytest.fixture
def stores(aws: Emulator, administrator: Callable[[str], Any], services: Services) -> tuple[Store, Store, Store]:
    """Two runs with the lock, and one without."""
    make_places(administrator)
    name = fresh_name()
    first, second, plain = (open_store(f"ssm:/machine-users/{name}", services) for _ in range(3))
    aws.clear_requests()
    lock = f"dynamodb:locks/{name}"
    return locked(first, lock, services), locked(second, lock, services), plain


def puts(aws: Emulator) -> int:
    return aws.count("ssm:PutParameter")


def test_it_does_all_that_a_store_does(stores: tuple[Store, Store, Store]) -> None:
    store, _, plain = stores
    assert isinstance(store, LockedStore)
    assert (store.name, store.traits) == (plain.name, plain.traits)
    whole_cycle(store)
    assert (store.load().holding, store.load().journal) == (plain.load().holding, plain.load().journal)
    assert store.credential() == plain.credential()


def test_a_later_run_goes_on_from_what_the_lock_holds(stores: tuple[Store, Store, Store]) -> None:
    stores[0].save_journal(MINE, stores[0].load().revision)
    store, credential = stores[1], fresh_credential()
    revision = store.put(credential, store.load().revision)
    revision = store.fence(revision)
    assert store.load().journal == MINE, "a fence has the epoch and the lease that were there"
    revision = store.save_journal(THEIRS, revision)
    store.save_journal(FULL, store.put(credential, revision))
    assert (store.load().holding, store.load().journal) == (Held(credential.access_key_id), FULL)


def test_a_fence_keeps_the_epoch_and_the_lease_that_only_the_lock_has(
    aws: Emulator, stores: tuple[Store, Store, Store]
) -> None:
    first, second, _ = stores
    aws.weather.add(denied("ssm:PutParameter"))
    assert isinstance(outcome(lambda: first.save_journal(MINE, first.load().revision)), AccessDenied)
    second.fence(second.load().revision)
    assert second.load().journal == MINE


def test_what_the_store_would_refuse_is_refused_with_the_lock_too(
    stores: tuple[Store, Store, Store], administrator: Callable[[str], Any]
) -> None:
    store, _, plain = stores
    store.room_for(FULL)
    with pytest.raises(ServiceRejected, match="fewer destinations"):
        store.room_for(msgspec.structs.replace(FULL, hook="x" * 4096))
    store.preflight()
    administrator("ssm").put_parameter(Name=plain.name.partition(":")[2], Value="{}", Type="String")
    with pytest.raises(ServiceRejected, match="unencrypted"):
        store.preflight()


def test_a_revision_of_the_store_without_its_lock_is_a_defect(stores: tuple[Store, Store, Store]) -> None:
    store, _, plain = stores
    for write in (
        store.fence,
        lambda seen: store.put(fresh_credential(), seen),
        lambda seen: store.save_journal(FULL, seen),
    ):
        with pytest.raises(TypeError):
            write(plain.load().revision)


def test_of_two_runs_at_the_same_moment_one_writes_nothing(aws: Emulator, stores: tuple[Store, Store, Store]) -> None:
    for _ in range(2):
        first, second, plain = stores
        revisions = first.load().revision, second.load().revision
        first.save_journal(MINE, revisions[0])
        before = puts(aws)
        with pytest.raises(Conflict, match="has taken the lock"):
            second.save_journal(THEIRS, revisions[1])
        assert puts(aws) == before
        assert plain.load().journal == MINE


def test_a_run_that_was_overtaken_publishes_nothing(aws: Emulator, stores: tuple[Store, Store, Store]) -> None:
    first, second, _ = stores
    paused = first.save_journal(MINE, first.load().revision)
    current = fresh_credential()
    second.put(current, second.save_journal(THEIRS, second.load().revision))
    before = puts(aws)
    for write in (
        lambda: first.put(fresh_credential(), paused),
        lambda: first.save_journal(MINE, paused),
        lambda: first.fence(paused),
    ):
        assert isinstance(outcome(write), Conflict)
    assert puts(aws) == before
    assert second.held() == Held(current.access_key_id)


def test_a_fence_ends_what_another_run_has_prepared(aws: Emulator, stores: tuple[Store, Store, Store]) -> None:
    first, second, _ = stores
    prepared = first.load().revision
    second.fence(second.load().revision)
    assert second.load().journal == Journal()
    before = puts(aws)
    assert isinstance(outcome(lambda: first.put(fresh_credential(), prepared)), Conflict)
    assert puts(aws) == before


@pytest.mark.parametrize("what", ["put", "save_journal"])
def test_the_lock_is_read_right_before_the_request_leaves(
    aws: Emulator, stores: tuple[Store, Store, Store], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The other run takes over after this one has compared what it is about to overwrite."""
    first, second, plain = stores
    revision = first.put(fresh_credential(), first.save_journal(MINE, first.load().revision))
    write = type(plain)._write  # type: ignore[attr-defined]

    def late(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(type(plain), "_write", write)
        # In a context of its own, as in another process.
        contextvars.Context().run(lambda: second.save_journal(THEIRS, second.load().revision))
        aws.clear_requests()
        return write(*arguments, **named)

    monkeypatch.setattr(type(plain), "_write", late)
    acts: dict[str, Callable[[], object]] = {
        "put": lambda: first.put(fresh_credential(), revision),
        "save_journal": lambda: first.save_journal(FULL, revision),
    }
    assert isinstance(outcome(acts[what]), Conflict)
    assert puts(aws) == 0
    assert plain.load().journal == THEIRS


def test_the_lock_is_read_right_before_the_fence_of_the_store(
    services: Services, administrator: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_places(administrator)
    name = fresh_name()
    first, second = (
        locked(open_store(f"secretsmanager:{name}", services), f"s3:locks/{name}", services) for _ in range(2)
    )
    current = fresh_credential()
    revision = first.put(current, first.save_journal(MINE, first.load().revision))
    fence = SecretsManager.fence

    def late(store: SecretsManager, seen: object) -> object:
        monkeypatch.setattr(SecretsManager, "fence", fence)
        contextvars.Context().run(lambda: second.save_journal(THEIRS, second.load().revision))
        return fence(store, seen)

    monkeypatch.setattr(SecretsManager, "fence", late)
    with pytest.raises(Conflict, match=r"\(process 42 on h\) has taken the lock"):
        first.fence(revision)
    assert second.load().journal == THEIRS
    second.fence(second.load().revision)


def test_what_else_forbids_the_request_is_looked_at_after_the_lock(
    aws: Emulator, stores: tuple[Store, Store, Store]
) -> None:
    """Reading the lock takes time, and the lease may end meanwhile."""
    store = stores[0]
    revision = store.save_journal(MINE, store.load().revision)
    aws.clear_requests()
    seen: list[int] = []
    with waiting.during(lambda _: None, lambda: seen.append(aws.count("dynamodb:GetItem"))):
        store.put(fresh_credential(), revision)
    assert seen == [1]


def test_a_lock_that_was_deleted_lets_no_request_leave(
    aws: Emulator, stores: tuple[Store, Store, Store], administrator: Callable[[str], Any]
) -> None:
    store = stores[0]
    revision = store.save_journal(MINE, store.load().revision)
    before = puts(aws)
    key = {"LockID": {"S": store.name.rpartition("/")[2]}}
    administrator("dynamodb").delete_item(TableName="locks", Key=key)
    assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), Conflict)
    assert puts(aws) == before


def test_a_lock_that_cannot_be_read_lets_no_request_leave(aws: Emulator, stores: tuple[Store, Store, Store]) -> None:
    store = stores[0]
    revision = store.save_journal(MINE, store.load().revision)
    before = puts(aws)
    aws.weather.add(denied("dynamodb:GetItem"))
    assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), AccessDenied)
    assert puts(aws) == before


@pytest.mark.parametrize("taken", [True, False])
def test_a_refused_write_after_the_lock_leaves_the_run_its_lock(
    aws: Emulator, stores: tuple[Store, Store, Store], *, taken: bool
) -> None:
    store = stores[0]
    revision = store.load().revision
    if taken:
        revision = store.save_journal(MINE, revision)
    aws.weather.add(denied("ssm:PutParameter"))
    assert isinstance(outcome(lambda: store.save_journal(FULL, revision)), AccessDenied)
    store.save_journal(FULL, revision)
    assert store.load().journal == FULL


@pytest.mark.parametrize("effect", ["lost_response", "error_before"])
def test_a_lock_in_doubt_is_a_write_in_doubt(aws: Emulator, stores: tuple[Store, Store, Store], effect: str) -> None:
    store = stores[0]
    revision = store.load().revision
    aws.weather.add(Rule("dynamodb:PutItem", times=None, effect=effect))
    aws.weather.add(Rule("dynamodb:GetItem", times=None, effect="error_before"))
    assert isinstance(outcome(lambda: store.save_journal(MINE, revision)), Ambiguous)
    assert puts(aws) == 0


def test_the_locks_lease_counts_where_the_store_shows_an_earlier_journal(
    aws: Emulator, stores: tuple[Store, Store, Store]
) -> None:
    """A read of the store may lag, or a run may die between its two writes."""
    first, second, plain = stores
    first.save_journal(Journal(epoch=1, current="AKIAEXAMPLE000000001"), first.load().revision)
    aws.weather.add(denied("ssm:PutParameter"))
    later = Journal(epoch=2, lease=LEASE)
    assert isinstance(outcome(lambda: first.save_journal(later, first.load().revision)), AccessDenied)
    assert plain.load().journal.lease is None
    found = second.load().journal
    assert (found.epoch, found.lease, found.current) == (2, LEASE, "AKIAEXAMPLE000000001")


def test_an_earlier_lease_of_the_lock_does_not(stores: tuple[Store, Store, Store]) -> None:
    first, second, plain = stores
    first.save_journal(MINE, first.load().revision)
    plain.save_journal(Journal(epoch=1), plain.load().revision)
    assert second.load().journal.lease is None


def test_a_lock_of_another_program_is_refused(
    administrator: Callable[[str], Any], services: Services, aws: Emulator
) -> None:
    make_places(administrator)
    name = fresh_name()
    administrator("dynamodb").put_item(TableName="locks", Item={"LockID": {"S": name}, "Info": {"S": json.dumps({})}})
    store = locked(open_store(f"ssm:/{name}", services), f"dynamodb:locks/{name}", services)
    assert isinstance(outcome(store.load), ServiceRejected)
    assert puts(aws) == 0


def test_a_file_that_two_hosts_share_is_fenced_too(
    tmp_path: Path,
    aws: Emulator,
    administrator: Callable[[str], Any],
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the file system has no locks, each host compares, and both write."""
    make_places(administrator)
    lock = f"dynamodb:locks/{fresh_name()}"
    plain = open_store(f"file:{tmp_path}/ci.json", services)
    first, second = (locked(open_store(plain.name, services), lock, services) for _ in range(2))
    revision = first.save_journal(MINE, first.load().revision)
    write = type(plain)._write  # type: ignore[attr-defined]

    def late(*arguments: Any) -> Any:
        monkeypatch.setattr(type(plain), "_write", write)
        monkeypatch.setattr(Directory, "locked", lambda *_: nullcontext())
        contextvars.Context().run(lambda: second.save_journal(THEIRS, second.load().revision))
        return write(*arguments)

    monkeypatch.setattr(type(plain), "_write", late)
    assert isinstance(outcome(lambda: first.put(fresh_credential(), revision)), Conflict)
    assert plain.held() == NotHeld()
    assert plain.load().journal == THEIRS
