"""Checks before anything irreversible: whether the writes to come are allowed. Nothing is changed here."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.core import durations, lifetime, waiting
from twokey.core.errors import Refused, ServiceError, UsageError, foreseen
from twokey.core.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from twokey.core.destination import Destination, Store
    from twokey.core.journal import Journal
    from twokey.core.model import MachineUser
    from twokey.core.ports import Iam, Sts
    from twokey.planning.policy import Verification

UNTOUCHED = "Nothing was changed."
TO_CREATE = timedelta(minutes=1)
"""How long the removal of LAST and the creation of a key may take (``creation.FRESH``, and the request itself)."""
TO_STORE = timedelta(minutes=1)
"""How long the write to the store may take. What follows can be finished by another run."""


def room_for(store: Store, journal: Journal) -> None:
    """Prove that the store can hold a journal as long as this one; raises ``Refused``."""
    with _refusing(), foreseen(store.name):
        store.room_for(journal)


def store_writable(store: Store) -> None:
    """Prove, as well as it can, that the store can be written; raises ``Refused``."""
    with _refusing(), foreseen(store.name):
        store.preflight()


def destinations_writable(destinations: Iterable[Destination], meanwhile: Callable[[float], None]) -> None:
    """Prove the same for each destination, which ``Refused`` names; ``meanwhile`` keeps the lease."""
    for destination in destinations:
        meanwhile(0.0)
        with _refusing(f"{destination.name}: "), waiting.during(meanwhile), foreseen(destination.name):
            destination.preflight()


@contextmanager
def outlasting(verification: Verification, sts: Sts) -> Iterator[None]:
    """Refuse credentials that end before the key is stored, twokey's own and those of the destinations in the block."""
    seconds = (TO_CREATE + verification.timeout + TO_STORE).total_seconds()
    with lifetime.needing(seconds):
        with _refusing():
            lifetime.refuse_short(
                "The AWS session that twokey runs with",
                sts.credentials_left(),
                f"Run again with a session that lasts longer. A key needs up to {durations.show(TO_CREATE)} to be "
                f"created, {durations.show(verification.timeout)} to be verified and {durations.show(TO_STORE)} to be "
                "stored; LAST is removed before that.",
            )
        yield


def regions_usable(sts: Sts, regions: Iterable[str]) -> None:
    """Raise ``Refused`` for a region in which no key could be verified."""
    for region in regions:
        with _refusing():
            sts.reach(region)


def keys_creatable(iam: Iam, user: MachineUser) -> None:
    """Raise ``Refused`` if IAM says that no key could be created for this user."""
    if iam.may_create(user) is False:
        raise Refused(
            Reason.PREFLIGHT,
            f"Access denied: iam:CreateAccessKey on {user.arn}.",
            state=UNTOUCHED,
            remedy="Allow iam:CreateAccessKey on this user for the principal that runs twokey.",
        )


@contextmanager
def _refusing(prefix: str = "") -> Iterator[None]:
    """Turn an error of a service into a refusal; ``prefix`` names the destination, if it is not AWS.

    An error on this machine that shows only when a service is called, such as a missing file, becomes one too.
    """
    try:
        yield
    except (ServiceError, UsageError) as error:
        message = prefix + error.message.removeprefix(prefix)  # some messages name the destination themselves
        raise Refused(Reason.PREFLIGHT, message, state=UNTOUCHED, remedy=error.remedy) from None
