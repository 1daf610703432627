"""IAM, STS, store and destinations as the engine uses them; everything that passes through is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.audit_log import records
from twokey.core.destination import holding_of, record_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.audit_log.recorder import Recorder
    from twokey.core.destination import Destination, Receipt, Store
    from twokey.core.journal import Journal
    from twokey.core.model import AccessKey, Deactivation, Holding, LastUse, MachineUser, Record
    from twokey.core.ports import Iam, Sts
    from twokey.core.secret import Credential


class RecordingIam:
    """IAM for one user; records its effects."""

    def __init__(self, iam: Iam, recorder: Recorder) -> None:
        self._iam = iam
        self._recorder = recorder

    def keys(self, user: str) -> tuple[AccessKey, ...]:
        keys = self._iam.keys(user)
        self._recorder.read.keys = tuple(records.ListedKey(key.id, key.active, key.created) for key in keys)
        return keys

    def last_use(self, key_id: str) -> LastUse:
        use = self._iam.last_use(key_id)
        self._recorder.read.last_used[key_id] = use.at
        return use

    def may_create(self, user: MachineUser) -> bool | None:
        return self._iam.may_create(user)

    def create_key(self, user: str, just_before: Callable[[], None] = lambda: None) -> tuple[AccessKey, Credential]:
        just_before()  # an effect that must not begin gets no line
        with self._recorder.effect("create") as created:
            key, credential = self._iam.create_key(user, just_before)
            created.key, created.at = key.id, key.created
        return key, credential

    def deactivate_key(self, user: str, key_id: str) -> Deactivation:
        with self._recorder.effect("deactivate", key_id):
            return self._iam.deactivate_key(user, key_id)

    def delete_key(self, user: str, key_id: str) -> bool:
        with self._recorder.effect("delete", key_id):
            return self._iam.delete_key(user, key_id)


class RecordingSts:
    """STS; records the proofs of keys."""

    def __init__(self, sts: Sts, recorder: Recorder) -> None:
        self._sts = sts
        self._recorder = recorder

    def identity_of(self, credential: Credential, region: str | None = None) -> tuple[str, str] | None:
        identity = None
        try:
            identity = self._sts.identity_of(credential, region)
        finally:
            self._recorder.proved(credential.access_key_id, identity)
        return identity

    def credentials_left(self) -> float:
        return self._sts.credentials_left()

    def reach(self, region: str) -> None:
        self._sts.reach(region)


class RecordingDestination:
    """A destination; records what it holds and its deliveries."""

    def __init__(self, destination: Destination, recorder: Recorder) -> None:
        self._destination = destination
        self._recorder = recorder
        self.name = destination.name
        self.traits = destination.traits

    def held(self) -> Holding:
        self._recorder.read.holds[self.name] = None  # unknown if reading fails
        holding = holding_of(self._destination)
        self._recorder.held(self.name, holding)
        return holding

    def deliver(self, credential: Credential) -> Receipt:
        with self._recorder.effect("deliver", credential.access_key_id, self.name):
            return self._destination.deliver(credential)

    def preflight(self) -> None:
        self._destination.preflight()


class RecordingStore(RecordingDestination):
    """A store; records its writes."""

    def __init__(self, store: Store, recorder: Recorder) -> None:
        super().__init__(store, recorder)
        self._store = store

    def load(self) -> Record:
        record = record_of(self._store.load)
        self._recorder.loaded(self.name, record)
        return record

    def credential(self) -> Credential | None:
        return self._store.credential()

    def room_for(self, journal: Journal) -> None:
        self._store.room_for(journal)

    def save_journal(self, journal: Journal, revision: object) -> object:
        self._recorder.writes_journal(self.name, journal)
        with self._recorder.effect("journal", destination=self.name, journal=journal):
            return self._store.save_journal(journal, revision)

    def put(self, credential: Credential, revision: object) -> object:
        with self._recorder.effect("store", credential.access_key_id, self.name):
            return self._store.put(credential, revision)

    def fence(self, revision: object) -> object:
        with self._recorder.effect("fence", destination=self.name):
            return self._store.fence(revision)
