"""Where a takeover may read a credential from: places that give back what they hold, and what a person hands over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

from twokey.core.model import Held

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twokey.core.destination import Destination
    from twokey.core.model import Holding
    from twokey.core.secret import Credential


class CredentialSource(Protocol):
    """A place that can give the credential that it holds."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def held(self) -> Holding:
        """Say which key is here; may raise the errors of ``twokey.core.errors``."""
        ...

    def credential(self) -> Credential | None:
        """Read the credential; may raise the errors of ``twokey.core.errors``."""
        ...


class SuppliedCredential:
    """A credential that a person hands over on standard input."""

    name = "standard input"

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def held(self) -> Holding:
        """Say which key it is of."""
        return Held(self._credential.access_key_id)

    def credential(self) -> Credential:
        """Return it."""
        return self._credential


def credential_source(place: object) -> CredentialSource | None:
    """Return the place if it can give the credential that it holds."""
    return cast("CredentialSource", place) if callable(getattr(place, "credential", None)) else None


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a credential may be taken from: destinations by name, and the place that a person points at."""

    destinations: Mapping[str, CredentialSource] = field(default_factory=dict)
    chosen: CredentialSource | None = None

    @classmethod
    def among(cls, destinations: Iterable[Destination], chosen: CredentialSource | None = None) -> Sources:
        """Find them among the destinations."""
        found = {place.name: one for place in destinations if (one := credential_source(place))}
        return cls(found, chosen)
