"""IAM, the store and the destinations, read into one observation. Writes nothing."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from twokey.core import waiting
from twokey.core.destination import holding_of, record_of
from twokey.core.errors import (
    AccessDenied,
    BadCredentials,
    NotFound,
    Refused,
    ServiceError,
    TwokeyError,
    UsageError,
    foreseen,
    unforeseen,
)
from twokey.core.identities import recognized
from twokey.core.model import CannotTell, LastUse, Observation
from twokey.core.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from twokey.core.destination import CanSayWhatItHolds, Destination, Store
    from twokey.core.model import Holding, MachineUser, Record
    from twokey.core.ports import Iam


def observe(
    user: MachineUser,
    iam: Iam,
    store: Store,
    destinations: Sequence[Destination],
    own_key: str = "",
    identities: Mapping[str, str] = MappingProxyType({}),
    load: Callable[[], Record] | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Observation:
    """Read all that a decision depends on. ``load`` reads the store in another way, such as under the lease.

    ``meanwhile`` is called before each destination is read, and while one waits for its service: hundreds of them take
    longer than a lease lasts. What it raises propagates. ``identities`` are those of the destinations: the journal is
    returned with the names that its deliveries have in this run.

    IAM first, the store second: if another run finishes in between, the store shows a key that the list lacks, and we
    look again under the lease. In the opposite order, the list would show a key that nothing explains.

    Raises ``Refused`` (unreadable) if the list or the store cannot be read, and ``BadCredentials`` or
    ``NotFound`` (no such user) as they are.
    """
    try:
        keys = iam.keys(user.name)
    except (BadCredentials, NotFound):
        raise
    except ServiceError as error:
        raise unreadable(error) from None
    try:
        with foreseen(store.name):  # such as a response that its service does not document
            record = record_of(load or store.load)
    except BadCredentials:
        raise
    except ServiceError as error:
        raise unreadable(error) from None
    return Observation(
        user=user,
        keys=keys,
        store=store.name,
        record=replace(record, journal=recognized(record.journal, identities)),
        destinations={destination.name: holding(destination, meanwhile) for destination in destinations},
        own_key=own_key,
    )


class ObservationChanged(Exception):
    """A key was deleted between two reads: look again."""


def with_last_use(observation: Observation, iam: Iam, key_ids: Sequence[str]) -> Observation:
    """Add when these keys were last used.

    Raises ``Refused`` (unreadable) if IAM does not tell, ``ObservationChanged`` if that is because a key, or the
    user, has been deleted meanwhile, and ``BadCredentials`` as they are.
    """
    try:
        found = {key_id: _last_use(key_id, observation, iam) for key_id in key_ids}
    except BadCredentials:
        raise
    except ServiceError as error:
        if _gone(observation, iam):
            raise ObservationChanged from None
        raise unreadable(error) from None
    return replace(observation, last_used={**observation.last_used, **found})


def _last_use(key_id: str, observation: Observation, iam: Iam) -> LastUse:
    """Return when a key was last used.

    IAM denies this for a key that does not exist. So of a key that was deleted, and that a lagging list still shows,
    nothing is known, provided that IAM tells it of another key: then the permission is not what is missing.
    """
    removed = observation.record.journal.removed
    try:
        return iam.last_use(key_id)
    except (AccessDenied, NotFound):
        others = [key.id for key in observation.keys if key.id not in removed]
        if key_id not in removed or not others:
            raise
        iam.last_use(others[-1])
        return LastUse(None)


def _gone(observation: Observation, iam: Iam) -> bool:
    """Say whether a key that was observed is no longer listed."""
    try:
        listed = iam.keys(observation.user.name)
    except BadCredentials:
        raise
    except NotFound:
        return True
    except ServiceError as error:
        raise unreadable(error) from None
    return bool({key.id for key in observation.keys} - {key.id for key in listed})


def unreadable(error: ServiceError) -> Refused:
    """Return the refusal that an unreadable list or store means: unknown is never the same as empty."""
    return Refused(Reason.UNREADABLE, error.message, state="Nothing was changed.", remedy=error.remedy)


def holding(destination: CanSayWhatItHolds, meanwhile: Callable[[], None] = lambda: None) -> Holding:
    """Return which key a destination holds; if that cannot be read, for whatever reason, it is unknown.

    ``meanwhile``: see ``observe``.
    """
    meanwhile()
    try:
        with waiting.during(lambda _left: meanwhile()):
            return holding_of(destination)
    except (ServiceError, UsageError) as error:  # such as a file of CA certificates that is gone by now
        return CannotTell(f"{error.message} {error.remedy}".rstrip(), failed=True)
    except TwokeyError:
        raise
    except Exception as error:  # noqa: BLE001  one destination's failure, whatever it is, stops no other
        return CannotTell(unforeseen(destination.name, error).message, failed=True)
