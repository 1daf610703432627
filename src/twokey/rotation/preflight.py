"""What is asked before anything irreversible: whether the writes to come are allowed. Nothing is changed here."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from twokey.core import waiting
from twokey.core.errors import Refused, ServiceError, TwokeyError, UsageError, unforeseen
from twokey.core.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from twokey.core.destination import Destination, Store
    from twokey.core.journal import Journal
    from twokey.core.model import MachineUser
    from twokey.core.ports import Iam

UNTOUCHED = "Nothing was changed."


def room_for(store: Store, journal: Journal) -> None:
    """Prove that the store can hold a journal as long as this one; raises ``Refused``."""
    with _refusing():
        store.room_for(journal)


def store_writable(store: Store) -> None:
    """Prove, as well as it can, that the store can be written; raises ``Refused``."""
    with _refusing():
        _foreseen(store)


def places_writable(places: Iterable[Destination], meanwhile: Callable[[float], None]) -> None:
    """Prove the same of each destination, which ``Refused`` names; ``meanwhile`` keeps the lease."""
    for place in places:
        meanwhile(0.0)
        with _refusing(f"{place.name}: "), waiting.during(meanwhile):
            _foreseen(place)


def keys_creatable(iam: Iam, user: MachineUser) -> None:
    """Raise ``Refused`` where IAM says that no key could be created for this user."""
    if iam.may_create(user) is False:
        raise Refused(
            Reason.PREFLIGHT,
            f"Access denied: iam:CreateAccessKey on {user.arn}.",
            state=UNTOUCHED,
            remedy="Allow it for the principal that runs twokey.",
        )


@contextmanager
def _refusing(who: str = "") -> Iterator[None]:
    """Turn what a service answers into a refusal; ``who`` says whose answer it is, where that is not AWS.

    So is what is wrong on this machine and shows only when a service is to be asked, such as a file that is gone.
    """
    try:
        yield
    except (ServiceError, UsageError) as error:
        raise Refused(Reason.PREFLIGHT, who + error.message, state=UNTOUCHED, remedy=error.remedy) from None


def _foreseen(place: Destination) -> None:
    """Ask a place whether it can be written; what it may not raise is an error of its own, too."""
    try:
        place.preflight()
    except TwokeyError:
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, nothing was begun yet
        raise unforeseen(place.name, error) from None
